"""`rrtf verify`: from files that people have to a row for each sample and pass@k."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rrtf_ray.errors import DataError, InputError, SandboxError, StageError
from rrtf_ray.problems import format_of, load, write_problems
from rrtf_ray.problems.samples import ProblemIndex, SampleRow
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Outcome, Problem, TestStatus, Verdict
from rrtf_ray.verify import command, verify, workers
from rrtf_ray.verify.results import default_output, results_file
from rrtf_ray.verify.rows import BATCH, WINDOW, Tally, batches_of, samples_of
from tests.conftest import LIMIT_S, ROOT
from tests.problems import rows
from tests.records_for_tests import problem
from tests.sandbox.conftest import descendants, wait_until

GOOD, BAD = "    return 3 * x\n", "    return x\n"


def three(path: Path) -> str:
    """Three problems that ask for `triple`."""
    return rows.write_jsonl(path, [rows.humaneval(task_id=f"own/{i}") for i in range(3)])


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def outcomes(path: Path) -> list[tuple[Any, int, str]]:
    return [(row["task_id"], row["index"], row["outcome"]) for row in results(path)]


def judge(tmp_path: Path, problem_rows: list[Any], sample_rows: list[Any], **options: Any) -> list[dict[str, Any]]:
    """The results of the samples; files are written to and read from `tmp_path`."""
    problems = rows.write_jsonl(tmp_path / "p.jsonl", problem_rows)
    samples = rows.write_jsonl(tmp_path / "s.jsonl", sample_rows)
    verify(problems, samples, **{"workers": 1, **options})
    return results(tmp_path / "s.results.jsonl")


def test_programs_in_javascript(tmp_path: Path) -> None:
    source = rows.write_jsonl(tmp_path / "p.jsonl", [rows.humaneval_javascript()])
    problems = list(load("humaneval", source))
    whole = "const triple = (x) => 3 * x;\nconsole.log(triple(1));\n"
    row = Row("s.jsonl:1", {})
    texts = [(whole, True), ("  return 3 * x;\n}\nconsole.log(1);\n", False)]
    sample_rows = [SampleRow(row, "own/js", "", (text,), whole=is_whole) for text, is_whole in texts]
    first, second = samples_of(sample_rows, ProblemIndex(problems), "")
    assert first.program(problems[0]) == whole
    assert second.program(problems[0]) == problems[0].prompt + "  return 3 * x;\n}\n"


# --- the shapes of problems and samples

TASKS = {
    "humaneval": (rows.humaneval(), "own/0", GOOD, BAD),
    "mbpp": (rows.mbpp(), 601, rows.mbpp()["code"], "def half(x):\n    return x\n"),
    "mbpp sanitized": (
        {k: v for k, v in rows.mbpp(prompt="Halve.", test_imports=["import math"]).items() if k != "text"},
        601,
        "```python\ndef twice(x):\n    return 2 * x\n\n\ndef half(x):\n    return x / 2\n```\n",
        "def half(x):\n    return x\n",
    ),
    "evalplus": (
        rows.evalplus(),
        "Mbpp/900",
        "def turned(t):\n    return t[::-1]\n",
        "def turned(t):\n    return t\n",
    ),
    "leetcode": (
        rows.leetcode(),
        "sum-of-two",
        "        return a + b\n",
        "class Solution:\n    def add(self, a, b):\n        return a\n",
    ),
    "stdio": (rows.stdio(), "own/sum", rows.stdio()["solution"], "print(0)\n"),
}


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("form", ["file", "gz", "imported"])
def test_every_form_of_problems(name: str, form: str, tmp_path: Path) -> None:
    row, task_id, good, bad = TASKS[name]
    source = rows.write_jsonl(tmp_path / "p.jsonl", [row])
    if form == "gz":
        source = f"{tmp_path}/p.jsonl.gz"
        Path(source).write_bytes(gzip.compress((tmp_path / "p.jsonl").read_bytes()))
    elif form == "imported":
        source = str(tmp_path / "set")
        write_problems(load(name.split()[0], str(tmp_path / "p.jsonl")), source)
    samples = tmp_path / "s.jsonl.gz"
    lines = [json.dumps({"task_id": task_id, "completion": text}) for text in (good, bad)]
    samples.write_bytes(gzip.compress("\n".join(lines).encode()))
    verify(source, str(samples), workers=1)
    found = results(tmp_path / "s.results.jsonl")
    assert [(row["task_id"], row["index"], row["passed"]) for row in found] == [(task_id, 0, True), (task_id, 1, False)]
    assert [row["outcome"] for row in found] == ["passed", "failed"]
    assert found[0]["num_passed"] == found[0]["num_tests"] == len(found[0]["tests"]) > 0
    assert set(found[0]["tests"]) == {"passed"}
    assert "failed" in found[1]["tests"]
    assert found[1]["detail"]
    assert found[0]["elapsed_s"] > 0
    assert isinstance(found[0]["judged_inside"], bool)
    assert isinstance(found[0]["unprotected"], list)


def test_a_solution_that_python_refuses_is_refused(tmp_path: Path) -> None:
    whole = "def triple(x):\n    return 3 * x\n"
    solutions = [
        whole + "from __future__ import annotations\n",
        "import math\nfrom __future__ import annotations\n" + whole,
        "# coding: foo\n" + whole,
        whole + "return 1\n",
        "'Docstring.'\nfrom __future__ import annotations\n" + whole,
    ]
    found = judge(tmp_path, [rows.humaneval()], [{"task_id": "own/0", "solution": text} for text in solutions])
    assert [row["outcome"] for row in found] == ["compile_error"] * 4 + ["passed"]
    assert "from __future__ imports must occur at the beginning of the file" in found[1]["detail"]
    with_setup = rows.leetcode(prompt="ONE = 1\ndef helper():\n    pass\n")
    body = {"task_id": "sum-of-two", "solution": "    return 1\n"}
    Path(tmp_path / "s.results.jsonl").unlink()
    assert judge(tmp_path, [with_setup], [body])[0]["outcome"] == "compile_error"


def test_completions_continue_the_prompt_and_solutions_are_whole(tmp_path: Path) -> None:
    whole = "def triple(x):\n    return 3 * x\n"
    found = judge(
        tmp_path,
        [rows.humaneval()],
        [
            {"task_id": "own/0", "completion": GOOD + "\n\nprint(triple(2))\nA second answer:"},
            {"task_id": "own/0", "solution": whole},
            {"task_id": "own/0", "solution": GOOD},
            {"task_id": "own/0", "solution": whole, "completion": "ignored"},
            {"task_id": "own/0", "solution": "from __future__ import annotations\r\n" + whole},
            {"task_id": "own/0", "samples": [GOOD, "", "Sorry, I cannot."], "completion": None},
            {"prompt": rows.humaneval()["prompt"], "solution": None, "completion": GOOD},
        ],
    )
    assert [row["outcome"] for row in found] == [
        "passed", "passed", "compile_error", "passed", "passed", "passed", "no_code", "no_code", "passed",
    ]  # fmt: skip
    assert [row["index"] for row in found] == list(range(9))
    assert {row["task_id"] for row in found} == {"own/0"}


def test_a_solution_has_the_setup_that_its_authors_were_granted(tmp_path: Path) -> None:
    found = judge(
        tmp_path,
        [rows.leetcode()],
        [
            {"task_id": "sum-of-two", "solution": rows.leetcode()["completion"]},
            {
                "task_id": "sum-of-two",
                "solution": "from __future__ import annotations\n" + rows.leetcode()["completion"],
            },
            {"task_id": "sum-of-two", "solution": " \n"},
        ],
    )
    assert [row["outcome"] for row in found] == ["passed", "passed", "no_code"]


def row_for(task_id: str | int | None, prompt: str = "") -> SampleRow:
    return SampleRow(Row("s.jsonl:1", {}), task_id, prompt, (), whole=False)


def test_rows_find_their_problem() -> None:
    prompt = "def f(x):\n    '''Add.\n\n    >>> f(1)\n    2\n    '''\n"
    index = ProblemIndex(
        [problem("mbpp/2", prompt=prompt), problem("mbpp/3"), problem("x/3"), problem("A"), problem("a")]
    )
    assert index.find(row_for("mbpp/2")) == "mbpp/2"
    assert index.find(row_for("Mbpp/2")) == "mbpp/2"
    assert index.find(row_for(2)) == "mbpp/2"
    assert index.find(row_for("a")) == "a"
    assert index.find(row_for(3)) is None
    assert index.find(row_for(None, "def f(x):\n    '''Add.\n    '''\n")) == "mbpp/2"
    assert index.find(row_for(None, problem().prompt)) is None
    assert index.find(row_for(7)) is None
    assert index.find(row_for(None, "\n")) is None
    assert "could be mbpp/3, x/3; give the whole id" in index.why_not(row_for(3))
    assert "fits 4 problems (mbpp/3, x/3, A ...); give the task_id" in index.why_not(row_for(None, problem().prompt))
    assert "did you mean 'mbpp/2'" in index.why_not(row_for("mbppp/2"))
    assert "the first one is 'mbpp/2'" in index.why_not(row_for("HumanEval"))


def test_a_prompt_that_two_problems_hold_belongs_to_the_one_that_has_no_more() -> None:
    longer = problem("b", prompt=problem().prompt + "    '''More.'''\n")
    assert ProblemIndex([longer, problem("a")]).find(row_for(None, problem().prompt)) == "a"


def test_an_unknown_form_is_refused_and_a_given_one_wins(tmp_path: Path) -> None:
    source = rows.write_jsonl(tmp_path / "p.jsonl", [{"question": 1}])
    with pytest.raises(
        DataError, match=r"p\.jsonl:1: the format cannot be recognised from question; name one of evalplus"
    ):
        format_of(source)
    with pytest.raises(DataError, match=r"needs the field .*it looks like the format 'mbpp'"):
        judge(tmp_path, [rows.mbpp()], [{"task_id": 601, "completion": ""}], format="humaneval")
    found = judge(
        tmp_path, [rows.mbpp()], [{"task_id": 601, "completion": rows.mbpp()["code"]}], format="mbpp-challenge"
    )
    assert found[0]["num_tests"] == 3


# --- order, partial sets, workers


def test_interleaved_samples_and_two_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = [(i % 2, n) for n in range(20) for i in range(2)]
    texts = [GOOD if (task + n) % 3 else BAD for task, n in order]
    samples = [{"task_id": f"own/{task}", "completion": text} for (task, _), text in zip(order, texts, strict=True)]
    problem_rows = [rows.humaneval(task_id=f"own/{i}") for i in range(3)]
    found = judge(tmp_path, problem_rows, samples, workers=2, ks=(1, 20, 100))
    assert [(row["task_id"], row["index"]) for row in found] == [(f"own/{task}", n) for task, n in order]
    assert [row["passed"] for row in found] == [text == GOOD for text in texts]
    said = capsys.readouterr().out
    assert "3 problems (humaneval), 40 samples" in said
    assert "1 of 3 problems have no samples and are left out of pass@k" in said
    assert "pass@20" in said
    assert "pass@100 left out: 2 of 2 problems have fewer than 100 judged samples (own/0 has 20)" in said
    assert str(tmp_path / "s.results.jsonl") in said


def test_batches_hold_one_problem_and_start_where_asked() -> None:
    ids = ["a", "b"] * 3
    assert list(batches_of(ids)) == [[0, 2, 4], [1, 3, 5]]
    assert list(batches_of(ids, 3)) == [[3, 5], [4]]
    assert list(batches_of(ids, 6)) == []
    assert [len(batch) for batch in batches_of(["a"] * (BATCH + 1))] == [BATCH, 1]
    many = list(batches_of(["a", *["b"] * (WINDOW - 1), "a"]))
    assert many[0] == [0]
    assert many[-1] == [WINDOW]
    assert sorted(position for batch in many for position in batch) == list(range(WINDOW + 1))


# --- continuing


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many programs each call of the sandbox had."""
    sizes: list[int] = []
    run_problem = workers.run_problem

    def counted(sandbox: Any, asked: Problem, programs: Sequence[str], **options: Any) -> list[Verdict]:
        sizes.append(len(programs))
        return run_problem(sandbox, asked, programs, **options)

    monkeypatch.setattr(workers, "run_problem", counted)
    return sizes


