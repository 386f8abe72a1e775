"""Which pairs of programs are worth asking people about: those that tests cannot order.

Two programs of a problem are compared if both pass all tests, or pass the same share of them; programs that differ only
in layout, comments or the names of local variables are one. More is learned where the model itself is undecided, and
where a problem weighs in training: some of its candidates pass, and some do not.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from rrtf_ray.core.preference import posterior
from rrtf_ray.core.sameness import normal_form
from rrtf_ray.identity import program_digest, stable_seed
from rrtf_ray.records import Candidate, Group, Outcome, Source, Vote

MOST_PAIRS = 20
"""Of one problem: among n programs, a few comparisons of each are enough to order them."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two programs of a problem, by their digests, first < second. priority: in (0, 1], before any vote."""

    problem_id: str
    first: str
    second: str
    priority: float


def pairs_of(group: Group, most: int = MOST_PAIRS) -> list[Pair]:
    """The pairs of a group's programs that are worth a vote, the most telling first. Needs verdicts."""
    problem = group.problem
    distinct: dict[str, Candidate] = {}
    for candidate in group.candidates:
        if _can_be_asked(candidate):
            distinct.setdefault(normal_form(candidate.program, problem.language), candidate)
    tied: dict[float, list[Candidate]] = defaultdict(list)
    for candidate in distinct.values():
        assert candidate.verdict
        tied[candidate.verdict.pass_ratio].append(candidate)
    weight = _weight(group)
    found = [
        _pair(problem.id, a, b, weight * (1.0 if ratio == 1 else 0.5))
        for ratio, equal in tied.items()
        for a, b in combinations(equal, 2)
    ]
    # Equal priorities are put in an order that has nothing to do with who wrote what.
    found.sort(key=lambda pair: (-pair.priority, stable_seed(pair.first, pair.second)))
    return found[:most]


def priorities(pairs: Sequence[Pair], votes: Iterable[Vote], prior: float = 1.0) -> list[float]:
    """How soon each pair should be asked, after votes: the information that one more is expected to give, times the
    pair's own priority. pairs, votes: of one problem."""
    found = posterior(votes, prior)
    return [pair.priority * found.information(pair.first, pair.second) for pair in pairs]


def _can_be_asked(candidate: Candidate) -> bool:
    verdict = candidate.verdict
    return bool(
        candidate.program and verdict and verdict.outcome in (Outcome.PASSED, Outcome.FAILED) and verdict.pass_ratio > 0
    )


def _pair(problem_id: str, a: Candidate, b: Candidate, weight: float) -> Pair:
    first, second = sorted((program_digest(a.program), program_digest(b.program)))
    closeness = 1.0
    if a.logprob is not None and b.logprob is not None:
        closeness = math.exp(-abs(a.logprob / max(1, a.num_tokens) - b.logprob / max(1, b.num_tokens)))
    return Pair(problem_id, first, second, weight * (0.5 + 0.5 * closeness))


def _weight(group: Group) -> float:
    """1 where half of the student's candidates pass, 0.5 where all or none do."""
    outcomes = [c.verdict.outcome for c in group.candidates if c.verdict and c.source is Source.STUDENT]
    rate = sum(outcome is Outcome.PASSED for outcome in outcomes) / len(outcomes) if outcomes else 0.0
    return 0.5 + 2 * rate * (1 - rate)
