"""Problems whose programs read standard input and write standard output: inputs, outputs and a solution.

The statement is the field `prompt` (or `question`, `description`) where there is one; else the docstring of
the solution's last documented function, with its signature, because the input holds its arguments. A row whose field
`language` is "javascript" has its solution in JavaScript, and needs a statement. A field `checker`, the source of
`check(given, got, expected)` in Python, decides in place of the comparison.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from rrtf_ray.problems.formats.languages import language_of, statement
from rrtf_ray.problems.python_source import functions_of, parsed, split_of
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Language, Problem, ProblemKind, Test, TestKind

FIELDS = ("task_id", "inputs", "outputs", "solution")


def convert(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row."""
    for row in rows:
        yield row, _problem(row)


def _problem(row: Row) -> Problem:
    inputs, outputs = row.texts("inputs"), row.texts("outputs")
    task_id, solution = row.text("task_id"), row.text("solution", "")
    language = language_of(row)
    if not inputs or len(inputs) != len(outputs):
        raise row.error(f"problem {task_id!r} has {len(inputs)} inputs and {len(outputs)} outputs; give one each")
    checker = row.text("checker", "")
    if checker and "check" not in [function.name for function in functions_of(parsed(row, "checker", checker))]:
        raise row.error("the field 'checker' defines no check(given, got, expected); define it or leave it empty")
    return Problem(
        id=task_id,
        prompt=statement(_statement(row, solution, inputs[0], outputs[0]), language),
        kind=ProblemKind.STDIO,
        entry_point="",
        tests=tuple(Test(TestKind.STDIO, i, o, checker=checker) for i, o in zip(inputs, outputs, strict=True)),
        reference=solution,
        split=split_of(task_id),
        language=language,
        date=row.date("date"),
    )


def _statement(row: Row, solution: str, first_input: str, first_output: str) -> str:
    example = f"Example input:\n{first_input.rstrip()}\nExample output:\n{first_output.rstrip()}"
    for name in ("prompt", "question", "description"):
        if row.fields.get(name):
            how = "Read from standard input and write to standard output."
            return f"{row.text(name).strip()}\n\n{how}\n\n{example}"
    if language_of(row) is not Language.PYTHON:
        raise row.error("there is no statement: give a field 'prompt'")
    tree = parsed(row, "solution", solution)
    documented = [f for f in functions_of(tree) if ast.get_docstring(f)]
    called = {name for statement in tree.body for name in _called(statement)}
    # A helper comes before the function that the program calls, and may be called by it only.
    documented = [f for f in documented if f.name in called] or documented
    if not documented:
        raise row.error("there is no statement: give a field 'prompt', or a docstring in the solution")
    function = documented[-1]
    how = f"{function.name}({ast.unparse(function.args)})"
    return (
        f"{ast.get_docstring(function)}\n\n"
        f"Write a program that reads the arguments of {how} from standard input, one JSON list on one line,\n"
        f"and prints the result as JSON to standard output.\n\n{example}"
    )


def _called(statement: ast.stmt) -> set[str]:
    """The functions that are called by name when the module runs."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return set()
    calls = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return {function.id for function in calls if isinstance(function, ast.Name)}
