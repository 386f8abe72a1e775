"""`rrtf benchmark`."""

from __future__ import annotations

import argparse
from typing import Any

from rrtf_ray.cli.arguments import add_settings, command, positive


def add(commands: Any) -> None:
    """The command that measures a model by public problems."""
    benchmark = command(
        commands,
        "benchmark",
        _benchmark,
        "pass@k of a model, or of samples, on a problem set under a protocol",
        "Measure a model, or samples that you have, on a problem set under a protocol that is written down.",
    )
    benchmark.add_argument("--list", action="store_true", help="show the protocols and suites, and do nothing else")
    benchmark.add_argument("--model", metavar="M", help="a folder, URI or hub id (with --samples: whose they are)")
    benchmark.add_argument(
        "--problems", metavar="P", help="a file in any of the formats, or what `problems import` wrote"
    )
    benchmark.add_argument("--output", metavar="DIR", help="the directory to write; continued where it was interrupted")
    benchmark.add_argument("--suite", metavar="NAME", help="what the problems are (default: recognised)")
    benchmark.add_argument(
        "--protocol", default="greedy", metavar="P", help="greedy, paper, chat or a FILE.yaml (default greedy)"
    )
    benchmark.add_argument("--format", default="auto", help="of the problems (default: recognised)")
    benchmark.add_argument("--limit", type=positive, metavar="N", help="only the first N problems")
    benchmark.add_argument(
        "--samples",
        action="append",
        metavar="FILE",
        help="score these samples, no model; once for each draw of the protocol",
    )
    benchmark.add_argument(
        "--workers", type=positive, metavar="N", help="with --samples: programs at once (default: number of CPUs)"
    )
    add_settings(benchmark)


def _benchmark(args: argparse.Namespace) -> int:
    if args.list:
        from rrtf_ray.benchmark.report import print_lists

        print_lists()
        return 0
    from contextlib import nullcontext

    from rrtf_ray.benchmark.command import of_model, of_samples
    from rrtf_ray.cli.logs import logged
    from rrtf_ray.config_file import load_config

    _check(args)
    chosen = {name: getattr(args, name) for name in ("suite", "format", "protocol", "limit")}
    if args.samples:
        asked = of_samples(args.samples, args.problems, args.output, model=args.model, workers=args.workers, **chosen)
    else:
        config = load_config(args.config, args.overrides)
        asked = of_model(args.model, config, args.overrides, args.problems, args.output, **chosen)
    with nullcontext() if args.samples else logged(asked.directory.uri):
        asked.run()
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raise InputError for options that are missing or have no effect."""
    from rrtf_ray.errors import InputError

    for name in ("problems", "output"):
        if not getattr(args, name):
            raise InputError(f"--{name} is missing; `rrtf benchmark --help` shows what is needed")
    if args.samples and (args.config or args.overrides):
        raise InputError("--config and overrides say how a model is sampled; leave them out with --samples")
    if not args.samples and not args.model:
        raise InputError("neither --model nor --samples is given; name what is to be measured")
    if not args.samples and args.workers:
        raise InputError("--workers is for --samples; with a model, set execute.max_workers=N")
