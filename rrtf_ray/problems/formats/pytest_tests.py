"""Tests in the style of pytest as tests of ours: each `def test_x():` becomes the statements of one test.

`from solution import f` is left out, as the program is there already; `pytest.raises`, `pytest.approx` and
`pytest.mark.parametrize` with literal cases are written out. A function with fixtures or marks of another kind, or one
of a class, is left out. Pure: the source is read, never run.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from rrtf_ray.problems.python_source import parsed
from rrtf_ray.problems.source import Row

_SHIM = """\
class pytest:
    class raises:
        def __init__(self, kind, match=None):
            self.kind, self.match, self.value = kind, match, None
        def __enter__(self):
            return self
        def __exit__(self, kind, value, trace):
            assert kind is not None, "it raised nothing"
            self.value = value
            import re
            return issubclass(kind, self.kind) and (self.match is None or re.search(self.match, str(value)) is not None)
    class approx:
        def __init__(self, wanted, rel=1e-6, abs=1e-12):
            self.wanted, self.rel, self.abs = wanted, rel or 1e-6, abs or 1e-12
        def __eq__(self, other):
            if isinstance(self.wanted, (list, tuple)):
                pairs = zip(other, self.wanted)
                return len(other) == len(self.wanted) and all(self._near(a, b) for a, b in pairs)
            if isinstance(self.wanted, dict):
                return other.keys() == self.wanted.keys() and all(self._near(other[k], self.wanted[k]) for k in other)
            return self._near(other, self.wanted)
        def _near(self, a, b):
            return a == b or abs(a - b) <= max(self.rel * abs(b), self.abs)
"""
_PYTEST = frozenset({"raises", "approx"})


@dataclass(slots=True)
class PytestTests:
    """codes: the source of each test. names: what they import of the solution. left_out: functions, and why."""

    codes: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def pytest_tests(row: Row, name: str) -> PytestTests:
    """The tests in a field; raises DataError where it is not valid Python."""
    tree = parsed(row, name, row.text(name))
    found = PytestTests()
    around: list[ast.stmt] = []
    functions: list[ast.FunctionDef] = []
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").split(".")[0] == "solution":
            found.names += [alias.name for alias in statement.names]
        elif isinstance(statement, ast.FunctionDef) and statement.name.startswith("test"):
            functions.append(statement)
        elif isinstance(statement, ast.ClassDef) and statement.name.startswith("Test"):
            found.left_out.append(f"{statement.name}: is a class")
        elif not _is_noise(statement):
            around.append(statement)
    for function in functions:
        why, body = _body(function)
        if why:
            found.left_out.append(f"{function.name}: {why}")
        else:
            found.codes.append(_source(around, body))
    return found


def _is_noise(statement: ast.stmt) -> bool:
    """Imports of pytest and of the solution as a module, `pytest.main()`, and what else is for running as a script."""
    if isinstance(statement, ast.Import):
        return all(alias.name in ("pytest", "solution") for alias in statement.names)
    if isinstance(statement, ast.Expr):
        return True
    is_main = isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)
    return is_main or (isinstance(statement, ast.ImportFrom) and statement.module == "pytest")


def _body(function: ast.FunctionDef) -> tuple[str, list[ast.stmt]]:
    """Why the function is left out, or its statements."""
    body: list[ast.stmt] = function.body
    wanted = {argument.arg for argument in function.args.args}
    for decorator in reversed(function.decorator_list):
        cases = _cases(decorator)
        if cases is None:
            return f"has the decorator {ast.unparse(decorator)[:40]!r}", []
        target, values = cases
        wanted -= {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}
        body = [ast.For(target, values, body, [], None, lineno=1, col_offset=0)]
    if wanted:
        return f"needs the fixture {', '.join(sorted(wanted))}", []
    used = {
        node.attr
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pytest"
    }
    if used - _PYTEST:
        return f"uses pytest.{', pytest.'.join(sorted(used - _PYTEST))}", []
    if any(isinstance(node, ast.Return | ast.Yield) for statement in body for node in _in_scope(statement)):
        call = ast.Expr(ast.Call(ast.Name(function.name, ast.Load()), [], []))
        plain = ast.FunctionDef(function.name, function.args, body, [], None, None, lineno=1, col_offset=0)
        return "", [plain, call]
    return "", body


def _cases(decorator: ast.expr) -> tuple[ast.expr, ast.expr] | None:
    """The target and the values of the loop that `pytest.mark.parametrize("a, b", [...])` stands for."""
    if not isinstance(decorator, ast.Call) or not ast.unparse(decorator.func).endswith("mark.parametrize"):
        return None
    if len(decorator.args) != 2 or not isinstance(decorator.args[1], ast.List | ast.Tuple):
        return None
    try:
        names = ast.literal_eval(decorator.args[0])
    except ValueError:
        return None
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    if not names or not all(isinstance(name, str) and name.isidentifier() for name in names):
        return None
    targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in names]
    return targets[0] if len(targets) == 1 else ast.Tuple(targets, ast.Store()), decorator.args[1]


def _in_scope(statement: ast.AST) -> list[ast.AST]:
    """The nodes of a statement that are not in a function of their own."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
        return []
    return [statement, *(node for child in ast.iter_child_nodes(statement) for node in _in_scope(child))]


def _source(around: list[ast.stmt], body: list[ast.stmt]) -> str:
    code = "\n".join(ast.unparse(ast.fix_missing_locations(statement)) for statement in [*around, *body]) + "\n"
    return _SHIM + code if "pytest." in code else code
