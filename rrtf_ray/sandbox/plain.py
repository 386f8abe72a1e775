"""Tests that only compare: what the program gave, already decoded, with literals.

Such a test runs no code but comparisons of builtin values and a few functions of them, so that the supervisor
can run it in its own process. The list of what is plain is short on purpose, and what a program gave must be small
and of the simplest types, so that comparing takes no time to speak of; all else goes to a process of its own, which
has a limit of time.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Container, Iterable, Iterator
from typing import Any

from rrtf_ray.sandbox.shared import testing
from rrtf_ray.sandbox.shared.channel import Reader
from rrtf_ray.sandbox.shared.jobs import TestsJob
from rrtf_ray.sandbox.shared.remote import Program
from rrtf_ray.sandbox.trees import nodes_of

_FUNCTIONS = ("abs", "all", "any", "bool", "dict", "float", "frozenset", "int", "isinstance", "len", "list", "max",
              "min", "round", "set", "sorted", "str", "sum", "tuple", "type")  # fmt: skip
BUILTINS: dict[str, Any] = {
    name: getattr(builtins, name) for name in (*_FUNCTIONS, "AssertionError", "BaseException", "complex", "bytes")
}
"""All that a plain test can name."""
MAX_MESSAGE = 1 << 15
_MAX_USES = 1000
"""Of what a program gave, in one test: each may be as long as a message."""
_OTHER_VALUES = re.compile(rb'\{(?!"[tdszfi]":)')
"""What may be another value than a scalar, list, tuple, dict, set or int (a brace in a text is taken for one, too): a
short text can stand for a range or a number without end, or for lists that hold one another many times over."""
_NODES = (ast.Module, ast.Assert, ast.Assign, ast.Expr, ast.List, ast.Tuple, ast.Set, ast.Dict,
          ast.Name, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Subscript, ast.Call, ast.FunctionDef, ast.arguments,
          ast.arg, ast.BinOp, ast.operator, ast.Pass, ast.keyword)  # fmt: skip


def is_plain(nodes: Iterable[ast.AST], check_name: str, ahead: Container[ast.AST]) -> bool:
    """Is there nothing in a test of these nodes but comparisons? ahead: the names that stand for calls made ahead."""
    names = {node for node in nodes if isinstance(node, ast.Name) and node not in ahead}
    stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    may_read = BUILTINS.keys() | stored
    if stored & BUILTINS.keys():  # a function by another one's name
        return False
    if sum(node in ahead or (isinstance(node, ast.Name) and node.id in stored) for node in nodes) > _MAX_USES:
        return False
    for node in nodes:
        if not isinstance(node, _NODES):
            return False
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or (node.func not in ahead and not _is_cheap_call(node)):
                return False
        elif isinstance(node, ast.Assign):
            # A few lines of `x = [x, x]` are a value without end.
            if any(name in stored for name in _names_in(node.value)):
                return False
        elif isinstance(node, ast.Name):
            if node.id not in may_read and node not in ahead:
                return False
        elif isinstance(node, ast.BinOp):
            if not isinstance(node.op, ast.Add | ast.Sub | ast.Div):
                return False
        elif isinstance(node, ast.FunctionDef):
            if node.name != check_name or node.decorator_list or node.args.defaults or node.returns:
                return False
        elif isinstance(node, ast.arg) and node.annotation:
            return False
    return True


def _is_cheap_call(call: ast.Call) -> bool:
    """Is it one of the few functions, in a use whose cost is that of its arguments' size?"""
    assert isinstance(call.func, ast.Name)
    if call.keywords or call.func.id not in _FUNCTIONS:
        return False
    if call.func.id == "round" and len(call.args) > 1:  # of an integer to -10**9 places, a power is computed
        return isinstance(call.args[1], ast.Constant) and call.args[1].value in range(100)
    if call.func.id == "type" and len(call.args) != 1:  # makes a class
        return False
    # Nested in lists, each `str` doubles the backslashes of the one inside it.
    return call.func.id != "str" or "str" not in [name for part in call.args for name in _names_in(part)]


def _names_in(node: ast.AST) -> Iterator[str]:
    return (part.id for part in nodes_of(node) if isinstance(part, ast.Name))


def compare(judge: TestsJob, message: bytes) -> bytes | None:
    """The records, without a nonce, of plain tests with what a program wrote; None where another process must do it."""
    if len(message) > MAX_MESSAGE or _OTHER_VALUES.search(message):
        return None
    lines: list[bytes] = []
    record = testing.recorder(lines.append, "")
    program = Program(Reader(None, buffer=message), None, {}, judge.num_ahead)
    names: dict[str, Any] = {"__name__": "tests", "__builtins__": BUILTINS}
    try:
        if not testing.judge_program(judge, program, names, record):
            return testing.GARBAGE
    except Exception:  # too deep, or beyond what this process should have to handle
        return None
    return b"".join(lines)
