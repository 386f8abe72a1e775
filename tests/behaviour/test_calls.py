"""Calls are read from all forms of tests, and new ones are like them."""

import pytest

from rrtf_ray.behaviour.calls import calls_of, near
from rrtf_ray.records import Test, TestKind
from tests.records_for_tests import problem


@pytest.mark.parametrize(
    ("kind", "code", "calls"),
    [
        (
            TestKind.CHECK,
            "def check(candidate):\n    assert candidate(1, [2])\n    assert candidate(x)",
            [(1, [2])],
        ),
        (TestKind.CHECK, "def check(candidate):\n    assert candidate(b=[2], a=-1) == 3\n", [(-1, [2])]),
        (TestKind.ASSERT, "assert set(f(1, 'a')) == {1}\nassert f(1, 'a')", [(1, "a")]),
        (TestKind.VALUE, "(1, {'a': 2})", [(1, {"a": 2})]),
        (TestKind.CHECK, "def check(candidate):\n    assert candidate(*x, c=2)\n", []),
    ],
)
def test_calls(kind, code, calls):
    asked = problem("p", entry_point="f", tests=(Test(kind, code, "0"),))
    assert calls_of(asked, "def f(a, b):\n    pass\n") == calls


@pytest.mark.parametrize(
    "call", [(3, -2), ("abc", ""), ([1, 2, 3], {"a": 1}), (1.5, True), ((1, "x"), {4}), ([["a", 1], []], None)]
)
def test_new_calls_have_the_same_types_and_are_none_of_the_given(call):
    found = near([call], 100, seed=1)
    assert found
    assert near([call], 100, seed=1) == found
    assert call not in found
    assert all(tuple(map(type, new)) == tuple(map(type, call)) for new in found)
    assert len({repr(new) for new in found}) == len(found)


def test_given_calls_are_not_changed_and_there_may_be_none():
    call = ([1, 2], {"a": [3]})
    near([call], 50, seed=0)
    assert call == ([1, 2], {"a": [3]})
    assert near([], 10, 0) == near([()], 10, 0) == near([("a" * 5000,)], 10, 0) == []
