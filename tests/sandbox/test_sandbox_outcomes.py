"""Every outcome, from scripted programs."""

from __future__ import annotations

import pytest

from rrtf_ray.errors import DataError, InputError
from rrtf_ray.records import Outcome, ProblemKind, Test, TestKind, TestStatus
from rrtf_ray.sandbox import Limits, Sandbox

from .conftest import DOUBLE, GOOD, run_function, run_script

P, F, E, T, N = (
    TestStatus.PASSED,
    TestStatus.FAILED,
    TestStatus.ERROR,
    TestStatus.TIMEOUT,
    TestStatus.NOT_RUN,
)
CHECK = Test(
    TestKind.CHECK,
    "LIMIT = 10\n"
    "def within(x):\n"
    "    return x < LIMIT\n"
    "def check(candidate):\n"
    "    assert True, 'this proves nothing'\n"
    "    two = 2\n"
    "    assert candidate(two) == 4\n"
    "    for i in range(3):\n"
    "        assert candidate(i) == 2 * i\n"
    "    assert within(candidate(1))\n",
)


@pytest.mark.parametrize(
    ("program", "outcome", "statuses", "detail"),
    [
        (GOOD, Outcome.PASSED, (P, P), ""),
        ("def double(x): return 4", Outcome.FAILED, (P, F), "test 2: assertion failed: assert double(-1) == -2"),
        ("def double(x): return 0", Outcome.FAILED, (F, F), "test 1: assertion failed: assert double(2) == 4"),
        ("def double(x): return [4][x - 2]", Outcome.FAILED, (P, E), "test 2: IndexError: list index out of range"),
        ("def double(x):\n    assert x > 9", Outcome.RUNTIME_ERROR, (E, E), "test 1: AssertionError (line 2)"),
        ("def twice(x): return 2 * x", Outcome.RUNTIME_ERROR, (E, E), "test 1: NameError: name 'double'"),
        ("x = 1\nx / 0", Outcome.RUNTIME_ERROR, (N, N), "ZeroDivisionError: division by zero (line 2)"),
        ("def double(x): return double(x)", Outcome.RUNTIME_ERROR, (E, E), "test 1: RecursionError"),
        ("def double(x", Outcome.COMPILE_ERROR, (N, N), "SyntaxError: '(' was never closed (line 1)"),
        ("x = '\0'\n", Outcome.COMPILE_ERROR, (N, N), ""),
        ("x = '\ud800'\n", Outcome.COMPILE_ERROR, (N, N), "UnicodeEncodeError"),
        ("x = " + "(" * 500 + ")" * 500, Outcome.COMPILE_ERROR, (N, N), ""),
        (" \n", Outcome.NO_CODE, (N, N), "the program is empty"),
        ("while True: pass", Outcome.TIMEOUT, (T, N), "stopped at its cpu limit"),
        (GOOD + "    \n" * 3 + "def later(): pass\nx = [0] * 10**9\n", Outcome.OUT_OF_MEMORY, (E, N), "MemoryError"),
        ("def double(x): return len([0] * 10**9)", Outcome.OUT_OF_MEMORY, (E, N), "MemoryError"),
        ("import sys\nsys.exit(0)", Outcome.RUNTIME_ERROR, (N, N), "SystemExit: 0 (line 2)"),
        ("def double(x): raise SystemExit", Outcome.RUNTIME_ERROR, (E, E), "test 1: SystemExit"),
        ("import os\nos._exit(0)", Outcome.RUNTIME_ERROR, (E, N), "it ended before its tests were over"),
        ("import os\ndef double(x): return 4 if x == 2 else os._exit(0)", Outcome.RUNTIME_ERROR, (P, E), "it ended"),
        ("import os\nos.closerange(0, 64)\n" + GOOD, Outcome.RUNTIME_ERROR, (E, N), "it ended before"),
        ("import ctypes\nctypes.string_at(0)", Outcome.RUNTIME_ERROR, (E, N), "it ended before its tests were over"),
    ],
)  # fmt: skip
def test_function_outcome(sandbox, program, outcome, statuses, detail):
    verdict = run_function(sandbox, program)
    assert (verdict.outcome, verdict.tests) == (outcome, statuses), verdict.detail
    assert verdict.detail.startswith(detail)
    assert "\n" not in verdict.detail


@pytest.mark.parametrize(
    "program",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        "from __future__ import annotations\n" + GOOD,
        "# -*- coding: latin-1 -*-\n" + GOOD,
        GOOD + "print('x' * 10**7)\n",
        GOOD + "if __name__ == '__main__':\n    raise SystemExit(1)\n",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n" + GOOD,
        "import threading\nt = threading.Thread(target=print)\nt.start(); t.join()\n" + GOOD,
        "import sys\nassert sys.stdin.read() == ''\n" + GOOD,
        "import sqlite3, asyncio\nasync def main(): pass\nasyncio.run(main())\n" + GOOD,
    ],
)
def test_honest_but_unusual_program_passes(sandbox, program):
    verdict = run_function(sandbox, program)
    assert verdict.outcome is Outcome.PASSED, verdict.detail


