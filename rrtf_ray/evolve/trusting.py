"""A draft, run: whether it becomes a problem whose tests can be trusted.

In: a draft, sandboxes with different hash seeds, what is asked of a problem. Out: the problem with its card, or the
first reason against it. Solutions, inputs and properties run in the sandboxes only; expected values are what most
solutions return there, whatever the teacher claims.

Limit: solutions that are wrong in the same way agree. Examples, properties and further teachers make that rarer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rrtf_ray.audit.findings import Finding, ProblemAudit
from rrtf_ray.audit.looking import look
from rrtf_ray.behaviour.telling import same
from rrtf_ray.core.sameness import normal_form
from rrtf_ray.errors import SandboxError
from rrtf_ray.evolve.agreeing import Agreement, agreement
from rrtf_ray.evolve.blocks import endings
from rrtf_ray.evolve.reaching import reaches
from rrtf_ray.evolve.reading import Inputs, Solution, Statement, checked, inputs_of, solutions_of
from rrtf_ray.evolve.records import Card, Draft, JudgedDraft, Rejected, Rejection
from rrtf_ray.execution import reference_program, run_problem
from rrtf_ray.records import Language, Outcome, Problem, ProblemKind, Test, TestKind
from rrtf_ray.sandbox import Sandbox, Value, ValueOutcome
from rrtf_ray.sandbox.forms import literal

HASH_SEEDS = (0, 1, 2)
"""Of the sandboxes that a draft is judged in."""
CALL_S = 0.5
"""Of processor time for one input: well below the limit of a test, so that a right but slower program passes."""
_OUTPUT = "__output_of__"
_SCRIPT = """
import io, sys
def __output_of__(given):
    kept = sys.stdin, sys.stdout
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    sys.stdin, sys.stdout = io.TextIOWrapper(io.BytesIO(given.encode()), encoding="utf-8"), out
    try:
        exec(compile({source!r}, "<program>", "exec"), {{"__name__": "__main__"}})
    except SystemExit:
        pass
    finally:
        sys.stdin, sys.stdout = kept
    return out.buffer.getvalue().decode()
