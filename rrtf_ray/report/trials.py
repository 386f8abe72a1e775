"""What only running shows of the tests: references that fail, verdicts that change, faults that nothing notices.

In: a sample of problems. Out: findings. Everything runs in the sandbox, within a limit of time for the whole.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from rrtf_ray.core.extraction import extract_for
from rrtf_ray.execution import reference_program, run_problem
from rrtf_ray.identity import stable_seed
from rrtf_ray.records import Language, Outcome, Problem, ProblemKind, Verdict
from rrtf_ray.report.mutants import Mutant, mutants, trivial_programs
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

    @property
    def num_survivors(self) -> int:
        return sum(len(weak.survivors) for weak in self.weak)


def sample_of(ids: Iterable[str], count: int) -> set[str]:
    """`count` of the ids, the same whenever the ids are the same."""
    return set(sorted(ids, key=lambda id_: (stable_seed("audit", id_), id_))[:count])


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
            _try(problem, sandboxes, found)
            found.num_done += 1
            on_problem()
    return found


def _try(problem: Problem, sandboxes: Sequence[Sandbox], found: Trials) -> None:
    faults: list[Mutant] = []
    if reference := reference_program(problem):
        first, second = (run_problem(sandbox, problem, [reference])[0] for sandbox in sandboxes)
        if _seen(first) and _seen(second):
            found.num_references += 1
            if first.outcome is not Outcome.PASSED:
                found.failing.append((problem.id, _text(first)))
            elif problem.language is Language.PYTHON:
                faults = mutants(reference, _first_line(problem, reference))
            if (first.outcome, first.tests) != (second.outcome, second.tests):
                found.flaky.append((problem.id, f"{_text(first)}; then {_text(second)}"))
        else:
            found.not_looked_at["the sandbox failed on the reference"] += 1
    else:
        found.not_looked_at["no reference"] += 1
    if problem.language is not Language.PYTHON:
        found.not_looked_at["not in Python: no faults put in, no trivial programs"] += 1
        return
    simple = list(trivial_programs("" if problem.kind is ProblemKind.STDIO else problem.entry_point))
    programs = [mutant.program for mutant in faults] + [source for _, source in simple]
    verdicts = run_problem(sandboxes[0], problem, programs)
    if not all(map(_seen, verdicts)):
        found.not_looked_at["the sandbox failed on a faulty program"] += 1
        return
    passed = [verdict.outcome is Outcome.PASSED for verdict in verdicts]
    if faults:
        found.num_mutated += 1
        found.num_mutants += len(faults)
        survivors = tuple(mutant for mutant, alive in zip(faults, passed, strict=False) if alive)
        if survivors:
            found.weak.append(Weak(problem.id, len(faults), survivors))
    found.num_trivial_asked += 1
    found.trivial += [(problem.id, does) for does in _passing(simple, passed[len(faults) :])][:1]


def _passing(simple: Sequence[tuple[str, str]], passed: Sequence[bool]) -> Iterator[str]:
    return (does for (does, _), alive in zip(simple, passed, strict=True) if alive)


def _seen(verdict: Verdict) -> bool:
    return verdict.outcome is not Outcome.SANDBOX_ERROR


def _text(verdict: Verdict) -> str:
    return f"{verdict.outcome.value} ({verdict.detail})" if verdict.detail else verdict.outcome.value


def _first_line(problem: Problem, program: str) -> int:
    """Where the reference itself begins in its program, after setup and prompt; 1 where that cannot be told."""
    completion = extract_for(problem, problem.reference).completion.rstrip()
    start = program.rstrip().removesuffix(completion)
    return start.count("\n") + 1 if completion and len(start) < len(program.rstrip()) else 1
