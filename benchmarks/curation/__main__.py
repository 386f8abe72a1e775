"""Problem sets: copies in them, and whether their tests can be trusted.

    python -m benchmarks.curation [--json] [--only KEY,...] [--problems N] [--data DIR] [--programs N] [--drafts N]

Each figure's module says how it is measured. `benchmarks.curation.peers` is a command of its own.

    near_copy_recall, near_copy_precision    benchmarks.curation.near_copies
    public_recall, public_others, changed    benchmarks.curation.public: `--data` has problems/ of public sets
    dedup_rows_per_s                         benchmarks.curation.speed, on `--problems` problems
    weak_test_recall                         benchmarks.curation.weak_tests: `--data` has problems/ and samples/ of
                                             HumanEval
    evolve_bad_accepted                      benchmarks.curation.evolving, of `--drafts` drafts of every kind: `--data`
                                             has problems/ of HumanEval and MBPP
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.curation import evolving, near_copies, public, speed, weak_tests
from benchmarks.measure import arguments


def main() -> None:
    args = arguments(__doc__, only="", problems=100_000, data="../shared/data", programs=60, drafts=500)
    wanted = set(filter(None, args.only.split(",")))
    parts: tuple[tuple[ModuleType, Callable[[], dict[str, Any]]], ...] = (
        (near_copies, near_copies.measure),
        (public, lambda: public.measure(Path(args.data) / "problems")),
        (speed, lambda: speed.measure(args.problems)),
        (weak_tests, lambda: weak_tests.measure(Path(args.data), args.programs)),
        (evolving, lambda: evolving.measure(Path(args.data), args.drafts)),
    )
    found: dict[str, Any] = {}
    goals: dict[str, str] = {}
    for module, measure in parts:
        if not wanted or wanted & module.GOALS.keys():
            found |= measure()
            goals |= module.GOALS
    if args.json:
        print(json.dumps(found | {"goals": goals}))
        return
    for name, value in found.items():
        print(f"{name:<34}{value!s:<34} {goals.get(name, '')}")


if __name__ == "__main__":
    main()
