"""Tests -> what the zygote needs to run them, compiled once per call and on the supervisor's side.

The number of results is known here, before any candidate runs: a candidate that ends early cannot change it.
"""

from __future__ import annotations

import ast
import marshal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

from rrtf_ray.errors import DataError
from rrtf_ray.records import ProblemKind, Test, TestKind

_PARSE_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)
_OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_LEAVES_CHECK = (ast.Return, ast.Yield, ast.YieldFrom, ast.Await, ast.AsyncFor, ast.AsyncWith)
_MAX_RESULTS = 20_000
_CAUGHT = "_rrtf_caught"
CHECK_NAME = "_rrtf_check"
"""In place of `check`: a program may have a function of that name (MBPP 56), and its tests call it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run the tests of one call.

    job: marshalled, for the zygote.
    labels: one per result, for `detail`: the statement or the test in short.
    stdin, expected: of the STDIO tests, in order; the zygote gets the first, and nobody but us the second.
    """

    job: bytes
    labels: tuple[str, ...]
    stdin: tuple[bytes, ...] = ()
    expected: tuple[str, ...] = ()


def make_plan(tests: Sequence[Test], kind: ProblemKind, entry_point: str, setup: str, fail_fast: bool) -> Plan:
    """DataError, with the test's number, for a test that cannot be read."""
    if not tests:
        raise DataError("there are no tests to run; give at least one, or do not run the program")
    stdio = kind is ProblemKind.STDIO
    for number, test in enumerate(tests, 1):
        if (test.kind is TestKind.STDIO) != stdio:
            raise DataError(
                f"test {number} is of kind {test.kind.value!r} in a problem of kind {kind.value!r}; "
                f"{'give tests of kind stdio' if stdio else 'give tests of kind check, assert or value'}"
            )
    prepared: list[tuple[Any, ...]] = []
    labels: list[str] = []
    for number, test in enumerate(tests, 1):
        try:
            step, names = _PREPARE[test.kind](test)
        except _PARSE_ERRORS as error:
            reason = f"{type(error).__name__}: {error}"
            raise DataError(f"test {number} ({test.kind.value}) cannot be read: {reason}") from error
        prepared.append(step)
        labels += names
    if len(labels) > _MAX_RESULTS:
        raise DataError(f"{len(labels)} results are more than {_MAX_RESULTS}; split the tests")
    job = {
        "entry_point": None if stdio else _compile_part(entry_point, "entry_point", "eval"),
        "setup": _compile_part(setup, "setup", "exec"),
        "fail_fast": fail_fast,
        "tests": [] if stdio else prepared,
    }
    return Plan(
        job=marshal.dumps(job),
        labels=tuple(labels),
        stdin=tuple(t.code.encode(errors="surrogatepass") for t in tests) if stdio else (),
        expected=tuple(t.expected for t in tests) if stdio else (),
    )


def _compile_part(source: str, name: str, mode: str) -> CodeType:
    try:
        return compile(source.removeprefix("\ufeff"), f"<{name}>", mode, dont_inherit=True)
    except _PARSE_ERRORS as error:
        raise DataError(f"{name}={source[:80]!r} is not valid Python: {error}") from error


def _prepare_stdio(test: Test) -> tuple[tuple[Any, ...], list[str]]:
    return ("stdio",), ["standard output"]


def _prepare_assert(test: Test) -> tuple[tuple[Any, ...], list[str]]:
    code = compile(test.code, "<tests>", "exec", dont_inherit=True)
    return ("assert", code), [_one_line(test.code)]


def _prepare_value(test: Test) -> tuple[tuple[Any, ...], list[str]]:
    arguments, expected = _literal(test.code), _literal(test.expected)
    if not isinstance(arguments, list | tuple):
        raise ValueError(f"{_one_line(test.code)} is not a tuple or list of positional arguments")
    step = ("value", marshal.dumps(list(arguments)), marshal.dumps(expected), test.atol)
    return step, [f"arguments {_one_line(test.code)}"]


def _literal(source: str) -> Any:
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


def _prepare_check(test: Test) -> tuple[tuple[Any, ...], list[str]]:
    """Make `check` a generator that yields after each result: None, or the exception that it raised."""
    tree = ast.parse(test.code)
    checks = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    if not checks:
        raise ValueError("it does not define check(candidate) at its top level")
    check = checks[-1]
    check.name = CHECK_NAME
    lines = test.code.splitlines()
    labels = [
        _one_line("\n".join(lines[statement.lineno - 1 : statement.end_lineno]))
        for statement in check.body
        if _is_result(statement)
    ]
    parameters = check.args.posonlyargs + check.args.args
    whole = not labels or check.decorator_list or len(parameters) != 1
    if whole or any(isinstance(node, _LEAVES_CHECK) for s in check.body for node in _walk_scope(s)):
        return ("check", compile(tree, "<tests>", "exec", dont_inherit=True), 1, False), ["check"]
    name = parameters[0].arg
    uses = (node for s in check.body for node in _walk_scope(s) if isinstance(node, ast.Name))
    reassigned = any(node.id == name and not isinstance(node.ctx, ast.Load) for node in uses)
    check.body = [
        _as_step(statement, "" if reassigned else name) if _is_result(statement) else statement
        for statement in check.body
    ]
    code = compile(ast.fix_missing_locations(tree), "<tests>", "exec", dont_inherit=True)
    return ("check", code, len(labels), True), labels


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

    def resume(value: ast.expr) -> ast.stmt:
        result = ast.Yield(value=value)
        return ast.Assign([ast.Name(candidate, ast.Store())], result) if candidate else ast.Expr(result)

    handler = ast.ExceptHandler(
        type=ast.Name("BaseException", ast.Load()), name=_CAUGHT, body=[resume(ast.Name(_CAUGHT, ast.Load()))]
    )
    return ast.Try(body=[statement], handlers=[handler], orelse=[resume(ast.Constant(None))], finalbody=[])


def _one_line(source: str) -> str:
    line = " ".join(source[:400].split())
    return line if len(line) <= 120 else line[:117] + "..."


_PREPARE = {
    TestKind.CHECK: _prepare_check,
    TestKind.ASSERT: _prepare_assert,
    TestKind.VALUE: _prepare_value,
    TestKind.STDIO: _prepare_stdio,
}
