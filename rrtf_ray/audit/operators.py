"""What a small fault is: operators of mutation, each from a node of a syntax tree to nodes that may stand in its place.

The operators are the usual ones (DeMillo, Lipton and Sayward, 1978; Offutt and others, 1996): relations, arithmetic,
constants, conditions and returns, and those that imitate what is forgotten: a bound, a branch, a statement, a call.
Pure: a node is never changed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

Operator = Callable[[ast.AST], Iterator[ast.AST]]
_Table = dict[type, type[ast.AST]]

_BOUNDARY: _Table = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_COMPARE: _Table = {
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
_ARITHMETIC: _Table = {
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
_RELATED = {"max": "min", "min": "max", "any": "all", "all": "any"}
_UNWRAPPED = frozenset({"abs", "sorted", "set", "reversed", "round", "int", "list", "str", "tuple"})
_FORGOTTEN = frozenset({"lower", "upper", "strip", "lstrip", "rstrip", "copy", "title", "capitalize"})
_ONE = ast.Constant(1)


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    """A copy of the node with other fields; the parts are shared."""
    return type(node)(**{name: getattr(node, name, None) for name in node._fields} | fields)


def _swapped(node: ast.AST, field: str, table: _Table) -> Iterator[ast.AST]:
    """Another operator of the same kind in the field (the first of a list)."""
    held = getattr(node, field)
    old = held[0] if isinstance(held, list) else held
    if (other := table.get(type(old))) is not None:
        yield _with(node, **{field: [other(), *held[1:]] if isinstance(held, list) else other()})


def _boundary(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        yield from _swapped(node, "ops", _BOUNDARY)


def _compare(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        yield from _swapped(node, "ops", _COMPARE)
    elif isinstance(node, ast.BoolOp):
        yield from _swapped(node, "op", _COMPARE)


def _arithmetic(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp | ast.AugAssign):
        yield from _swapped(node, "op", _ARITHMETIC)


def _constant(node: ast.AST) -> Iterator[ast.AST]:
    if not isinstance(node, ast.Constant) or isinstance(node.value, bytes | type(None) | type(...)):
        return
    old = node.value
    if isinstance(old, bool):
        yield ast.Constant(not old)
    elif isinstance(old, str):
        yield ast.Constant("" if old else "x")
    else:
        yield ast.Constant(old + 1)


def _negate(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))


def _return(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Return) and node.value and ast.unparse(node.value) != "None":
        yield ast.Return(ast.Constant(None))


def _branch(node: ast.AST) -> Iterator[ast.AST]:
    """One way of a condition is never taken, or a part of it is left out."""
    if isinstance(node, ast.If):
        yield _with(node, test=ast.Constant(False))
        yield _with(node, test=ast.Constant(True))
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.BoolOp):
        for left_out in range(len(node.values)):
            rest = [value for number, value in enumerate(node.values) if number != left_out]
            yield rest[0] if len(rest) == 1 else _with(node, values=rest)
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield _with(node, ifs=node.ifs[1:])
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand


def _bound(node: ast.AST) -> Iterator[ast.AST]:
    """One too many, or one too few."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield ast.Constant(node.value - 1)
    elif isinstance(node, ast.Slice):
        for name in ("lower", "upper"):
            if (bound := getattr(node, name)) is not None:
                yield _with(node, **{name: ast.BinOp(bound, ast.Add(), _ONE)})
                yield _with(node, **{name: ast.BinOp(bound, ast.Sub(), _ONE)})
    elif isinstance(node, ast.Call) and _name(node) == "range" and node.args and not node.keywords:
        last = min(1, len(node.args) - 1)
        for sign in (ast.Sub(), ast.Add()):
            args = list(node.args)
            args[last] = ast.BinOp(args[last], sign, _ONE)
            yield _with(node, args=args)
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq):
        yield _with(node, ops=[ast.GtE(), *node.ops[1:]])
        yield _with(node, ops=[ast.LtE(), *node.ops[1:]])


def _loop(node: ast.AST) -> Iterator[ast.AST]:
    """The loop leaves out the first or the last turn, or ends after one."""
    if not isinstance(node, ast.For | ast.comprehension):
        return
    turns = ast.Call(ast.Name("list", ast.Load()), [node.iter], [])
    for part in (ast.Slice(_ONE, None), ast.Slice(None, ast.UnaryOp(ast.USub(), _ONE))):
        yield _with(node, iter=ast.Subscript(turns, part, ast.Load()))
    if isinstance(node, ast.For):
        yield _with(node, body=[*node.body, ast.Break()])


def _delete(node: ast.AST) -> Iterator[ast.AST]:
    """A statement is left out; not one that gives a name its first value, which every test notices."""
    effect = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    stored = isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Name | ast.Tuple)
    if effect or stored or isinstance(node, ast.AugAssign | ast.Break | ast.Continue | ast.Raise):
        yield ast.Pass()


def _swap(node: ast.AST) -> Iterator[ast.AST]:
    """Two operands or arguments in each other's place."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Div | ast.FloorDiv | ast.Mod | ast.Pow):
        yield _with(node, left=node.right, right=node.left)
    elif isinstance(node, ast.Call) and len(node.args) >= 2 and _name(node) not in _RELATED:
        yield _with(node, args=[node.args[1], node.args[0], *node.args[2:]])


def _call(node: ast.AST) -> Iterator[ast.AST]:
    """A call is forgotten, or a related function is called."""
    if not isinstance(node, ast.Call):
        return
    name = _name(node)
    if name in _RELATED:
        yield _with(node, func=ast.Name(_RELATED[name], ast.Load()))
    elif name in _UNWRAPPED and len(node.args) == 1:
        yield node.args[0]
    elif isinstance(node.func, ast.Attribute) and node.func.attr in _FORGOTTEN:
        yield node.func.value


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


OPERATORS: dict[str, Operator] = {
    "compare": _compare,
    "arithmetic": _arithmetic,
    "boundary": _boundary,
    "constant": _constant,
    "negate": _negate,
    "return": _return,
    "branch": _branch,
    "bound": _bound,
    "loop": _loop,
    "delete": _delete,
    "swap": _swap,
    "call": _call,
}
