"""From the groups of a round to pairs that can be asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from math import comb

from rrtf_ray.core.pairing import pairs_of
from rrtf_ray.core.ranking import digest_of
from rrtf_ray.feedback.database import add_missing, insert_problem
from rrtf_ray.feedback.queue import Queue
from rrtf_ray.feedback.tables import RESULTS
from rrtf_ray.records import Candidate, Group, TestStatus

_GROUPS = 100
"""In one transaction."""


@dataclass
class Loaded:
    """What a round brings. asked: pairs of programs; new: those of them that the database did not know; ordered: pairs
    that need no person. repeated: candidates whose program another has; not_run: those without a verdict."""

    problems: int = 0
    asked: int = 0
    new: int = 0
    ordered: int = 0
    repeated: int = 0
    not_run: int = 0


def load(queue: Queue, groups: Iterable[Group]) -> Loaded:
    """Add the pairs of these groups to the queue, with their programs and what the tests say of them. What the database
    has stays."""
    loaded, rest = Loaded(), iter(groups)
    while some := list(islice(rest, _GROUPS)):
        with queue.database.writing() as connection:
            for group in some:
                pairs = pairs_of(group)
                judged = {digest_of(c): c for c in reversed(group.candidates) if c.verdict}
                loaded.problems += 1
                loaded.not_run += sum(c.verdict is None for c in group.candidates)
                loaded.repeated += sum(c.verdict is not None for c in group.candidates) - len(judged)
                loaded.ordered += comb(len(judged), 2) - len(pairs)
                loaded.asked += len(pairs)
                used = {digest for pair in pairs for digest in (pair.first, pair.second)}
                if not used:
                    continue
                known = {(p.first, p.second) for p in queue.of_problem(connection, group.problem.id)}
                if not known.issuperset((pair.first, pair.second) for pair in pairs):
                    programs = [judged[digest] for digest in sorted(used)]
                    insert_problem(
                        connection, group.problem.id, group.problem.prompt, [candidate.code for candidate in programs]
                    )
                    add_missing(connection, RESULTS, [_result(group.problem.id, candidate) for candidate in programs])
                loaded.new += queue.add(connection, pairs, group.problem.language.value)
    return loaded


def _result(problem_id: str, candidate: Candidate) -> dict[str, object]:
    verdict = candidate.verdict
    assert verdict is not None
    return {
        "problem_id": problem_id,
        "digest": digest_of(candidate),
        "outcome": verdict.outcome.value,
        "passed": sum(test is TestStatus.PASSED for test in verdict.tests),
        "total": len(verdict.tests),
        "detail": verdict.detail,
    }
