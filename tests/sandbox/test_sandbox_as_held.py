"""Tests and programs as people hold them: files that run their own checks, and contest programs' habits."""

from __future__ import annotations

import pytest

from rrtf_ray.records import Outcome, Test, TestKind
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.sandbox.collecting import collected
from tests.sandbox.conftest import run_function, run_script

CHECK = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 6\n"
GOOD, BAD = "def double(x):\n    return 2 * x\n", "def double(x):\n    return x * x\n"


@pytest.fixture(scope="module")
def as_it_comes():
    with Sandbox(Limits(cpu_s=2.0)) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    "end",
    [
        "\ncheck(double)\n",
        "\n\ndef test_check():\n    check(double)\n\ntest_check()\n",
        "\nif __name__ == '__main__':\n    check(double)\n",
        "\ndef main():\n    test()\ndef test():\n    check(double)\ncheck(\n    double,\n)\n",
    ],
)
def test_a_check_that_the_file_runs_itself(sandbox, end):
    tests = [Test(TestKind.CHECK, CHECK + end)]
    assert run_function(sandbox, GOOD, tests).outcome is Outcome.PASSED
    wrong = run_function(sandbox, BAD, tests)
    assert wrong.outcome is Outcome.FAILED
    assert [status.value for status in wrong.tests] == ["passed", "failed"]
    assert "candidate(3) == 6" in wrong.detail


def test_a_program_named_check_is_still_called(sandbox):
    tests = [Test(TestKind.CHECK, "def check(candidate):\n    assert check(2) == 4\n    assert candidate(3) == 6\n")]
    # As in MBPP: the entry point itself is named `check`, and the test calls it.
    assert run_function(sandbox, GOOD.replace("double", "check"), tests, "check").outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("from solution import double\n", "double"),
        ("from solution import (\n    double as twice,\n)\n", "twice"),
        ("import math\nfrom solution import double as twice, double\n", "twice"),
    ],
)
def test_a_file_that_imports_the_solution(sandbox, head, name):
    code = f"{head}def test_a():\n    assert {name}(2) == 4\n    assert {name}(3) == 6\ntest_a()\n"
    assert run_function(sandbox, GOOD, [Test(TestKind.ASSERT, code)]).outcome is Outcome.PASSED
    assert run_function(sandbox, BAD, [Test(TestKind.ASSERT, code)]).outcome is not Outcome.PASSED


CASE = """import sys
import unittest
class T(unittest.TestCase):
    def test_a(self):
        self.assertEqual(double(3), 6)
"""


@pytest.mark.parametrize(
    "more",
    [
        "    @unittest.skip('later')\n    def test_b(self):\n        self.fail()\n",
        "    @unittest.skipIf(sys.platform != 'never', 'not here')\n    def test_b(self):\n        self.fail()\n",
        "    def test_0(self):\n        self.skipTest('no network')\n",
        "\nunittest.main()\n",
        "\nif __name__ == '__main__':\n    unittest.main(argv=['x'], exit=False)\n",
    ],
)
def test_a_unittest_file_as_unittest_judges_it(sandbox, more):
    tests = [Test(TestKind.UNITTEST, CASE + more)]
    assert run_function(sandbox, GOOD, tests).outcome is Outcome.PASSED
    assert run_function(sandbox, BAD, tests).outcome is Outcome.FAILED


def test_lines_keep_their_numbers_and_a_shared_line_stays():
    test = Test(TestKind.CHECK, f"{CHECK}check(double); x = 1\ncheck(double)\ny = 2\n")
    assert collected(test).code == f"{CHECK}check(double); x = 1\n\ny = 2\n"
    plain = Test(TestKind.CHECK, CHECK)
    assert collected(plain) is plain


@pytest.mark.parametrize(
    ("kind", "line"),
    [(TestKind.CHECK, "helper.check(3)"), (TestKind.UNITTEST, "app.main()"), (TestKind.ASSERT, "f(3)")],
)
def test_calls_of_others_by_that_name_stay(kind, line):
    test = Test(kind, f"{CHECK}{line}\n")
    assert collected(test) == test


# Programs with standard input and output


@pytest.mark.parametrize(
    "program",
    [
        "import sys\nassert 'r' in sys.stdin.mode and 'w' in sys.stdout.mode\nprint(sys.stdin.read().strip())",
        "import sys\nassert sys.stdin.name == '<stdin>' and sys.stdout.name == '<stdout>'\nprint(input())",
        "from pathlib import Path\nprint(Path('/dev/stdin').read_text().strip())",
        "with open('/proc/self/fd/0') as given:\n    print(given.read().strip())",
        "import os\nprint(os.read(os.open('/dev/stdin', os.O_RDONLY), 99).decode().strip())",
        "open('/dev/stdin').close()\nprint(input())",
        "import os\nassert os.path.basename(__file__).endswith('.py')\nprint(input())",
        "import threading\nthreading.stack_size(1 << 30)\nt = threading.Thread(target=lambda: print(input()))\n"
        "t.start()\nt.join()",
        "import sys, threading\nsys.setrecursionlimit(1 << 25)\nthreading.stack_size(512 << 20)\n"
        "def deep(n): return n and 1 + deep(n - 1)\n"
        "t = threading.Thread(target=lambda: print(deep(50000) and input()))\nt.start()\nt.join()",
        "import threading\nseen = []\nfor i in range(32):\n    t = threading.Thread(target=lambda: seen.append(1))\n"
        "    t.start()\nt.join()\nprint(input())",
        "import threading, time\nb = threading.Barrier(33)\nts = [threading.Thread(target=b.wait) for _ in range(32)]\n"
        "[t.start() for t in ts]\nb.wait()\n[t.join() for t in ts]\nprint(input())",
    ],
)
def test_a_habit_of_contest_programs(as_it_comes, program):
    verdict = run_script(as_it_comes, program, ("hello\n", "hello\n"))
    assert verdict.outcome is Outcome.PASSED, verdict.detail


def test_megabytes_of_output_and_a_file_of_megabytes(as_it_comes):
    wanted = "".join(f"{i}\n" for i in range(700_000))
    assert len(wanted) > 4 << 20
    program = "print('\\n'.join(map(str, range(int(input())))))"
    assert run_script(as_it_comes, program, ("700000\n", wanted)).outcome is Outcome.PASSED
    program = "with open('notes', 'w') as f:\n    f.write('x' * (5 << 20))\nprint(len(open('notes').read()))"
    assert run_script(as_it_comes, program, ("", str(5 << 20))).outcome is Outcome.PASSED


def test_more_output_than_the_limit_says_so(sandbox):
    verdict = run_script(sandbox, "print('x' * 10**6)", ("", "x"))
    assert verdict.outcome is Outcome.RUNTIME_ERROR
    assert "output_kb" in verdict.detail