def test_statuses_before_a_timeout_are_kept(sandbox):
    tests = [Test(TestKind.ASSERT, f"assert double({i}) == {2 * i}") for i in range(4)]
    verdict = run_function(sandbox, "def double(x):\n    while x == 2: pass\n    return 2 * x", tests)
    assert (verdict.outcome, verdict.tests) == (Outcome.TIMEOUT, (P, P, T, N))


def test_sleeping_program_times_out_by_the_clock():
    with Sandbox(Limits(wall_s=0.3, cpu_s=5.0)) as sandbox:
        verdict = run_function(sandbox, "import time\ntime.sleep(600)")
    assert verdict.outcome is Outcome.TIMEOUT
    assert "wall limit" in verdict.detail


def test_check_has_a_result_per_asserting_statement(sandbox):
    assert run_function(sandbox, GOOD, [CHECK]).tests == (P, P, P)
    wrong = run_function(sandbox, "def double(x): return 2 * x if x < 2 else 0", [CHECK])
    assert (wrong.outcome, wrong.tests) == (Outcome.FAILED, (F, F, P))
    assert wrong.detail == "test 1: assertion failed: assert candidate(two) == 4"


def test_statement_of_check_that_raises_makes_the_rest_errors(sandbox):
    check = Test(TestKind.CHECK, "def check(f):\n    assert f(1) == 2\n    x = f(0)[0]\n    assert f(x) == 0")
    assert run_function(sandbox, GOOD, [check]).tests == (P, E)


def test_check_that_returns_early_is_one_result(sandbox):
    code = "def check(f):\n    assert f(1) == 2\n    if f(2): return\n    assert f(3) == 0"
    assert run_function(sandbox, GOOD, [Test(TestKind.CHECK, code)]).tests == (P,)


def test_checks_see_the_programs_own_names(sandbox):
    check = Test(TestKind.CHECK, "def check(candidate):\n    assert check(3) == half(12)")
    program = "def half(x): return x // 2\ndef check(x): return 2 * x"
    assert run_function(sandbox, program, [check], entry="check").outcome is Outcome.PASSED


def test_each_result_of_a_method_has_its_own_object(sandbox):
    program = "class Solution:\n    n = 0\n    def f(self):\n        self.n += 1\n        return self.n"
    check = Test(TestKind.CHECK, "def check(candidate):\n    assert candidate() == 1\n    assert candidate() == 1")
    assert run_function(sandbox, program, [check], entry="Solution().f").tests == (P, P)


@pytest.mark.parametrize(
    ("returned", "expected", "atol", "status"),
    [
        ("[1, 2]", "[1, 2]", 0.0, P),
        ("(1, 2)", "[1, 2]", 0.0, F),
        ("0.1 + 0.2", "0.3", 0.0, P),
        ("[{'a': 0.1 + 0.2}]", "[{'a': 0.3}]", 0.0, P),
        ("1.001", "1.0", 0.0, F),
        ("1.001", "1.0", 0.01, P),
        ("3", "3.0", 0.0, P),
        ("float('nan')", "nan", 0.0, P),
        ("-float('inf')", "-inf", 0.0, P),
        ("10 ** 400", "1.0", 0.0, F),
        ("{1, 2}", "{2, 1}", 0.0, P),
        ("None", "0", 0.0, F),
    ],
)
def test_value_comparison(sandbox, returned, expected, atol, status):
    test = Test(TestKind.VALUE, "(1,)", expected, atol)
    verdict = run_function(sandbox, f"def f(x): return {returned}", [test], entry="f")
    assert verdict.tests == (status,), verdict.detail


def test_value_arguments_are_fresh_and_the_difference_is_told(sandbox):
    test = Test(TestKind.VALUE, "([1, 2],)", "[2, 1]")
    program = "def f(x):\n    x.reverse()\n    return x"
    assert run_function(sandbox, program, [test, test], entry="f").tests == (P, P)
    wrong = run_function(sandbox, "def f(x): return x", [test], entry="f")
    assert wrong.detail == "test 1: got [1, 2], expected [2, 1]: arguments ([1, 2],)"


def test_fail_fast_leaves_the_rest(sandbox):
    def statuses(program):
        run = sandbox.run([program], DOUBLE, kind=ProblemKind.FUNCTION, entry_point="double", fail_fast=True)
        return run[0].tests

    assert statuses("def double(x): return 0") == (F, N)
    assert statuses(GOOD) == (P, P)


