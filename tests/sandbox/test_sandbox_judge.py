"""The parts that need no process."""

from __future__ import annotations

import random

import pytest

from rrtf_ray.records import Outcome, ProblemKind, Test, TestKind, TestStatus
from rrtf_ray.sandbox.judge import (
    MachineryFault,
    Report,
    compare_output,
    judge_function,
    read_message,
)
from rrtf_ray.sandbox.plan import make_plan


@pytest.mark.parametrize(
    ("output", "expected", "same"),
    [
        ("1 2\n3\n", "1\n2 3", True),
        ("0.30000000000000004", "0.3", True),
        ("1e3", "1000.0", True),
        ("1000000", "1000001", False),
        ("10000000.0", "10000001", False),
        ("3", "3.0", True),
        ("nan", "nan", True),
        ("Yes", "YES", False),
        ("1_0.5", "10.5", False),
        ("", "", True),
        ("1 2", "1", False),
        ("1", "1 2", False),
    ],
)
def test_compare_output(output, expected, same):
    assert (compare_output(output, expected) == "") is same


def test_message_with_a_foreign_line_is_none():
    assert read_message(b"n p\nn f\nn .\n", "n").statuses == (TestStatus.PASSED, TestStatus.FAILED)
    for message in (b"m p\n", b"n p\np\n", b"n q\n", b"n .\nn p\n", b"\xff\xff\n"):
        assert read_message(message, "n") is None


def report(
    message: bytes, status: int = 0, limit: str = "", kills_itself: bool = False, waited_s: float = 0.0
) -> Report:
    return Report(status, limit, waited_s, 1.0, 0.1, 1000, message, b"", kills_itself)


@pytest.mark.parametrize("message", [b"", b"n p\nn p\n", b"n p\nn p\nn p\nn .\n", b"n p\nn .\n"])
def test_incomplete_or_overlong_message_does_not_pass(message):
    verdict = judge_function(report(message), "n", ["a", "b"])
    assert verdict.outcome is not Outcome.PASSED
    assert len(verdict.tests) == 2


def test_complete_message_beats_a_limit_that_came_too_late():
    assert judge_function(report(b"n p\nn .\n", 9, "cpu"), "n", ["a"]).outcome is Outcome.PASSED
    assert judge_function(report(b"n p\n", 9, "cpu"), "n", ["a"]).outcome is Outcome.TIMEOUT


def test_no_sequence_of_records_breaks_the_judge_or_passes_by_chance():
    draw = random.Random(0)
    lines = [b"n p\n", b"n f\n", b"n e\n", b"n m\n", b"n x\n", b"n d text\n", b"n .\n", b"n\n", b"\xff"]
    for _ in range(3000):
        drawn = [draw.choice(lines) for _ in range(draw.randrange(6))]
        limit, status = draw.choice([("", 0), ("cpu", 9), ("wall", 9), ("", 11), ("", 256)])
        verdict = judge_function(report(b"".join(drawn), status, limit), "n", ["a", "b"])
        assert len(verdict.tests) == 2
        if verdict.outcome is Outcome.PASSED:
            assert [line for line in drawn if line != b"n d text\n"] == [b"n p\n", b"n p\n", b"n .\n"]


def test_kill_for_lack_of_memory_is_no_fault_of_the_program():
    with pytest.raises(MachineryFault, match="lack of memory"):
        judge_function(report(b"", 9, "oom"), "n", ["a"])


def test_kill_that_the_machine_has_not_made_is_the_programs_own():
    verdict = judge_function(report(b"", 9), "n", ["a"])
    assert verdict.outcome is Outcome.RUNTIME_ERROR
    assert "SIGKILL" in verdict.detail


def test_wait_for_a_processor_is_no_fault_of_the_program():
    slept, starved, busy = (report(b"", 9, "wall", waited_s=waited_s) for waited_s in (0.01, 0.2, 0.8))
    assert [r.starved for r in (slept, starved, busy)] == [False, True, True]
    assert judge_function(starved, "n", ["a"]).outcome is Outcome.TIMEOUT
    with pytest.raises(MachineryFault, match="too busy"):
        judge_function(busy, "n", ["a"])


def num_results(body: str) -> int:
    code = "def check(candidate):\n" + "".join(f"    {line}\n" for line in body.split("\n"))
    plan = make_plan([Test(TestKind.CHECK, code)], ProblemKind.FUNCTION, "f", "", False)
    return len(plan.labels)


@pytest.mark.parametrize(
    ("body", "num"),
    [
        ("assert candidate(1)\nassert candidate(2)", 2),
        ("assert True\nassert candidate(2)", 1),
        ("assert True", 1),
        ("pass", 1),
        ("for x in (1, 2):\n    assert candidate(x)\nassert candidate(3)", 2),
        ("def inner():\n    assert candidate(1)\ninner()\nassert candidate(2)", 1),
        ("try:\n    candidate(0)\n    assert False\nexcept ValueError:\n    pass\nassert candidate(1)", 2),
        ("assert False", 1),
        ("if candidate(1):\n    return\nassert candidate(2)\nassert candidate(3)", 1),
        ("candidate = str\nassert candidate(1)\nassert candidate(2)", 2),
    ],
)
def test_number_of_results_of_a_check(body, num):
    assert num_results(body) == num
