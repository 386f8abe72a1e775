"""`rrtf`: parse and validate first, import the heavy stages later.

Each module here is a group of commands: its `add` makes their parsers and sets `run`, the function that a command
calls with its arguments. Exit codes: 0 done, 1 a failure while running, 2 an input that cannot be used; `compare
--gate` has two more (see there).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rrtf_ray import __version__
from rrtf_ray.cli import (
    ablate,
    benchmark,
    compare,
    doctor,
    evolve,
    plan,
    prefer,
    problems,
    quantize,
    report,
    serving,
    stages,
    verify,
)
from rrtf_ray.errors import RRTFError

_GROUPS = (
    stages,
    report,
    prefer,
    plan,
    quantize,
    problems,
    evolve,
    verify,
    benchmark,
    compare,
    ablate,
    serving,
    doctor,
)


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="rrtf",
        description="Make a code model better by RRTF: sample programs, test them, rank them, train on the ranking.",
        epilog="Every run can be started again with the same command and continues where it stopped.",
    )
    top.add_argument("--version", action="version", version=f"rrtf {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in _GROUPS:
        group.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = parser().parse_args(arguments)
    try:
        code: int = args.run(args)
        return code
    except RRTFError as error:
        print(f"rrtf: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("rrtf: interrupted; start the same command again to continue", file=sys.stderr)
        return 130
