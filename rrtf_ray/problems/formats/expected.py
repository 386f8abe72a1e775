"""Run references once, in the sandbox, to learn the expected values of their inputs.

In: a reference, its contract, and the readings of each input. Out: for each input the reading that the contract
allows and the value as a literal, or the reason why there is none.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rrtf_ray.sandbox import Limits, Sandbox, Value, ValueOutcome

LIMITS = Limits(cpu_s=2.0, wall_s=6.0, memory_mb=1024)
"""For all inputs of a reference: well below the limit for all tests of a candidate, so that a correct but slower
candidate can pass."""
CALL_S = 0.5
"""Processor time for one input."""
_MAX_CHARS = 200_000
_CONTRACT = """
def __first_allowed__(*readings):
    for index, arguments in enumerate(readings):
        try:
            __contract__(*arguments)
        except Exception:
            continue
        return index
    return -1
"""
_REASONS = {
    ValueOutcome.NOT_LITERAL: "value is no literal",
    ValueOutcome.RAISED: "reference raises",
    ValueOutcome.TIMEOUT: "too slow",
    ValueOutcome.OUT_OF_MEMORY: "reference raises: MemoryError",
    ValueOutcome.ENDED: "reference ends the process",
    ValueOutcome.NOT_RUN: "not reached",
}


@dataclass(frozen=True, slots=True)
class Job:
    """A reference and its inputs.

    contract: source of a function `__contract__` that raises for arguments that are not allowed, or empty; it may use
        the reference's imports.
    inputs: for each input its readings, as argument lists; the first that the contract allows is taken. Of the first
        `num_trusted` inputs one reading is taken even if it allows none.
    truth: only the truth of the value counts (`assert f(x)`).
    """

    program: str
    entry_point: str
    contract: str
    inputs: list[list[list[Any]]]
    num_trusted: int = 0
    truth: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one input: the reading taken and the expected literal, or the reason why there is none."""

    arguments: list[Any]
    expected: str = ""
    reason: str = ""

    @property
    def input(self) -> str:
        """The reading as a literal."""
        return repr(self.arguments)


def allowed(job: Job, sandbox: Sandbox) -> list[Answer]:
    """For each input the reading to take, without an expected value yet, or the reason why there is none."""
    literal = [[_as_read(reading) for reading in readings if is_literal(reading)] for readings in job.inputs]
    first = [Answer(found[0]) if found else Answer([], reason="input is no literal") for found in literal]
    if not job.contract:
        return first
    program = f"{job.program}\n\n{job.contract}\n{_CONTRACT}"
    values = sandbox.values(program, "__first_allowed__", literal, call_s=CALL_S)
    return [
        _chosen(found, answer, value, number < job.num_trusted)
        for number, (found, answer, value) in enumerate(zip(literal, first, values, strict=True))
    ]


def _chosen(readings: list[list[Any]], first: Answer, value: Value, trusted: bool) -> Answer:
    if first.reason:
        return first
    if value.outcome not in (ValueOutcome.RETURNED, ValueOutcome.RAISED):
        return Answer([], reason=_reason(value))
    index = int(value.literal or -1)
    if index >= 0:
        return Answer(readings[index])
    return first if trusted else Answer([], reason="breaks the contract")


def with_values(job: Job, inputs: Sequence[Answer], sandbox: Sandbox) -> tuple[list[Answer], str]:
    """The inputs with their expected values, and why the reference cannot be loaded; empty if it can."""
    function = f"(lambda *_: bool({job.entry_point}(*_)))" if job.truth else job.entry_point
    usable = [answer.arguments for answer in inputs if not answer.reason]
    values = iter(sandbox.values(job.program, function, usable, call_s=CALL_S))
    answers: list[Answer] = []
    error = ""
    for answer in inputs:
        if answer.reason:
            answers.append(answer)
            continue
        value = next(values)
        error = value.detail if value.outcome is ValueOutcome.NOT_RUN else error
        answers.append(_answer(answer, value))
    return answers, error


def _answer(chosen: Answer, value: Value) -> Answer:
    if value.outcome is not ValueOutcome.RETURNED:
        return Answer([], reason=_reason(value))
    if len(value.literal) + len(chosen.input) > _MAX_CHARS:
        return Answer([], reason="too long")
    if "nan" in value.literal and _has_nan(value.literal):
        return Answer([], reason="value is no literal: nan")
    return Answer(chosen.arguments, value.literal)


def _reason(value: Value) -> str:
    return ": ".join(part for part in (_REASONS[value.outcome], value.detail) if part)


def _as_read(reading: list[Any]) -> list[Any]:
    """The reading as its literal is read: a complex number's zero may lose its sign, which decides on which side of a
    branch cut it is."""
    text = repr(reading)
    return list(ast.literal_eval(text)) if "j" in text else reading


def is_literal(value: Any) -> bool:
    """Is it made of builtin values that `repr` writes as literals? An infinite float is not."""
    if value is None or isinstance(value, bool | int | str | bytes):
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, complex):
        return math.isfinite(value.real) and math.isfinite(value.imag)
    if isinstance(value, dict):
        return all(is_literal(key) and is_literal(item) for key, item in value.items())
    return isinstance(value, list | tuple | set) and all(map(is_literal, value))


def _has_nan(literal: str) -> bool:
    """Is there a value that does not equal itself, so that no candidate could be right?"""
    return any(isinstance(node, ast.Name) and node.id == "nan" for node in ast.walk(ast.parse(literal, mode="eval")))
