"""One problem's tests, tried out: its reference run again and again, faults put into it, programs that solve nothing.

In: a problem and sandboxes. Out: the verdicts. Nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rrtf_ray.audit.mutants import MAX_MUTANTS, Mutant, mutants, trivial_programs
from rrtf_ray.core.extraction import extract_for
from rrtf_ray.execution import reference_program, run_problem
from rrtf_ray.identity import stable_seed
from rrtf_ray.records import Language, Outcome, Problem, ProblemKind, Verdict
from rrtf_ray.sandbox import Sandbox

NO_REFERENCE = "no reference"
NOT_PYTHON = "not in Python: no faults put in, no trivial programs"


@dataclass(frozen=True, slots=True)
class Tried:
    """What running shows of one problem.

    verdicts: of the reference, one for each sandbox and, with several tests, one with the tests in reverse order; none
    where there is no reference or the sandbox failed on it. num_mutants, survivors: faults put into a reference that
    passes, and those that pass too. trivial: what the programs do that solve nothing and pass; None where none was run.
    not_looked_at: why something was left out.
    """

    verdicts: tuple[Verdict, ...] = ()
    num_mutants: int = 0
    survivors: tuple[Mutant, ...] = ()
    trivial: tuple[str, ...] | None = None
    not_looked_at: tuple[str, ...] = ()

    @property
    def flaky(self) -> tuple[Verdict, Verdict] | None:
        """The first verdict and one that differs from it; None where all are the same."""
        first = self.verdicts[:1]
        return next(
            ((a, b) for a in first for b in self.verdicts if (a.outcome, a.tests) != (b.outcome, b.tests)), None
        )


def sample_of(ids: Iterable[str], count: int) -> set[str]:
    """`count` of the ids, the same whenever the ids are the same."""
    return set(sorted(ids, key=lambda id_: (stable_seed("audit", id_), id_))[:count])


def tried(problem: Problem, sandboxes: Sequence[Sandbox], limit: int = MAX_MUTANTS, *, reverse: bool = False) -> Tried:
    """Try the tests of a problem. sandboxes: with different hash seeds, so that a verdict that depends on the order of
    a set shows itself. limit: of mutants. reverse: run the tests in reverse order too, where there are several."""
    verdicts: list[Verdict] = []
    missing: list[str] = []
    faults: list[Mutant] = []
    if reference := reference_program(problem):
        verdicts = [run_problem(sandbox, problem, [reference])[0] for sandbox in sandboxes]
        if reverse and len(problem.tests) > 1:
            verdicts += _reversed(problem, reference, sandboxes[0])
        if not all(map(_seen, verdicts)):
            verdicts = []
            missing.append("the sandbox failed on the reference")
        elif verdicts[0].outcome is Outcome.PASSED and problem.language is Language.PYTHON:
            faults = mutants(reference, _first_line(problem, reference), limit)
    else:
        missing.append(NO_REFERENCE)
    if problem.language is not Language.PYTHON:
        return Tried(tuple(verdicts), not_looked_at=(*missing, NOT_PYTHON))
    simple = list(trivial_programs("" if problem.kind is ProblemKind.STDIO else problem.entry_point))
    programs = [mutant.program for mutant in faults] + [source for _, source in simple]
    judged = run_problem(sandboxes[0], problem, programs, fail_fast=True)
    if not all(map(_seen, judged)):
        return Tried(tuple(verdicts), not_looked_at=(*missing, "the sandbox failed on a faulty program"))
    passed = [verdict.outcome is Outcome.PASSED for verdict in judged]
    survivors = tuple(mutant for mutant, alive in zip(faults, passed, strict=False) if alive)
    trivial = tuple(does for (does, _), alive in zip(simple, passed[len(faults) :], strict=True) if alive)
    return Tried(tuple(verdicts), len(faults), survivors, trivial, tuple(missing))


def text_of(verdict: Verdict) -> str:
    """A verdict for a person."""
    return f"{verdict.outcome.value} ({verdict.detail})" if verdict.detail else verdict.outcome.value


def _reversed(problem: Problem, reference: str, sandbox: Sandbox) -> list[Verdict]:
    """The verdict with the tests in reverse order, its results in the usual one. None of a problem whose tests give
    another number of results than one each: which is which cannot be told."""
    (verdict,) = run_problem(sandbox, replace(problem, tests=problem.tests[::-1]), [reference])
    return [replace(verdict, tests=verdict.tests[::-1])] if len(verdict.tests) == len(problem.tests) else []


def _seen(verdict: Verdict) -> bool:
    return verdict.outcome is not Outcome.SANDBOX_ERROR


def _first_line(problem: Problem, program: str) -> int:
    """Where the reference itself begins in its program, after setup and prompt; 1 where that cannot be told."""
    completion = extract_for(problem, problem.reference).completion.rstrip()
    start = program.rstrip().removesuffix(completion)
    return start.count("\n") + 1 if completion and len(start) < len(program.rstrip()) else 1
