"""Arguments that several commands share, and the parsers of their values."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

Run = Callable[[argparse.Namespace], int]


def command(commands: Any, name: str, run: Run, help: str, description: str | None = None) -> argparse.ArgumentParser:
    """A new command's parser; `run` is called for it. description: heads its own --help."""
    made: argparse.ArgumentParser = commands.add_parser(name, help=help, description=description)
    made.set_defaults(run=run)
    return made


def add_settings(parser: argparse.ArgumentParser) -> None:
    """--config and the overrides of a run's settings."""
    parser.add_argument("--config", metavar="FILE", help="YAML file; see jobs/configs (default: all defaults)")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="settings that override the file")


def positive(text: str) -> int:
    """A whole number of 1 or more."""
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return value


def positives(text: str) -> tuple[int, ...]:
    """Whole numbers of 1 or more, separated by commas."""
    return tuple(positive(part.strip()) for part in text.split(","))


def day(text: str) -> str:
    """A date as YYYY-MM-DD."""
    from rrtf_ray.records import is_date

    if not is_date(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; give YYYY-MM-DD, as 2024-08-31")
    return text


def seconds(text: str) -> float:
    """Seconds above 0."""
    return _above_zero(text, "seconds")


def gib(text: str) -> float:
    """GiB above 0."""
    return _above_zero(text, "GiB")


def _above_zero(text: str, unit: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of {unit} above 0")
    return value


def sandbox_arguments(parser: argparse.ArgumentParser) -> None:
    """What programs may use in the sandbox. The defaults are those of `rrtf_ray.sandbox.Limits`."""
    parser.add_argument(
        "--memory-mb", type=positive, default=1024, metavar="N", help="address space of a program (default 1024)"
    )
    parser.add_argument(
        "--output-kb",
        type=positive,
        default=16 * 1024,
        metavar="N",
        help="standard output of a program, and each of its files (default 16384)",
    )
    parser.add_argument(
        "--preload",
        type=lambda text: tuple(name for name in text.split(",") if name),
        default=(),
        metavar="A,B",
        help="installed modules that programs and tests may import besides the standard library, as numpy",
    )
