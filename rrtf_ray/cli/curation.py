"""`rrtf problems dedup`, `rrtf problems decontaminate` and `rrtf problems select`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from rrtf_ray.cli.arguments import command, positive

if TYPE_CHECKING:
    from rrtf_ray.curation.command import How

_PARTS = ("prompt", "reference", "tests")


def add(actions: Any) -> None:
    """The commands that keep problem sets clean."""
    dedup = command(
        actions,
        "dedup",
        _dedup,
        "write a copy of a data set without problems that repeat an earlier one",
        "Leave out problems whose prompt, reference or tests are those of an earlier problem, and near copies.",
    )
    dedup.add_argument("directory", help="what `problems import` wrote")
    dedup.add_argument("--output", required=True, metavar="DIR", help="directory or URI for what is kept")
    _how(dedup)
    clean = command(
        actions,
        "decontaminate",
        _decontaminate,
        "find the problems of a data set that are in others, such as benchmarks",
        "Find problems whose prompt, reference or tests are those of a problem in another set, and near copies. "
        "Exit code 1 if there are any and --output is not given.",
    )
    clean.add_argument("directory", help="what `problems import` wrote")
    clean.add_argument(
        "--against",
        required=True,
        nargs="+",
        metavar="SET",
        help="problem sets that a model is evaluated on: directories of `problems import`, or anything that it reads",
    )
    clean.add_argument("--output", metavar="DIR", help="directory or URI for the problems that are in none of them")
    _how(clean)
    select = command(
        actions,
        "select",
        _select,
        "choose problems by how the student of a run did on them",
        "Write the problems of a run whose pass rate lies between two shares (default: above 0 and below 1), as a data "
        "set for the next run.",
    )
    select.add_argument("--from", dest="run_dir", required=True, metavar="RUN", help="run directory or URI")
    select.add_argument("--round", type=positive, metavar="N", help="default: the last one with all verdicts")
    select.add_argument("--output", required=True, metavar="DIR", help="directory or URI to write")
    select.add_argument(
        "--pass-rate",
        nargs=2,
        type=_share,
        metavar=("LOW", "HIGH"),
        help="shares of the student's candidates that pass, both included",
    )
    select.add_argument(
        "--outcome",
        type=_names,
        default=(),
        metavar="A,B",
        help="only problems on which a candidate of the student ended so, as timeout or compile_error",
    )
    select.add_argument("--limit", type=positive, metavar="N", help="at most N problems, drawn at random")
    select.add_argument("--seed", type=int, default=0, metavar="S", help="of the draw (default 0)")
    select.add_argument("--json", action="store_true", help="print one JSON object")


def _how(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threshold",
        type=_threshold,
        default=0.8,
        metavar="SHARE",
        help="near copies have this share of their runs of five words in common (default 0.8; 1: the same runs only)",
    )
    parser.add_argument(
        "--by",
        type=_parts,
        default=_PARTS,
        metavar="PART,PART",
        help=f"what is compared (default {','.join(_PARTS)})",
    )
    parser.add_argument(
        "--ignore-numbers", action="store_true", help="near copies may have different numbers (other limits, say)"
    )
    parser.add_argument("--show", type=int, default=3, metavar="N", help="print N pairs side by side (default 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _share(text: str) -> float:
    """A share in [0, 1]."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 1")
    return value


def _threshold(text: str) -> float:
    value = _share(text)
    if value < 0.3:
        raise argparse.ArgumentTypeError(f"{text!r} is below 0.3, where texts with nothing in common but a form begin")
    return value


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _parts(text: str) -> tuple[str, ...]:
    found = _names(text)
    unknown = [name for name in found if name not in _PARTS]
    if unknown or not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of {', '.join(_PARTS)}")
    return found


def _how_of(args: argparse.Namespace) -> How:
    from rrtf_ray.curation.command import How

    return How(args.threshold, args.by, not args.ignore_numbers, max(0, args.show))


def _dedup(args: argparse.Namespace) -> int:
    from rrtf_ray.curation.command import dedup

    return dedup(args.directory, args.output, _how_of(args), as_json=args.json)


def _decontaminate(args: argparse.Namespace) -> int:
    from rrtf_ray.curation.command import decontaminate

    return decontaminate(args.directory, args.against, args.output, _how_of(args), as_json=args.json)


def _select(args: argparse.Namespace) -> int:
    from rrtf_ray.curation.command import select_from
    from rrtf_ray.curation.selection import Rule
    from rrtf_ray.errors import InputError
    from rrtf_ray.records import Outcome

    known = [outcome.value for outcome in Outcome]
    unknown = [name for name in args.outcome if name not in known]
    if unknown:
        raise InputError(f"--outcome {unknown[0]} is no outcome; valid are {', '.join(known)}")
    low, high = args.pass_rate or (None, None)
    rule = Rule(low, high, tuple(Outcome(name) for name in args.outcome), args.limit, args.seed)
    return select_from(args.run_dir, args.round, args.output, rule, as_json=args.json)
