"""Sources, their errors, and our own data set."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rrtf_ray.errors import DataError, InputError
from rrtf_ray.problems import containers, format_of, load, read_manifest, read_problems, write_problems
from rrtf_ray.problems.source import _hub_parts, is_hub
from rrtf_ray.records import Problem
from tests.problems import rows

PACK: dict[str, Callable[[bytes], bytes]] = {
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: bytes(pa.compress(data, "zstd", asbytes=True)),
}


def ids(format_name: str, source: str) -> list[str]:
    return [problem.id for problem in load(format_name, source)]


def three() -> list[dict[str, Any]]:
    return [rows.humaneval(task_id=f"own/{i}") for i in range(3)]


@pytest.mark.parametrize(
    "kind",
    [
        *("jsonl", "list", "indented", "gzip", "gzip_without_name", "bom", "bom_list", "blank_lines", "uri", "bz2"),
        *("xz", "zst", "zip", "zip_of_gz", "parquet", "mapping", "indented_mapping"),
    ],
)
def test_sources(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    source = rows.write_jsonl(path, three())
    text = path.read_text(encoding="utf-8")
    if kind == "list":
        path.write_text(json.dumps(three()), encoding="utf-8")
    elif kind == "indented":
        path.write_text(json.dumps(three(), indent=2), encoding="utf-8")
    elif kind.startswith("gzip"):
        path = tmp_path / ("p.jsonl.gz" if kind == "gzip" else "p.jsonl")
        path.write_bytes(gzip.compress(text.encode()))
        source = str(path)
    elif kind == "bom_list":
        path.write_text("\ufeff\n" + json.dumps(three()), encoding="utf-8")
    elif kind in PACK:
        path.write_bytes(PACK[kind](text.encode()))
    elif kind.startswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("README.md", "Three rows.")
            if kind == "zip":
                archive.writestr("data/p.jsonl", text)
            else:
                archive.writestr("data/p.jsonl.gz", gzip.compress(text.encode()))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(three()), path)
    elif kind.endswith("mapping"):
        mapping = {row["task_id"]: without(row, "task_id") for row in three()}
        path.write_text(json.dumps(mapping, indent=1 if kind.startswith("indented") else None), encoding="utf-8")
    elif kind == "bom":
        path.write_text("\ufeff" + text, encoding="utf-8")
    elif kind == "blank_lines":
        path.write_text(text.replace("\n", "\r\n\r\n"), encoding="utf-8")
    elif kind == "uri":
        source = f"file://{path}"
    assert ids("humaneval", source) == ["own/0", "own/1", "own/2"]


def test_memory_filesystem() -> None:
    import fsspec

    with fsspec.open("memory://own/p.jsonl", "w") as stream:
        stream.write(json.dumps(rows.humaneval()) + "\n")
    assert ids("humaneval", "memory://own/p.jsonl") == ["own/0"]


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k != name}


@pytest.mark.parametrize(
    ("format_name", "row", "text"),
    [
        (
            "humaneval",
            without(rows.humaneval(), "test"),
            r"p\.jsonl:2: the field 'test' is missing; the row has task_id",
        ),
        (
            "humaneval",
            rows.humaneval(prompt=7),
            r"p\.jsonl:2: the field 'prompt' is 7 \(int\), expected a text",
        ),
        (
            "humaneval",
            rows.humaneval(task_id="good"),
            r"p\.jsonl:2: the id 'good' is already used at .*p\.jsonl:1",
        ),
        ("humaneval", rows.humaneval(test=" "), r"p\.jsonl.* has no code"),
        ("humaneval", rows.humaneval(entry_point=""), r"p\.jsonl.*problem 'own/0' .* has no entry_point"),
        (
            "humaneval",
            rows.humaneval(canonical_solution="    return (\n"),
            r"p\.jsonl:2: the reference of problem 'own/0' is not valid Python \('\(' was never closed",
        ),
        ("humaneval", [1], r"p\.jsonl:2: \[1\] \(list\) is not a JSON object"),
        ("mbpp", rows.mbpp(test_list=[]), r"p\.jsonl:2: problem 'mbpp/601' has no tests"),
        (
            "mbpp",
            rows.mbpp(test_list="assert 1"),
            r"p\.jsonl:2: the field 'test_list' is 'assert 1' \(str\), expected a list",
        ),
        ("mbpp", rows.mbpp(test_list=[1]), r"p\.jsonl:2: item 0 of the field 'test_list' is 1"),
        (
            "mbpp",
            rows.mbpp(task_id="x"),
            r"p\.jsonl:2: the field 'task_id' is 'x' \(str\), expected a number",
        ),
        (
            "mbpp",
            rows.mbpp(code="def half(x)\n"),
            r"p\.jsonl:2: the field 'code' is not valid Python \(expected ':'",
        ),
        (
            "mbpp",
            rows.mbpp(code="def other(x): pass\n"),
            r"the tests call half, twice, but the reference defines other",
        ),
        ("stdio", rows.stdio(outputs=["3"]), r"p\.jsonl:2: problem 'own/sum' has 2 inputs and 1 outputs"),
        ("stdio", rows.stdio(solution="print(1)\n"), r"p\.jsonl:2: there is no statement"),
        ("evalplus", rows.evalplus(base_input=[3]), r"p\.jsonl:2: input 0 is 3, expected a list"),
        (
            "evalplus",
            rows.evalplus(base_input=[], plus_input=[]),
            r"p\.jsonl:2: problem 'Mbpp/900' has no usable tests",
        ),
        (
            "evalplus",
            rows.evalplus(canonical_solution="def turned(t):\n    raise KeyError\n"),
            r"no usable tests \(3 reference raises\)",
        ),
        (
            "leetcode",
            rows.leetcode(completion="class Solution:\n  def"),
            r"p\.jsonl:2: the reference .* is not valid Python",
        ),
    ],
)
def test_a_wrong_row_is_named(format_name: str, row: Any, text: str, tmp_path: Path) -> None:
    good = {**getattr(rows, format_name)(), "task_id": 600 if format_name == "mbpp" else "good"}
    source = rows.write_jsonl(tmp_path / "p.jsonl", [good, row])
    with pytest.raises(DataError, match=text):
        list(load(format_name, source))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", r"p\.jsonl: the file is empty"),
        (b"\n\n", r"p\.jsonl: the file is empty"),
        (b'{"task_id": 1,\n', r"p\.jsonl:1 .*malformed JSON"),
        (f"[{json.dumps(rows.humaneval())},\n".encode(), r"p\.jsonl line \d: malformed JSON"),
        (json.dumps({"own/1": rows.humaneval()}, indent=1)[:-2].encode(), r"p\.jsonl line \d+: malformed JSON"),
        (bz2.compress(b'{"task_id": "x"}' * 99)[:-20], r"p\.jsonl: broken bzip2 data"),
        (lzma.compress(b'{"task_id": "x"}' * 99)[:-20], r"p\.jsonl: broken xz data"),
        (pa.compress(b'{"task_id": "x"}' * 99, "zstd", asbytes=True)[:-9], r"p\.jsonl: broken zstd data"),
        (b"PK\x03\x04broken", r"p\.jsonl: broken zip data"),
        (b"PAR1broken", r"p\.jsonl: cannot be read as Parquet"),
        (b"[" * 100_000, r"p\.jsonl line 1: malformed JSON \(nested too deep"),
        (b'{"task_id": "\xff"}\n', r"p\.jsonl:1: not UTF-8 \(byte 13 is 0xff\)"),
        (b"\x1f\x8b\x00broken", r"p\.jsonl: broken gzip data"),
        (gzip.compress(b'{"task_id": "x"}' * 99, mtime=0)[:-20], r"p\.jsonl: broken gzip data"),
    ],
)
def test_a_broken_file_is_named(data: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(data)
    with pytest.raises(DataError, match=text):
        list(load("humaneval", str(tmp_path / "p.jsonl")))


def test_a_list_or_an_object_on_one_line_is_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No value is longer than the limit, but the line is."""
    monkeypatch.setattr(containers, "MAX_VALUE", 1000)
    monkeypatch.setattr(containers, "_CHUNK", 100)
    many = [rows.humaneval(task_id=f"ü/{i}") for i in range(20)]
    path = tmp_path / "p.json"
    for value in (many, {row["task_id"]: row for row in many}):
        path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        assert ids("humaneval", str(path)) == [f"ü/{i}" for i in range(20)]
    path.write_text(json.dumps([rows.humaneval(prompt="x" * 2000)]))
    with pytest.raises(DataError, match=r"p\.json line 1: malformed JSON \(no value ends within"):
        ids("humaneval", str(path))
    rows.write_jsonl(path, [rows.humaneval(), rows.humaneval(prompt="x" * 2000)])
    with pytest.raises(DataError, match=r"p\.json:2: the line is longer than .* write one row a line"):
        ids("humaneval", str(path))


