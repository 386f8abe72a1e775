"""MultiPL-E in Python and JavaScript: a prompt and a test script, no reference."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from rrtf_ray.problems.formats.javascript_tests import assertions_of
from rrtf_ray.problems.formats.usable import unusable, usable
from rrtf_ray.problems.python_source import parsed, split_of
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Language, Problem, ProblemKind, Test, TestKind

FIELDS = ("name", "language", "prompt", "tests")

_LANGUAGES = {"py": Language.PYTHON, "python": Language.PYTHON, "js": Language.JAVASCRIPT}
_NAME = re.compile(r"(\w+?)_(\d+)_(\w+)")
_CANDIDATE = re.compile(r"\b(?:let|const|var) candidate = ([\w$]+);")


def convert(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row whose assertions can be read."""
    return usable("multipl-e", rows, _problem)


def _problem(row: Row, number: int) -> Problem:
    language = _LANGUAGES.get(row.text("language").lower())
    if language is None:
        raise row.error(f"the field 'language' is {row.fields['language']!r}; valid are {', '.join(_LANGUAGES)}")
    name = row.text("name")
    entry_point, test = _python(row) if language is Language.PYTHON else _javascript(row)
    match = _NAME.fullmatch(name)
    return Problem(
        id=name,
        prompt=row.text("prompt"),
        kind=ProblemKind.FUNCTION,
        entry_point=entry_point,
        tests=(Test(TestKind.CHECK, test),),
        split=split_of(f"{match.group(1)}/{match.group(2)}" if match else name),
        language=language,
    )


def _python(row: Row) -> tuple[str, str]:
    """The entry point, and the test without the call of `check`, which names it."""
    tree = parsed(row, "tests", row.text("tests"))
    named = [
        node.args[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "check"
        for _ in node.args[:1]
        if isinstance(node.args[0], ast.Name)
    ]
    kept = [s for s in tree.body if not isinstance(s, ast.Expr) and getattr(s, "name", "") != "test_check"]
    return named[-1] if named else _from_name(row), "\n".join(map(ast.unparse, kept)) + "\n"


def _javascript(row: Row) -> tuple[str, str]:
    test = row.text("tests")
    match = _CANDIDATE.search(test)
    entry_point = match.group(1) if match else _from_name(row)
    found = assertions_of(test, entry_point)
    if not found.lines or found.left_out:
        why = repr(found.left_out[0]) if found.left_out else "there is none"
        raise unusable(row, f"the field 'tests' has assertions that Python cannot test ({why}); remove the row")
    return entry_point, found.check()


def _from_name(row: Row) -> str:
    match = _NAME.fullmatch(row.text("name"))
    if match is None:
        raise row.error(f"name={row.fields['name']!r} has no function's name and 'tests' calls none; correct one")
    return match.group(3)
