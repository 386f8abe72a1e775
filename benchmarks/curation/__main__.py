"""Problem sets: whether their tests can be trusted.

    python -m benchmarks.curation [--json] [--only KEY,...] [--data DIR] [--programs N] [--drafts N]

Each figure's module says how it is measured.

    weak_test_recall      benchmarks.curation.weak_tests: `--data` has problems/ and samples/ of HumanEval
    evolve_bad_accepted   benchmarks.curation.evolving: `--data` has problems/ of HumanEval and MBPP
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.curation import evolving, weak_tests
from benchmarks.measure import arguments


def main() -> None:
    args = arguments(__doc__, only="", data="../shared/data", programs=60, drafts=500)
    wanted = set(filter(None, args.only.split(",")))
    found: dict[str, Any] = {}
    goals: dict[str, str] = {}
    parts: tuple[tuple[ModuleType, Callable[[], dict[str, Any]]], ...] = (
        (weak_tests, lambda: weak_tests.measure(Path(args.data), args.programs)),
        (evolving, lambda: evolving.measure(Path(args.data), args.drafts)),
    )
    for module, measure in parts:
        if wanted and not wanted & module.GOALS.keys():
            continue
        found |= measure()
        goals |= module.GOALS
    if args.json:
        print(json.dumps(found | {"goals": goals}))
        return
    for name, value in found.items():
        print(f"{name:<34}{value!s:<34} {goals.get(name, '')}")


if __name__ == "__main__":
    main()
