"""What the programs of a problem that pass do on calls that its tests do not make.

In: programs of one problem. Out: a digest for each; programs with equal digests gave equal values on all those calls.
Programs that pass the same tests and part here cannot all be right. AlphaCode (Li and others, 2022) clusters its
samples in this way, and CodeT (Chen and others, 2022) ranks by how many agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from rrtf_ray.behaviour.calls import calls_of, near
from rrtf_ray.behaviour.telling import read
from rrtf_ray.core.sameness import normal_form
from rrtf_ray.identity import fingerprint, stable_seed
from rrtf_ray.records import Language, Problem
from rrtf_ray.sandbox import Sandbox, Value

UNKNOWN = ""
_CALL_S = 0.2
"""Of processor time for one call."""
_DIGITS = 6
"""Of a float that count."""


def behaviours(problem: Problem, programs: Sequence[str], sandbox: Sandbox, num_calls: int) -> list[str]:
    """A digest of each program's values on `num_calls` calls like those of the tests; UNKNOWN for all of them where
    there are no such calls: the problem reads standard input, is not in Python, or its arguments are computed.

    Programs that differ in their looks only are run once. Raises SandboxError where the machine is at fault.
    """
    if problem.language is not Language.PYTHON or not programs:
        return [UNKNOWN] * len(programs)
    calls = near(calls_of(problem, programs[0]), num_calls, stable_seed("behaviour", problem.id))
    if not calls:
        return [UNKNOWN] * len(programs)
    looks = [normal_form(program, problem.language) for program in programs]
    known: dict[str, str] = {}
    for program, look in zip(programs, looks, strict=True):
        if look not in known:
            values = sandbox.values(program, problem.entry_point, calls, call_s=_CALL_S)
            known[look] = fingerprint([_text(value) for value in values])
    return [known[look] for look in looks]


def _text(value: Value) -> list[str]:
    return [value.outcome.value, repr(_rounded(read(value.literal))) if "." in value.literal else value.literal]


def _rounded(value: object) -> object:
    """Floats to so many digits as any two right programs share."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, list | tuple):
        return type(value)(map(_rounded, value))
    if isinstance(value, dict):
        return {_rounded(key): _rounded(part) for key, part in value.items()}
    return value