def test_setup_stands_before_the_program(sandbox):
    program = "from __future__ import annotations\ndef double(x): return TWO * x"
    verdict = sandbox.run([program], DOUBLE, kind=ProblemKind.FUNCTION, entry_point="double", setup="TWO = 2")[0]
    assert verdict.outcome is Outcome.PASSED


ECHO = "print(int(input()) * 2)"


@pytest.mark.parametrize(
    ("program", "outcome", "statuses", "detail"),
    [
        (ECHO, Outcome.PASSED, (P, P), ""),
        ("if __name__ == '__main__':\n    " + ECHO, Outcome.PASSED, (P, P), ""),
        (ECHO + "\nimport sys\nsys.exit(0)", Outcome.PASSED, (P, P), ""),
        ("import threading\nthreading.Thread(target=lambda: " + ECHO + ").start()", Outcome.PASSED, (P, P), ""),
        ("import sys\nfor line in sys.stdin: print(int(line) * 2, end='  \\n\\n')", Outcome.PASSED, (P, P), ""),
        ("print(4)", Outcome.FAILED, (P, F), "test 2: token 1 is '4', expected '-2'"),
        ("print()", Outcome.FAILED, (F, F), "test 1: the output ends after 0 of 1 tokens"),
        (ECHO + "\nraise SystemExit(3)", Outcome.RUNTIME_ERROR, (E, E), "test 1: SystemExit: 3"),
        (ECHO + "\nraise SystemExit('no')", Outcome.RUNTIME_ERROR, (E, E), "test 1: SystemExit: no"),
        (ECHO + "\n1 / 0", Outcome.RUNTIME_ERROR, (E, E), "test 1: ZeroDivisionError: division by zero (line 2)"),
        ("import os\nos._exit(0)", Outcome.FAILED, (F, F), "test 1: the output ends"),
        ("print(", Outcome.COMPILE_ERROR, (N, N), "SyntaxError"),
        ("while True: pass", Outcome.TIMEOUT, (T, N), "test 1: stopped at its cpu limit"),
        ("x = [0] * 10**9", Outcome.OUT_OF_MEMORY, (E, N), "test 1: MemoryError"),
        ("while True: print('flood')", Outcome.RUNTIME_ERROR, (E, E), "test 1: OSError: [Errno 27] File too large"),
    ],
)  # fmt: skip
def test_script_outcome(sandbox, program, outcome, statuses, detail):
    verdict = run_script(sandbox, program, ("2\n", "4\n"), ("-1\n", "-2"))
    assert (verdict.outcome, verdict.tests) == (outcome, statuses), verdict.detail
    assert verdict.detail.startswith(detail)


def test_identical_programs_are_run_once_and_keep_their_places(sandbox):
    verdicts = sandbox.run(
        [GOOD, "", GOOD, "def double(x): return 0"],
        DOUBLE,
        kind=ProblemKind.FUNCTION,
        entry_point="double",
    )
    assert [v.outcome for v in verdicts] == [Outcome.PASSED, Outcome.NO_CODE, Outcome.PASSED, Outcome.FAILED]
    assert verdicts[0] is verdicts[2]


def test_verdicts_are_repeatable(sandbox):
    program = "import random\ndef double(x): raise ValueError(random.random(), hash('a'), list({'a', 'b', 'c'}))"
    with Sandbox() as other:
        assert run_function(sandbox, program).detail == run_function(other, program + "\n").detail


@pytest.mark.parametrize(
    ("tests", "kind", "entry", "message"),
    [
        ([], ProblemKind.FUNCTION, "f", "there are no tests"),
        ([Test(TestKind.STDIO, "1", "1")], ProblemKind.FUNCTION, "f", "test 1 is of kind 'stdio'"),
        ([Test(TestKind.ASSERT, "assert f(")], ProblemKind.FUNCTION, "f", "test 1 .assert. cannot be read"),
        ([Test(TestKind.CHECK, "x = 1")], ProblemKind.FUNCTION, "f", "does not define check"),
        ([Test(TestKind.VALUE, "3", "3")], ProblemKind.FUNCTION, "f", "not a tuple or list"),
        ([Test(TestKind.VALUE, "(3,)", "f(3)")], ProblemKind.FUNCTION, "f", "test 1 .value. cannot be read"),
        ([Test(TestKind.ASSERT, "assert f(1)")], ProblemKind.FUNCTION, "f(", "entry_point='f.' is not valid"),
    ],
)
def test_unusable_tests_are_refused(sandbox, tests, kind, entry, message):
    with pytest.raises(DataError, match=message):
        sandbox.run([GOOD], tests, kind=kind, entry_point=entry)


@pytest.mark.parametrize(
    "field", [{"wall_s": 0.0}, {"cpu_s": float("nan")}, {"memory_mb": 8}, {"output_kb": 0}, {"processes": 0}]
)
def test_unusable_limits_are_refused(field):
    with pytest.raises(InputError, match=next(iter(field))):
        Limits(**field)