SIX = [{"task_id": f"own/{i // 2}", "completion": text} for i, text in enumerate([GOOD, BAD] * 3)]


def test_an_unfinished_output_is_continued(
    tmp_path: Path, calls: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    problems, samples = three(tmp_path / "p.jsonl"), rows.write_jsonl(tmp_path / "s.jsonl", SIX)
    output = tmp_path / "s.results.jsonl"
    verify(problems, samples, workers=1)
    whole, before = output.read_bytes(), outcomes(output)
    assert sum(calls) == 6
    lines = whole.splitlines(keepends=True)
    output.write_bytes(b"".join(lines[:3]) + lines[3][:20])  # killed in the middle of a row
    calls.clear()
    capsys.readouterr()
    verify(problems, samples, workers=1)
    assert sum(calls) == 3
    assert outcomes(output) == before
    assert output.read_bytes().startswith(b"".join(lines[:3]))
    said = capsys.readouterr().out
    assert "3 results of an earlier start are kept" in said
    assert "50.0%" in said
    calls.clear()
    verify(problems, samples, workers=1)  # nothing is left to do: the table again
    assert not calls
    assert "50.0%" in capsys.readouterr().out
    rows.write_jsonl(tmp_path / "s.jsonl", [*SIX, {"task_id": "own/0", "completion": GOOD}])
    verify(problems, samples, workers=1)
    assert sum(calls) == 1
    assert outcomes(output) == [*before, ("own/0", 2, "passed")]


def test_results_of_other_samples_are_refused(tmp_path: Path) -> None:
    problems, samples = three(tmp_path / "p.jsonl"), rows.write_jsonl(tmp_path / "s.jsonl", SIX)
    verify(problems, samples, workers=1)
    output = tmp_path / "s.results.jsonl"
    kept = output.read_bytes()

    def refused(match: str, **options: Any) -> None:
        with pytest.raises(InputError, match=match):
            verify(problems, samples, workers=1, **options)
        assert output.read_bytes() == kept

    refused(r"s\.results\.jsonl:1: task_id 'own/0', index 0 was judged .* another time limit", timeout_s=2.0)
    rows.write_jsonl(tmp_path / "s.jsonl", [SIX[0], SIX[2], *SIX[2:]])
    refused(r"s\.results\.jsonl:2: is the result of task_id 'own/0', index 1, but .*s\.jsonl:2\) is task_id 'own/1'")
    rows.write_jsonl(tmp_path / "s.jsonl", [*SIX[:5], {**SIX[5], "completion": "    return 4 * x\n"}])
    refused(r"s\.results\.jsonl:6: task_id 'own/2', index 1 was judged from another text.*--overwrite")
    rows.write_jsonl(tmp_path / "s.jsonl", SIX[:4])
    refused(r"s\.results\.jsonl:5: there are only 4 samples")
    rows.write_jsonl(tmp_path / "s.jsonl", SIX)
    rows.write_jsonl(
        tmp_path / "p.jsonl",
        [rows.humaneval(task_id=f"own/{i}", test="def check(f): assert f(0) == 0") for i in range(3)],
    )
    refused(r"s\.results\.jsonl:1: .* by another problem file")
    verify(problems, samples, workers=1, overwrite=True)
    assert {outcome for _, _, outcome in outcomes(output)} == {"passed"}
    kept = b'{"task_id": "own/0"}\n'
    output.write_bytes(kept)
    refused(r"s\.results\.jsonl:1: is not a result that `rrtf verify` wrote")
    kept = b"no JSON\n"
    output.write_bytes(kept)
    refused(r"s\.results\.jsonl:1: is not a result")


def test_interrupted_it_keeps_its_rows_and_leaves_no_process(rrtf: Any, tmp_path: Path) -> None:
    problems = three(tmp_path / "p.jsonl")
    slow = [{"task_id": f"own/{i}", "solution": f"while True: {i}"} for i in (1, 2)]
    samples = rows.write_jsonl(tmp_path / "s.jsonl", [*SIX[:2], *slow, *SIX])
    output = tmp_path / "s.results.jsonl"
    started = rrtf(
        "verify", "--problems", problems, "--samples", samples, "--workers", 2, "--timeout-s", 3 * LIMIT_S, start=True
    )
    try:
        assert wait_until(lambda: output.exists() and output.read_bytes().count(b"\n") == 2)
        left = descendants(started.pid)
        assert left
        started.send_signal(signal.SIGINT)
        said, _ = started.communicate(timeout=LIMIT_S)  # which waiting for the programs would outlast
    finally:
        started.kill()
    assert started.returncode == 130
    assert "interrupted; start the same command again to continue" in said
    assert "Traceback" not in said
    assert outcomes(output) == [("own/0", 0, "passed"), ("own/0", 1, "failed")]
    assert wait_until(lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in left))


