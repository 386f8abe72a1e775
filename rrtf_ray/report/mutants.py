"""Small faults put into a right program: tests that are any good notice most of them.

In: the source of a program in Python. Out: sources that differ from it in one place. The operators are the usual ones
of mutation testing (DeMillo, Lipton and Sayward, 1978): comparison, boundary, arithmetic, constant, return, negation.
Limit: some mutants do the same as the original, and no test can tell them apart.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from rrtf_ray.core.python_code import tree_of

MAX_MUTANTS = 10


@dataclass(frozen=True, slots=True)
class Mutant:
    """One faulty program. line: from 1, which is the first that may be changed. before, after: the first line of the
    expression or statement that was changed."""

    program: str
    operator: str
    line: int
    before: str
    after: str


_BOUNDARY: dict[type, type[ast.AST]] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_COMPARE: dict[type, type[ast.AST]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
_ARITHMETIC: dict[type, type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}


def mutants(program: str, first_line: int = 1, limit: int = MAX_MUTANTS) -> list[Mutant]:
    """At most `limit` mutants, in turn one of each operator, and of an operator's places the first first.

    first_line: nothing above it is changed (a prompt, helpers that are given). None for a program that is not valid.
    """
    tree = tree_of(program)
    if tree is None:
        return []
    places: dict[str, list[int]] = {operator: [] for operator in _OPERATORS}
    for number, node in enumerate(_nodes(tree)):
        if getattr(node, "lineno", 0) >= first_line:
            for operator, change in _OPERATORS.items():
                if change(node) is not None:
                    places[operator].append(number)
    turns = zip_longest(*([(operator, number) for number in found] for operator, found in places.items()))
    chosen = [place for turn in turns for place in turn if place is not None]
    found = (_mutant(program, operator, number, first_line) for operator, number in chosen)
    different = {mutant.program: mutant for mutant in found if mutant is not None}
    return list(different.values())[:limit]


def _mutant(program: str, operator: str, number: int, first_line: int) -> Mutant | None:
    """The program with the node at that place changed; None where it cannot be written as source."""
    tree = tree_of(program)
    assert tree is not None
    node = _nodes(tree)[number]
    try:
        before = _first_line(node)
        change = _OPERATORS[operator](node)
        assert change is not None
        change()
        line = getattr(node, "lineno", first_line) - first_line + 1
        return Mutant(ast.unparse(tree) + "\n", operator, line, before, _first_line(node))
    except (RecursionError, ValueError):
        return None


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).partition("\n")[0]


def _nodes(tree: ast.Module) -> list[ast.AST]:
    """The nodes that decide what the program does: not its annotations, and no texts that stand for themselves."""
    idle: set[int] = set()
    for node in ast.walk(tree):
        idle |= {id(part) for name in ("annotation", "returns") for part in _walk(getattr(node, name, None))}
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            idle.add(id(node.value))
    return [node for node in ast.walk(tree) if id(node) not in idle]


def _walk(node: ast.AST | None) -> Iterator[ast.AST]:
    return ast.walk(node) if node is not None else iter(())


_Change = Callable[[], None] | None
"""Changes a node in place; None where the operator does not apply to it."""


def _swapped(holder: ast.AST, name: str, table: dict[type, type[ast.AST]]) -> _Change:
    """Another operator of the same kind in `holder`'s field `name` (the first of a list)."""
    held = getattr(holder, name, None)
    old = held[0] if isinstance(held, list) and held else held
    other = table.get(type(old))
    if other is None:
        return None

    def change() -> None:
        new = other()
        if isinstance(held, list):
            held[0] = new
        else:
            setattr(holder, name, new)

    return change


def _boundary(node: ast.AST) -> _Change:
    return _swapped(node, "ops", _BOUNDARY) if isinstance(node, ast.Compare) else None


def _compare(node: ast.AST) -> _Change:
    if isinstance(node, ast.Compare):
        return _swapped(node, "ops", _COMPARE)
    return _swapped(node, "op", _COMPARE) if isinstance(node, ast.BoolOp) else None


def _arithmetic(node: ast.AST) -> _Change:
    return _swapped(node, "op", _ARITHMETIC) if isinstance(node, ast.BinOp | ast.AugAssign) else None


def _constant(node: ast.AST) -> _Change:
    if not isinstance(node, ast.Constant) or isinstance(node.value, bytes | type(None) | type(...)):
        return None

    def change() -> None:
        old = node.value
        if isinstance(old, bool):
            node.value = not old
        elif isinstance(old, str):
            node.value = "" if old else "x"
        else:
            node.value = old + 1  # type: ignore[operator]

    return change


def _return(node: ast.AST) -> _Change:
    value = getattr(node, "value", None)
    if not isinstance(node, ast.Return) or value is None or (isinstance(value, ast.Constant) and value.value is None):
        return None
    return lambda: setattr(node, "value", ast.Constant(None))


def _negate(node: ast.AST) -> _Change:
    if not isinstance(node, ast.If | ast.While | ast.IfExp):
        return None
    return lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))


_OPERATORS: dict[str, Callable[[ast.AST], _Change]] = {
    "compare": _compare,
    "arithmetic": _arithmetic,
    "boundary": _boundary,
    "constant": _constant,
    "negate": _negate,
    "return": _return,
}


_LITERALS = ("None", "0", "True", "''", "[]")


def trivial_programs(entry_point: str) -> Iterator[tuple[str, str]]:
    """(what it does, source) of programs that solve nothing: they return a constant, or their first argument.

    entry_point: a function or `Class().method`; empty for a program that reads standard input.
    """
    if not entry_point:
        yield "prints nothing", "pass\n"
        yield "prints 0", "print(0)\n"
        yield "prints its input", "import sys\nprint(sys.stdin.read())\n"
        return
    owner, _, method = entry_point.rpartition(".")
    for does, value in [*((f"returns {text}", text) for text in _LITERALS), ("returns its first argument", "args[0]")]:
        if owner:
            name = owner.partition("(")[0]
            yield does, f"class {name}:\n    def {method}(self, *args, **kwargs):\n        return {value}\n"
        else:
            yield does, f"def {method}(*args, **kwargs):\n    return {value}\n"
