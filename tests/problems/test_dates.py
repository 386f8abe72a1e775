"""When problems were published: from which fields that is known, and what is said of dates that are none."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rrtf_ray.errors import DataError
from rrtf_ray.problems import load, read_problems, write_problems
from rrtf_ray.records import Problem
from tests.problems import rows
from tests.problems.public_rows import public_row
from tests.records_for_tests import problem


def row(name: str, **changes: Any) -> dict[str, Any]:
    own = {"leetcode": rows.leetcode, "humaneval": rows.humaneval, "mbpp": rows.mbpp, "stdio": rows.stdio}
    return own[name](**changes) if name in own else public_row(name, **changes)


def load_one(folder: Path, name: str, **changes: Any) -> Problem:
    [found] = load(name, rows.write_jsonl(folder / "own.jsonl", [row(name, **changes)]))
    return found


@pytest.mark.parametrize(
    ("name", "field", "value", "found"),
    [
        ("leetcode", "estimated_date", "2024-09-01", "2024-09-01"),
        ("leetcode", "estimated_date", None, ""),
        ("leetcode", "estimated_date", "", ""),
        ("livecodebench", "contest_date", "2023-08-21T00:00:00", "2023-08-21"),
        ("livecodebench", "contest_date", "2023-08-21 23:30:00+00:00", "2023-08-21"),
        ("codeforces", "contest_start", 1735651500, "2024-12-31"),
        ("codeforces", "contest_start", None, ""),
        ("humaneval", "date", "2024-02-29", "2024-02-29"),
        ("mbpp", "date", "2024-02-29", "2024-02-29"),
        ("stdio", "date", "2024-02-29", "2024-02-29"),
    ],
)
def test_dates_of_the_formats(tmp_path: Path, name: str, field: str, value: Any, found: str) -> None:
    assert load_one(tmp_path, name, **{field: value}).date == found


@pytest.mark.parametrize("name", ["humaneval", "mbpp", "stdio", "livecodebench", "codeforces", "apps"])
def test_rows_without_a_date_have_none(tmp_path: Path, name: str) -> None:
    assert load_one(tmp_path, name).date == ""


@pytest.mark.parametrize("value", [datetime(2024, 9, 1, 12, 30), date(2024, 9, 1)])
def test_dates_of_parquet(tmp_path: Path, value: date) -> None:
    place = str(tmp_path / "own.parquet")
    pq.write_table(pa.Table.from_pylist([rows.leetcode(estimated_date=value)]), place)
    assert [found.date for found in load("leetcode", place)] == ["2024-09-01"]


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("leetcode", "estimated_date", "2024-02-30"),
        ("leetcode", "estimated_date", "20240901"),
        ("leetcode", "estimated_date", "2024-W36-1"),
        ("leetcode", "estimated_date", "2024-09-01 or so"),
        ("leetcode", "estimated_date", 20240901),
        ("livecodebench", "contest_date", "21/08/2023"),
        ("humaneval", "date", "May 2024"),
        ("codeforces", "contest_start", 1e300),
        ("codeforces", "contest_start", "2024-12-31"),
    ],
)
def test_a_date_that_is_none_is_told_with_its_place(tmp_path: Path, name: str, field: str, value: Any) -> None:
    with pytest.raises(DataError, match=rf"own\.jsonl:1: the field '{field}' is ") as raised:
        load_one(tmp_path, name, **{field: value})
    assert str(value)[:8] in str(raised.value)


def test_a_problem_has_a_day_or_nothing() -> None:
    assert problem(date="2024-12-31").date == "2024-12-31"
    for wrong in ("2024-12-32", "2024-12-31T00:00:00", "20241231", " "):
        with pytest.raises(DataError, match=r"problem 'p/0' has the date .*; give YYYY-MM-DD"):
            problem(date=wrong)


def test_a_data_set_keeps_dates_and_its_hash_does_not_change_with_them(tmp_path: Path) -> None:
    dated = [problem("p/0", date="2024-12-31"), problem("p/1")]
    plain = [replace(one, date="") for one in dated]
    first, second = (
        write_problems(its, str(tmp_path / name))["sha256"] for name, its in (("dated", dated), ("plain", plain))
    )
    assert first == second
    assert list(read_problems(str(tmp_path / "dated"))) == dated


def test_a_data_set_of_before_problems_had_dates_is_read(tmp_path: Path) -> None:
    place = tmp_path / "before"
    write_problems([problem("p/0")], str(place))
    for part in place.glob("part-*"):
        pq.write_table(pq.read_table(part).drop_columns(["date"]), part)
    assert list(read_problems(str(place))) == [problem("p/0")]


def test_public_leetcode_problems_have_dates() -> None:
    found = [one.date for one in load("leetcode", rows.shared_file("problems/LeetCodeDataset-v0.3.1-test.jsonl"))]
    assert (min(found), max(found), sum(day >= "2025-01-01" for day in found)) == ("2024-08-04", "2025-03-30", 84)
