"""Votes, the page that asks for them, and teachers.

    python -m benchmarks.feedback [--json] [--only KEY,...] [--pairs N] [--annotators N] [--seconds N] [--kills N]
        [--database URL] [--folder DIR]

Each figure's module says how it is measured.

    recovered_order       benchmarks.feedback.recovered_order
    next_pair_ms_p99      benchmarks.feedback.speed: milliseconds until an annotator has the next pair
    lost_votes            benchmarks.feedback.kills: votes that were acknowledged and are gone after `--kills` SIGKILLs
    double_assignments    in the last two: pairs that two annotators had at once
    teacher_rate          benchmarks.feedback.teacher_rate
    shorter_chars         benchmarks.feedback.shorter: trains, so it takes ten minutes or more

`--database` is one that exists and is empty, such as PostgreSQL's; by default each figure has its own SQLite file.
`--folder` keeps what the last figure makes: started again, it continues there.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.feedback import kills, recovered_order, shorter, speed, teacher_rate
from benchmarks.measure import arguments


def main() -> None:
    args = arguments(__doc__, only="", pairs=10_000, annotators=10, seconds=60.0, kills=50, database="", folder="")
    wanted = set(filter(None, args.only.split(",")))
    found: dict[str, Any] = {}
    goals: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="rrtf-bench-") as temporary:
        folder = Path(temporary)
        kept = Path(args.folder or temporary)
        parts: tuple[tuple[ModuleType, Callable[[], dict[str, Any]]], ...] = (
            (recovered_order, recovered_order.measure),
            (speed, lambda: speed.measure(folder, args.pairs, args.annotators, args.seconds, args.database)),
            (kills, lambda: kills.measure(folder, args.annotators, args.kills, args.database)),
            (teacher_rate, lambda: teacher_rate.measure(folder, args.seconds / 2)),
            (shorter, lambda: shorter.measure(kept / "shorter")),
        )
        for module, measure in parts:
            if wanted and not wanted & module.GOALS.keys():
                continue
            figures = measure()
            if "double_assignments" in figures:
                figures["double_assignments"] += found.get("double_assignments", 0)
            found |= figures
            goals |= module.GOALS
    if args.json:
        print(json.dumps(found | {"goals": goals}))
        return
    for name, value in found.items():
        print(f"{name:<24}{_shown(value):<34} {goals.get(name, '')}")


def _shown(value: Any) -> str:
    if not isinstance(value, dict):
        return f"{value:.3f}" if isinstance(value, float) else str(value)
    if value.keys() == {"value", "low", "high"}:
        return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
    return ", ".join(f"{name} {number}" for name, number in value.items())


if __name__ == "__main__":
    main()
