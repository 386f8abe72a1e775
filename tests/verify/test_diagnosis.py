"""The report says so where the samples are perhaps not to blame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rrtf_ray.verify import verify
from tests.problems import rows

PROMPT = "def triple(x):\n"
GOOD, BAD = "    return 3 * x\n", "    return x\n"


@pytest.fixture
def told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """What the command prints for these problems and one or two samples of each."""

    def run(problems: list[Any], *completions: str, **options: Any) -> str:
        samples = [{"task_id": row["task_id"], "completion": c} for row in problems for c in completions]
        verify(
            rows.write_jsonl(tmp_path / "p.jsonl", problems),
            rows.write_jsonl(tmp_path / "s.jsonl", samples),
            workers=1,
            overwrite=True,
            **options,
        )
        return " ".join(capsys.readouterr().out.split())

    return run


def test_a_reference_that_fails_too(told):
    wrong = rows.humaneval(task_id="own/1", test="def check(candidate):\n    assert candidate(2) == 7\n")
    out = told([rows.humaneval(task_id="own/0"), wrong], BAD)
    assert "1 of 2 problems that no sample solved are not solved by their own reference either" in out
    assert "own/1: failed" in out
    assert "own/0:" not in out
    assert "--timeout-s" in out


def test_nothing_is_said_of_honest_failures(told):
    out = told([rows.humaneval(task_id=f"own/{i}") for i in range(3)], BAD, "    return 1 / 0\n")
    assert "reference" not in out
    assert "one reason" not in out


def test_one_reason_for_all(told):
    # The samples are of another entry point than the problems.
    out = told([rows.humaneval(task_id=f"own/{i}") for i in range(3)], "    return other(x)\n")
    assert "all 3 samples failed for one reason, which is seldom the model's fault" in out
    assert "NameError: name 'other' is not defined" in out
    assert "one reason" not in told([rows.humaneval(task_id="own/0")], GOOD, "    return other(x)\n")


def test_a_module_that_the_sandbox_lacks_and_preload(told):
    problems = [rows.humaneval(task_id="own/0")]
    program = "    import numpy\n    return int(numpy.add(x, 2 * x))\n"
    out = told(problems, program)
    assert "1 programs need the module numpy" in out
    assert "--preload numpy" in out
    assert "passed │ 1" in told(problems, program, preload=("numpy",))


@pytest.mark.parametrize(
    ("test", "body"),
    [
        (
            "from unittest import mock\ndef check(candidate):\n"
            "    with mock.patch('builtins.input', return_value='2'):\n        assert candidate(1) == 2\n",
            "    return int(input())\n",
        ),
        (
            "import time\ndef check(candidate):\n    a = time.time()\n    r = candidate(0)\n"
            "    assert a <= r <= time.time()\n",
            "    import time\n    return time.time()\n",
        ),
        (
            "def check(candidate):\n    assert (candidate(1) + candidate(2)).n == 3\n",
            "    class N:\n        def __init__(self, n): self.n = n\n"
            "        def __add__(self, o): return N(self.n + o.n)\n    return N(x)\n",
        ),
    ],
)
def test_tests_that_may_need_the_programs_interpreter_ask_for_a_reference(told, test, body):
    row = rows.humaneval(task_id="own/0", test=test)
    without = {key: value for key, value in row.items() if key != "canonical_solution"} | {"canonical_solution": ""}
    assert "have no reference" in told([without], body)
    with_reference = row | {"canonical_solution": body}
    out = told([with_reference], body)
    assert "no reference" not in out
    assert "passed │ 1" in out
