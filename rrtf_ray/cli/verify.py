"""`rrtf verify`."""

from __future__ import annotations

import argparse
from typing import Any

from rrtf_ray.cli.arguments import command, positive, positives, sandbox_arguments, seconds


def add(commands: Any) -> None:
    """The command that runs samples against problems."""
    verify = command(
        commands,
        "verify",
        _verify,
        "run samples that you have against problems; pass@k",
        "Run samples that you have against problems, each in a sandbox; without Ray.",
    )
    verify.add_argument(
        "--problems",
        required=True,
        help="a file in any of the formats (see `rrtf problems formats`), or what `problems import` wrote",
    )
    verify.add_argument(
        "--samples", required=True, help="a file of samples, as you or a harness wrote it (see the documentation)"
    )
    verify.add_argument("--output", help="a JSON line for each sample (default: SAMPLES.results.jsonl); continued")
    verify.add_argument("--overwrite", action="store_true", help="begin anew where the output exists")
    verify.add_argument(
        "--format", default="auto", help="of the problems (default: recognised by the fields of their first row)"
    )
    verify.add_argument("--workers", type=positive, metavar="N", help="programs at once (default: number of CPUs)")
    verify.add_argument(
        "--timeout-s", type=seconds, default=3.0, metavar="S", help="processor time of a program (default 3)"
    )
    sandbox_arguments(verify)
    verify.add_argument("--k", type=positives, default=(1, 10, 100), metavar="K,K", help="pass@k (default 1,10,100)")


def _verify(args: argparse.Namespace) -> int:
    from rrtf_ray.verify import verify

    verify(
        args.problems,
        args.samples,
        output=args.output,
        overwrite=args.overwrite,
        format=args.format,
        workers=args.workers,
        timeout_s=args.timeout_s,
        memory_mb=args.memory_mb,
        output_kb=args.output_kb,
        preload=args.preload,
        ks=args.k,
    )
    return 0