# --- inputs that cannot be used


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"task_id": "own/0"', [":2 column", "malformed JSON"]),
        ("[1]", [":2: ", "not a JSON object"]),
        ('{"completion": "x"}', [":2: has neither 'task_id' nor 'prompt'"]),
        ('{"task_id": "own/0"}', [":2: needs 'samples' (a list of texts), 'completion' or 'solution'"]),
        ('{"task_id": "own/0", "completion": 3}', [":2: needs"]),
        ('{"task_id": "own/0", "samples": ["x", 3]}', [":2: needs"]),
        ('{"task_id": true, "completion": ""}', [":2: task_id=True is not a text or a whole number"]),
        (
            '{"task_id": "own/9", "completion": ""}',
            [":2: task_id 'own/9' is none of the 3 problems; did you mean 'own/"],
        ),
        ('{"prompt": "def other(x):", "completion": ""}', [":2: the prompt ('def other(x):' ...) fits no problem"]),
    ],
)
def test_bad_samples_are_named(line: str, says: list[str], tmp_path: Path) -> None:
    problems = three(tmp_path / "p.jsonl")
    samples = tmp_path / "s.jsonl"
    samples.write_text(json.dumps(SIX[0]) + "\n" + line + "\n")
    with pytest.raises(DataError) as caught:
        verify(problems, str(samples))
    for part in says:
        assert part in str(caught.value)
    assert str(samples) in str(caught.value)
    assert not (tmp_path / "s.results.jsonl").exists()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'\n{"task_id": "\xff"}\n', r"s\.jsonl:2: not UTF-8"),
        (gzip.compress(b"x" * 99, mtime=0)[:-9], r"s\.jsonl: broken gzip"),
        (gzip.compress(b"x" * 99, mtime=0)[:12] + b"\xff" * 20, r"s\.jsonl: broken gzip"),
        (b"", "holds no samples"),
        (b'{"task_id": "own/0", "samples": []}', "holds no samples"),
    ],
)
def test_files_that_cannot_be_read(data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_bytes(data)
    with pytest.raises(DataError, match=says):
        verify(three(tmp_path / "p.jsonl"), str(tmp_path / "s.jsonl"))


def test_problems_without_tests_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"p\.jsonl:2: problem 'mbpp/602' has no tests"):
        judge(tmp_path, [rows.mbpp(), rows.mbpp(task_id=602, test_list=[])], [{"task_id": 601, "completion": ""}])


