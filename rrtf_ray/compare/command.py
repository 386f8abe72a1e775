"""`rrtf compare` from end to end: read everything, refuse what cannot be compared, compare, show."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from rrtf_ray.compare.comparing import compare_pairs
from rrtf_ray.compare.flips import flips_of
from rrtf_ray.compare.gate import judge, load_policy, worst
from rrtf_ray.compare.pairs import left_out, pairs_of, refuse_differences
from rrtf_ray.compare.reading import read_arms
from rrtf_ray.compare.records import Arm
from rrtf_ray.compare.report import Report, record, show
from rrtf_ray.compare.window import Window, cut, warnings
from rrtf_ray.errors import InputError
from rrtf_ray.progress import say
from rrtf_ray.store.files import is_folder, resolve, write_json


def compare(
    names: Sequence[str],
    *,
    ks: Sequence[int] = (1, 10, 100),
    num_flips: int = 3,
    output: str | None = None,
    gate: str | None = None,
    window: Window | None = None,
    allow_different_protocols: bool = False,
    as_json: bool = False,
) -> int:
    """Compare every input with the first and print what was found; returns the exit code.

    names: see rrtf_ray.compare.reading. output: a file for the whole record. gate: a policy's file.
    window: only problems of these dates.

    Raises InputError for an input or a policy that cannot be used, or inputs that must not be compared; nothing is
    printed or written then.
    """
    if len(names) < 2:
        raise InputError(
            f"only {', '.join(names)!r} is named; name the baseline first and then what to compare with it"
        )
    if output:
        _check_output(output, [*names, *([gate] if gate else [])])
    policy = load_policy(gate) if gate else None
    arms = read_arms(list(names))
    differences = refuse_differences(arms, allow_different_protocols)
    dated: list[str] = []
    if window:
        arms, dated = cut(arms, window)
    pairs = [pair for arm in arms[1:] for pair in pairs_of(arms[0], arm)]
    if window:
        dated += warnings(pairs, window)
    compared, too_few = compare_pairs(pairs, ks)
    if not compared:
        raise InputError(f"nothing can be compared: {'; '.join(too_few)}")
    report = Report(
        tuple(arms),
        tuple(pairs),
        tuple(compared),
        tuple(flips_of(pair) for pair in pairs),
        tuple(judge(policy, compared, gate)) if policy and gate else (),
        (*(f"WARNING: {line}" for line in differences), *_notices(arms), *dated, *left_out(arms, pairs), *too_few),
        window,
    )
    written = record(report)
    if output:
        write_json(output, written)
    if as_json:
        for notice in report.notices:
            print(notice, file=sys.stderr)
        print(json.dumps(written, indent=2))
    else:
        show(report, num_flips)
        if output:
            say(f"all of it, with every program: {output}")
    return worst(report.gates).exit_code if report.gates else 0


def _check_output(output: str, names: Sequence[str]) -> None:
    """Raise InputError where it is a folder, or one of the inputs: nothing that was there is lost."""
    if is_folder(output):
        raise InputError(f"--output {output} is a folder; name a file")
    inputs = {*names, *(part for name in names for part in name.split(","))}
    if resolve(output)[1] in {resolve(name)[1] for name in inputs}:
        raise InputError(f"--output {output} is an input of this command; name another file")


def _notices(arms: Sequence[Arm]) -> list[str]:
    return [f"{measured.path}: {line}" for arm in arms for measured in arm.seeds for line in measured.notices]
