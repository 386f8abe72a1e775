"""Benchmarks with functions or classes to complete: BigCodeBench, ClassEval, CRUXEval and EvoEval. All are held out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rrtf_ray.problems.formats import evalplus
from rrtf_ray.problems.python_source import docstring, functions_of, parsed
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem, ProblemKind, Split, Test, TestKind

BIGCODEBENCH_FIELDS = ("task_id", "complete_prompt", "instruct_prompt", "canonical_solution", "test", "entry_point")
CLASSEVAL_FIELDS = ("task_id", "skeleton", "solution_code", "test", "class_name")
CRUXEVAL_FIELDS = ("id", "code", "input", "output")
EVOEVAL_FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "inputs")


def bigcodebench(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row, with the prompt that is to be completed; its tests are of unittest."""
    for row in rows:
        yield (
            row,
            Problem(
                id=row.text("task_id"),
                prompt=row.text("complete_prompt"),
                kind=ProblemKind.FUNCTION,
                entry_point=row.text("entry_point"),
                tests=(Test(TestKind.UNITTEST, row.text("test")),),
                reference=row.text("canonical_solution", ""),
                split=Split.HELD_OUT,
            ),
        )


def classeval(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row: the class's skeleton in a docstring, and tests of unittest."""
    for row in rows:
        imports = "".join(f"{line.strip()}\n" for line in row.texts("import_statement", []))
        skeleton = row.text("skeleton").strip()
        yield (
            row,
            Problem(
                id=row.text("task_id"),
                prompt=docstring(f"Write the class `{row.text('class_name')}`.\n\n{skeleton}"),
                kind=ProblemKind.FUNCTION,
                entry_point=row.text("class_name"),
                tests=(Test(TestKind.UNITTEST, row.text("test")),),
                reference=imports + row.text("solution_code", ""),
                setup=imports,
                split=Split.HELD_OUT,
            ),
        )


def cruxeval(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row: a function that gives this output for this input. (The benchmark itself asks for the output
    or the input of a given function; here its code is the reference.)"""
    for row in rows:
        code, given, wanted = row.text("code"), row.text("input"), row.text("output")
        functions = functions_of(parsed(row, "code", code))
        if not functions:
            raise row.error("the field 'code' defines no function; correct it")
        name = functions[-1].name
        call = given if given.startswith(f"{name}(") else f"{name}({given})"  # LiveCodeBench has the whole call
        parsed(row, "input", call)
        parsed(row, "output", wanted)
        yield (
            row,
            Problem(
                id=row.id("id"),
                prompt=docstring(f"Write a function `{name}` with\n{call} == {wanted}"),
                kind=ProblemKind.FUNCTION,
                entry_point=name,
                tests=(Test(TestKind.ASSERT, f"assert {call} == {wanted}"),),
                reference=code,
                split=Split.HELD_OUT,
            ),
        )


def evoeval(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row; as for `evalplus`, the references make the expected values, in the sandbox."""
    for row, problem in evalplus.convert(replace(row, fields=_as_evalplus(row)) for row in rows):
        yield row, replace(problem, split=Split.HELD_OUT)


def _as_evalplus(row: Row) -> dict[str, Any]:
    inputs: Any = row.fields.get("inputs")
    try:
        inputs = ast.literal_eval(inputs) if isinstance(inputs, str) else inputs
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise row.error(
            f"the field 'inputs' is no literal list of inputs ({type(error).__name__}); correct it"
        ) from error
    if not isinstance(inputs, list):
        raise row.error("the field 'inputs' is no list of inputs; correct it")
    return {**row.fields, "base_input": inputs, "plus_input": {}, "contract": "", "assertion": ""}
