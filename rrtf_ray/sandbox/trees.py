"""Syntax trees of tests: all nodes of one, quickly, and constants put together."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

_LEAVES = (ast.Constant, ast.expr_context, ast.cmpop, ast.boolop, ast.unaryop)
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
_MAX_CONSTANT = 4096


def nodes_of(tree: ast.AST) -> list[ast.AST]:
    """The tree and all that is in it, in no certain order; without constants and without what has no parts."""
    found = [tree]
    for node in found:  # grows meanwhile
        found += parts_of(node)
    return found


def parts_of(node: ast.AST) -> list[ast.AST]:
    """The node's own parts in the order of the source, as `nodes_of` has them."""
    found: list[ast.AST] = []
    for name in node._fields:
        part = getattr(node, name, None)
        if isinstance(part, list):
            found += [item for item in part if isinstance(item, ast.AST) and not isinstance(item, _LEAVES)]
        elif isinstance(part, ast.AST) and not isinstance(part, _LEAVES):
            found.append(part)
    return found


def fold(tree: ast.AST) -> None:
    """Replace sums, differences and products of constants by their values, as the compiler does."""
    _Fold().visit(tree)


class _Fold(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        left, right, make = node.left, node.right, _ARITHMETIC.get(type(node.op))
        if not (make and isinstance(left, ast.Constant) and isinstance(right, ast.Constant)):
            return node
        if not all(isinstance(v, int | float | str) and _size(v) <= _MAX_CONSTANT for v in (left.value, right.value)):
            return node
        if make is operator.mul and (isinstance(left.value, str) or isinstance(right.value, str)):
            return node
        try:
            return ast.copy_location(ast.Constant(make(left.value, right.value)), node)
        except (TypeError, ArithmeticError):
            return node


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str) else int(value).bit_length() if isinstance(value, int) else 0
