"""What only running shows of the tests: references that fail, verdicts that change, faults that nothing notices.

In: a sample of problems. Out: findings. Everything runs in the sandbox, within a limit of time for the whole.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from rrtf_ray.audit.mutants import Mutant
from rrtf_ray.audit.trying import Tried, text_of, tried
from rrtf_ray.records import Outcome, Problem
from rrtf_ray.sandbox import Sandbox

LIMIT_S = 300.0
"""No problem is begun after this many seconds; the report says how many were looked at."""


@dataclass(frozen=True, slots=True)
class Weak:
    """A problem whose tests let faults of its reference pass."""

    problem_id: str
    num_mutants: int
    survivors: tuple[Mutant, ...]


@dataclass(slots=True)
class Trials:
    """Findings over `num_done` of the `num_asked` problems of a sample, of `num_problems` problems in all.

    failing: (problem id, outcome and detail) of references that do not pass. flaky: (problem id, the two verdicts).
    trivial: (problem id, what the program does) where a program that solves nothing passes; num_trivial_asked: how many
    problems were given such programs. not_looked_at: how many problems lack what a check needs, by the reason.
    """

    num_problems: int
    num_asked: int
    num_done: int = 0
    num_references: int = 0
    failing: list[tuple[str, str]] = field(default_factory=list)
    flaky: list[tuple[str, str]] = field(default_factory=list)
    num_mutated: int = 0
    num_mutants: int = 0
    weak: list[Weak] = field(default_factory=list)
    num_trivial_asked: int = 0
    trivial: list[tuple[str, str]] = field(default_factory=list)
    not_looked_at: Counter[str] = field(default_factory=Counter)

    def add(self, id_: str, one: Tried) -> None:
        """Count what was found of one problem."""
        self.num_done += 1
        if one.verdicts:
            self.num_references += 1
            if one.verdicts[0].outcome is not Outcome.PASSED:
                self.failing.append((id_, text_of(one.verdicts[0])))
            if one.flaky:
                self.flaky.append((id_, "; then ".join(map(text_of, one.flaky))))
        if one.num_mutants:
            self.num_mutated += 1
            self.num_mutants += one.num_mutants
            if one.survivors:
                self.weak.append(Weak(id_, one.num_mutants, one.survivors))
        if one.trivial is not None:
            self.num_trivial_asked += 1
            self.trivial += [(id_, does) for does in one.trivial[:1]]
        self.not_looked_at.update(one.not_looked_at)

    @property
    def num_survivors(self) -> int:
        return sum(len(weak.survivors) for weak in self.weak)


def trials(
    problems: Sequence[Problem],
    num_problems: int,
    open_sandbox: Callable[[int], Sandbox],
    limit_s: float = LIMIT_S,
    on_problem: Callable[[], None] = lambda: None,
) -> Trials:
    """Try the tests of each problem. open_sandbox: one with the given hash seed, so that a verdict that depends on
    the order of a set shows itself in the second run. Raises SandboxError where no sandbox can be had."""
    found = Trials(num_problems, len(problems))
    until = time.monotonic() + limit_s
    with ExitStack() as stack:
        sandboxes = [stack.enter_context(open_sandbox(hash_seed)) for hash_seed in (0, 1)]
        for problem in problems:
            if time.monotonic() > until:
                break
            found.add(problem.id, tried(problem, sandboxes))
            on_problem()
    return found
