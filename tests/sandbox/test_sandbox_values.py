"""A program's calls as values: what each call gave, and that no call costs another one its answer."""

from __future__ import annotations

import ast
import logging

import pytest

from rrtf_ray.errors import DataError, InputError, SandboxError
from rrtf_ray.sandbox import Limits, Sandbox, Value, ValueOutcome
from rrtf_ray.sandbox.forms import literal

LIMITS = Limits(cpu_s=1.0, wall_s=6.0, memory_mb=256)
ODD = """
import collections, enum, os, sys
Point = collections.namedtuple("Point", "x y")
class Colour(enum.IntEnum):
    RED = 1
class Text(str):
    pass
def nested(depth):
    return [nested(depth - 1)] if depth else []
def forged():
    os.write(3, b"\\0\\0\\0\\x05junk!")
"""


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(LIMITS) as shared:
        yield shared


def one(sandbox, expression):
    [value] = sandbox.values(f"{ODD}def f(): return {expression}\n", "f", [()])
    return value


LITERALS = [
    "None", "True", "0", "-(10 ** 30)", "1.5", "-0.0", "'a\\'\\n\\u20ac\\udc80'", "b'\\xff\\0'", "2 - 3j", "[]", "()",
    "(1,)", "[(1, [2]), {}]", "{1: 'a', (2, 3.5): None}", "set()", "{1}", "{(1, 'b')}", "1e999", "[-1e999]",
]  # fmt: skip


@pytest.mark.parametrize("expression", LITERALS)
def test_literals_come_back_equal_and_of_the_same_type(sandbox, expression):
    value = one(sandbox, expression)
    expected = eval(expression)
    assert value.outcome is ValueOutcome.RETURNED
    found = literal(value.literal)
    assert (found, type(found)) == (expected, type(expected))
    assert repr(found) == repr(expected) == value.literal


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("Point(1, [2.5])", "(1, [2.5])"),
        ("Colour.RED", "1"),
        ("Text('x')", "'x'"),
        ("collections.Counter('aab')", "{'a': 2, 'b': 1}"),
        ("collections.OrderedDict([(1, 2)])", "{1: 2}"),
        ("collections.defaultdict(list, {1: [2]})", "{1: [2]}"),
        ("frozenset([7])", "{7}"),
        ("float('nan')", "nan"),
        ("[complex('inf')]", "[(inf+0j)]"),
    ],
)
def test_relatives_of_the_builtin_types_come_back_as_these(sandbox, expression, text):
    assert one(sandbox, expression) == Value(ValueOutcome.RETURNED, text)


@pytest.mark.parametrize(
    "expression",
    ["(i for i in ())", "object", "object()", "{frozenset([1])}", "{frozenset(): 1}", "{(1, frozenset()): 1}",
     "range(3)", "bytearray(b'x')", "...", "nested(300)", "nested(50_000)", "collections.deque()"],
)  # fmt: skip
def test_what_has_no_literal_is_said_so(sandbox, expression):
    value = one(
        sandbox, f"[{expression}]" if "nested" not in expression else f"(sys.setrecursionlimit(10**6), {expression})"
    )
    assert value.outcome in (ValueOutcome.NOT_LITERAL, ValueOutcome.ENDED)
    assert not value.literal
    assert value.detail


def test_the_deepest_value_is_one_that_python_reads(sandbox):
    values = sandbox.values(ODD, "nested", [(depth,) for depth in range(80, 100)])
    for value in values:
        if value.outcome is ValueOutcome.RETURNED:
            ast.literal_eval(value.literal)
    assert {value.outcome for value in values} == {ValueOutcome.RETURNED, ValueOutcome.NOT_LITERAL}


