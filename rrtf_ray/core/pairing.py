"""Which programs of a problem are worth comparing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from rrtf_ray.identity import program_digest
from rrtf_ray.records import Group, Outcome, Vote


@dataclass(frozen=True, slots=True)
class Pair:
    """Two programs of a problem, by digest: first < second. priority: higher is asked sooner."""

    problem_id: str
    first: str
    second: str
    priority: float


def pairs_of(group: Group) -> list[Pair]:
    """The pairs of different programs that tests tie: equal outcome and equal share of passed tests."""
    found: dict[str, tuple[Outcome, float]] = {}
    for candidate in group.candidates:
        if candidate.verdict and candidate.verdict.outcome is not Outcome.SANDBOX_ERROR and candidate.program:
            found.setdefault(
                program_digest(candidate.program), (candidate.verdict.outcome, candidate.verdict.pass_ratio)
            )
    return [
        Pair(group.problem.id, first, second, found[first][1])
        for first, second in combinations(sorted(found), 2)
        if found[first] == found[second]
    ]


def priorities(pairs: Sequence[Pair], votes: Sequence[Vote]) -> list[float]:
    """Of one problem's pairs: less by the number of votes that a pair already has."""
    asked = [frozenset((vote.left, vote.right)) for vote in votes]
    return [pair.priority - asked.count(frozenset((pair.first, pair.second))) for pair in pairs]
