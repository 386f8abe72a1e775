"""`rrtf problems import`, `formats`, `check` and `audit`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from rrtf_ray.cli import curation
from rrtf_ray.cli.arguments import command, positive, sandbox_arguments, seconds


def add(commands: Any) -> None:
    """The commands that make and check problem sets."""
    problems = commands.add_parser("problems", help="import or check problem sets")
    actions = problems.add_subparsers(dest="action", required=True, metavar="ACTION")
    load = command(actions, "import", _import, "turn a public problem file into a data set of this project")
    load.add_argument(
        "--format",
        default="auto",
        help="one that `problems formats` lists (default: recognised by the fields of the first row)",
    )
    load.add_argument(
        "--input", required=True, help="a file (JSON or Parquet, packed too), a URI, or a Hugging Face data set id"
    )
    load.add_argument("--output", required=True, help="the directory or URI to write")
    load.add_argument("--split", choices=("train", "held_out"), help="put all problems into this split")
    command(actions, "formats", _formats, "list the formats that can be imported")
    check = command(actions, "check", _check, "run every reference solution against its own tests")
    check.add_argument("directory", help="what `problems import` wrote")
    check.add_argument("--limit", type=positive, metavar="N", help="only the first N problems")
    check.add_argument(
        "--cpu-s", type=float, default=10.0, help="limit of CPU time per reference, in seconds (default 10)"
    )
    sandbox_arguments(check)
    audit = command(
        actions,
        "audit",
        _audit,
        "try out whether the tests can be trusted; a score for each problem, and a filtered copy",
        "Try out whether the tests of a problem set can be trusted, each in a sandbox; without Ray.",
    )
    audit.add_argument("directory", help="what `problems import` wrote, or a file of any format")
    audit.add_argument("--sample", type=positive, metavar="N", help="only N problems, always the same (default: all)")
    audit.add_argument("--samples", metavar="FILE", help="programs that you have, as `rrtf verify` reads them")
    audit.add_argument("--output", metavar="DIR", help="write a copy of the problems with a good score; continued")
    audit.add_argument(
        "--min-score", type=float, default=0.5, metavar="X", help="least score of a problem in the copy (default 0.5)"
    )
    audit.add_argument(
        "--seconds", type=seconds, default=600.0, metavar="N", help="begin no problem after this time (default 600)"
    )
    audit.add_argument("--workers", type=positive, metavar="N", help="problems at once (default: number of CPUs)")
    audit.add_argument(
        "--timeout-s", type=seconds, default=3.0, metavar="S", help="processor time of a program (default 3)"
    )
    audit.add_argument("--json", action="store_true", help="print one JSON object")
    sandbox_arguments(audit)
    curation.add(actions)


def _import(args: argparse.Namespace) -> int:
    from rrtf_ray import problems
    from rrtf_ray.records import Split

    name = problems.format_of(args.input) if args.format == "auto" else args.format
    found = problems.load(name, args.input, split=Split(args.split) if args.split else None)
    manifest = problems.write_problems(found, args.output, format_name=name, source=os.path.basename(args.input))
    print(f"{manifest['num_problems']} problems written to {args.output}")
    return 0


def _formats(args: argparse.Namespace) -> int:
    from rrtf_ray.problems.catalogue import table

    for name, about, fields in table():
        print(f"{name}\n    {about}\n    recognised by {fields}".replace("`", ""))
    return 0


def _check(args: argparse.Namespace) -> int:
    from itertools import islice

    from rrtf_ray.problems import read_manifest, read_problems
    from rrtf_ray.problems.check import CheckReport, check_references
    from rrtf_ray.progress import bar
    from rrtf_ray.sandbox import Limits, Sandbox

    report = CheckReport()
    total = min(read_manifest(args.directory)["num_problems"], args.limit or sys.maxsize)
    limits = Limits(wall_s=4 * args.cpu_s, cpu_s=args.cpu_s, memory_mb=args.memory_mb, output_kb=args.output_kb)
    with Sandbox(limits, preload=args.preload) as sandbox, bar("check", total) as shown:
        for _ in check_references(islice(read_problems(args.directory), total), sandbox, report):
            shown.advance(1)
    print(report)
    return 1 if report.failures else 0


def _audit(args: argparse.Namespace) -> int:
    from rrtf_ray.audit.command import audit

    audit(
        args.directory,
        sample=args.sample,
        samples=args.samples,
        output=args.output,
        seconds=args.seconds,
        min_score=args.min_score,
        workers=args.workers,
        timeout_s=args.timeout_s,
        memory_mb=args.memory_mb,
        output_kb=args.output_kb,
        preload=args.preload,
        as_json=args.json,
    )
    return 0
