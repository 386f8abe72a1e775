"""A file of problems or samples is data: whatever code is in it, no field of it does anything outside the sandbox.

Every format, with a row whose every field in turn holds code that would write a file and open a connection.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rrtf_ray.errors import RRTFError
from rrtf_ray.problems import FORMATS, load, read_problems, write_problems
from rrtf_ray.problems.check import CheckReport, check_references
from rrtf_ray.records import Problem, Test, TestKind
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.schemas import from_row, to_row
from rrtf_ray.verify import verify
from tests.problems import rows
from tests.problems.public_rows import NAMED, PUBLIC, public_row

LIMITS = Limits(wall_s=10.0, cpu_s=2.0, memory_mb=512)
Row = dict[str, Any]

ONE_EACH: dict[str, Callable[..., Row]] = {
    "humaneval": rows.humaneval,
    "humaneval-javascript": rows.humaneval_javascript,
    "mbpp": rows.mbpp,
    "mbpp-challenge": rows.mbpp,
    "leetcode": rows.leetcode,
    "stdio": rows.stdio,
    "evalplus": rows.evalplus,
    **{name: partial(public_row, name) for name in PUBLIC | NAMED},
}
# Fields that the formats read but the small rows do not have.
OPTIONAL: dict[str, Row] = {
    "humaneval": {"language": "python"},
    "mbpp": {"test_imports": ["import math"], "prompt": "Halve.", "language": "python"},
    "stdio": {"prompt": "Add.", "question": "Add.", "description": "Add.", "checker": "", "language": "python"},
    "evalplus": {"test": "", "base_input": [["a"]]},
}


class Outside:
    """What a payload could reach without a sandbox: a folder that everybody may write to, and a listening socket."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="outside-"))
        self.folder.chmod(0o777)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self._numbers = itertools.count()

    def payload(self, name: str) -> str:
        """An expression, so that it does its work in any place of a source; `name` tells which one it was."""
        marker, port = str(self.folder / f"{name}-{next(self._numbers)}"), self._server.getsockname()[1]
        connect = f'__import__("socket").create_connection(("127.0.0.1", {port}), 2)'
        return f'[open({marker!r}, "w").close(), {connect}]'

    def javascript(self, name: str) -> str:
        marker = str(self.folder / f"{name}-{next(self._numbers)}")
        return f'require("fs").writeFileSync({json.dumps(marker)}, "")'

    def traces(self) -> list[str]:
        found = [path.name for path in self.folder.iterdir()]
        try:
            self._server.accept()[0].close()
            found.append("a connection")
        except BlockingIOError:
            pass
        return found

    def close(self) -> None:
        self._server.close()
        shutil.rmtree(self.folder)


@pytest.fixture
def outside() -> Iterator[Outside]:
    found = Outside()
    yield found
    found.close()


