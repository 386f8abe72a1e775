"""Test files as a test runner collects them: without what they do when they are run by themselves.

HumanEvalPack's tests end with `check(name)`, unittest files with `unittest.main()`, and pytest's begin with
`from solution import name`. Here the sandbox makes these calls, and the names are the program's: what is left out
becomes blank lines, so that the others keep their numbers.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from rrtf_ray.records import Test, TestKind

_SOLUTION = "solution"
_PARSE_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)


def collected(test: Test) -> Test:
    """The test without the statements that only run it; the same object where it has none, or cannot be parsed."""
    code = test.code
    may_run_itself = {
        TestKind.CHECK: code.count("check") > 1,
        TestKind.UNITTEST: "main" in code,
        TestKind.ASSERT: False,
    }.get(test.kind)
    if may_run_itself is None or not (may_run_itself or _SOLUTION in code):
        return test
    try:
        body = ast.parse(code).body
    except _PARSE_ERRORS:
        return test  # whoever needs its tree says why
    runners = {"check"} if test.kind is TestKind.CHECK else {"main"} if test.kind is TestKind.UNITTEST else set()
    lines = code.split("\n")
    for statement, text in [*_imports(body), *((statement, "") for statement in _runs(body, runners))]:
        if sum(_overlap(statement, other) for other in body) == 1:
            end = statement.end_lineno or statement.lineno
            lines[statement.lineno - 1 : end] = [text, *[""] * (end - statement.lineno)]
    changed = "\n".join(lines)
    return test if changed == code else replace(test, code=changed)


def _overlap(statement: ast.stmt, other: ast.stmt) -> bool:
    """Do they share a line?"""
    return statement.lineno <= (other.end_lineno or other.lineno) and other.lineno <= (
        statement.end_lineno or statement.lineno
    )


def _imports(body: list[ast.stmt]) -> list[tuple[ast.stmt, str]]:
    """Imports of the program's names, and what binds them anew where they are imported under others."""
    found: list[tuple[ast.stmt, str]] = []
    for statement in body:
        if isinstance(statement, ast.ImportFrom) and statement.module == _SOLUTION:
            renamed = [f"{a.asname} = {a.name}" for a in statement.names if a.asname and a.asname != a.name]
            found.append((statement, "; ".join(renamed)))
    return found


def _runs(body: list[ast.stmt], runners: set[str]) -> list[ast.stmt]:
    """The statements that call one of `runners`, and the functions without parameters that do, with their calls."""
    found: list[ast.stmt] = []
    names = set(runners)
    for statement in body:
        if not _names_in(statement) & names:
            continue
        if isinstance(statement, ast.FunctionDef):
            arguments = statement.args
            if statement.name not in runners and not (arguments.args or arguments.posonlyargs):
                names.add(statement.name)
                found.append(statement)
        elif isinstance(statement, ast.Expr | ast.If):
            found.append(statement)
    return found


def _names_in(statement: ast.stmt) -> set[str]:
    """The names that are called in a statement; `unittest.main` is one of them as `main`."""
    called = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
    names = {f.id for f in called if isinstance(f, ast.Name)}
    return names | {"main" for f in called if ast.unparse(f) == "unittest.main"}
