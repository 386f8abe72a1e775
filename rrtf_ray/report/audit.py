"""What the finished rows say of the reward: verdicts to distrust, problems that teach nothing, problems that repeat.

Nothing is run here; `rrtf_ray.report.trials` does that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from rrtf_ray.core.contamination import Stated, close_pairs, stated
from rrtf_ray.core.words import key_of
from rrtf_ray.records import Group, Outcome, Problem, Source
from rrtf_ray.store.rows import RowStore
from rrtf_ray.store.run_dir import statements

MAX_NAMED = 20
"""Ids that the page names of a list; the rest is counted."""
_SLOW_SHARE = 0.5


@dataclass(slots=True)
class Named:
    """A number of problems, and the ids of the first."""

    number: int = 0
    ids: list[str] = field(default_factory=list)

    def add(self, id_: str) -> None:
        self.number += 1
        if len(self.ids) < MAX_NAMED:
            self.ids.append(id_)

    @property
    def rest(self) -> int:
        return self.number - len(self.ids)


@dataclass(slots=True)
class StoreAudit:
    """What one store of executed groups says.

    limit_s: of processor time of a program. slow: candidates that ended in time but took half of it or more by the
    clock. inside, unprotected: verdicts that were given inside the program's interpreter, or without a layer of the
    sandbox. all_pass, none_passes: problems by their students.
    """

    name: str
    limit_s: float
    candidates: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slow: int = 0
    slowest_s: float = 0.0
    near_limit: Named = field(default_factory=Named)
    inside_passed: int = 0
    inside: int = 0
    inside_problems: Named = field(default_factory=Named)
    unprotected: Counter[str] = field(default_factory=Counter)
    problems: int = 0
    all_pass: Named = field(default_factory=Named)
    none_passes: Named = field(default_factory=Named)

    def add(self, group: Group) -> None:
        id_ = group.problem.id
        judged = [(c.source, c.verdict) for c in group.candidates if c.verdict]
        near = False
        for _, verdict in judged:
            self.candidates += 1
            self.outcomes[verdict.outcome.value] += 1
            self.slowest_s = max(self.slowest_s, verdict.seconds)
            timed_out = verdict.outcome is Outcome.TIMEOUT
            slow = not timed_out and verdict.seconds >= _SLOW_SHARE * self.limit_s
            self.slow += slow
            near = near or slow or timed_out
            self.inside += verdict.inside
            self.inside_passed += verdict.inside and verdict.outcome is Outcome.PASSED
            self.unprotected.update(verdict.unprotected)
        if near:
            self.near_limit.add(id_)
        if any(verdict.inside for _, verdict in judged):
            self.inside_problems.add(id_)
        students = [v.outcome for source, v in judged if source is Source.STUDENT]
        students = [outcome for outcome in students if outcome is not Outcome.SANDBOX_ERROR]
        if students:
            self.problems += 1
            passed = sum(outcome is Outcome.PASSED for outcome in students)
            if passed == len(students):
                self.all_pass.add(id_)
            elif not passed:
                self.none_passes.add(id_)


@dataclass(frozen=True, slots=True)
class Repeated:
    """Problems that are there more than once.

    groups: of each split, the ids of problems with the same words.
    close: near copies, as (train id, held-out id, similarity).
    """

    groups: dict[str, list[list[str]]]
    close: list[tuple[str, str, float]]
    num_held_out: int

    @property
    def num_close_held_out(self) -> int:
        """Held-out problems with a close one in train."""
        return len({held_out for _, held_out, _ in self.close})

    def num_repeated(self, split: str) -> int:
        """How many problems of a split repeat an earlier one."""
        return sum(len(ids) - 1 for ids in self.groups[split])


def repeated_of(train: RowStore[Problem], held_out: RowStore[Problem]) -> Repeated:
    """Reads the problems' statements only."""
    splits = {"train": train, "held out": held_out}
    groups = {name: _equal(stated(statements(store))) for name, store in splits.items()}
    tests = list(stated(statements(held_out)))
    return Repeated(groups, close_pairs(stated(statements(train)), tests), len(tests))


def _equal(problems: Iterable[Stated]) -> list[list[str]]:
    found: dict[bytes, list[str]] = {}
    for id_, text in problems:
        found.setdefault(key_of(text.words), []).append(id_)
    return [ids for ids in found.values() if len(ids) > 1]
