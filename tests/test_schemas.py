"""Records survive the way to Arrow, Parquet and back, and a wrong row is named precisely."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rrtf_ray import records
from rrtf_ray.errors import DataError
from rrtf_ray.records import (
    Candidate,
    Group,
    Language,
    Outcome,
    Problem,
    ProblemKind,
    RankedCandidate,
    Ranking,
    Reason,
    Sampling,
    Source,
    Split,
    Test,
    TestKind,
    TestStatus,
    Verdict,
)
from rrtf_ray.schemas import from_row, from_table, schema_of, to_row, to_table
from rrtf_ray.store.rows import RowStore


def make_problem(name: str = "add") -> Problem:
    return Problem(
        id=f"own/{name}",
        prompt="def add(a, b):\n",
        kind=ProblemKind.FUNCTION,
        entry_point="add",
        tests=(
            Test(TestKind.ASSERT, "assert add(1, 2) == 3"),
            Test(TestKind.VALUE, "(1, 2)", "3", atol=1e-6),
        ),
        split=Split.HELD_OUT,
    )


def make_group(name: str = "add", num_candidates: int = 3) -> Group:
    verdict = Verdict(Outcome.PASSED, (TestStatus.PASSED, TestStatus.PASSED), 0.25)
    sampling = Sampling(temperature=0.8, top_p=0.95, max_tokens=64, seed=2**40)
    candidates = tuple(
        Candidate(
            id=f"s{i}",
            source=Source.STUDENT,
            model="own",
            response="    return a + b\n",
            completion="    return a + b\n",
            program="def add(a, b):\n    return a + b\n",
            finish_reason="stop",
            sampling=sampling if i % 2 else None,
            verdict=verdict if i else None,
        )
        for i in range(num_candidates)
    )
    return Group(make_problem(name), candidates)


def make_ranking() -> Ranking:
    places = [
        RankedCandidate("t0", Source.TEACHER, "x", Outcome.PASSED, 1.0, 1.0, 0.1, 0.0, 1.1),
        RankedCandidate("s0", Source.STUDENT, "y", Outcome.FAILED, 0.5, -0.3, 0.0, 0.0, -0.3),
    ]
    return Ranking("own/add", "p", tuple(places))


@pytest.mark.parametrize(
    "record",
    [
        make_problem(),
        dataclasses.replace(make_problem(), language=Language.JAVASCRIPT),
        make_group(),
        make_ranking(),
        Ranking("own/none", "p", (), Reason.TOO_FEW, dropped=2),
        Group(make_problem(), (), error="the engine died"),
    ],
    ids=["problem", "javascript", "group", "ranking", "empty_ranking", "empty_group"],
)
def test_round_trip_through_parquet(record: Any, tmp_path: Path) -> None:
    table = to_table([record, record], type(record))
    assert table.schema.equals(schema_of(type(record)))
    pq.write_table(table, tmp_path / "t.parquet")
    back = pq.read_table(tmp_path / "t.parquet")
    assert back.schema.equals(schema_of(type(record)))
    assert from_table(type(record), back) == [record, record]


def test_every_record_has_a_schema() -> None:
    classes = [c for c in vars(records).values() if isinstance(c, type) and dataclasses.is_dataclass(c)]
    assert len(classes) >= 8
    for cls in classes:
        assert schema_of(cls).names == [f.name for f in dataclasses.fields(cls)]


def test_schema_types() -> None:
    schema = schema_of(Group)
    candidate = schema.field("candidates").type.value_type
    assert candidate.field("sampling").type.field("seed").type == pa.int64()
    assert candidate.field("verdict").type.field("tests").type == pa.list_(pa.string())
    assert schema_of(Problem).field("kind").type == pa.string()


def test_row_is_plain_python() -> None:
    row = to_row(make_problem())
    assert type(row["kind"]) is str
    assert type(row["tests"]) is list
    assert type(row["tests"][0]["atol"]) is float
    assert from_row(Problem, row) == make_problem()


def test_numpy_values_are_accepted() -> None:
    row = to_row(make_group())
    row["candidates"] = np.array(row["candidates"], dtype=object)
    row["candidates"][1]["preference"] = np.float32(0.5)
    row["candidates"][1]["sampling"]["seed"] = np.int64(7)
    group = from_row(Group, row)
    assert group.candidates[1].preference == 0.5
    assert type(group.candidates[1].sampling.seed) is int  # type: ignore[union-attr]


def test_missing_keys_with_defaults_are_tolerated() -> None:
    row = to_row(make_problem())
    del row["setup"], row["split"], row["tests"][0]["atol"]
    row["reference"] = None  # what Ray Data puts where one block lacked the column
    problem = from_row(Problem, row)
    assert (problem.setup, problem.split, problem.reference) == ("", Split.TRAIN, "")


@pytest.mark.parametrize(("record", "id_column"), [(make_problem(), "id"), (make_group(), "problem.id")])
def test_parquet_of_before_there_were_languages_is_read(record: Any, id_column: str, tmp_path: Path) -> None:
    rows = [to_row(record)]
    old = pa.Table.from_pylist([without(row, "language") for row in rows])
    assert "language" not in str(old.schema)
    pq.write_table(old, tmp_path / "part-0.parquet")
    assert from_table(type(record), pq.read_table(tmp_path / "part-0.parquet")) == [record]
    [back] = RowStore(str(tmp_path), type(record), id_column).read()
    assert back == record
    assert (back.problem if id_column != "id" else back).language is Language.PYTHON


def without(value: Any, name: str) -> Any:
    """A row without a key, however deep it lies."""
    if isinstance(value, dict):
        return {key: without(item, name) for key, item in value.items() if key != name}
    return [without(item, name) for item in value] if isinstance(value, list) else value


def test_a_javascript_problem_has_no_unittest() -> None:
    test = Test(TestKind.UNITTEST, "class T(unittest.TestCase):\n    pass\n")
    assert dataclasses.replace(make_problem(), tests=(test,)).tests == (test,)
    with pytest.raises(DataError, match=r"'own/add' is in JavaScript .* 'unittest', .*; give tests of kind check"):
        dataclasses.replace(make_problem(), tests=(*make_problem().tests, test), language=Language.JAVASCRIPT)


def edited(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**row, **changes}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"promt": "x"}, r"Problem: unknown promt; valid are .*prompt"),
        ({"id": 7}, r"Problem\.id: 7 is of type int, expected a text"),
        ({"id": None}, r"Problem\.id: None is null, expected a text"),
        ({"kind": "stdin"}, r"Problem\.kind: 'stdin' is not one of function, stdio"),
        ({"kind": ["stdio"]}, r"Problem\.kind: .* is not one of function, stdio"),
        ({"language": "lua"}, r"Problem\.language: 'lua' is not one of python, javascript"),
        ({"tests": "assert 1"}, r"Problem\.tests: 'assert 1' is of type str, expected a list"),
        (
            {"tests": [{"kind": "assert", "code": "x"}, {"kind": "asert", "code": "x"}]},
            r"tests\[1\]\.kind: 'asert'",
        ),
        ({"tests": [{"kind": "assert"}]}, r"Problem\.tests\[0\]: missing code; the row has kind"),
        ({"tests": [3]}, r"Problem\.tests\[0\]: 3 is of type int, expected a row"),
        ({"tests": []}, r"has no tests"),
    ],
)
def test_a_wrong_row_is_named(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError, match=text):
        from_row(Problem, edited(to_row(make_problem()), **changes))


def test_missing_keys_are_named() -> None:
    row = to_row(make_problem())
    del row["prompt"], row["id"]
    with pytest.raises(DataError, match="missing id, prompt"):
        from_row(Problem, row)


@pytest.mark.parametrize(("value", "text"), [(True, "an integer"), (1.5, "an integer"), ("1", "an integer")])
def test_numbers_are_not_guessed(value: Any, text: str) -> None:
    row = edited(to_row(make_ranking()), dropped=value)
    with pytest.raises(DataError, match=text):
        from_row(Ranking, row)


def test_an_integer_beyond_64_bits() -> None:
    sampling = Sampling(1.0, 1.0, 1, 2**70)
    with pytest.raises(DataError, match="does not fit"):
        to_table([sampling], Sampling)


def test_lone_surrogates_become_replacement_characters() -> None:
    verdict = Verdict(Outcome.FAILED, detail="caf\u00e9 \ud800 \U0001f600")
    table = to_table([verdict], Verdict)
    assert from_table(Verdict, table)[0].detail == "caf\u00e9 \ufffd \U0001f600"


def test_an_annotation_without_arrow_type() -> None:
    @dataclass(frozen=True)
    class Odd:
        x: dict[str, int]

    Odd.__annotations__["x"] = dict[str, int]
    with pytest.raises(TypeError, match="no Arrow type"):
        schema_of(Odd)


def test_speed() -> None:
    groups = [make_group(str(i), num_candidates=10) for i in range(300)]
    start = time.process_time()
    rows = [to_row(group) for group in groups]
    assert [from_row(Group, row) for row in rows] == groups
    # About 0.2 ms a group here; the bound only catches a lookup of type hints per row.
    assert time.process_time() - start < 3
