"""Runs silenced tests (`rrtf_ray.sandbox.rehearsal`) with stand-ins for a program's results, and notes their calls."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rrtf_ray.sandbox.shared import codec
from rrtf_ray.sandbox.shared.channel import ENTRY
from rrtf_ray.sandbox.shared.jobs import Step

_MAX_CALLS = 2000


class _Over(BaseException):
    """There is no telling which calls they make, or too many."""


class Anything:
    """In place of a result: whatever is asked of it, it does, and no comparison with it fails."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        return iter((self,))

    def __int__(self) -> int:
        return 1

    __index__ = __int__

    def __float__(self) -> float:
        return 1.0

    def __str__(self) -> str:
        return ""

    def __hash__(self) -> int:
        return 0

    def __contains__(self, _: Any) -> bool:
        return True


def _is_true(*_: Any) -> bool:
    return True


def _itself(self: Anything, *_: Any) -> Anything:
    return self


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Anything, f"__{_name}__", _is_true)
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor"):
    setattr(Anything, f"__{_name}__", _itself)
    setattr(Anything, f"__r{_name}__", _itself)
for _name in ("abs", "neg", "round", "getitem", "call"):
    setattr(Anything, f"__{_name}__", _itself)


def calls_of(steps: Sequence[Step], names: dict[str, Any], entry_name: str, classes: dict[str, Any],
             check_name: str) -> list[str] | None:  # fmt: skip
    """The messages of all calls of the entry point, in order; None where they cannot be known."""
    calls: list[str] = []

    def entry(*arguments: Any, **keywords: Any) -> Anything:
        if len(calls) >= _MAX_CALLS:
            raise _Over
        try:
            calls.append(call_message(arguments, keywords, codec.Encoder(classes=classes, shared=True)))
        except codec.Refused:
            raise _Over from None
        return Anything()

    if entry_name:
        names[entry_name] = entry
    try:
        for kind, what in steps:
            _RUN[kind](what, names, entry, check_name)
    except (_Over, Exception):
        return None
    return calls


def call_message(arguments: tuple[Any, ...], keywords: dict[str, Any], encoder: codec.Encoder) -> str:
    """The message that asks a program for a call of its entry point. Raises Refused."""
    return codec.to_json(["call", ENTRY, encoder.tree(list(arguments)), encoder.tree(keywords)])


def _run_value(arguments: bytes, names: dict[str, Any], entry: Callable[..., Any], check_name: str) -> None:
    entry(*marshal.loads(arguments))


def _run_assert(code: Any, names: dict[str, Any], entry: Callable[..., Any], check_name: str) -> None:
    exec(code, names)


def _run_check(code: Any, names: dict[str, Any], entry: Callable[..., Any], check_name: str) -> None:
    exec(code, names)
    names.pop(check_name)(entry)


_RUN: dict[str, Callable[..., None]] = {"value": _run_value, "assert": _run_assert, "check": _run_check}
