"""The page's server under load, over HTTP, and killed while it works.

    python -m benchmarks.feedback [--json] [--only KEY,...] [--pairs N] [--annotators N] [--seconds N] [--kills N]
        [--database URL]

Each figure's module says how it is measured: benchmarks.feedback.speed and benchmarks.feedback.kills.

    next_pair_ms_p99      milliseconds until an annotator has the next pair, the 99th percentile; goal below 100
    lost_votes            votes that were acknowledged and are not in the database after `--kills` SIGKILLs; goal 0
    double_assignments    pairs that two annotators had at once, in both; goal 0

`--database` is one that exists and is empty, such as PostgreSQL's; by default each figure has its own SQLite file.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.feedback import kills, speed
from benchmarks.measure import arguments


def main() -> None:
    args = arguments(__doc__, only="", pairs=10_000, annotators=10, seconds=60.0, kills=50, database="")
    wanted = set(filter(None, args.only.split(",")))
    found: dict[str, Any] = {}
    goals: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="rrtf-bench-") as folder:
        parts = (
            (speed, lambda: speed.measure(Path(folder), args.pairs, args.annotators, args.seconds, args.database)),
            (kills, lambda: kills.measure(Path(folder), args.annotators, args.kills, args.database)),
        )
        for module, measure in parts:
            if wanted and not wanted & module.GOALS.keys():
                continue
            figures = measure()
            doubles = found.get("double_assignments", 0) + figures.pop("double_assignments")
            found |= figures | {"double_assignments": doubles}
            goals |= module.GOALS
    if args.json:
        print(json.dumps(found | {"goals": goals}))
        return
    for name, value in found.items():
        print(f"{name:<24}{value!s:>12}   {goals.get(name, '')}")


if __name__ == "__main__":
    main()
