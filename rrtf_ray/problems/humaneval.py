"""HumanEval, and every data set in its form (sanitized MBPP of CodeT among them): a prompt that ends with a
function's docstring, and a `check(candidate)` that asserts."""

from __future__ import annotations

from collections.abc import Iterator

from rrtf_ray.problems.python_source import fitted_body, split_of, with_modules
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem, ProblemKind, Test, TestKind

FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")


def convert(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem a row; the prompt is taken as it is."""
    for row in rows:
        task_id, prompt = row.text("task_id"), row.text("prompt")
        reference = fitted_body(prompt, row.text("canonical_solution", ""))
        test = with_modules(row.text("test"), prompt + reference)
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
            ),
        )