def test_no_call_costs_another_one_its_answer(sandbox):
    program = """
import os, sys
def f(how):
    if how == "endless":
        while True: pass
    if how == "huge": return "a" * (1 << 40)
    if how == "exit": sys.exit(2)
    if how == "end": os._exit(3)
    if how == "crash": os.abort()
    if how == "raise": raise KeyError("x")
    return how
"""
    calls = ["a", "endless", "b", "huge", "c", "exit", "d", "end", "e", "crash", "f", "raise", "g"]
    values = sandbox.values(program, "f", [(call,) for call in calls], call_s=0.1)
    returned, *_ = ValueOutcome
    assert [v.outcome for v in values[::2]] == [returned] * 7
    assert [v.literal for v in values[::2]] == [repr(call) for call in "abcdefg"]
    assert [v.outcome for v in values[1::2]] == [
        ValueOutcome.TIMEOUT,
        ValueOutcome.OUT_OF_MEMORY,
        ValueOutcome.RAISED,
        ValueOutcome.ENDED,
        ValueOutcome.ENDED,
        ValueOutcome.RAISED,
    ]
    assert values[7].detail == "exit status 3"
    assert values[11].detail == "KeyError: 'x' (line 10)"


def test_calls_share_the_programs_state_and_no_arguments(sandbox):
    program = "seen = []\ndef f(x):\n    x.append(1)\n    seen.append(0)\n    return x, len(seen)\n"
    given = [5]
    values = sandbox.values(program, "f", [(given,), (given,)])
    assert [v.literal for v in values] == ["([5, 1], 1)", "([5, 1], 2)"]
    assert given == [5]


def test_all_calls_together_have_a_limit_too(sandbox):
    program = "def f(n):\n    while n: pass\n    return n\n"
    values = sandbox.values(program, "f", [(0,), (1,), (0,)])
    assert [v.outcome for v in values] == [ValueOutcome.RETURNED, ValueOutcome.TIMEOUT, ValueOutcome.TIMEOUT]
    assert values[2].detail == "the calls before it left no time"


@pytest.mark.parametrize(
    ("program", "detail"),
    [("def f(:", "SyntaxError: invalid syntax (line 1)"), ("1 / 0", "ZeroDivisionError: division by zero (line 1)")],
)
def test_a_program_that_does_not_load_makes_no_calls(sandbox, program, detail):
    assert sandbox.values(program, "f", [(), ()]) == [Value(ValueOutcome.NOT_RUN, detail=detail)] * 2


def test_a_program_that_forges_is_believed_nothing(sandbox):
    assert one(sandbox, "forged()").detail == "the program wrote into the channel of its results"


def test_the_entry_point_is_an_expression(sandbox):
    program = "class A:\n    def f(self, x): return x\n"
    assert sandbox.values(program, "A().f", [(1,)])[0].literal == "1"
    assert sandbox.values(program, "missing", [(1,)])[0].detail == "NameError: name 'missing' is not defined"
    assert sandbox.values(program, "A().f", []) == []
    with pytest.raises(DataError, match="entry_point='A\\('"):
        sandbox.values(program, "A(", [(1,)])


def test_arguments_are_of_builtin_types(sandbox):
    with pytest.raises(InputError, match="call 1 has an argument that is not of a builtin type"):
        sandbox.values("", "f", [(1,), (object(),)])


def test_the_hash_seed_decides_the_order_of_sets():
    calls = [([f"item {i}" for i in range(20)],)]
    found = []
    for seed in (0, 0, 1):
        with Sandbox(LIMITS, hash_seed=seed) as sandbox:
            found += sandbox.values("def f(x): return list(set(x))", "f", calls)
    assert found[0] == found[1] != found[2]


def test_a_fault_of_the_machinery_is_met_once_with_new_processes(monkeypatch, caplog):
    failures = iter([True, False, True, True])
    original = Sandbox._start

    def start(self, *arguments):
        processes = original(self, *arguments)
        if next(failures, False):
            processes._zygote._process.kill()
            processes._zygote._process.wait()
        return processes

    with Sandbox(LIMITS) as sandbox:
        monkeypatch.setattr(Sandbox, "_start", start)
        with caplog.at_level(logging.WARNING):
            assert sandbox.values("def f(): return 1", "f", [()])[0].literal == "1"
        assert "processes are replaced" in caplog.text
        with pytest.raises(SandboxError, match="failed twice in a row"):
            sandbox.values("def f(): return 1", "f", [()])
