"""Give arguments back the types that JSON took from them (tuples and sets became lists, keys became texts).

EvalPlus publishes a problem's first inputs twice: as JSON, and as literal calls in `assertion`. From the
calls a `Shape` of each argument is read; it is then laid over the JSON of all inputs. Where the calls
disagree (a tuple here, a list there) or do not reach deep enough, several readings are offered, and the
caller takes the first that satisfies the problem's own contract. Pure, stdlib only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product, zip_longest
from typing import Any


@dataclass(slots=True)
class Shape:
    """The types seen at one place of an argument: containers, scalars, the items' shape, the keys' types."""

    containers: list[type] = field(default_factory=list)
    scalars: set[type] = field(default_factory=set)
    item: Shape | None = None
    keys: set[type] = field(default_factory=set)

    def see(self, value: Any) -> None:
        """Add what `value` shows."""
        if isinstance(value, dict):
            self.keys.update(map(type, value))
            self._see_items(value.values())
        elif isinstance(value, tuple | set | frozenset | list):
            if type(value) not in self.containers:
                self.containers.append(type(value))
            self._see_items(value)
        else:
            self.scalars.add(type(value))

    def _see_items(self, values: Iterable[Any]) -> None:
        for value in values:
            self.item = self.item or Shape()
            self.item.see(value)

    def outermost(self) -> type | None:
        """The container that the argument itself is, if it is always the same."""
        return self.containers[0] if len(self.containers) == 1 else None

    def restore(self, value: Any, prefer_list: bool = False, extend: type | None = None) -> Any:
        """The JSON `value` with this shape.

        prefer_list: which type to take where both were seen. extend: the type of lists that lie deeper than
        anything seen; None leaves them lists.
        """
        if isinstance(value, dict):
            return {self._key(k): self._restore_item(v, prefer_list, extend) for k, v in value.items()}
        if isinstance(value, list):
            items = [self._restore_item(v, prefer_list, extend) for v in value]
            return self._container(prefer_list, extend)(items)
        if isinstance(value, str) and self.scalars and str not in self.scalars:
            return _literal(value)  # JSON has no complex numbers: they were written as texts
        return value

    def _restore_item(self, value: Any, prefer_list: bool, extend: type | None) -> Any:
        return (self.item or Shape()).restore(value, prefer_list, extend)

    def _container(self, prefer_list: bool, extend: type | None) -> type:
        if prefer_list and list in self.containers:
            return list
        special = [kind for kind in self.containers if kind is not list]
        return special[0] if special else list if self.containers else extend or list

    def _key(self, key: str) -> Any:
        return _literal(key) if self.keys and str not in self.keys else key


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def shapes_of(assertion: str, entry_point: str) -> list[Shape]:
    """The shape of each positional argument, from the calls of `entry_point` in `assertion`."""
    shapes: list[Shape] = []
    for call in _calls(assertion, entry_point):
        try:
            arguments = [ast.literal_eval(argument) for argument in call.args]
        except (ValueError, TypeError):  # `{[]}` and the like; the other calls speak
            continue
        shapes += [Shape() for _ in range(len(arguments) - len(shapes))]
        for shape, argument in zip_longest(shapes[: len(arguments)], arguments):
            shape.see(argument)
    return shapes


def readings(arguments: list[Any], shapes: list[Shape]) -> list[list[Any]]:
    """The arguments with their types restored, the likeliest reading first; equal readings once."""
    if not shapes:
        return [arguments]
    # More arguments than any call showed: `*args` functions, whose last shape speaks for the rest.
    laid = shapes + [shapes[-1]] * (len(arguments) - len(shapes))
    found: dict[str, list[Any]] = {}
    choices = product(*[(False, True)] * min(len(arguments), 4))
    for extend, choice in product((False, True), list(choices)):
        flags = [*choice, *[False] * (len(arguments) - len(choice))]
        try:
            reading = [
                shape.restore(argument, flag, shape.outermost() if extend else None)
                for argument, shape, flag in zip(arguments, laid, flags, strict=False)
            ]
        except TypeError:  # a list inside a set
            continue
        found.setdefault(repr(reading), reading)
    return list(found.values()) or [arguments]


def _calls(assertion: str, entry_point: str) -> Iterator[ast.Call]:
    for statement in ast.parse(assertion).body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == entry_point:
                yield node
