"""The forms of tests: what each needs at run time, how many results it has, and which calls can be made ahead.

A call with literal arguments can be made before its test runs: it is part of the program's job, and the test reads its
result. Where all calls of all tests are of this kind, program and tests need not talk to each other.
"""

from __future__ import annotations

import ast
import marshal
import re
from collections.abc import Iterator
from types import CodeType
from typing import Any

from rrtf_ray.records import Test, TestKind
from rrtf_ray.sandbox.plain import is_plain
from rrtf_ray.sandbox.trees import fold, nodes_of, parts_of

CHECK_NAME = "_rrtf_check"
"""In place of `check`: a program may have a function of that name (MBPP 56), and its tests call it."""
RESULT_NAME = "_rrtf_result"
_CAUGHT = "_rrtf_caught"
_OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_LEAVING_WORDS = re.compile("return|yield|async|await")
_LEAVES_CHECK = (ast.Return, ast.Yield, ast.YieldFrom, ast.Await, ast.AsyncFor, ast.AsyncWith)
# What runs its parts exactly once, one after the other, or ends.
_STRAIGHT = (ast.Assert, ast.Assign, ast.AnnAssign, ast.Expr, ast.Try, ast.With)
_CONDITIONAL = (ast.Lambda, ast.IfExp, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Await,
                ast.ExceptHandler)  # fmt: skip


class CalledAhead:
    """The calls of a problem's tests that are known in advance; arguments: those of each, marshalled."""

    def __init__(self) -> None:
        self.arguments: list[bytes] = []

    def add(self, arguments: list[Any], keywords: dict[str, Any]) -> int:
        """The number of the call."""
        self.arguments.append(marshal.dumps((arguments, keywords)))
        return len(self.arguments) - 1


class Form:
    """One test.

    kind, number: of the test. labels: one per result. nodes: all of its syntax tree.
    is_plain: after `call_ahead`: it only compares (`rrtf_ray.sandbox.plain`).
    """

    kind: TestKind
    number = 0
    labels: list[str]
    nodes: list[ast.AST]
    is_plain = False

    def step(self) -> tuple[Any, ...]:
        """What `shared.testing` runs."""
        raise NotImplementedError

    def call_ahead(self, calls: CalledAhead) -> bool:
        """Have all calls made ahead; False where that is not possible (then only `step` may be used)."""
        raise NotImplementedError


def read_form(test: Test, entry_name: str) -> Form:
    """Raises SyntaxError or ValueError for a test that cannot be read."""
    match test.kind:
        case TestKind.CHECK:
            form: Form = _Check(test, entry_name)
        case TestKind.ASSERT:
            form = _Assert(test, entry_name)
        case TestKind.UNITTEST:
            form = _Unittest(test, entry_name)
        case _:
            form = _Value(test)
    form.kind = test.kind
    return form


def compiled(source: str | ast.Module) -> CodeType:
    """A test's code."""
    return compile(source, "<tests>", "exec", dont_inherit=True)


class _Value(Form):
    def __init__(self, test: Test) -> None:
        self._arguments, expected = literal(test.code), literal(test.expected)
        if not isinstance(self._arguments, list | tuple):
            raise ValueError(f"{_one_line(test.code)} is not a tuple or list of positional arguments")
        self._rest = (marshal.dumps(expected), test.atol, compiled(test.checker) if test.checker else None)
        self._call: int | None = None
        self.labels, self.nodes = [f"arguments {_one_line(test.code)}"], []

    def step(self) -> tuple[Any, ...]:
        return ("value", self._call, marshal.dumps(list(self._arguments)), *self._rest)

    def call_ahead(self, calls: CalledAhead) -> bool:
        self._call = calls.add(list(self._arguments), {})
        self.is_plain = self._rest[-1] is None
        return True


class _Assert(Form):
    def __init__(self, test: Test, entry_name: str) -> None:
        self._entry_name = entry_name
        self._tree, self.nodes = _parsed(test.code)
        self.labels = [_one_line(test.code)]

    def step(self) -> tuple[Any, ...]:
        return ("assert", compiled(self._tree))

    def call_ahead(self, calls: CalledAhead) -> bool:
        ahead = _replace_calls(self.nodes, self._tree.body, {self._entry_name}, calls)
        self.is_plain = is_plain(self.nodes, "", ahead)
        return bool(ahead)


class _Unittest(Form):
    """A result for each test method of each TestCase, in the order of the source."""

    def __init__(self, test: Test, entry_name: str) -> None:
        self._entry_name = entry_name
        self._tree, self.nodes = _parsed(test.code)
        self._cases: list[tuple[str, str]] = []
        self._methods: list[ast.FunctionDef] = []
        known: set[str] = set()
        for node in self._tree.body:
            if isinstance(node, ast.ClassDef) and any(_base_name(b) in known | {"TestCase"} for b in node.bases):
                known.add(node.name)
                methods = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test")]
                self._cases += [(node.name, method.name) for method in methods]
                self._methods += methods
        if not self._cases:
            raise ValueError("it has no class derived from unittest.TestCase with a method test...")
        self.labels = [".".join(case) for case in self._cases]

    def step(self) -> tuple[Any, ...]:
        return ("unittest", compiled(self._tree), self._cases)

    def call_ahead(self, calls: CalledAhead) -> bool:
        body = [statement for method in self._methods for statement in method.body]
        return bool(_replace_calls(self.nodes, body, {self._entry_name}, calls))


def _base_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