def test_parquet_of_other_people(tmp_path: Path) -> None:
    path = str(tmp_path / "test-00000-of-00001.parquet")
    pq.write_table(pa.Table.from_pylist([{**row, "language": None} for row in three()]), path)
    assert format_of(path) == "humaneval"
    assert ids("auto", path) == ["own/0", "own/1", "own/2"]
    with pytest.raises(DataError, match=r"parquet:row 1: the format 'parquet' needs the field 'id', .*'humaneval'"):
        ids("parquet", path)
    pq.write_table(pa.Table.from_pylist([three()[0], {**three()[1], "test": None}]), path)
    with pytest.raises(DataError, match=r"parquet:row 2: the field 'test' is missing"):
        ids("auto", path)
    pq.write_table(pa.Table.from_pylist(three()), path)
    packed = tmp_path / "p.gz"
    packed.write_bytes(gzip.compress(Path(path).read_bytes()))
    assert ids("auto", str(packed)) == ["own/0", "own/1", "own/2"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("absent/p.jsonl", "cannot be read .*check the path"),
        ("nosuch://x/p.jsonl", "nosuch"),
        ("hf:a:b:c:d", r"hf:org/name\[:config\]\[:split\]"),
    ],
)
def test_a_source_that_cannot_be_opened(source: str, text: str) -> None:
    with pytest.raises(DataError, match=text):
        list(load("humaneval", source))


