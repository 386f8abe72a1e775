"""Pairs of a problem's programs that tests cannot order: what people and judges are asked.

In: a group with verdicts. Out: pairs of digests.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations

from rrtf_ray.identity import program_digest
from rrtf_ray.records import Group, Outcome


@dataclass(frozen=True, slots=True)
class Pair:
    """Two programs of a problem by digest, first < second. priority: higher is asked sooner."""

    problem_id: str
    first: str
    second: str
    priority: float = 0.0


def pairs_of(group: Group) -> list[Pair]:
    """Every pair of distinct programs with the same outcome and share of passed tests; both pass, or both pass some."""
    tied: dict[float, set[str]] = defaultdict(set)
    for candidate in group.candidates:
        verdict = candidate.verdict
        if candidate.program and verdict and verdict.outcome in (Outcome.PASSED, Outcome.FAILED):
            tied[verdict.pass_ratio].add(program_digest(candidate.program))
    return [
        Pair(group.problem.id, first, second)
        for ratio in sorted(tied, reverse=True)
        for first, second in combinations(sorted(tied[ratio]), 2)
    ]