class _Check(Form):
    """`check` becomes a generator that yields after each result: None, or the exception that it raised."""

    def __init__(self, test: Test, entry_name: str) -> None:
        self._entry_name = entry_name
        self._tree, self.nodes = _parsed(test.code)
        checks = [node for node in self._tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"]
        if not checks:
            raise ValueError("it does not define check(candidate) at its top level")
        self._check = checks[-1]
        self._check.name = CHECK_NAME
        lines = test.code.splitlines()
        self.labels = [
            _one_line("\n".join(lines[statement.lineno - 1 : statement.end_lineno]))
            for statement in self._check.body
            if _is_result(statement)
        ]
        parameters = self._check.args.posonlyargs + self._check.args.args
        whole = not self.labels or self._check.decorator_list or len(parameters) != 1
        leaves = _LEAVING_WORDS.search(test.code) and any(
            isinstance(node, _LEAVES_CHECK) for s in self._check.body for node in _walk_scope(s)
        )
        self._stepwise = not (whole or leaves)
        self._parameter = parameters[0].arg if len(parameters) == 1 else ""
        if not self._stepwise:
            self.labels = ["check"]

    def call_ahead(self, calls: CalledAhead) -> bool:
        names = {self._parameter, self._entry_name} - {""}
        ahead = _replace_calls(self.nodes, self._check.body, names, calls) if self._stepwise else set()
        self.is_plain = is_plain(self.nodes, CHECK_NAME, ahead)
        return bool(ahead)

    def step(self) -> tuple[Any, ...]:
        if not self._stepwise:
            return ("check", compiled(self._tree), 1, False)
        name = self._parameter
        stored = {n.id for n in self.nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
        plain = self._check.body
        self._check.body = [_as_step(s, "" if name in stored else name) if _is_result(s) else s for s in plain]
        try:
            return ("check", compiled(self._tree), len(self.labels), True)
        finally:
            self._check.body = plain


def _parsed(source: str) -> tuple[ast.Module, list[ast.AST]]:
    """The tree and its nodes, with constants put together: `f("ab" + "c")` is a call with a literal."""
    tree = ast.parse(source)
    nodes = nodes_of(tree)
    if any(isinstance(node, ast.BinOp) for node in nodes):
        fold(tree)
        nodes = nodes_of(tree)
    return tree, nodes


def _replace_calls(nodes: list[ast.AST], body: list[ast.stmt], names: set[str], calls: CalledAhead) -> set[ast.AST]:
    """Replace each call of one of `names` in `body` by the reading of its result.

    Returns the names that replace the old ones; none where `names` are used otherwise too.
    """
    found = list(_straight_calls(body, names))
    uses = sum(isinstance(node, ast.Name) and node.id in names for node in nodes)
    if not found or uses != len(found):
        return set()
    try:
        numbers = [calls.add([ast.literal_eval(a) for a in call.args], _literal_keywords(call)) for call in found]
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return set()
    for call, number in zip(found, numbers, strict=True):
        assert isinstance(call.func, ast.Name)
        call.func.id = RESULT_NAME
        call.args, call.keywords = [ast.copy_location(ast.Constant(number), call)], []
    return {call.func for call in found}


def _literal_keywords(call: ast.Call) -> dict[str, Any]:
    if any(keyword.arg is None for keyword in call.keywords):
        raise ValueError("keywords by ** are not known")
    return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}


def _straight_calls(body: list[ast.stmt], names: set[str]) -> Iterator[ast.Call]:
    """The calls of these names that are made exactly once if nothing fails, in order."""
    for statement in body:
        if isinstance(statement, _STRAIGHT):
            yield from _calls_in(statement, names)


def _calls_in(node: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    for child in parts_of(node):
        is_statement = isinstance(child, ast.stmt)
        if isinstance(child, _CONDITIONAL) or (is_statement and not isinstance(child, _STRAIGHT)):
            continue
        yield from _calls_in(child, names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
        yield node


def literal(source: str) -> Any:
    """ast.literal_eval, and the floats that have no literal: `inf` and `nan` (as repr writes them)."""
    tree = ast.parse(source.strip(), mode="eval")
    for node in ast.walk(tree):
        for name, field in ast.iter_fields(node):
            if isinstance(field, list):
                field[:] = [_float_name(item) for item in field]
            else:
                setattr(node, name, _float_name(field))
    return ast.literal_eval(tree)


def _float_name(node: Any) -> Any:
    if isinstance(node, ast.Name) and node.id in ("inf", "nan"):
        return ast.Constant(float(node.id))
    return node


def _is_result(statement: ast.stmt) -> bool:
    """Does it assert anything? `assert True` (HumanEval has many) would give every program its share."""
    if isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Constant):
        return not statement.test.value
    return any(isinstance(node, ast.Assert) for node in _walk_scope(statement))


def _walk_scope(statement: ast.stmt) -> Iterator[ast.AST]:
    """ast.walk, not into the functions and classes that the statement defines."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, _OWN_SCOPE):
            yield node
            waiting += ast.iter_child_nodes(node)


def _as_step(statement: ast.stmt, candidate: str) -> ast.Try:
    """try: <statement>; except: candidate = yield <exception>; else: candidate = yield None.

    What is sent back is the entry point evaluated anew: each result of `Solution().f` has its own object.
    """

    place: Any = {"lineno": statement.lineno, "col_offset": statement.col_offset}

    def resume(value: ast.expr) -> ast.stmt:
        result = ast.Yield(value, **place)
        target = ast.Name(candidate, ast.Store(), **place)
        return ast.Assign([target], result, **place) if candidate else ast.Expr(result, **place)

    kind, caught = (ast.Name(name, ast.Load(), **place) for name in ("BaseException", _CAUGHT))
    handler = ast.ExceptHandler(kind, _CAUGHT, [resume(caught)], **place)
    return ast.Try([statement], [handler], [resume(ast.Constant(None, **place))], [], **place)


def _one_line(source: str) -> str:
    line = " ".join(source[:400].split())
    return line if len(line) <= 120 else line[:117] + "..."
