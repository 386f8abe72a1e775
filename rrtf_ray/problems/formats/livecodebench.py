"""LiveCodeBench (code_generation, code_generation_lite): problems of AtCoder, Codeforces and LeetCode.

The private tests are JSON, or packed (`packed`). There are no references. All of it is held out: it is a benchmark.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rrtf_ray.problems.formats.judged import judged_problem, listed
from rrtf_ray.problems.formats.packed import unpacked_text
from rrtf_ray.problems.formats.usable import usable
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem, Split

FIELDS = ("question_id", "question_content", "starter_code", "public_test_cases", "private_test_cases")


def convert(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row, with its public and its private tests."""
    return usable("livecodebench", rows, _problem)


def _problem(row: Row, number: int) -> Problem:
    tests = [test for name in ("public_test_cases", "private_test_cases") for test in _tests(row, name)]
    metadata = row.json("metadata") or {}
    name = metadata.get("func_name") if isinstance(metadata, dict) else None
    cases, function = listed(row, tests, name if isinstance(name, str) else "")
    return judged_problem(
        row,
        id=row.id("question_id"),
        statement=row.text("question_content"),
        cases=cases,
        function=function,
        starter=row.text("starter_code", ""),
        split=Split.HELD_OUT,
        date=row.date("contest_date"),
    )


def _tests(row: Row, name: str) -> list[Any]:
    value = row.fields.get(name)
    if isinstance(value, str) and value.strip() and value.lstrip()[0] not in "[{":
        try:
            value = json.loads(unpacked_text(value))
        except (ValueError, RecursionError) as error:
            raise row.error(f"the field {name!r} cannot be unpacked: {error}; fetch the file again") from error
    else:
        value = row.json(name)
    if value is not None and not isinstance(value, list):
        raise row.error(f"the field {name!r} is no list of tests; correct it")
    return value or []