"""
_OF_FINDING = {
    Finding.REFERENCE_FAILS: Rejection.SOLUTION_FAILS,
    Finding.FLAKY: Rejection.FLAKY,
    Finding.CHANGES_BY_ITSELF: Rejection.REACHES_OUT,
    Finding.ANSWER_IN_STATEMENT: Rejection.ANSWER_IN_STATEMENT,
    Finding.TRIVIAL_PASSES: Rejection.TRIVIAL_PASSES,
    Finding.TIGHT_LIMIT: Rejection.TOO_SLOW,
}
_UNUSABLE = {ValueOutcome.TIMEOUT, ValueOutcome.OUT_OF_MEMORY, ValueOutcome.ENDED, ValueOutcome.NOT_RUN}
_TRIVIAL: tuple[Any, ...] = (None, 0, True, "", [])


@dataclass(frozen=True, slots=True)
class Rules:
    """What is asked of a problem; see rrtf_ray.evolve.settings."""

    agree: int
    min_inputs: int
    max_inputs: int
    min_mutation_score: float
    max_similarity: float


def judge(draft: Draft, sandboxes: Sequence[Sandbox], rules: Rules) -> JudgedDraft:
    """What becomes of a draft. sandboxes: at least two, with different hash seeds and the same limits."""
    try:
        problem, card = _trusted(draft, sandboxes, rules)
    except Rejected as found:
        return JudgedDraft(draft.id, draft, found.reason, found.detail)
    except SandboxError as error:
        return JudgedDraft(draft.id, draft, Rejection.SANDBOX_ERROR, str(error))
    return JudgedDraft(draft.id, draft, problem=problem, card=card)


def _trusted(draft: Draft, sandboxes: Sequence[Sandbox], rules: Rules) -> tuple[Problem, Card]:
    statement = checked(draft, rules.max_similarity)
    solutions = solutions_of(draft, statement, rules.agree)
    inputs = inputs_of(draft, statement, rules.max_inputs)
    usable, values = _values(statement, solutions, inputs, sandboxes, rules.agree)
    found = agreement([_shown(call) for call in inputs.calls], values)
    if len(found.agreeing) < rules.agree:
        raise Rejected(
            Rejection.NO_AGREEMENT,
            f"{len(found.agreeing)} of {len(usable)} solutions agree on all inputs; {_first(found)}",
        )
    if len(found.kept) < rules.min_inputs:
        raise Rejected(
            Rejection.TOO_FEW_INPUTS,
            f"{len(found.kept)} of {len(inputs.calls)} inputs have an agreed value; {_first(found)}",
        )
    if len(set(found.expected)) == 1:
        raise Rejected(Rejection.TRIVIAL_PASSES, f"the value is {found.expected[0]} whatever the input")
    agreeing = [usable[number] for number in found.agreeing]
    _check_examples(statement, agreeing[0], sandboxes[0])
    calls = [inputs.calls[number] for number in found.kept]
    properties, dropped = _properties(inputs.properties, calls, found.expected, sandboxes[0])
    problem = _problem(statement, agreeing, calls, found.expected, properties)
    _check_passing(problem, agreeing, sandboxes[0])
    seen = _tried_out(problem, sandboxes, rules)
    written = (draft.statement, *draft.solutions, *([draft.inputs] if draft.inputs else []))
    return problem, Card(
        num_solutions=len(solutions),
        num_agreeing=len(agreeing),
        num_distinct=len({normal_form(solution.program, Language.PYTHON) for solution in agreeing}),
        num_inputs=len(calls),
        num_properties=len(properties),
        dissent=found.dissent,
        left_out=(*inputs.left_out, *found.left_out, *dropped),
        num_mutants=seen.num_mutants,
        killed=seen.killed,
        mutation_score=seen.mutation_score or 0.0,
        seconds=seen.seconds or 0.0,
        tokens=sum(answer.num_tokens for answer in written),
    )


def _values(
    statement: Statement, solutions: Sequence[Solution], inputs: Inputs, sandboxes: Sequence[Sandbox], agree: int
) -> tuple[list[Solution], list[list[Value]]]:
    """The solutions that can be run, with their values, which are the same in every sandbox and order of the calls."""
    usable, values = [], []
    refused: list[tuple[Rejection, str]] = []
    for solution in solutions:
        if len(solutions) - len(refused) < agree:
            break
        if how := reaches(solution.program, statement.probe.kind):
            refused.append((Rejection.REACHES_OUT, f"a solution {how}"))
            continue
        found = _run(statement, solution, inputs.calls, sandboxes[0])
        if how := _failing(found):
            refused.append((Rejection.SOLUTIONS_FAIL, f"a solution {how}"))
            continue
        backwards = inputs.calls[::-1]
        others = [_run(statement, solution, backwards, sandbox)[::-1] for sandbox in sandboxes[1:]]
        change = next((n for n, v in enumerate(found) if any(not same(v, other[n]) for other in others)), None)
        if change is not None:
            shown = _shown(inputs.calls[change])
            refused.append(
                (Rejection.FLAKY, f"the value of {shown} changes from run to run, or with the calls before it")
            )
            continue
        usable.append(solution)
        values.append(found)
    if len(usable) < agree:
        reason, _ = Counter(reason for reason, _ in refused).most_common(1)[0]
        raise Rejected(reason, next(text for one, text in refused if one is reason))
    return usable, values


def _run(statement: Statement, solution: Solution, calls: Sequence[tuple[Any, ...]], sandbox: Sandbox) -> list[Value]:
    """The values of all calls; the first call alone, so that a program that never ends costs one call: then all are
    as the first."""
    program, name = solution.program, statement.entry_point
    if not name:
        program, name = _SCRIPT.format(source=solution.program), _OUTPUT
    first = sandbox.values(program, name, calls[:1], call_s=CALL_S)
    if _failing(first):
        return first * len(calls)
    return first + sandbox.values(program, name, calls[1:], call_s=CALL_S)


def _failing(values: Sequence[Value]) -> str:
    """Why a solution cannot be used; empty if it can. A value that is an exception is one of its own."""
    for value in values:
        if value.outcome in _UNUSABLE:
            return f"ends as {value.outcome.value} {value.detail}".rstrip()
    return ""


def _check_examples(statement: Statement, solution: Solution, sandbox: Sandbox) -> None:
    """The statement's own examples hold. Those whose value is no literal are not looked at."""
    for call, want in statement.examples:
        try:
            wanted = repr(literal(want))
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        (got,) = sandbox.values(solution.program, f"(lambda: {call})", [()], call_s=CALL_S)
        if not same(got, Value(ValueOutcome.RETURNED, wanted)):
            shown = got.literal or got.detail or got.outcome.value
            raise Rejected(Rejection.EXAMPLE_FAILS, f"{call} is {want} in the statement and {shown} by the solutions")