def test_outputs_that_cannot_be_written(tmp_path: Path) -> None:
    problems, samples = three(tmp_path / "p.jsonl"), rows.write_jsonl(tmp_path / "s.jsonl", SIX)
    for output, says in (
        (f"{tmp_path}/none/x.jsonl", r"none/x\.jsonl cannot be written \(No such file"),
        (str(tmp_path), "is not a file"),
        ("/dev/full", "is not a file"),
        (samples, "is an input of this command"),
        (f"{tmp_path}/x.gz", "leave .gz away"),
    ):
        with pytest.raises(InputError, match=says):
            verify(problems, samples, output=output)
    with (
        results_file(f"{tmp_path}/x", [], lambda sample, row: None, overwrite=False),
        pytest.raises(InputError, match="is being written by another command"),
    ):
        verify(problems, samples, output=f"{tmp_path}/x")
    assert default_output("a/x.jsonl.gz") == default_output("a/x.jsonl") == "a/x.results.jsonl"
    with pytest.raises(InputError, match="not on this machine"):
        default_output("s3://bucket/x.jsonl")


def test_a_full_disk_ends_the_command_and_what_is_there_is_kept(rrtf: Any, tmp_path: Path) -> None:
    problems, samples = three(tmp_path / "p.jsonl"), rows.write_jsonl(tmp_path / "s.jsonl", SIX)
    arguments = ["verify", "--problems", problems, "--samples", samples, "--workers", "1"]
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700));"
        f"from rrtf_ray.cli import main; sys.exit(main({arguments!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_S, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"rrtf: error: {tmp_path}/s.results.jsonl cannot be written any more (File too large)"
    )
    assert (tmp_path / "s.results.jsonl").stat().st_size == 700
    verify(problems, samples, workers=1)
    assert len(outcomes(tmp_path / "s.results.jsonl")) == 6


