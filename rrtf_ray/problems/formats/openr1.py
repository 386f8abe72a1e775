"""The sets of open-r1: codeforces, and verifiable-coding-problems (with `verification_info`)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rrtf_ray.problems.formats.judged import judged_problem, listed
from rrtf_ray.problems.formats.usable import unusable, usable
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem

CODEFORCES_FIELDS = ("id", "title", "description", "input_format", "output_format", "official_tests")
VERIFIABLE_FIELDS = ("prompt", "gold_standard_solution", "verification_info")

_PARTS = (("description", ""), ("input_format", "Input"), ("output_format", "Output"), ("note", "Note"))


def codeforces(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row; left out are those with programs that read files, or that need a checker program."""
    return usable("codeforces", rows, _codeforces)


def verifiable(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row in Python."""
    return usable("verifiable-coding-problems", rows, _verifiable)


def _codeforces(row: Row, number: int) -> Problem:
    if row.fields.get("generated_checker"):
        raise unusable(row, "'generated_checker' is a program that reads files, which no test can be; remove the row")
    if row.fields.get("interaction_format"):
        raise unusable(row, "it is interactive ('interaction_format'), which no test can be; remove the row")
    if row.text("input_mode", "stdio") != "stdio":
        raise unusable(row, f"input_mode={row.fields['input_mode']!r} is not 'stdio'; remove the row")
    parts = [f"{title}\n{row.text(name)}" for name, title in _PARTS if row.fields.get(name)]
    examples, _ = listed(row, row.json("examples") or [])
    parts += [f"Example\n{given}\n\n{value}" for given, value in examples]
    official = row.json("official_tests")
    cases = listed(row, official)[0] if official else examples
    return judged_problem(row, id=row.id("id"), statement="\n\n".join(parts), cases=cases, date=_day(row))


def _day(row: Row) -> str:
    """Of `contest_start`, in seconds since 1970, in UTC; empty where that is missing."""
    if row.fields.get("contest_start") is None:
        return ""
    seconds = row.number("contest_start")
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise row.error(
            f"the field 'contest_start' is {seconds!r}, no time in seconds since 1970; correct or remove it"
        ) from error


def _verifiable(row: Row, number: int) -> Problem:
    info = row.json("verification_info") or {}
    if not isinstance(info, dict) or not isinstance(info.get("test_cases"), list):
        raise unusable(row, "'verification_info' has no list 'test_cases'; add it or remove the row")
    if str(info.get("language") or "python").lower() not in ("python", "python3"):
        raise unusable(row, f"its language is {info['language']!r}, and Python is read only; remove the row")
    cases, function = listed(row, info["test_cases"])
    return judged_problem(
        row,
        id=row.id("problem_id", default=f"verifiable/{number}"),
        statement=row.text("prompt"),
        cases=cases,
        function=function,
        solutions=[row.text("gold_standard_solution", "")],
        wrapped=bool(function) and all(isinstance(value, list) and len(value) == 1 for _, value in cases),
    )
