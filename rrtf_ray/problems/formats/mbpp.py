"""MBPP as Google publishes it: `mbpp.jsonl` (text) and `sanitized-mbpp.json` (prompt, test_imports).

The prompt is the task's text and its first assert in a docstring, because nothing else says what the function
is to be called; the response is the whole function. A row whose field `language` is "javascript" has its code in
JavaScript and its tests in Python.
"""

from __future__ import annotations

from collections.abc import Iterator

from rrtf_ray.core.javascript import defined_names
from rrtf_ray.problems.formats.languages import language_of, statement
from rrtf_ray.problems.python_source import called_function, functions_of, parsed, split_of
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Language, Problem, ProblemKind, Test, TestKind

FIELDS = ("task_id", "code", "test_list")


def convert(rows: Iterator[Row], challenge_tests: bool = False) -> Iterator[tuple[Row, Problem]]:
    """One problem per row. challenge_tests: use the tests of `challenge_test_list` as well."""
    for row in rows:
        yield row, _problem(row, challenge_tests)


def _problem(row: Row, challenge_tests: bool) -> Problem:
    task_id = f"mbpp/{int(row.number('task_id'))}"
    code, language = row.text("code"), language_of(row)
    tests = row.texts("test_list")
    if not tests:
        raise row.error(f"problem {task_id!r} has no tests (test_list is empty); add one or remove the problem")
    if language is Language.PYTHON:
        defined = [function.name for function in functions_of(parsed(row, "code", code))]
    else:
        defined = defined_names(code)
    entry_point = called_function(row, tests, defined)
    text = row.text("text") if "text" in row.fields else row.text("prompt")
    imports = row.texts("test_imports", [])
    setup = "\n".join([*imports, row.text("test_setup_code", "")]).strip()
    if challenge_tests:
        tests = tests + row.texts("challenge_test_list", [])
    return Problem(
        id=task_id,
        prompt=statement(f"{text.strip()}\n{tests[0].strip()}", language),
        kind=ProblemKind.FUNCTION,
        entry_point=entry_point,
        tests=tuple(Test(TestKind.ASSERT, _with_setup(setup, test)) for test in tests),
        reference=code,
        split=split_of(task_id),
        language=language,
        date=row.date("date"),
    )


def _with_setup(setup: str, test: str) -> str:
    """The set-up goes before each test, not before the program: it may use classes of the program."""
    return f"{setup}\n{test}" if setup else test
