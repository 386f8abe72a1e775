"""KodCode (a question, a solution and tests in the style of pytest) and AceCode (a question and asserts)."""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterator
from typing import Any

from rrtf_ray.problems.formats.judged import code_of, is_python
from rrtf_ray.problems.formats.pytest_tests import pytest_tests
from rrtf_ray.problems.formats.usable import unusable, usable
from rrtf_ray.problems.python_source import docstring, parsed
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem, ProblemKind, Test, TestKind

KODCODE_FIELDS = ("question", "solution", "test")
ACECODE_FIELDS = ("id", "question", "test_cases")

_BUILTINS = frozenset(dir(builtins))


def kodcode(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row whose tests can be read without pytest."""
    return usable("kodcode", rows, _kodcode)


def acecode(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row; the reference is an inference that passed everything."""
    return usable("acecode", rows, _acecode)


def _kodcode(row: Row, number: int) -> Problem:
    tests = pytest_tests(row, "test")
    if not tests.codes:
        why = "; ".join(tests.left_out) or "there is no function `test_...`"
        raise unusable(row, f"the field 'test' has no test that can be read ({why}); add one or remove the row")
    info = row.json("test_info")
    declared = [one for one in info if isinstance(one, dict)] if isinstance(info, list) else []
    names = [one["function_name"] for one in declared if isinstance(one.get("function_name"), str)]
    name = next((name for name in names if name in tests.names or not tests.names), "")
    name = name or (tests.names[0] if tests.names else _called(row, tests.codes))
    signature = next((str(one.get("function_declaration") or "") for one in declared), "") or f"def {name}(...):"
    return Problem(
        id=row.id("question_id", "conversation_id", "id", default=f"kodcode/{number}"),
        prompt=docstring(f"{row.text('question').strip()}\n\n{signature}"),
        kind=ProblemKind.FUNCTION,
        entry_point=name,
        tests=tuple(Test(TestKind.ASSERT, code) for code in tests.codes),
        reference=code_of(row.text("solution")),
    )


def _acecode(row: Row, number: int) -> Problem:
    tests = row.json("test_cases")
    if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
        raise row.error("the field 'test_cases' is no list of asserts; correct it")
    if not tests:
        raise unusable(row, "'test_cases' is empty; add a test or remove the row")
    name = _called(row, tests)
    return Problem(
        id=row.id("id"),
        prompt=docstring(f"{row.text('question').strip()}\n\n{tests[0].strip()}"),
        kind=ProblemKind.FUNCTION,
        entry_point=name,
        tests=tuple(Test(TestKind.ASSERT, test) for test in tests),
        reference=next(filter(is_python, map(code_of, _passed(row.json("inferences")))), ""),
    )


def _passed(inferences: Any) -> list[str]:
    rows = [one for one in inferences or [] if isinstance(one, dict)] if isinstance(inferences, list) else []
    return [str(one.get("completion")) for one in rows if one.get("pass_rate") == 1]


def _called(row: Row, tests: list[str]) -> str:
    """The function that the tests call most, of those that neither they nor Python define."""
    called: Counter[str] = Counter()
    for test in tests:
        tree = parsed(row, "tests", test)
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        own |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in own | _BUILTINS:
                called[node.func.id] += 1
    if not called:
        raise unusable(row, "the tests call no function of a solution; correct them or remove the row")
    return called.most_common(1)[0][0]