def test_the_payload_does_its_work_where_it_is_executed(outside: Outside) -> None:
    done = subprocess.run([sys.executable, "-c", f"x = {outside.payload('here')}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert outside.traces() == ["here-0", "a connection"]


def hostile(value: Any, payload: str) -> Iterator[Any]:
    """The value with the payload in its place, before it, after it, and around it as an expression."""
    if isinstance(value, str):
        yield payload
        yield f"{payload}\n{value}"
        yield f"{value}\n{payload}\n"
        if value and "\n" not in value:
            yield f"({payload}, {value})[1]"
        if value[:1] in ("[", "{") and value[-1:] in ("]", "}"):
            with contextlib.suppress(ValueError):
                yield from map(json.dumps, hostile(json.loads(value), payload))
    elif isinstance(value, list):
        yield payload
        for changed in hostile(value[0], payload) if value else ():
            yield [changed, *value[1:]]
    elif isinstance(value, dict):
        yield payload
        for key, inner in value.items():
            for changed in hostile(inner, payload):
                yield {**value, key: changed}
    else:
        yield payload


def hostile_rows(name: str, outside: Outside) -> Iterator[Row]:
    """The row of this name with every field in turn made hostile, each under an id of its own where it has a text."""
    row = {**ONE_EACH[name](), **OPTIONAL.get(name.removesuffix("-challenge"), {})}
    make = outside.javascript if "javascript" in name else outside.payload
    for field, value in row.items():
        for number, changed in enumerate(hostile(value, make(f"{name}-{field}"))):
            other = {**row, field: changed}
            if field != "task_id" and name not in PUBLIC | NAMED:
                other["task_id"] = 601 + number if name.startswith("mbpp") else f"{field}/{number}"
            yield other


def format_of_row(name: str) -> str:
    return name.split()[0].removesuffix("-javascript")


@pytest.mark.parametrize("name", ONE_EACH)
def test_no_field_of_a_row_runs_outside_the_sandbox(name: str, outside: Outside, tmp_path: Path) -> None:
    if "javascript" in name and not shutil.which("node"):
        pytest.skip("there is no node here")
    format_name = format_of_row(name)
    problems: dict[str, Problem] = {}
    for row in hostile_rows(name, outside):
        source = rows.write_jsonl(tmp_path / "p.jsonl", [row])
        try:
            found = list(load(format_name, source))
        except RRTFError:
            continue  # refused, which is as good
        number = len(problems)
        problems |= {f"{number}": from_row(Problem, {**to_row(problem), "id": f"p/{number}"}) for problem in found}
        assert not outside.traces(), row
    assert len(problems) > 3
    write_problems(problems.values(), str(tmp_path / "set"))
    report = CheckReport()
    with Sandbox(LIMITS) as sandbox:
        checked = list(check_references(read_problems(str(tmp_path / "set")), sandbox, report))
    assert [problem for problem, _ in checked] == list(problems.values())
    assert not outside.traces(), report


@pytest.mark.parametrize("name", [*ONE_EACH, "parquet"])
def test_no_sample_and_no_problem_of_a_verified_file_runs_outside_the_sandbox(
    name: str, outside: Outside, tmp_path: Path
) -> None:
    if "javascript" in name and not shutil.which("node"):
        pytest.skip("there is no node here")
    row = ONE_EACH["humaneval" if name == "parquet" else name]()
    make = outside.javascript if "javascript" in name else outside.payload
    # In what is run, so that the file is accepted and the rest of the line is reached.
    run = {"canonical_solution", "code", "completion", "solution", "solution_code"}
    for field in {"suffix"} if name == "infilling" else run & row.keys():
        row[field] = f"{row[field]}\n{make(field)}\n"
    if "contract" in row:
        row["contract"] += f"  assert {make('contract')}\n"
    problems = rows.write_jsonl(tmp_path / "p.jsonl", [row])
    format_name = "humaneval" if name == "parquet" else format_of_row(name)
    task_id = next(load(format_name, problems)).id
    if name == "parquet":
        problems = str(tmp_path / "set")
        write_problems(load("humaneval", str(tmp_path / "p.jsonl")), problems)
    body = "    return x\n" if "javascript" not in name else " return x }\n"
    payloads = [make("sample"), f"{make('line')}\n{body}", f"{body}\n{make('after')}\n"]
    samples = [{"task_id": task_id, key: text} for key in ("completion", "solution") for text in payloads]
    samples += [{"task_id": task_id, "samples": payloads}]
    path = rows.write_jsonl(tmp_path / "s.jsonl", samples)
    verify(problems, path, workers=1, format="parquet" if name == "parquet" else format_name)
    assert len((tmp_path / "s.results.jsonl").read_text().splitlines()) == 9
    assert not outside.traces()
    for field in ("task_id", "prompt", "samples"):
        path = rows.write_jsonl(tmp_path / f"{field}.jsonl", [{**samples[0], field: make(field)}])
        with pytest.raises(RRTFError) if field != "prompt" else tempfile.TemporaryDirectory():
            verify(problems, path, workers=1, format="parquet" if name == "parquet" else format_name)
        assert not outside.traces()


def test_no_field_of_a_data_set_of_ours_runs_outside_the_sandbox(outside: Outside, tmp_path: Path) -> None:
    [problem] = load("humaneval", rows.write_jsonl(tmp_path / "p.jsonl", [rows.humaneval()]))
    problems: list[Problem] = []
    row = to_row(problem)
    for field, value in row.items():
        for changed in hostile(value, outside.payload(f"parquet-{field}")):
            try:
                problems.append(from_row(Problem, {**row, field: changed, "id": f"p/{len(problems)}"}))
            except (RRTFError, AttributeError, TypeError, ValueError):
                continue
    values = to_row(replace(problem, tests=(Test(TestKind.VALUE, "(2,)", "6", checker="def check(*_): return True"),)))
    for tests in (row["tests"], values["tests"]):
        for field in ("code", "expected", "checker"):
            for changed in hostile(tests[0][field], outside.payload(f"parquet-test-{field}")):
                try:
                    found = from_row(Problem, {**row, "tests": [{**tests[0], field: changed}]})
                except RRTFError:
                    continue
                problems.append(replace(found, id=f"p/{len(problems)}"))
    assert len(problems) > 10
    write_problems(problems, str(tmp_path / "set"))
    read = list(read_problems(str(tmp_path / "set")))
    assert read == problems
    for one in problems:
        write_problems([one], str(tmp_path / "one"))
        with contextlib.suppress(RRTFError):
            assert list(load("parquet", str(tmp_path / "one"))) == [one]
    with Sandbox(LIMITS) as sandbox:
        assert len(list(check_references(read, sandbox))) == len(problems)
    assert not outside.traces()


class _Unpickled:
    def __init__(self, payload: str) -> None:
        self._payload = payload

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (self._payload,)


def test_a_parquet_file_unpickles_nothing(outside: Outside, tmp_path: Path) -> None:
    control = Outside()
    pickle.loads(pickle.dumps(_Unpickled(control.payload("pickled"))))
    assert control.traces()
    control.close()
    data = pickle.dumps(_Unpickled(outside.payload("pickled")))
    metadata = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": data}
    schema = pa.schema([pa.field("id", pa.string(), metadata=metadata)], metadata={"pandas": data})
    pq.write_table(pa.table([["x"]], schema=schema), tmp_path / "p.parquet")
    with pytest.raises(RRTFError):
        list(load("parquet", str(tmp_path / "p.parquet")))
    assert not outside.traces()


def test_every_format_is_tried() -> None:
    assert {format_of_row(name) for name in ONE_EACH} | {"parquet"} == set(FORMATS)
