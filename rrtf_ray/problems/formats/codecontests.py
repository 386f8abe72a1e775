"""CodeContests of DeepMind, as the Hub has it: public, private and generated tests, and solutions in several languages.

Tests and solutions are objects of lists, or lists of objects. The reference is the first solution in Python 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rrtf_ray.problems.formats.judged import judged_problem
from rrtf_ray.problems.formats.usable import unusable, usable
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem

FIELDS = ("name", "description", "public_tests", "private_tests", "generated_tests", "solutions")

_PYTHON3 = 3


def convert(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row that has tests and works on standard input and output."""
    return usable("codecontests", rows, _problem)


def _problem(row: Row, number: int) -> Problem:
    if row.fields.get("input_file") or row.fields.get("output_file"):
        raise unusable(row, "its programs read or write a file ('input_file', 'output_file'); remove the row")
    cases: list[tuple[Any, Any]] = []
    for name in ("public_tests", "private_tests", "generated_tests"):
        cases += _pairs(row, name, "input", "output")
    solutions = _pairs(row, "solutions", "language", "solution")
    return judged_problem(
        row,
        id=row.text("name"),
        statement=row.text("description"),
        cases=cases,
        solutions=[str(text) for language, text in solutions if language in (_PYTHON3, "PYTHON3")],
    )


def _pairs(row: Row, name: str, first: str, second: str) -> list[tuple[Any, Any]]:
    value = row.json(name) or []
    if isinstance(value, dict):
        firsts, seconds = value.get(first), value.get(second)
        if isinstance(firsts, list) and isinstance(seconds, list) and len(firsts) == len(seconds):
            return list(zip(firsts, seconds, strict=True))
    elif isinstance(value, list) and all(isinstance(one, dict) and {first, second} <= one.keys() for one in value):
        return [(one[first], one[second]) for one in value]
    raise row.error(f"the field {name!r} has no lists {first!r} and {second!r} of one length; correct it")
