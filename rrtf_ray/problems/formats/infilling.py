"""HumanEval-Infilling: a function with a hole. The prompt is what is before the hole, the suffix what is after it, and
the reference what is in it."""

from __future__ import annotations

from collections.abc import Iterator

from rrtf_ray.problems.python_source import split_of, with_modules
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem, ProblemKind, Test, TestKind

FIELDS = ("task_id", "prompt", "suffix", "entry_point", "canonical_solution", "test")


def convert(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row."""
    for row in rows:
        prompt, middle, suffix = row.text("prompt"), row.text("canonical_solution"), row.text("suffix")
        task_id = row.text("task_id")
        yield (
            row,
            Problem(
                id=task_id,
                prompt=prompt,
                kind=ProblemKind.FUNCTION,
                entry_point=row.text("entry_point"),
                tests=(Test(TestKind.CHECK, with_modules(row.text("test"), prompt + middle + suffix)),),
                reference=middle,
                split=split_of(task_id),
                suffix=suffix or "\n",
            ),
        )
