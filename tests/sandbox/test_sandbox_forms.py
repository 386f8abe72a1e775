"""The forms of tests: each result has its own status, and checkers and unittest classes decide as they should."""

from __future__ import annotations

import pytest

from rrtf_ray.records import Outcome, ProblemKind, Test, TestKind, TestStatus

PASSED, FAILED, ERROR, NOT_RUN = TestStatus.PASSED, TestStatus.FAILED, TestStatus.ERROR, TestStatus.NOT_RUN
ANY_DIVISOR = "def check(given, got, expected):\n    return type(got) is int and got > 1 and given[0] % got == 0\n"
SAME_LINES = "def check(given, got, expected):\n    return sorted(got.split()) == sorted(expected.split())\n"
UNITTEST = """
import unittest

class Base(unittest.TestCase):
    def setUp(self):
        self.n = 2

class TestF(Base):
    def test_small(self):
        self.assertEqual(f(self.n), 4)

    def test_many(self):
        for i in range(3):
            with self.subTest(i=i):
                self.assertEqual(f(i), 2 * i)

    def test_raises(self):
        with self.assertRaises(TypeError):
            f(None)
"""


def verdict(sandbox, program, *tests, kind=ProblemKind.FUNCTION, entry_point="f"):
    return sandbox.run([program], tests, kind=kind, entry_point=entry_point)[0]


@pytest.mark.parametrize(
    ("program", "statuses"),
    [
        ("def f(n): return 2 * n + 0 * (n + 1)", (PASSED, PASSED, PASSED)),
        ("def f(n): return 4", (PASSED, FAILED, FAILED)),
        ("def f(n): raise KeyError(n)", (ERROR, ERROR, ERROR)),
        ("import unittest\ndef f(n): raise unittest.SkipTest('no')", (ERROR, ERROR, ERROR)),
    ],
)
def test_unittest_classes(sandbox, program, statuses):
    found = verdict(sandbox, program, Test(TestKind.UNITTEST, UNITTEST))
    assert found.tests == statuses


def test_a_unittest_method_that_is_skipped_is_no_pass(sandbox):
    source = "import unittest\nclass A(unittest.TestCase):\n    @unittest.skip('later')\n    def test(self): f(1)\n"
    found = verdict(sandbox, "def f(n): return n", Test(TestKind.UNITTEST, source))
    assert found.outcome is not Outcome.PASSED
    assert "later" in found.detail


@pytest.mark.parametrize(("result", "status"), [("3", PASSED), ("5", PASSED), ("4", FAILED), ("'3'", FAILED)])
def test_a_checker_decides_on_values(sandbox, result, status):
    test = Test(TestKind.VALUE, "(15,)", "3", checker=ANY_DIVISOR)
    assert verdict(sandbox, f"def f(n): return {result}", test).tests == (status,)


@pytest.mark.parametrize(("output", "status"), [("b a", PASSED), ("a\\nb\\n", PASSED), ("a", FAILED), ("", FAILED)])
def test_a_checker_decides_on_outputs(sandbox, output, status):
    test = Test(TestKind.STDIO, "", "a b\n", checker=SAME_LINES)
    assert verdict(sandbox, f"print('{output}')", test, kind=ProblemKind.STDIO, entry_point="").tests == (status,)


def test_a_checker_without_end_is_stopped(sandbox):
    endless = "def check(given, got, expected):\n    while got == 'loop': pass\n    return True\n"
    test = Test(TestKind.STDIO, "", "a\n", checker=endless.replace("'loop'", "'loop\\n'"))
    found = verdict(sandbox, "print('loop')", test, kind=ProblemKind.STDIO, entry_point="")
    assert found.outcome is not Outcome.PASSED
    assert "too long" in found.detail
    assert verdict(sandbox, "print('a')", test, kind=ProblemKind.STDIO, entry_point="").outcome is Outcome.PASSED


def test_a_checker_that_raises_accepts_nothing(sandbox):
    test = Test(TestKind.VALUE, "(1,)", "1", checker="def check(given, got, expected):\n    return got.missing\n")
    assert verdict(sandbox, "def f(n): return n", test).outcome is not Outcome.PASSED
