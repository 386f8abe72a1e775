"""APPS and TACO: competition problems, with their tests in `input_output` and solutions, both as JSON.

A row without tests is left out. The reference is the first solution that is Python 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rrtf_ray.errors import DataError
from rrtf_ray.problems.formats.judged import is_wrapped, judged_problem, paired
from rrtf_ray.problems.formats.usable import Unusable, usable
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem

FIELDS = ("question", "input_output", "solutions")


def convert(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row that has tests; TACO, which has no ids, is numbered from 0."""
    return usable("apps", rows, _problem)


def _problem(row: Row, number: int) -> Problem:
    try:
        tests = row.json("input_output")
    except DataError as error:  # a few of APPS have numbers of more digits than Python reads
        raise Unusable(str(error)) from error
    cases, function = paired(row, tests or {})
    return judged_problem(
        row,
        id=f"apps/{row.id('problem_id', 'id', default=str(number))}",
        statement=row.text("question"),
        cases=cases,
        function=function,
        starter=row.text("starter_code", ""),
        solutions=solutions_of(row, "solutions"),
        wrapped=is_wrapped(function, cases),
    )


def solutions_of(row: Row, name: str) -> list[str]:
    """The texts of a field that is a list, a text of JSON with one, or one solution."""
    value: Any = row.fields.get(name)
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        value = row.json(name)
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
