"""Tests -> what the processes of a run need, prepared once per call and on the supervisor's side.

The number of results is known here, before any program runs: a program that ends early cannot change it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import CodeType

from rrtf_ray.errors import DataError
from rrtf_ray.records import ProblemKind, Test, TestKind
from rrtf_ray.sandbox import wire
from rrtf_ray.sandbox.forms import CalledAhead, Form, compiled, read_form
from rrtf_ray.sandbox.names import Helpers, unresolved_names

_PARSE_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)
_MAX_RESULTS = 20_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run the tests of one call.

    program_job: marshalled, for the programs' zygote: what a program's process has to do; nothing that is expected.
    judge_job: marshalled, for the process of the tests.
    inside_job: as both, for tests that need the program's own interpreter.
    labels: one per result, for `detail`: the statement or the test in short.
    ahead: all calls are known before, so that the tests need not be there while the program runs.
    stdin, expected: of the STDIO tests, in order; nobody but the supervisor gets the second.
    checkers: whether a STDIO test has a checker of its own.
    digest: of the tests and all else that this was made of; equal plans have equal ones in every process.
    """

    program_job: bytes
    judge_job: bytes
    inside_job: bytes
    labels: tuple[str, ...]
    ahead: bool = False
    stdin: tuple[bytes, ...] = ()
    expected: tuple[str, ...] = ()
    checkers: tuple[bool, ...] = ()
    digest: bytes = b""


def make_plan(
    tests: Sequence[Test], kind: ProblemKind, entry_point: str, setup: str, fail_fast: bool, prompt: str = ""
) -> Plan:
    """DataError, with the test's number, for a test that cannot be read."""
    if not tests:
        raise DataError("there are no tests to run; give at least one, or do not run the program")
    stdio = kind is ProblemKind.STDIO
    for number, test in enumerate(tests, 1):
        if (test.kind is TestKind.STDIO) != stdio:
            raise DataError(
                f"test {number} is of kind {test.kind.value!r} in a problem of kind {kind.value!r}; "
                f"{'give tests of kind stdio' if stdio else 'give tests of kind check, assert, value or unittest'}"
            )
    setup_code = _part(setup, "setup", "exec")
    made_of = repr((tuple(tests), kind, entry_point, setup, fail_fast, prompt)).encode("utf-8", "surrogatepass")
    if stdio:
        plan = _stdio_plan(tests, setup_code)
    else:
        plan = _function_plan(tests, entry_point, setup, setup_code, fail_fast, prompt)
    return replace(plan, digest=hashlib.sha256(made_of).digest())


def _function_plan(
    tests: Sequence[Test], entry_point: str, setup: str, setup_code: CodeType, fail_fast: bool, prompt: str
) -> Plan:
    entry_point = entry_point.strip()
    entry_code = _part(entry_point, "entry_point", "eval")
    entry_name = entry_point if entry_point.isidentifier() else ""
    helpers = Helpers(prompt, setup, entry_point)
    forms = [_form(number, test, entry_name) for number, test in enumerate(tests, 1)]
    labels = tuple(label for form in forms for label in form.labels)
    if len(labels) > _MAX_RESULTS:
        raise DataError(f"{len(labels)} results are more than {_MAX_RESULTS}; split the tests")
    bound = helpers.names | {entry_name}
    wanted = sorted({name for form in forms for name in unresolved_names(form.trees, bound)})
    common = {"setup": setup_code, "fail_fast": fail_fast}
    inside = {**common, "entry_point": entry_code, "tests": [form.step() for form in forms]}
    calls = CalledAhead()
    ahead = not wanted and all(form.call_ahead(calls) for form in forms)
    judge = {
        **common,
        "helpers": helpers.code,
        "classes": helpers.classes,
        "entry_name": entry_name,
        "tests": [form.step() for form in forms] if ahead else inside["tests"],
        "num_ahead": len(calls.texts) if ahead else 0,
    }
    program = {
        "setup": setup_code,
        "entry_point": entry_code,
        "names": wanted,
        "classes": helpers.classes,
        "calls": calls.texts if ahead else [],
        "serves": not ahead,
    }
    return Plan(wire.dumps(program), wire.dumps(judge), wire.dumps(inside), labels, ahead)


def _stdio_plan(tests: Sequence[Test], setup: CodeType) -> Plan:
    checkers = [_checker(number, test) for number, test in enumerate(tests, 1)]
    job = wire.dumps({"setup": setup})
    return Plan(
        program_job=job,
        judge_job=wire.dumps({"checkers": checkers}),
        inside_job=job,
        labels=("standard output",) * len(tests),
        stdin=tuple(t.code.encode(errors="surrogatepass") for t in tests),
        expected=tuple(t.expected for t in tests),
        checkers=tuple(checker is not None for checker in checkers),
    )


def _form(number: int, test: Test, entry_name: str) -> Form:
    try:
        return read_form(test, entry_name)
    except _PARSE_ERRORS as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"test {number} ({test.kind.value}) cannot be read: {reason}") from error


def _checker(number: int, test: Test) -> CodeType | None:
    try:
        return compiled(test.checker) if test.checker else None
    except _PARSE_ERRORS as error:
        raise DataError(f"the checker of test {number} cannot be read: {type(error).__name__}: {error}") from error


def _part(source: str, name: str, mode: str) -> CodeType:
    try:
        return compile(source.removeprefix("\ufeff"), f"<{name}>", mode, dont_inherit=True)
    except _PARSE_ERRORS as error:
        raise DataError(f"{name}={source[:80]!r} is not valid Python: {error}") from error
