"""Both sides in turn, ratios pair by pair, printed as a table or as JSON. On a shared, noisy machine a ratio of two
neighbouring runs is meaningful where seconds are not."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def arguments(description: str | None, **options: Any) -> argparse.Namespace:
    """`--json`, and further options by name and default, whose type they take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    for name, default in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return parser.parse_args()


def in_turn(pairs: int, one: Callable[[], T], other: Callable[[], T]) -> list[tuple[T, T]]:
    """Run one, other, other, one, ...: `pairs` pairs of figures; drift of the machine affects both alike."""
    found = []
    for index in range(pairs):
        if index % 2:
            second = other()
            found.append((one(), second))
        else:
            first = one()
            found.append((first, other()))
    return found


def spread(values: list[float]) -> dict[str, float]:
    """Median, minimum and maximum."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def report(as_json: bool, key: str, ratios: list[float], goal: str, details: dict[str, Any]) -> None:
    """Print the ratio under its key, its spread, and the figures behind it."""
    found = spread(ratios)
    if as_json:
        print(json.dumps({key: round(found["median"], 4), f"{key}_spread": found, "goal": goal, **details}))
        return
    print(f"{'ratio':<24}{'median':>10}{'min':>10}{'max':>10}   goal")
    print(f"{key:<24}{found['median']:>10.3f}{found['min']:>10.3f}{found['max']:>10.3f}   {goal}")
    for name, value in details.items():
        print(f"  {name}: {value}")