def _properties(
    properties: Sequence[str], calls: Sequence[tuple[Any, ...]], expected: Sequence[str], sandbox: Sandbox
) -> tuple[list[str], list[str]]:
    """The properties that hold and say something, and why others are left out. Raises Rejected for one that fails.

    One that cannot be evaluated is left out; so is one that holds of values that no program had to compute.
    """
    kept, dropped = [], []
    right = [(*call, literal(value)) for call, value in zip(calls, expected, strict=True)]
    wrong = [(*call, value) for call in calls[:3] for value in (*_TRIVIAL, *call[:1])]
    for source in properties:
        if how := reaches(source, ProblemKind.FUNCTION):
            dropped.append(f"{source}: {how}")
            continue
        found = sandbox.values(source, f"({source})", right, call_s=CALL_S)
        if any(value.outcome is not ValueOutcome.RETURNED for value in found):
            dropped.append(f"{source}: cannot be evaluated")
        elif failing := next((r for r, v in zip(right, found, strict=True) if not _is_true(v)), None):
            raise Rejected(Rejection.PROPERTY_FAILS, f"{source} does not hold of {_shown(failing)}")
        elif all(map(_is_true, sandbox.values(source, f"({source})", wrong, call_s=CALL_S))):
            dropped.append(f"{source}: holds of everything")
        else:
            kept.append(source)
    return kept, dropped


def _is_true(value: Value) -> bool:
    return value.outcome is ValueOutcome.RETURNED and value.literal == "True"


def _problem(
    statement: Statement,
    agreeing: Sequence[Solution],
    calls: Sequence[tuple[Any, ...]],
    expected: Sequence[str],
    properties: Sequence[str],
) -> Problem:
    """The problem, with the first solution as its reference and the others as a teacher's responses."""
    if statement.entry_point:
        tests = [Test(TestKind.VALUE, repr(list(c)), value) for c, value in zip(calls, expected, strict=True)]
        for source in properties:
            lines = (f"    assert ({source})({_listed(call)}candidate({_listed(call)}))\n" for call in calls)
            tests.append(Test(TestKind.CHECK, "def check(candidate):\n" + "".join(lines)))
    else:
        pairs = zip(calls, expected, strict=True)
        tests = [Test(TestKind.STDIO, call[0], str(literal(value))) for call, value in pairs]
    completions = list(dict.fromkeys(solution.completion for solution in agreeing))
    return replace(
        statement.probe, tests=tuple(tests), reference=completions[0], teacher_responses=tuple(completions[1:])
    )


def _listed(call: tuple[Any, ...]) -> str:
    return "".join(f"{argument!r}, " for argument in call)


def _check_passing(problem: Problem, agreeing: Sequence[Solution], sandbox: Sandbox) -> None:
    """All solutions that agree pass the tests as they will be run."""
    for verdict in run_problem(sandbox, problem, [solution.program for solution in agreeing]):
        if verdict.outcome is Outcome.SANDBOX_ERROR:
            raise Rejected(Rejection.SANDBOX_ERROR, verdict.detail)
        if verdict.outcome is not Outcome.PASSED:
            raise Rejected(Rejection.SOLUTION_FAILS, f"{verdict.outcome.value}: {verdict.detail}")


def _tried_out(problem: Problem, sandboxes: Sequence[Sandbox], rules: Rules) -> ProblemAudit:
    """The audit of the problem: reruns, reversed tests, trivial programs, faults put into the solution."""
    seen = look(problem, (), sandboxes)
    for finding, reason in _OF_FINDING.items():
        if finding in seen.reasons:
            raise Rejected(reason, seen.reasons[finding])
    _check_blocks(problem, sandboxes[0])
    score = seen.mutation_score
    if seen.seconds is None:
        raise Rejected(Rejection.SANDBOX_ERROR, "; ".join(seen.not_looked_at))
    if score is None or score < rules.min_mutation_score:
        missed = "; ".join(seen.survivors[:3]) or "no fault could be put in"
        shown = "unknown" if score is None else f"{score:.0%}"
        raise Rejected(Rejection.WEAK, f"mutation score {shown} of {seen.num_mutants} faults: {missed}")
    return seen


def _check_blocks(problem: Problem, sandbox: Sandbox) -> None:
    """The tests enter every block of the reference."""
    ends = endings(reference_program(problem))
    verdicts = run_problem(sandbox, problem, [ending.program for ending in ends], fail_fast=True)
    for ending, verdict in zip(ends, verdicts, strict=True):
        if verdict.outcome is Outcome.PASSED:
            raise Rejected(Rejection.WEAK, f"no test enters the block that begins with {ending.first!r}")


def _first(found: Agreement) -> str:
    if found.dissent:
        one = found.dissent[0]
        return f"{one.given}: {', '.join(filter(None, (one.expected, *one.others)))}"
    return found.left_out[0] if found.left_out else "all others are equal"


def _shown(call: Sequence[Any]) -> str:
    text = ", ".join(map(repr, call))
    return f"({text})" if len(text) <= 200 else f"({text[:200]} ...)"
