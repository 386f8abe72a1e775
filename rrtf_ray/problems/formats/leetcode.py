"""LeetCodeDataset: a class `Solution` with one method, checked by `check(candidate)`.

The statement goes into a docstring before the starter code, so that a base model continues with the method's
body; the imports and helpers (ListNode, TreeNode ...) that LeetCode grants silently become the set-up.
"""

from __future__ import annotations

from collections.abc import Iterator

from rrtf_ray.problems.python_source import docstring
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem, ProblemKind, Split, Test, TestKind

FIELDS = ("task_id", "problem_description", "starter_code", "entry_point", "test", "completion")

# The data set's own border between its train and its test split.
_HELD_OUT_FROM = "2024-07-01"


def convert(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row."""
    for row in rows:
        date = row.date("estimated_date")
        yield (
            row,
            Problem(
                id=row.text("task_id"),
                # The starter code ends with the body's indentation; a model writes that itself.
                prompt=docstring(row.text("problem_description")) + row.text("starter_code").rstrip() + "\n",
                kind=ProblemKind.FUNCTION,
                entry_point=row.text("entry_point"),
                tests=(Test(TestKind.CHECK, row.text("test")),),
                reference=row.text("completion", ""),
                setup=row.text("prompt", ""),
                split=Split.HELD_OUT if date >= _HELD_OUT_FROM else Split.TRAIN,
                date=date,
            ),
        )
