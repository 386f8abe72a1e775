"""HumanEval+ and MBPP+ as EvalPlus publishes them: inputs, and a reference that makes the expected values.

One VALUE test per input. An input is left out, and counted in the log, if its argument types cannot be restored in a
way that satisfies the problem's contract, if the reference raises or is slow, or if a value is neither a Python literal
nor an infinite float. References and contracts are code from a file: they run in the sandbox. Where the prompt's own
assert wraps the call (`assert set(f(x)) == set(y)`, `assert not f(x)`), the wrap is part of the task, and the tests are
ASSERTs with the same wrap.
"""

from __future__ import annotations

import ast
import logging
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rrtf_ray.core.extraction import extract
from rrtf_ray.problems.formats.argument_types import readings, shapes_of
from rrtf_ray.problems.formats.expected import LIMITS, Answer, Job, allowed, with_values
from rrtf_ray.problems.python_source import functions_of, split_of
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem, ProblemKind, Test, TestKind
from rrtf_ray.sandbox import Sandbox
from rrtf_ray.sandbox.forms import literal

FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "base_input", "plus_input")

_log = logging.getLogger(__name__)
_UNORDERED = frozenset({"set", "sorted"})


def convert(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row; the references run here, in sandboxes with two hash seeds.

    Two seeds reveal the values that depend on the order of a set. Memory: one row.
    """
    left_out: Counter[str] = Counter()
    num_tests = 0
    with Sandbox(LIMITS, hash_seed=0) as sandbox, Sandbox(LIMITS, hash_seed=1) as other_order:
        for row in rows:
            task_id, job = row.text("task_id"), _job(row)
            inputs = allowed(job, sandbox)
            answers, error = with_values(job, inputs, sandbox)
            others, _ = with_values(job, inputs, other_order)
            # Where even the reference's order is that of a set, no order can be asked of a candidate.
            unordered = any(map(_is_reordered, answers, others))
            answers = [_agreed(a, b, unordered) for a, b in zip(answers, others, strict=True)]
            missing = Counter(re.sub(r":.*", "", answer.reason) for answer in answers if answer.reason)
            good = [answer for answer in answers if not answer.reason]
            if not good:
                reasons = ", ".join(f"{n} {r}" for r, n in missing.items()) or "no inputs"
                raise row.error(f"problem {task_id!r} has no usable tests ({reasons}) {error}".rstrip())
            if missing:
                _log.info("%s: left out %s of %d inputs %s", task_id, dict(missing), len(answers), error)
            left_out.update(missing)
            num_tests += len(good)
            yield row, _problem(row, task_id, good, unordered)
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "none"
    _log.info("evalplus: %d tests, left out: %s", num_tests, reasons)


def _is_reordered(one: Answer, other: Answer) -> bool:
    """Whether both values are the same list or tuple in different orders."""
    if one.reason or other.reason or one.expected == other.expected:
        return False
    a, b = literal(one.expected), literal(other.expected)
    return a != b and isinstance(a, list | tuple) and isinstance(b, list | tuple) and _sorted(a) == _sorted(b)


def _agreed(one: Answer, other: Answer, unordered: bool) -> Answer:
    """The answer if both runs agree, else one with the reason why it cannot be used."""
    if one.reason or other.reason or one.expected == other.expected:
        return one if one.reason else replace(one, reason=other.reason)
    if unordered and _is_reordered(one, other):
        return one
    same = literal(one.expected) == literal(other.expected)  # a set in another order
    return one if same else replace(one, reason="depends on the order of a set")


def _sorted(values: list[Any] | tuple[Any, ...]) -> list[Any]:
    return sorted(values, key=repr)


def _inputs(row: Row) -> list[list[Any]]:
    """All inputs; EvalPlus writes an empty object where a problem has no plus inputs."""
    inputs: list[list[Any]] = []
    for name in ("base_input", "plus_input"):
        if row.fields.get(name) != {}:
            inputs += row.items(name)
    for i, arguments in enumerate(inputs):
        if not isinstance(arguments, list):
            raise row.error(f"input {i} is {arguments!r}, expected a list of arguments")
    return inputs


def _job(row: Row) -> Job:
    entry_point, prompt = row.text("entry_point"), row.text("prompt")
    program = extract(row.text("canonical_solution"), prompt, entry_point).program
    try:
        shapes = shapes_of(row.text("assertion", ""), entry_point)
        contract = _contract(program, entry_point, row.text("contract", ""))
    except SyntaxError as error:
        raise row.error(f"the reference, the contract or the assertion is not valid Python ({error})") from error
    inputs = [readings(arguments, shapes) for arguments in _inputs(row)]
    truth = _template(prompt, entry_point, 0).startswith("assert bool(")
    return Job(program, entry_point, contract, inputs, num_trusted=len(row.items("base_input")), truth=truth)


def _contract(program: str, entry_point: str, contract: str) -> str:
    """The contract's asserts as a function `__contract__` with the reference's arguments."""
    body = ast.parse(textwrap.dedent(contract)).body
    found = [f for f in functions_of(ast.parse(program, "<response>")) if f.name == entry_point]
    if not body or not found:
        return ""
    arguments = found[-1].args
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        argument.annotation = None
    header = f"def __contract__({ast.unparse(arguments)}):\n"
    return header + textwrap.indent("\n".join(map(ast.unparse, body)), "    ")


def _problem(row: Row, task_id: str, answers: list[Answer], unordered: bool) -> Problem:
    entry_point, prompt = row.text("entry_point"), row.text("prompt")
    atol = float(row.number("atol", 0))
    template = _template(prompt, entry_point, atol)
    if unordered and not template:
        template = f"assert sorted({entry_point}(*%s), key=repr) == sorted(%s, key=repr)"
    if template:
        tests = [Test(TestKind.ASSERT, template % (answer.input, _in_source(answer.expected))) for answer in answers]
    else:
        tests = [Test(TestKind.VALUE, repr(tuple(a.arguments)), a.expected, atol) for a in answers]
    return Problem(
        id=task_id,
        prompt=prompt,
        kind=ProblemKind.FUNCTION,
        entry_point=entry_point,
        tests=tuple(tests),
        reference=row.text("canonical_solution"),
        split=split_of(task_id),
    )


def _in_source(value: str) -> str:
    """The value as an expression, without the name `inf` that repr gives an infinite float."""
    tree = ast.parse(value, mode="eval")
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "inf"]
    for name in names:
        name.id = "1e999"
    return ast.unparse(tree) if names else value


def _template(prompt: str, entry_point: str, atol: float) -> str:
    """The form of an ASSERT test, with places for arguments and value; empty where VALUE tests do."""
    if entry_point == "find_zero" and "def poly(" in prompt:
        # Any zero is right, "even if there are many": the prompt's own helper checks it.
        return f"xs = (%s)[0]\nassert abs(poly(xs, find_zero(list(xs)))) <= {atol or 1e-4}  # one is %s"
    for line in prompt.splitlines():
        try:
            statement = ast.parse(line.strip()).body[0] if line.strip().startswith("assert ") else None
        except SyntaxError:
            continue
        if isinstance(statement, ast.Assert):
            return _wrap_of(statement.test, entry_point)
    return ""


def _wrap_of(test: ast.expr, entry_point: str) -> str:
    call = f"{entry_point}(*%s)"
    if not isinstance(test, ast.Compare):
        target = test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else test
        is_call = isinstance(target, ast.Call) and isinstance(target.func, ast.Name) and target.func.id == entry_point
        return f"assert bool({call}) == bool(%s)" if is_call else ""
    left, right = test.left, test.comparators[0]
    wrap = _name_called(left)
    if wrap in _UNORDERED and wrap == _name_called(right):
        return f"assert {wrap}({call}) == {wrap}(%s)"
    return ""


def _name_called(node: ast.expr) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
