"""HumanEval+ and MBPP+ as the Hugging Face Hub has them: a script `test` that loops over literal inputs and results.

Each input becomes a VALUE test. Where the script compares in a way of its own (as sets, or with a second function), it
becomes one ASSERT test as it is, with a small `np.allclose` in place of numpy. The rows of MBPP+ have `test_list` too,
whose asserts are only the first few of the same inputs.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rrtf_ray.problems.formats import humaneval, mbpp
from rrtf_ray.problems.python_source import parsed
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem, Test, TestKind

HUMANEVAL_FIELDS = humaneval.FIELDS
MBPP_FIELDS = (*mbpp.FIELDS, "test")

_NUMPY = """\
class np:
    @staticmethod
    def allclose(a, b, rtol=1e-05, atol=1e-08):
        if isinstance(a, (list, tuple)):
            return len(a) == len(b) and all(np.allclose(x, y, rtol, atol) for x, y in zip(a, b))
        return a == b or abs(a - b) <= atol + rtol * abs(b)
"""


def has_results(row: Row) -> bool:
    """Whether `test` is a script of this kind: it has lists of inputs and results."""
    test = row.fields.get("test")
    return isinstance(test, str) and "results = [" in test and "inputs = [" in test


def humaneval_plus(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row of HumanEval+."""
    for row, problem in humaneval.convert(rows):
        yield row, _with_all(row, problem, ())


def mbpp_plus(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row of MBPP+, with the asserts of `test_list` and all tests of `test`."""
    for row, problem in mbpp.convert(rows):
        yield row, _with_all(row, problem, problem.tests)


def _with_all(row: Row, problem: Problem, first: tuple[Test, ...]) -> Problem:
    tree = parsed(row, "test", row.text("test"))
    values = _value_tests(tree, problem.entry_point)
    if values:
        return replace(problem, tests=(*first, *values))
    kind = TestKind.CHECK if any(isinstance(s, ast.FunctionDef) and s.name == "check" for s in tree.body) else None
    script = _without_numpy(row, tree)
    return replace(problem, tests=(*first, Test(kind or TestKind.ASSERT, script)))


def _value_tests(tree: ast.Module, entry_point: str) -> list[Test]:
    """A test for each pair of inputs and results; none where the script does more than compare them."""
    check = next((s for s in tree.body if isinstance(s, ast.FunctionDef) and s.name == "check"), None)
    statements = check.body if check else tree.body
    name = check.args.args[0].arg if check and check.args.args else entry_point
    lists = {
        statement.targets[0].id: statement.value
        for statement in [*tree.body, *statements]
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }
    loops = [statement for statement in statements if isinstance(statement, ast.For)]
    loop = _zipped(loops[0], lists) if len(loops) == 1 else None
    if loop is None or not _compares_plainly(tree):
        return []
    given, wanted, inputs, results = loop
    atol = _tolerance(loops[0].body, name, given, wanted)
    values, expected = _literal(inputs), _literal(results)
    if atol is None or not isinstance(values, list) or not isinstance(expected, list) or len(values) != len(expected):
        return []
    if not all(isinstance(arguments, list | tuple) for arguments in values):
        return []
    pairs = zip(values, expected, strict=True)
    return [Test(TestKind.VALUE, repr(tuple(arguments)), repr(value), atol) for arguments, value in pairs]


def _zipped(loop: ast.For, lists: dict[str, ast.expr]) -> tuple[str, str, ast.expr, ast.expr] | None:
    """The loop's names and lists, of `for [i, ](inp, exp) in [enumerate(]zip(inputs, results)[)]`."""
    target, over = loop.target, loop.iter
    if isinstance(over, ast.Call) and ast.unparse(over.func) == "enumerate" and isinstance(target, ast.Tuple):
        target, over = target.elts[-1], over.args[0]
    if not isinstance(over, ast.Call) or ast.unparse(over.func) != "zip" or len(over.args) != 2:
        return None
    if not isinstance(target, ast.Tuple) or not all(isinstance(name, ast.Name) for name in target.elts):
        return None
    found = [lists.get(node.id, node) if isinstance(node, ast.Name) else node for node in over.args]
    return ast.unparse(target.elts[0]), ast.unparse(target.elts[-1]), found[0], found[1]


def _compares_plainly(tree: ast.Module) -> bool:
    """Whether the script's own `assertion`, if it has one, compares values and not sets or truths."""
    own = [s for s in tree.body if isinstance(s, ast.FunctionDef) and s.name == "assertion"]
    return all("set(" not in ast.unparse(s) and "not None" not in ast.unparse(s) for s in own)


def _tolerance(body: list[ast.stmt], name: str, given: str, wanted: str) -> float | None:
    """The tolerance with which the only statement compares `name(*given)` with `wanted`; None where it does not."""
    statement = body[0] if len(body) == 1 else None
    call = f"{name}(*{given})"
    if isinstance(statement, ast.Assert):
        return 0.0 if ast.unparse(statement.test) in (f"{call} == {wanted}", f"{wanted} == {call}") else None
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return None
    value = statement.value
    parts = [ast.unparse(argument) for argument in value.args]
    if ast.unparse(value.func) != "assertion" or parts[:2] != [call, wanted]:
        return None
    try:
        return float(ast.literal_eval(value.args[2])) if len(parts) > 2 else 0.0
    except (ValueError, TypeError):
        return None


def _literal(node: ast.expr) -> Any:
    """The value of a literal in which `inf`, `float('inf')` and `set()` may be; None where it is no literal."""
    try:
        return _value(node)
    except (ValueError, TypeError, RecursionError):
        return None


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Name(id="inf"):
            return math.inf
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value="inf" | "-inf" as text)]):
            return float(text)
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return {_value(key): _value(value) for key, value in pairs if key is not None}
    return ast.literal_eval(node)


def _without_numpy(row: Row, tree: ast.Module) -> str:
    """The script, with what it uses of numpy written out; raises DataError where that is more than `allclose`."""
    body = [s for s in tree.body if not (isinstance(s, ast.Import) and [a.name for a in s.names] == ["numpy"])]
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy")
    }
    rest = "\n".join(map(ast.unparse, body)) + "\n"
    if len(body) == len(tree.body) or used <= {"allclose"}:
        return _NUMPY + rest if len(body) < len(tree.body) and used else rest
    # The types of numpy are only asked for: no value here is of one.
    if used <= {"allclose", "float32", "float64", "ndarray", "int64"}:
        kinds = "".join(f"    {name} = type({name!r}, (), {{}})\n" for name in sorted(used - {"allclose"}))
        return _NUMPY + kinds + rest
    names = ", ".join(f"np.{name}" for name in sorted(used - {"allclose"}))
    raise row.error(f"the field 'test' uses {names}, which no test can; remove the row")
