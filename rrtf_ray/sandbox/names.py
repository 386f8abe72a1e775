"""Which names tests use, and where they come from: the tests, their trusted helpers, or the program."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from types import CodeType

from rrtf_ray.sandbox.trees import nodes_of

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BUILTINS = frozenset(dir(builtins)) | {"__name__"}


class Helpers:
    """What precedes the function in its prompt (imports, helpers, classes): part of the task, and run with the tests.

    code: runs in the tests' interpreter. names: what it and the setup bind. classes: which of these are classes.
    """

    def __init__(self, prompt: str, setup: str, entry_point: str) -> None:
        root = entry_point.partition("(")[0].partition(".")[0]
        body = [s for s in _parsed(prompt) if not (isinstance(s, _DEFINITIONS) and s.name == root)]
        body = [_optional(s) for s in body if not _is_stub(s)]
        self.code: CodeType = compile(ast.Module(body, []), "<prompt>", "exec", dont_inherit=True)
        statements = [*_parsed(setup), *body]
        self.names = {name for statement in statements for name in bound_names(nodes_of(statement))}
        self.classes = [s.name for s in statements if isinstance(s, ast.ClassDef)]


def _parsed(source: str) -> list[ast.stmt]:
    """The statements of a source that may end in a function without a body; none if it is not Python."""
    for tail in ("", "\n    pass\n", "\n        pass\n", "\n\tpass\n"):
        try:
            return ast.parse(source + tail).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return []


def _optional(statement: ast.stmt) -> ast.stmt:
    """An import that the tests may do without."""
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        return statement
    missing = ast.ExceptHandler(ast.Name("ImportError", ast.Load()), None, [ast.Pass()])
    return ast.fix_missing_locations(ast.Try([statement], [missing], [], []))


def _is_stub(statement: ast.stmt) -> bool:
    """A future import is for the program; a statement without a name binds nothing that a test could use."""
    is_future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
    return is_future or isinstance(statement, ast.Expr)


def bound_names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Every name that one of the nodes binds, in any scope."""
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            yield node.id
        elif isinstance(node, _DEFINITIONS):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name


def unresolved_names(nodes: Iterable[ast.AST], bound: set[str]) -> set[str]:
    """The names that a test of these nodes uses but neither it nor `bound` nor the builtins define."""
    nodes = list(nodes)
    used = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    found = used - bound - _BUILTINS
    return found - set(bound_names(nodes)) if found else found
