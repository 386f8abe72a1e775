"""`rrtf report`."""

from __future__ import annotations

import argparse
from typing import Any

from rrtf_ray.cli.arguments import command, positive


def add(commands: Any) -> None:
    """The command that makes a page of runs."""
    report = command(
        commands,
        "report",
        _report,
        "one HTML file that shows what a run did, and whether its tests can be trusted",
        "Write one HTML file, which needs no network, about one run, or about several side by side: pass@k before and "
        "after, what became of the candidates, problems fixed and broken, rankings, training curves, and an audit of "
        "the reward.",
    )
    report.add_argument("runs", nargs="+", metavar="RUN", help="a run directory or its URI; also one in progress")
    report.add_argument(
        "--output", default="report.html", metavar="FILE", help="the file or URI to write (default report.html)"
    )
    report.add_argument(
        "--audit",
        type=positive,
        default=50,
        metavar="N",
        help="problems of each run whose references, with faults put in, are run in the sandbox (default 50)",
    )
    report.add_argument("--no-audit-runs", action="store_true", help="run nothing")


def _report(args: argparse.Namespace) -> int:
    from rrtf_ray.report.command import report

    report(args.runs, args.output, audit=0 if args.no_audit_runs else args.audit)
    return 0
