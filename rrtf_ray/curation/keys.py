"""By what two problems are told to be the same: hashes of the prompt, the reference and the tests.

Pure. Limits: a prompt in other words with a reference of another structure and other tests is another problem.
"""

from __future__ import annotations

import ast
import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from rrtf_ray.core.python_code import parses, tree_of
from rrtf_ray.core.sameness import whole_form
from rrtf_ray.core.words import function_name, key_of, statement
from rrtf_ray.execution import reference_program
from rrtf_ray.records import Language, Problem, ProblemKind, Test, TestKind

PARTS = ("prompt", "reference", "tests")
"""Of a problem, in the order in which they are compared."""
FEWEST_TESTS = 5
"""Fewer results do not tell a problem from another: six pairs of MBPP share their three tests, and none is a copy."""
SMALLEST_REFERENCE = 25
"""Nodes of its syntax tree, about: `return sorted(items)` answers several questions."""

_ANY = "any"
_LIMIT = re.compile(r"(?:<=?|≤|\\leq?\b|\\lt\b)\s*(-?\d[\d^,.*{} ]*)")
_DEFINES = re.compile(r"^(?:async\s+)?(?:def|class)\s", re.MULTILINE)


class Reason(StrEnum):
    """Why a problem is a copy of another one, the surest first."""

    SAME_TEXT = "same text"
    SAME_WORDS = "same words"
    SAME_REFERENCE = "same reference"
    SAME_TESTS = "same tests"
    NEAR_COPY = "near copy"

    @property
    def part(self) -> str:
        """The part of the problem that is compared."""
        match self:
            case Reason.SAME_REFERENCE:
                return "reference"
            case Reason.SAME_TESTS:
                return "tests"
            case _:
                return "prompt"


@dataclass(frozen=True, slots=True)
class Keys:
    """prose: the words that are compared for near copies. by: a hash for each reason but a near copy; a part that says
    too little to tell problems apart has none. limits: what the prompt names as upper limits, as in 1 <= n <= 3000."""

    prose: list[str]
    by: dict[Reason, bytes]
    limits: str = ""


class Holders:
    """The first problem with each key.

    An easy and a hard version of a problem have one reference, and differ in the limits of the statement. So the same
    reference or the same tests say nothing where both statements have limits, and not the same.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[object, ...], int] = {}

    def find(self, keys: Keys, kind: str = "") -> tuple[int, Reason] | None:
        """The number of a problem with one of these keys, by the surest reason. kind: the same is needed."""
        for reason, key in keys.by.items():
            for limits in (keys.limits, "" if keys.limits else _ANY):
                if (number := self._first.get((reason, kind, key, limits))) is not None:
                    return number, reason
        return None

    def add(self, number: int, keys: Keys, kind: str = "") -> None:
        """Later ones with the same keys do not replace it."""
        for reason, key in keys.by.items():
            self._first.setdefault((reason, kind, key, keys.limits), number)
            if keys.limits:
                self._first.setdefault((reason, kind, key, _ANY), number)


def keys_of(problem: Problem, parts: tuple[str, ...] = PARTS) -> Keys:
    """What `problem` is compared by, of these parts."""
    by, prose = dict[Reason, bytes](), list[str]()
    if "prompt" in parts:
        text = statement(problem.prompt, problem.suffix, problem.entry_point)
        prose = text.prose
        if text.words:
            by[Reason.SAME_TEXT] = _hash(problem.prompt, problem.suffix)
            by[Reason.SAME_WORDS] = key_of(text.words)
    if "reference" in parts and (form := _reference_form(problem)):
        by[Reason.SAME_REFERENCE] = _hash(problem.language, problem.kind, form)
    if "tests" in parts and (tests := _test_forms(problem)):
        by[Reason.SAME_TESTS] = _hash(*tests)
    return Keys(prose, by, " ".join("".join(found.split()) for found in _LIMIT.findall(problem.prompt)))


def _hash(*texts: str) -> bytes:
    return hashlib.sha256("\0".join(texts).encode(errors="surrogatepass")).digest()[:16]


def _reference_form(problem: Problem) -> str:
    program = _program(problem)
    form = whole_form(program, problem.language, function_name(problem.entry_point)) if program else ""
    return form if form.count("(") >= SMALLEST_REFERENCE or not form.startswith("FunctionDef(") else ""


def _program(problem: Problem) -> str:
    """The reference as a program; that a reference defines the function, or continues the prompt, is seen quickly."""
    if problem.reference and problem.kind is ProblemKind.FUNCTION and problem.language is Language.PYTHON:
        for program in (problem.reference, problem.prompt + problem.reference):
            if not program[:1].isspace() and _DEFINES.search(program) and parses(program):
                return program
    return reference_program(problem)


def _test_forms(problem: Problem) -> list[str]:
    """The tests in an order that does not depend on theirs; empty where they are too few."""
    name = function_name(problem.entry_point) or "candidate"
    forms, results = set[str](), 0
    for test in problem.tests:
        found, count = _forms_of(test, name)
        forms.update(found)
        results += count
    return sorted(forms) if results >= FEWEST_TESTS else []


def _forms_of(test: Test, name: str) -> tuple[list[str], int]:
    """A test's assertions, each by itself where nothing else is in it, and how many there are."""
    if test.kind in (TestKind.VALUE, TestKind.STDIO):
        return ["\0".join((" ".join(test.code.split()), " ".join(test.expected.split()), test.checker))], 1
    code = test.code.replace(f"{name}(", "candidate(")
    tree, lines = tree_of(code), code.splitlines()
    if tree is None:
        return [code.strip()], 1
    body = [statement for statement in tree.body if not _is_metadata(statement)]
    if len(body) == 1 and isinstance(body[0], ast.FunctionDef):
        body = body[0].body
    if all(isinstance(node, ast.Assert) for node in body):
        asserts = ["".join("".join(lines[node.lineno - 1 : node.end_lineno]).split()) for node in body]
        return asserts, len(set(asserts))
    count = sum(isinstance(node, ast.Assert | ast.Call) for node in ast.walk(tree))
    return ["".join(code.split())], count


def _is_metadata(statement: ast.stmt) -> bool:
    """HumanEval's note on where a problem is from."""
    return isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "METADATA"
