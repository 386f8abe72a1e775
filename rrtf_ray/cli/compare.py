"""`rrtf compare` and `rrtf export`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from rrtf_ray.cli.arguments import command, day, positives


def add(commands: Any) -> None:
    """The commands that compare results on the same problems, and hand them to other tools."""
    compare = command(
        commands,
        "compare",
        _compare,
        "compare models by their results on the same problems; paired tests, a gate for CI",
        "Compare results with those named first: paired differences with intervals and p, the smallest difference that "
        "could have been found, and the programs behind what was won and lost. Exit codes with --gate: 0 pass, "
        "3 block, 4 inconclusive.",
    )
    compare.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="the baseline, then what to compare with it: a file of results of `rrtf verify`, an output directory of a "
        "benchmark, or an evaluation of a run (RUN:round-01); A1,A2,A3 are seeds of one",
    )
    compare.add_argument("--k", type=positives, default=(1, 10, 100), metavar="K,K", help="pass@k (default 1,10,100)")
    compare.add_argument(
        "--flips", type=_number, default=3, metavar="N", help="show programs of N problems won and N lost (default 3)"
    )
    compare.add_argument("--output", metavar="FILE", help="write the whole comparison with all programs as JSON")
    compare.add_argument("--gate", metavar="FILE", help="YAML file with the drops that are accepted")
    for option, help in (
        ("--since", "only problems published on this day (YYYY-MM-DD) or later"),
        ("--until", "only problems published on this day or earlier"),
        ("--cutoff", "where the models' training data ends: warn of problems published by then"),
    ):
        compare.add_argument(option, type=day, metavar="DATE", help=help)
    compare.add_argument(
        "--allow-different-protocols",
        action="store_true",
        help="compare also what was sampled or judged in another way, or on other problems",
    )
    compare.add_argument("--json", action="store_true", help="print one JSON object")
    export = command(
        commands,
        "export",
        _export,
        "write judged samples for inspect_ai's viewer or NeMo Evaluator's comparison",
        "Write what `rrtf compare` reads as files of another tool, one for each draw.",
    )
    export.add_argument("input", metavar="INPUT", help="as for `rrtf compare`")
    export.add_argument("--to", choices=("inspect", "nemo"), required=True, help="whose files to write")
    export.add_argument("--output", required=True, metavar="DIR", help="folder for the files")


def _export(args: argparse.Namespace) -> int:
    from rrtf_ray.compare.exporting import export

    export(args.input, args.to, args.output)
    return 0


def _number(text: str) -> int:
    """A whole number of 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def _compare(args: argparse.Namespace) -> int:
    from rrtf_ray.compare.command import compare
    from rrtf_ray.compare.window import Window

    dates = {name: getattr(args, name) or "" for name in ("since", "until", "cutoff")}
    window = Window(**dates) if any(dates.values()) else None
    try:
        return compare(
            args.inputs,
            ks=args.k,
            num_flips=args.flips,
            output=args.output,
            gate=args.gate,
            window=window,
            allow_different_protocols=args.allow_different_protocols,
            as_json=args.json,
        )
    except BrokenPipeError:  # whoever read the output has seen enough, as `| head`; nothing else here writes to a pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