# --- faults of the machinery


def test_a_worker_that_fails_ends_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_problem = workers.run_problem

    def broken(sandbox: Any, asked: Problem, programs: Sequence[str], **options: Any) -> list[Verdict]:
        if asked.id == "own/2":
            raise RuntimeError("broke")
        return run_problem(sandbox, asked, programs, **options)

    monkeypatch.setattr(workers, "run_problem", broken)
    problems, samples = three(tmp_path / "p.jsonl"), rows.write_jsonl(tmp_path / "s.jsonl", SIX)
    with pytest.raises(StageError, match=r"a worker failed \(RuntimeError: broke\); finished rows are kept"):
        verify(problems, samples, workers=1)
    assert len(outcomes(tmp_path / "s.results.jsonl")) == 4
    assert not any(thread.name.startswith("verify-") for thread in threading.enumerate())


def test_a_sandbox_that_cannot_start_ends_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(limits: Any, preload: Any) -> None:
        raise SandboxError("no processes")

    monkeypatch.setattr(command, "Sandbox", refused)
    with pytest.raises(SandboxError, match="no processes"):
        judge(tmp_path, [rows.humaneval()], [{"task_id": "own/0", "completion": GOOD}], workers=4)
    assert wait_until(lambda: not any(thread.name.startswith("verify-") for thread in threading.enumerate()))


