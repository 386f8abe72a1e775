"""HumanEval, and every data set in its form (sanitized MBPP of CodeT among them): a prompt that ends with a
function's docstring, and a `check(candidate)` that asserts.

A row whose field `language` is "javascript" has a prompt, an entry point and a solution in JavaScript; its `test` is
Python all the same (`def check(candidate): assert candidate(2) == 4`).
"""

from __future__ import annotations

from collections.abc import Iterator

from rrtf_ray.problems.formats.languages import language_of
from rrtf_ray.problems.python_source import fitted_body, parsed, split_of, with_modules
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Language, Problem, ProblemKind, Test, TestKind

FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")


def convert(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row; the prompt is taken as it is."""
    for row in rows:
        task_id, prompt, language = row.text("task_id"), row.text("prompt"), language_of(row)
        reference, test = row.text("canonical_solution", ""), row.text("test")
        if language is Language.PYTHON:
            reference = fitted_body(prompt, reference)
            test = with_modules(test, prompt + reference)
        else:
            parsed(row, "test", test)
            test = with_modules(test, "")
        yield (
            row,
            Problem(
                id=task_id,
                prompt=prompt,
                kind=ProblemKind.FUNCTION,
                entry_point=row.text("entry_point"),
                tests=(Test(TestKind.CHECK, test),),
                reference=reference,
                split=split_of(task_id),
                language=language,
                date=row.date("date"),
            ),
        )
