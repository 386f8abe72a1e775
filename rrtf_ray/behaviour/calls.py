"""The calls that a problem's tests make, and calls like them that they do not make.

In: tests. Out: positional arguments. New calls are made from given ones by small changes that depend on the type (as in
EvalPlus, Liu and others, 2023), and stay close to what the tests show to be allowed: numbers between the smallest and
the largest of an argument, and a little above; characters that occur. Now and then one is at an edge: zero, one, minus
one, a large number, an empty text or list. Pure.

Limit: calls whose arguments are computed are left out; a new call may still break a rule that only the statement has.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rrtf_ray.core.python_code import tree_of
from rrtf_ray.records import Problem, ProblemKind, TestKind

Call = tuple[Any, ...]
_MOST_TEXT = 2000
"""Characters of a call that is changed; a longer one costs too much time to run often."""
_TRIES = 20
_CHANGES = 3
_EDGE_SHARE = 0.15


def calls_of(problem: Problem, program: str) -> list[Call]:
    """The calls of the entry point with literal arguments, each once. program: the reference, for arguments that are
    given by name. None for programs that read standard input."""
    if problem.kind is ProblemKind.STDIO:
        return []
    names = _parameters(program, problem.entry_point)
    found: dict[str, Call] = {}
    for test in problem.tests:
        for call in _calls_in(test.kind, test.code, problem.entry_point, names):
            found.setdefault(repr(call), call)
    return list(found.values())


def _calls_in(kind: TestKind, code: str, entry_point: str, names: Sequence[str]) -> Iterator[Call]:
    if kind is TestKind.VALUE:
        value = _literal(expression.body if (expression := _expression(code)) else None)
        if value is not None:
            yield tuple(value[0])
        return
    tree = tree_of(code)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("candidate", entry_point):
            arguments = [_literal(argument) for argument in node.args]
            given = {keyword.arg: _literal(keyword.value) for keyword in node.keywords}
            arguments += [given.pop(name) for name in names[len(arguments) :] if name in given]
            if not given and all(arguments):
                yield tuple(argument[0] for argument in arguments if argument)


def _expression(code: str) -> ast.Expression | None:
    try:
        return ast.parse(code.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _literal(node: ast.expr | None) -> tuple[Any] | None:
    """The value in a tuple; None for what is no literal."""
    try:
        return (ast.literal_eval(node),) if node is not None else None
    except (ValueError, TypeError, RecursionError, MemoryError, SyntaxError):
        return None


def _parameters(program: str, entry_point: str) -> list[str]:
    name = entry_point.rpartition(".")[2]
    found: list[str] = []
    tree = tree_of(program)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            found = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    return found[1:] if "." in entry_point else found


@dataclass(slots=True)
class _Seen:
    """What the tests show to be allowed of one argument."""

    least: float = 0.0
    most: float = 0.0
    longest: int = 0
    letters: set[str] = field(default_factory=set)
    known: bool = False

    def add(self, value: Any) -> None:
        if isinstance(value, bool):
            return
        if isinstance(value, int | float):
            self.least, self.most = (min(self.least, value), max(self.most, value)) if self.known else (value, value)
            self.known = True
        elif isinstance(value, str):
            self.letters.update(value)
            self.longest = max(self.longest, len(value))
        elif isinstance(value, dict):
            for part in (*value.keys(), *value.values()):
                self.add(part)
        elif isinstance(value, list | tuple | set | frozenset):
            self.longest = max(self.longest, len(value))
            for part in value:
                self.add(part)


def near(calls: Sequence[Call], count: int, seed: int) -> list[Call]:
    """At most `count` calls that are none of the given ones, each made from one of them by one to three changes."""
    usable = [call for call in calls if len(repr(call)) <= _MOST_TEXT]
    if not usable:
        return []
    rng = random.Random(seed)
    width = max(map(len, usable))
    seen = [_Seen() for _ in range(width)]
    for call in usable:
        for about, argument in zip(seen, call, strict=False):
            about.add(argument)
    known = {repr(call) for call in calls}
    found: list[Call] = []
    for _ in range(_TRIES * count):
        call = rng.choice(usable)
        for _ in range(rng.randint(1, _CHANGES)):
            call = _changed(call, usable, seen, rng)
        if (text := repr(call)) not in known:
            known.add(text)
            found.append(call)
            if len(found) == count:
                break
    return found


def _changed(call: Call, usable: Sequence[Call], seen: Sequence[_Seen], rng: random.Random) -> Call:
    if not call:
        return call
    place = rng.randrange(len(call))
    if rng.random() < 0.2:  # an argument of another call
        other = rng.choice(usable)
        new = other[place] if place < len(other) else call[place]
    else:
        new = _other(call[place], seen[place], rng)
    return (*call[:place], new, *call[place + 1 :])


def _other(value: Any, seen: _Seen, rng: random.Random) -> Any:
    """A value of the same type."""
    if isinstance(value, bool):
        return not value
    if rng.random() < _EDGE_SHARE and (edges := _edges(value, seen)):
        return rng.choice(edges)
    if isinstance(value, int):
        return _number(value, seen, rng)
    if isinstance(value, float):
        new = rng.choice((value + 1.0, value - 1.0, value + 0.5, -value, rng.uniform(seen.least, seen.most)))
        return round(min(max(new, seen.least), 2 * abs(seen.most) + 1), 3)
    if isinstance(value, str):
        return "".join(_items(list(value), seen, rng, lambda: rng.choice(sorted(seen.letters) or ["a"])))
    if isinstance(value, list | tuple):
        spare = list(value) or [0]
        return type(value)(_items(list(value), seen, rng, lambda: _other(rng.choice(spare), seen, rng)))
    if isinstance(value, set):
        return set(_items(sorted(value, key=repr), seen, rng, lambda: rng.choice(sorted(value, key=repr) or [0])))
    if isinstance(value, dict) and value:
        key = rng.choice(sorted(value, key=repr))
        if rng.random() < 0.3:
            return {name: part for name, part in value.items() if name != key}
        return value | {key: _other(value[key], seen, rng)}
    return value


def _edges(value: Any, seen: _Seen) -> list[Any]:
    if isinstance(value, int | float):
        return [type(value)(edge) for edge in (0, 1, -1, 10 * abs(seen.most) + 7)]
    if isinstance(value, str | list | tuple | dict | set):
        return [type(value)()]
    return []


def _number(value: int, seen: _Seen, rng: random.Random) -> int:
    least, most = int(seen.least), int(seen.most)
    drawn = rng.randint(least, most)
    new = rng.choice((value + 1, value - 1, value + 2, value // 2, -value, drawn, drawn, least, most))
    return min(max(new, least), most + max(2, abs(most) // 4))


def _items(items: list[Any], seen: _Seen, rng: random.Random, draw: Any) -> list[Any]:
    """The items with one left out, repeated, added, replaced or moved; or a part of them, or in another order."""
    if not items:
        return [draw()]
    at, to = rng.randrange(len(items)), rng.randrange(len(items))
    kind = rng.randrange(9)
    if kind == 0:
        del items[at]
    elif kind == 1 and len(items) <= seen.longest + 2:
        items.insert(to, items[at])
    elif kind == 2 and len(items) <= seen.longest + 2:
        items.insert(to, draw())
    elif kind in (3, 4):
        items[at] = draw() if kind == 3 else items[to]
    elif kind == 5:
        items[at], items[to] = items[to], items[at]
    elif kind == 6:
        items = items[min(at, to) : max(at, to) + 1]
    elif kind == 7:
        items.sort(key=repr)
    else:
        items.reverse()
    return items
