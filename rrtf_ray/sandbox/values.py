"""What a program's calls return, as literals: for programs whose results are wanted, not judged.

In: the messages that a program's process wrote. Out: one `Value` per call. Nothing in the messages is trusted: they
are read as JSON and turned into text, never into objects of the program's choosing.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from rrtf_ray.sandbox.judge import MAX_DETAIL, MachineryFault, Report, ending, exit_signal
from rrtf_ray.sandbox.shared.channel import Gone, Reader
from rrtf_ray.sandbox.shared.codec import Refused

_MAX_DEPTH = 90
"""Python's own parser gives up at 200 brackets, and a nested call of it earlier."""


class ValueOutcome(StrEnum):
    """How a call ended."""

    RETURNED = "returned"
    """It returned a value that a literal can express."""
    NOT_LITERAL = "not_literal"
    """It returned something else: a generator, an object of a class, a set of sets."""
    RAISED = "raised"
    """It raised an exception."""
    TIMEOUT = "timeout"
    """It reached a limit of time, or there was none left for it."""
    OUT_OF_MEMORY = "out_of_memory"
    """It reached the limit of memory."""
    ENDED = "ended"
    """The process ended during the call: a crash, or `os._exit`."""
    NOT_RUN = "not_run"
    """The program could not be loaded, so no call was made."""


@dataclass(frozen=True, slots=True)
class Value:
    """What came of one call.

    outcome: how it ended. literal: the value as `repr` writes it, where it returned one; instances of subclasses of
    builtin types appear as their builtin value, frozensets as sets, and floats without a literal as `inf` and `nan`
    (`rrtf_ray.sandbox.forms.literal` reads all of it). detail: the exception, or why there is no literal.
    """

    outcome: ValueOutcome
    literal: str = ""
    detail: str = ""


def read_values(report: Report, num_calls: int) -> list[Value]:
    """The values of the calls that were made, in order, at most `num_calls`; the last may be what ended the process.

    Raises MachineryFault where the machine, not the program, was at fault.
    """
    if report.limit == "oom" or (report.limit == "wall" and report.starved):
        raise MachineryFault(f"the machine is too busy for a call, or short of memory (limit: {report.limit})")
    reader = Reader(None, buffer=report.message)
    values: list[Value] = []
    try:
        while len(values) < num_calls:
            text = reader.read()
            value = _value_of(text)
            if value.outcome is ValueOutcome.NOT_RUN:
                return [value] * num_calls
            values.append(value)
    except Gone:
        values.append(_ended(report))
    return values


def _value_of(text: str) -> Value:
    try:
        kind, *rest = json.loads(text)
        if kind == "v":
            return Value(ValueOutcome.RETURNED, literal_of(rest[0]))
        if kind == "m":
            return Value(ValueOutcome.OUT_OF_MEMORY)
        if kind == "load":
            return Value(ValueOutcome.NOT_RUN, detail=str(rest[1] or "out of memory")[:MAX_DETAIL])
        if kind == "e":
            outcome = ValueOutcome.NOT_LITERAL if rest[0][1] == Refused.__name__ else ValueOutcome.RAISED
            return Value(outcome, detail=str(rest[1])[:MAX_DETAIL])
    except Refused as error:
        return Value(ValueOutcome.NOT_LITERAL, detail=str(error))
    except (ValueError, TypeError, LookupError, RecursionError):
        pass  # no runner writes this
    return Value(ValueOutcome.NOT_LITERAL, detail="the program wrote into the channel of its results")


def _ended(report: Report) -> Value:
    """The call that the process did not survive."""
    if report.limit or exit_signal(report.status) in (signal.SIGPROF, signal.SIGXCPU):
        spent = f"{report.cpu_s:.1f} s of processor time, {report.wall_s:.1f} s by the clock"
        return Value(ValueOutcome.TIMEOUT, detail=f"stopped at its limit ({spent})")
    return Value(ValueOutcome.ENDED, detail=ending(report.status))


def literal_of(tree: Any, depth: int = 0) -> str:
    """An encoded value (`shared.codec`) as Python's literal; raises Refused where there is none."""
    if tree is None or isinstance(tree, bool | int | float | str):
        return repr(tree)
    depth += 1
    if depth > _MAX_DEPTH:
        raise Refused(f"a value nested more than {_MAX_DEPTH} deep has no literal that Python reads")
    if isinstance(tree, list):
        return f"[{_joined(tree, depth)}]"
    ((tag, content),) = tree.items()
    match tag:
        case "t":
            return _tuple(content, depth)
        case "n":
            return _tuple(content[2], depth)
        case "d":
            return _dict(content, depth)
        case "s" | "z":
            return f"{{{_joined(map(_hashable, content), depth)}}}" if content else "set()"
        case "i":
            return repr(int(content, 16))
        case "f":
            return repr(float(content))
        case "c":
            return repr(complex(*(float(part["f"]) if isinstance(part, dict) else float(part) for part in content)))
        case "b":
            return repr(content.encode("latin-1"))
        case "x" if content[0] in ("Counter", "OrderedDict", "defaultdict"):
            return _dict(islice(content[1], int(content[0] == "defaultdict"), None), depth)
    raise Refused(f"{_name(tag, content)} has no literal")


def _joined(trees: Iterable[Any], depth: int) -> str:
    return ", ".join([literal_of(tree, depth) for tree in trees])


def _tuple(items: Sequence[Any], depth: int) -> str:
    return f"({_joined(items, depth)},)" if len(items) == 1 else f"({_joined(items, depth)})"


def _dict(pairs: Iterable[Any], depth: int) -> str:
    return "{" + ", ".join([f"{literal_of(_hashable(k), depth)}: {literal_of(v, depth)}" for k, v in pairs]) + "}"


def _hashable(tree: Any) -> Any:
    """The tree; Refused where its literal could not be in a set or be a key (a frozenset has no literal of its own)."""
    if isinstance(tree, list):
        raise Refused("a list cannot be in a set")
    if isinstance(tree, dict):
        ((tag, content),) = tree.items()
        if tag in ("t", "n"):
            for item in content if tag == "t" else content[2]:
                _hashable(item)
        elif tag not in ("i", "f", "c", "b"):
            raise Refused(f"{_name(tag, content)} cannot be in a set as a literal")
    return tree


def _name(tag: str, content: Any) -> str:
    if tag == "h":
        return f"an object of type {content[2]}"
    return f"a value of type {content[0]}" if tag == "x" else f"a value of kind {tag!r}"
