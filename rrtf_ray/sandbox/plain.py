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
from collections.abc import Container, Iterable
from typing import Any

from rrtf_ray.sandbox.shared import testing
from rrtf_ray.sandbox.shared.channel import Reader
from rrtf_ray.sandbox.shared.remote import Program

_FUNCTIONS = ("abs", "all", "any", "bool", "dict", "float", "frozenset", "int", "isinstance", "len", "list", "max",
              "min", "round", "set", "sorted", "str", "sum", "tuple", "type")  # fmt: skip
BUILTINS: dict[str, Any] = {
    name: getattr(builtins, name) for name in (*_FUNCTIONS, "AssertionError", "BaseException", "complex", "bytes")
}
"""All that a plain test can name."""
MAX_MESSAGE = 1 << 15
_OTHER_VALUES = re.compile(rb'\{(?!"[tdszfi]":)')
"""What may be another value than a scalar, list, tuple, dict, set or int (a brace in a text is taken for one, too): a
short text can stand for a range or a number without end, or for lists that hold one another many times over."""
_NODES = (ast.Module, ast.Assert, ast.Assign, ast.AnnAssign, ast.Expr, ast.List, ast.Tuple, ast.Set, ast.Dict,
          ast.Name, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Subscript, ast.Call, ast.FunctionDef, ast.arguments,
          ast.arg, ast.BinOp, ast.operator, ast.Pass, ast.keyword)  # fmt: skip


def is_plain(nodes: Iterable[ast.AST], check_name: str, ahead: Container[ast.AST]) -> bool:
    """Is there nothing in a test of these nodes but comparisons? ahead: the names that stand for calls made ahead."""
    names = {node for node in nodes if isinstance(node, ast.Name) and node not in ahead}
    may_read = BUILTINS.keys() | {node.id for node in names if isinstance(node.ctx, ast.Store)}
    for node in nodes:
        if not isinstance(node, _NODES):
            return False
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name):
                return False
            if node.func not in ahead and (node.keywords or node.func.id not in _FUNCTIONS):
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
        elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            return False
    return True


def compare(judge: dict[str, Any], message: bytes) -> bytes | None:
    """The records, without a nonce, of plain tests with what a program wrote; None where another process must do it."""
    if len(message) > MAX_MESSAGE or _OTHER_VALUES.search(message):
        return None
    lines: list[bytes] = []
    record = testing.recorder(lines.append, "")
    program = Program(Reader(None, buffer=message), None, {}, judge["num_ahead"])
    names: dict[str, Any] = {"__name__": "tests", "__builtins__": BUILTINS}
    try:
        if not testing.judge_program(judge, program, names, record):
            return testing.GARBAGE
    except Exception:  # too deep, or beyond what this process should have to handle
        return None
    return b"".join(lines)
