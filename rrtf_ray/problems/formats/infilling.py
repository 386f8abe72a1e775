"""HumanEval-Infilling: a function with a hole. The prompt is what is before the hole, the reference what is in it.

A problem has no place for what comes after: a response here goes on to the function's end, and the reference is the
middle and the rest (or the whole function, where the hole is only a line's end).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from rrtf_ray.core.python_code import has_code
from rrtf_ray.problems.python_source import split_of, with_modules
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem, ProblemKind, Test, TestKind

FIELDS = ("task_id", "prompt", "suffix", "entry_point", "canonical_solution", "test")

_log = logging.getLogger(__name__)


def convert(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row."""
    for number, row in enumerate(rows):
        if not number:
            _log.warning(
                "infilling: a response goes on to the end of the function; a middle alone, as the benchmark's own "
                "completions are, fails"
            )
        prompt, rest = row.text("prompt"), row.text("canonical_solution") + row.text("suffix")
        task_id = row.text("task_id")
        yield (
            row,
            Problem(
                id=task_id,
                prompt=prompt,
                kind=ProblemKind.FUNCTION,
                entry_point=row.text("entry_point"),
                tests=(Test(TestKind.CHECK, with_modules(row.text("test"), prompt + rest)),),
                reference=rest if has_code(rest) else f"\n{prompt}{rest}",
                split=split_of(task_id),
            ),
        )