def test_a_wrong_format_is_guessed(tmp_path: Path) -> None:
    source = rows.write_jsonl(tmp_path / "p.jsonl", [rows.mbpp()])
    with pytest.raises(DataError, match=r"p\.jsonl:1: .*'humaneval' needs .*; it looks like the format 'mbpp'"):
        list(load("humaneval", source))
    source = rows.write_jsonl(tmp_path / "q.jsonl", [{"question": 1}])
    with pytest.raises(DataError, match="it has question"):
        list(load("humaneval", source))
    with pytest.raises(DataError, match="unknown problem format 'nosuch'; valid are auto, evalplus, "):
        list(load("nosuch", source))


def test_hub_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _hub_parts("hf:openai/x") == ("openai/x", None, None)
    assert _hub_parts("hf:openai/x:test") == ("openai/x", None, "test")
    assert _hub_parts("hf:openai/x:full:test") == ("openai/x", "full", "test")
    assert _hub_parts("openai/x") == ("openai/x", None, None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert is_hub("openai/x")
    assert not is_hub("data/x")  # a file that is missing, not a data set
    assert not is_hub("openai/x.jsonl")
    assert not is_hub("s3://openai/x")


def test_hub_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # as if it were not installed
    with pytest.raises(DataError, match=r"pip install 'rrtf-ray\[hub\]'"):
        list(load("humaneval", "hf:openai/x"))


def own_problems(tmp_path: Path, count: int) -> list[Problem]:
    source = rows.write_jsonl(tmp_path / "p.jsonl", [rows.humaneval(task_id=f"own/{i}") for i in range(count)])
    return list(load("humaneval", source))


def test_data_set_round_trip(tmp_path: Path) -> None:
    problems = own_problems(tmp_path, 2500)
    manifest = write_problems(iter(problems), str(tmp_path / "set"), format_name="humaneval", source="p.jsonl")
    assert sorted(p.name for p in (tmp_path / "set").iterdir()) == ["_manifest.json", *manifest["parts"]]
    assert len(manifest["parts"]) == 3
    assert manifest["num_problems"] == 2500
    assert read_manifest(str(tmp_path / "set")) == manifest
    assert list(read_problems(str(tmp_path / "set"))) == problems
    assert list(load("parquet", str(tmp_path / "set"))) == problems
    assert len(list(load("parquet", str(tmp_path / "set" / manifest["parts"][2])))) == 500


def test_a_data_set_of_version_0_1_is_read_and_replaced(tmp_path: Path) -> None:
    """Its manifest had another name."""
    folder = tmp_path / "set"
    problems = own_problems(tmp_path, 3)
    write_problems(problems, str(folder))
    (folder / "_manifest.json").rename(folder / "manifest.json")
    assert format_of(str(folder)) == "parquet"
    assert list(read_problems(str(folder))) == problems
    write_problems(problems[:1], str(folder))
    assert list(read_problems(str(folder))) == problems[:1]
    assert not (folder / "manifest.json").exists()


def test_a_data_set_is_replaced_whole(tmp_path: Path) -> None:
    problems = own_problems(tmp_path, 1500)
    first = write_problems(problems, str(tmp_path / "set"))
    again = write_problems(problems[:3], str(tmp_path / "set"))
    assert list(read_problems(str(tmp_path / "set"))) == problems[:3]
    assert sorted(p.name for p in (tmp_path / "set").iterdir()) == ["_manifest.json", *again["parts"]]
    assert first["sha256"] != again["sha256"]
    assert write_problems(problems[:3], str(tmp_path / "other"))["sha256"] == again["sha256"]


def test_a_data_set_without_manifest_is_not_complete(tmp_path: Path) -> None:
    def breaks() -> Any:
        yield from own_problems(tmp_path, 1200)
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="broke"):
        write_problems(breaks(), str(tmp_path / "set"))
    with pytest.raises(InputError, match="no complete problem data set"):
        list(read_problems(str(tmp_path / "set")))


def test_data_set_errors(tmp_path: Path) -> None:
    problems = own_problems(tmp_path, 2)
    with pytest.raises(DataError, match="two problems have the id 'own/0'"):
        write_problems([problems[0], problems[0]], str(tmp_path / "set"))
    with pytest.raises(DataError, match="no problems to write"):
        write_problems([], str(tmp_path / "set"))
    manifest = write_problems(problems, str(tmp_path / "set"))
    with pytest.raises(DataError, match="two problems have the id"):
        write_problems([problems[0], problems[0]], str(tmp_path / "set"))
    assert list(read_problems(str(tmp_path / "set"))) == problems  # a failed import leaves the old data set whole
    write_problems(read_problems(str(tmp_path / "set")), str(tmp_path / "set"))  # onto itself
    manifest = read_manifest(str(tmp_path / "set"))
    (tmp_path / "set" / manifest["parts"][0]).write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"part-00000-.*\.parquet: cannot be read as Parquet"):
        list(read_problems(str(tmp_path / "set")))
