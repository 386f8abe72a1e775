"""Problems as online judges have them: inputs and outputs for a whole program, or arguments and a value for a function.

What APPS, TACO, CodeContests, LiveCodeBench and the sets made of them have in common.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterable
from typing import Any

from rrtf_ray.problems.formats.usable import unusable
from rrtf_ray.problems.python_source import docstring
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem, ProblemKind, Split, Test, TestKind

SETUP = """\
import bisect
import collections
import functools
import heapq
import itertools
import math
import random
import re
import string
from bisect import *
from collections import *
from functools import *
from heapq import *
from itertools import *
from math import ceil, comb, floor, gcd, inf, lcm, sqrt
from typing import *
"""
"""What LeetCode grants to a solution."""

_CHECKER = """\
def check(given, got, expected):
    def same(a, b):
        if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
            return len(a) == len(b) and all(map(same, a, b))
        if isinstance(a, dict) and isinstance(b, dict):
            a = {str(key): value for key, value in a.items()}
            return a.keys() == b.keys() and all(same(a[key], b[key]) for key in b)
        if isinstance(a, (int, float)) and isinstance(b, float):
            return abs(a - b) <= 1e-6 * max(1.0, abs(b))
        return a == b
    return same(got, expected)"""
JSON_CHECKER = _CHECKER + "\n"
"""JSON took the difference between tuples and lists, and between keys, from the expected value."""
WRAPPED_CHECKER = _CHECKER + " or same(got, expected[0])\n"
"""As APPS itself: an output `[3]` stands for 3 as well."""

_FENCE = re.compile(r"```[ \t]*(?:[Pp]ython\d?|py)?[ \t]*\n(.*?)```", re.DOTALL)


def judged_problem(
    row: Row,
    *,
    id: str,
    statement: str,
    cases: Iterable[tuple[Any, Any]],
    function: str = "",
    starter: str = "",
    solutions: Iterable[str] = (),
    split: Split = Split.TRAIN,
    wrapped: bool = False,
    date: str = "",
) -> Problem:
    """A problem of `cases`: of (arguments, value) if there is a `function`, else of (input, output).

    starter: what the function's definition begins with; in it, or in a solution, it may be in a class `Solution`.
    wrapped: each value may be in a list of its own. Raises Unusable where there are no cases.
    """
    if function:
        tests = tuple(_value_test(row, given, value, wrapped) for given, value in cases)
    else:
        tests = tuple(Test(TestKind.STDIO, _lines(row, given), _lines(row, value)) for given, value in cases)
    if not tests:
        raise unusable(row, f"problem {id!r} has no tests; add some or remove the row")
    solutions = [code_of(solution) for solution in solutions]
    reference = next((code for code in solutions if is_python(code)), "")
    in_class = bool(function) and re.search(r"^class Solution\b", starter or reference, re.MULTILINE) is not None
    return Problem(
        id=id,
        prompt=_prompt(statement, function, starter, in_class),
        kind=ProblemKind.FUNCTION if function else ProblemKind.STDIO,
        entry_point=f"Solution().{function}" if in_class else function,
        tests=tests,
        reference=reference,
        setup=SETUP if in_class else "",
        split=split,
        date=date,
    )


def paired(row: Row, tests: Any) -> tuple[list[tuple[Any, Any]], str]:
    """The cases of `{"inputs": [...], "outputs": [...], "fn_name": ...}`, and the function's name; empty for none."""
    if not isinstance(tests, dict) or not {"inputs", "outputs"} <= tests.keys():
        raise unusable(row, "has no tests of the form {'inputs': [...], 'outputs': [...]}; add them or remove the row")
    inputs, outputs = tests["inputs"], tests["outputs"]
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise row.error(
            "'inputs' and 'outputs' of its tests are not lists of one length; give an output for each input"
        )
    return list(zip(inputs, outputs, strict=True)), _name(row, tests.get("fn_name"))


def listed(row: Row, tests: Any, function: str = "") -> tuple[list[tuple[Any, Any]], str]:
    """The same of `[{"input": ..., "output": ..., "type" or "testtype": ...}, ...]`."""
    if not isinstance(tests, list):
        raise row.error(f"its tests are {str(tests)[:60]!r}, no list; correct them")
    cases: list[tuple[Any, Any]] = []
    called: set[bool] = set()
    for number, test in enumerate(tests):
        if not isinstance(test, dict) or not {"input", "output"} <= test.keys():
            raise row.error(f"test {number} is not an object with 'input' and 'output'; correct it")
        kind = test.get("testtype") or test.get("type") or "stdin"
        called.add(kind in ("functional", "function_call", "function"))
        function = function or _name(row, test.get("fn_name"))
        given, value = test["input"], test["output"]
        if kind == "functional":
            given, value = _arguments(row, number, given), _value(row, number, value)
        cases.append((given, value))
    if len(called) > 1:
        raise unusable(row, "has tests of functions and of standard input; keep those of one kind")
    if called == {True} and not function:
        raise unusable(row, "has tests of a function, and its name is nowhere; give it as 'fn_name' of each test")
    return cases, function if called == {True} else ""


def is_wrapped(function: str, cases: list[tuple[Any, Any]]) -> bool:
    """Whether every value of a function is in a list of its own, as APPS and the sets made of it write them."""
    return bool(function) and all(isinstance(value, list) and len(value) == 1 for _, value in cases)


def code_of(text: str) -> str:
    """The code in a solution: what is in its first fences, or all of it."""
    text = text.replace("\r\n", "\n")
    found = _FENCE.search(text)
    return found.group(1) if found else text


def is_python(code: str) -> bool:
    """Whether it is the source of a program in Python 3."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return bool(ast.parse(code).body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False


def _name(row: Row, name: Any) -> str:
    if name is None or (isinstance(name, str) and (not name or name.isidentifier())):
        return name or ""
    raise row.error(f"fn_name={name!r} of its tests is not the name of a function; correct it")


def _arguments(row: Row, number: int, text: Any) -> list[Any]:
    lines = text.split("\n") if isinstance(text, str) else []
    return [_value(row, number, line) for line in lines if line.strip()]


def _value(row: Row, number: int, text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise unusable(row, f"test {number}: {text[:60]!r} is not JSON; correct it or remove the row") from None


def _value_test(row: Row, given: Any, value: Any, wrapped: bool) -> Test:
    if not isinstance(given, list):
        raise unusable(row, f"the input {str(given)[:60]!r} is not a list of arguments; correct it or remove the row")
    checker = JSON_CHECKER if isinstance(value, list | dict) else ""
    if wrapped and isinstance(value, list) and len(value) == 1:
        checker = WRAPPED_CHECKER
    return Test(TestKind.VALUE, repr(tuple(given)), repr(value), checker=checker)


def _lines(row: Row, value: Any) -> str:
    """A text, or the lines of one; numbers are written as `print` does."""
    if isinstance(value, list):
        return "\n".join(_lines(row, line) for line in value)
    if isinstance(value, dict):
        raise unusable(row, f"the input or output {str(value)[:60]!r} is an object, no text; correct it")
    return value.replace("\r\n", "\n") if isinstance(value, str) else str(value)


def _prompt(statement: str, function: str, starter: str, in_class: bool) -> str:
    text = statement.replace("\r\n", "\n").strip()
    if not function:
        return docstring(f"{text}\n\nRead from standard input and write to standard output.")
    if starter.strip():
        return docstring(text) + starter.replace("\r\n", "\n").rstrip() + "\n"
    kind = f"a class `Solution` with a method `{function}`" if in_class else f"a function `{function}`"
    return docstring(f"{text}\n\nWrite {kind}.")
