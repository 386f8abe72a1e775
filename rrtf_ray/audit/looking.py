"""One problem and its samples -> what an audit finds of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from rrtf_ray.audit.findings import WEAK_BELOW, Finding, ProblemAudit, mutation_score
from rrtf_ray.audit.static import answer_in_statement, changes_by_itself
from rrtf_ray.audit.trying import NO_REFERENCE, Tried, text_of, tried
from rrtf_ray.behaviour.calls import Call, calls_of
from rrtf_ray.behaviour.telling import told_apart, usable_calls
from rrtf_ray.core.sameness import normal_form
from rrtf_ray.execution import reference_program, run_problem
from rrtf_ray.identity import stable_seed
from rrtf_ray.records import Language, Outcome, Problem, TestStatus, Verdict
from rrtf_ray.sandbox import Sandbox, Value

MAX_MUTANTS = 60
MAX_SAMPLES = 200
"""Distinct samples of a problem that are run, the first first."""
MAX_PASSING = 40
"""Those of them that pass and are compared with the reference."""
_MISSING = re.compile(r"No module named '(\w+)")
_TIGHT = 0.5
_AGREEING = 3
"""Distinct samples that must fail a test in the same way before it is called over-specified."""


def look(problem: Problem, programs: Sequence[str], sandboxes: Sequence[Sandbox]) -> ProblemAudit:
    """Audit a problem. programs: samples of it. sandboxes: with different hash seeds and the same limits."""
    one = tried(problem, sandboxes, MAX_MUTANTS, reverse=True)
    reasons = _of_reference(problem, one, sandboxes[0].limits.cpu_s)
    passes = bool(one.verdicts) and one.verdicts[0].outcome is Outcome.PASSED and not one.flaky
    reference = reference_program(problem) if problem.language is Language.PYTHON and passes else ""
    known = calls_of(problem, reference) if reference else []
    seed = stable_seed("audit", problem.id)
    calls, values = usable_calls(reference, problem.entry_point, known, sandboxes, seed)
    survivors: list[str] = []
    differing = 0
    for mutant in one.survivors:
        call = told_apart(mutant.program, problem.entry_point, calls, values, sandboxes[0])
        differing += call is not None
        shown = f" differs at {_shown(call)}" if call is not None else ""
        survivors.append(f"line {mutant.line}: {mutant.before} -> {mutant.after}{shown}")
    missing = list(one.not_looked_at)
    if reference and not calls:
        missing.append("no calls with literal arguments: survivors may be equals of the reference")
    killed, apart = one.num_mutants - len(one.survivors), differing if calls else None
    distinct = list({normal_form(program, problem.language): program for program in programs if program}.values())
    verdicts = run_problem(sandboxes[0], problem, distinct[:MAX_SAMPLES]) if distinct else []
    passing = [p for p, v in zip(distinct, verdicts, strict=False) if v.outcome is Outcome.PASSED]
    compared = passing[:MAX_PASSING]
    wrong = [told_apart(program, problem.entry_point, calls, values, sandboxes[0]) for program in compared]
    wrong_calls = [call for call in wrong if call is not None]
    strength = mutation_score(one.num_mutants, killed, apart)
    if wrong_calls:
        reasons[Finding.WEAK] = (
            f"{len(wrong_calls)} of {len(compared)} distinct samples that pass differ from the reference, the first at "
            f"{_shown(wrong_calls[0])}"
        )
    elif strength is not None and strength < WEAK_BELOW:
        reasons[Finding.WEAK] = f"the tests notice {strength:.0%} of the faults"
    if text := _over_specified(problem, distinct, verdicts, len(passing), known, sandboxes[0]):
        reasons[Finding.OVER_SPECIFIED] = text
    return ProblemAudit(
        problem.id,
        reasons,
        one.num_mutants,
        killed,
        apart,
        len(passing),
        len(wrong_calls),
        tuple(survivors),
        round(min(verdict.seconds for verdict in one.verdicts), 4) if one.verdicts else None,
        tuple(missing),
    )


def _of_reference(problem: Problem, one: Tried, cpu_s: float) -> dict[Finding, str]:
    reasons: dict[Finding, str] = {}
    if NO_REFERENCE in one.not_looked_at:
        reasons[Finding.NO_REFERENCE] = "give one (canonical_solution), or nothing shows how strong the tests are"
    if one.verdicts and one.verdicts[0].outcome is not Outcome.PASSED:
        missing = _MISSING.search(one.verdicts[0].detail)
        remedy = f"; --preload {missing.group(1)} gives it to programs, where it is installed" if missing else ""
        reasons[Finding.REFERENCE_FAILS] = text_of(one.verdicts[0]) + remedy
    if one.flaky:
        reasons[Finding.FLAKY] = "; then ".join(map(text_of, one.flaky))
    if one.trivial:
        reasons[Finding.TRIVIAL_PASSES] = f"a program that {one.trivial[0]} passes"
    if answer_in_statement(problem):
        reasons[Finding.ANSWER_IN_STATEMENT] = "the prompt has the reference's body"
    if found := changes_by_itself(problem):
        reasons[Finding.CHANGES_BY_ITSELF] = "; ".join(found)
    seconds = min((verdict.seconds for verdict in one.verdicts), default=0.0)
    if seconds > _TIGHT * cpu_s and one.verdicts[0].outcome in (Outcome.PASSED, Outcome.TIMEOUT):
        reasons[Finding.TIGHT_LIMIT] = f"the reference takes {seconds:.1f} s of {cpu_s:g} s"
    return reasons


def _over_specified(
    problem: Problem,
    programs: Sequence[str],
    verdicts: Sequence[Verdict],
    num_passing: int,
    calls: Sequence[Call],
    sandbox: Sandbox,
) -> str:
    """A sentence where at least `_AGREEING` distinct programs, and more than pass, fail the same single test of several
    and give the same values on all calls of the tests; empty otherwise."""
    by_test: dict[int, list[str]] = defaultdict(list)
    for program, verdict in zip(programs, verdicts, strict=False):
        failed = [number for number, status in enumerate(verdict.tests) if status is not TestStatus.PASSED]
        if len(failed) == 1 and len(verdict.tests) > 1 and verdict.tests[failed[0]] is TestStatus.FAILED:
            by_test[failed[0]].append(program)
    for number, alike in by_test.items():
        if len(alike) < max(_AGREEING, num_passing + 1) or not calls:
            continue
        same: dict[tuple[str, ...], int] = defaultdict(int)
        for program in alike:
            same[_texts(sandbox.values(program, problem.entry_point, calls))] += 1
        if (most := max(same.values())) >= max(_AGREEING, num_passing + 1):
            return f"{most} distinct samples fail test {number + 1} alone and agree on all calls; {num_passing} pass"
    return ""


def _texts(values: Sequence[Value]) -> tuple[str, ...]:
    return tuple(value.literal or value.outcome.value for value in values)


def _shown(call: Call) -> str:
    text = ", ".join(map(repr, call))
    return f"({text})" if len(text) <= 100 else f"({text[:100]} ...)"
