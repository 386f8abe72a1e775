"""Which faults that the tests let pass are faults: what other calls tell apart from the reference.

In: a reference, programs and the tests' calls. Out: for each program, a call on which the two differ, if one was found.
A program that no call tells apart may be equal to the reference, which nothing can decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rrtf_ray.behaviour.calls import Call, near
from rrtf_ray.sandbox import Sandbox, Value, ValueOutcome
from rrtf_ray.sandbox.forms import literal

MAX_CALLS = 200
"""New calls for a problem."""
_CALL_S = 0.1
"""Of processor time for one call; one that takes the reference longer is left out."""
_SLOWER = 5.0
"""So many times as long a call of another program may take; beyond it the program differs."""


def usable_calls(
    reference: str, entry_point: str, calls: Sequence[Call], sandboxes: Sequence[Sandbox], seed: int
) -> tuple[list[Call], list[Value]]:
    """New calls with the values that the reference gives: those that it answers, and equally so under every hash seed
    (the sandboxes' own)."""
    asked = near(calls, MAX_CALLS, seed)
    if not asked:
        return [], []
    answers = [sandbox.values(reference, entry_point, asked, call_s=_CALL_S) for sandbox in sandboxes]
    good = [
        (call, values[0])
        for call, *values in zip(asked, *answers, strict=True)
        if all(value.outcome is ValueOutcome.RETURNED for value in values)
        and all(same(values[0], value) for value in values[1:])
    ]
    return [call for call, _ in good], [value for _, value in good]


def told_apart(
    program: str, entry_point: str, calls: Sequence[Call], expected: Sequence[Value], sandbox: Sandbox
) -> Call | None:
    """The first call on which the program differs; None where there is none."""
    got = sandbox.values(program, entry_point, calls, call_s=_SLOWER * _CALL_S) if calls else []
    return next((call for call, a, b in zip(calls, expected, got, strict=True) if not same(a, b)), None)


def same(one: Value, other: Value) -> bool:
    """Whether two calls ended alike; numbers may differ by a millionth."""
    if one.outcome is not other.outcome:
        return False
    return one.literal == other.literal or _close(read(one.literal), read(other.literal))


def read(text: str) -> object:
    """The value of a literal; the text itself where it cannot be read."""
    try:
        return literal(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def _close(one: object, other: object) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        if not (isinstance(one, int | float) and isinstance(other, int | float)):
            return False
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list | tuple) and type(one) is type(other):
        return len(one) == len(other) and all(map(_close, one, other))
    return type(one) is type(other) and one == other
