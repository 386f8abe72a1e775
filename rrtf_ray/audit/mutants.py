"""Small faults put into a right program: tests that are any good notice most of them.

In: the source of a program in Python. Out: sources that differ from it in one place, as `audit.operators` says.
Limit: some mutants do the same as the original, and no test can tell them apart.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from rrtf_ray.audit.operators import OPERATORS
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


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a node is: in a field of its parent, at a place of the list if it is one. line: 0 where it has none."""

    parent: ast.AST
    field: str
    place: int | None
    node: ast.AST

    def put(self, node: ast.AST) -> None:
        if self.place is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.place] = node

    @property
    def line(self) -> int:
        """From 1; 0 where the node and what is in it have none."""
        return next((n.lineno for n in ast.walk(self.node) if hasattr(n, "lineno")), 0)


def mutants(program: str, first_line: int = 1, limit: int = MAX_MUTANTS) -> list[Mutant]:
    """At most `limit` mutants, in turn one of each operator, and of an operator's places the first first.

    first_line: nothing above it is changed (a prompt, helpers that are given). None for a program that is not valid.
    """
    tree = tree_of(program)
    if tree is None:
        return []
    slots = [slot for slot in _slots(tree) if slot.line >= first_line]
    of_each = ([(name, slot, new) for slot in slots for new in change(slot.node)] for name, change in OPERATORS.items())
    found: dict[str, Mutant] = {}
    try:
        same = ast.unparse(tree) + "\n"
        for turn in zip_longest(*of_each):
            for name, slot, new in filter(None, turn):
                mutant = _mutant(tree, name, slot, new, first_line)
                if mutant.program != same:
                    found.setdefault(mutant.program, mutant)
                if len(found) == limit:
                    return list(found.values())
    except (RecursionError, ValueError):  # it cannot be written as source
        return []
    return list(found.values())


def _mutant(tree: ast.Module, operator: str, slot: _Slot, new: ast.AST, first_line: int) -> Mutant:
    """The program with another node in that place; the tree is as it was afterwards."""
    slot.put(new)
    try:
        program = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    finally:
        slot.put(slot.node)
    return Mutant(program, operator, slot.line - first_line + 1, _first_line(slot.node), _first_line(new))


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).strip().partition("\n")[0]


def _slots(tree: ast.Module) -> Iterator[_Slot]:
    """The places of the nodes that decide what the program does: not of annotations, nor of texts that stand for
    themselves."""
    waiting: list[ast.AST] = [tree]
    for parent in waiting:
        for field, held in ast.iter_fields(parent):
            if field in ("annotation", "returns"):
                continue
            places = enumerate(held) if isinstance(held, list) else [(None, held)]
            for place, node in places:
                if isinstance(node, ast.AST) and not _is_text(node):
                    yield _Slot(parent, field, place, node)
                    waiting.append(node)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


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