@pytest.mark.parametrize(("broken", "fails"), [(1, False), (2, True)])
def test_sandbox_errors_are_not_judged(
    broken: int, fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(sandbox: Any, asked: Problem, programs: Sequence[str]) -> list[Verdict]:
        if any("BROKEN" in program for program in programs):
            raise DataError("tests of no use")
        return [Verdict(Outcome.PASSED, (TestStatus.PASSED,), unprotected=("landlock",)) for _ in programs]

    class Fake:
        def __init__(self, limits: Any, preload: Any) -> None: ...

        def __enter__(self) -> Fake:
            return self

        def __exit__(self, *exc_info: object) -> None: ...

        def run(self, programs: Sequence[str], tests: Any, **options: Any) -> list[Verdict]:
            return run(self, problem(), programs)

    monkeypatch.setattr(command, "Sandbox", Fake)
    task_rows = [rows.humaneval(task_id=f"own/{i}") for i in range(30)]
    samples = [{"task_id": f"own/{i}", "completion": GOOD + ("    BROKEN\n" if i < broken else "")} for i in range(30)]
    if fails:
        with pytest.raises(StageError, match=r"2 of 30 samples could not be judged, more than 5%: .*tests of no use"):
            judge(tmp_path, task_rows, samples)
    else:
        judge(tmp_path, task_rows, samples)
    said = capsys.readouterr().out
    assert f"{broken} samples ended as sandbox_error and are not judged; the first: problem 'own/0': tests" in said
    assert "some programs ran without landlock" in said
    assert f"pass@k, {30 - broken} problems" in said


def test_pass_at_k_only_where_the_counts_allow_it() -> None:
    tally = Tally()
    assert tally.pass_at_k([1]) == ({}, "pass@k is left out: no sample was judged")
    for id_, outcome in (("a", "passed"), ("a", "failed"), ("b", "passed"), ("b", "sandbox_error"), ("c", "timeout")):
        tally.add(id_, {"outcome": outcome, "detail": "d"})
    tally.add("c", {"outcome": "passed"})
    estimates, left_out = tally.pass_at_k([2, 1, 2])
    assert {k: round(e.value, 6) for k, e in estimates.items()} == {1: round(2 / 3, 6)}
    assert left_out == "pass@2 left out: 1 of 3 problems have fewer than 2 judged samples (b has 1)"
    assert (tally.num_samples, tally.num_errors, tally.first_error) == (6, 1, "d")


# --- the command


def test_the_command(rrtf: Any, tmp_path: Path) -> None:
    problems, samples = three(tmp_path / "p.jsonl"), rows.write_jsonl(tmp_path / "s.jsonl", SIX)
    output = tmp_path / "out.jsonl"
    arguments = [
        "verify",
        "--problems",
        problems,
        "--samples",
        samples,
        "--output",
        output,
        "--workers",
        2,
        "--k",
        "1,2",
    ]
    done = rrtf(*arguments)
    assert done.returncode == 0, done.stderr
    for part in ("passed", "failed", "pass@1", "pass@2", "50.0%", "100.0%", str(output)):
        assert part in done.stdout
    assert len(outcomes(output)) == 6
    (tmp_path / "s.jsonl").write_text('{"task_id": "own/7", "completion": ""}\n')
    refused = rrtf(*arguments)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"rrtf: error: {samples}:1: task_id 'own/7' is none of the 3 problems")


@pytest.mark.parametrize("option", [("--k", "1,0"), ("--workers", "0"), ("--timeout-s", "inf")])
def test_options_out_of_range(rrtf: Any, option: tuple[str, str]) -> None:
    done = rrtf("verify", "--problems", "p", "--samples", "s", *option)
    assert done.returncode == 2
    assert f"argument {option[0]}" in done.stderr
