"""Runs tests and records their results, apart from the program or, where a test needs that, in its interpreter.

Every record is a line `<nonce> <letter>[ <text>]`:  p passed, f failed (wrong value), e error, m out of
memory, x does not compile, d the first failure's text, . the end of an orderly run.
"""

from __future__ import annotations

import marshal
import math
import reprlib
import types
from collections.abc import Callable, Sequence
from typing import Any

from rrtf_ray.sandbox.shared.channel import Gone
from rrtf_ray.sandbox.shared.jobs import Step, TestsJob
from rrtf_ray.sandbox.shared.loading import MAX_TEXT, describe
from rrtf_ray.sandbox.shared.remote import Garbage, OutOfMemory, Program, Remote, text_of

TESTS_FILE = "<tests>"
CHECK_NAME = "_rrtf_check"
RESULT_NAME = "_rrtf_result"
"""Names that `rrtf_ray.sandbox.forms` has put into the tests' code."""
GARBAGE = b"?\n"
"""In place of records, where the program's side has written what its runner cannot have written."""
UNFORESEEN = b"!\n"
"""In place of records, where the tests made a call other than the one foreseen."""
_REL_TOL = 1e-6
_ABS_TOL = 1e-6

Record = Callable[[str, str], None]
Note = Callable[[BaseException | None], None]


class Stop(Exception):
    """No further test is to run."""


def recorder(write: Callable[[bytes], Any], nonce: str) -> Record:
    prefix = nonce.encode()
    short = {letter: prefix + b" " + letter.encode() + b"\n" for letter in "pfemxd."}

    def record(letter: str, text: str) -> None:
        if not text:
            write(short[letter])
            return
        line = " ".join(text[:MAX_TEXT].split())
        write(b"%b %b %b\n" % (prefix, letter.encode(), line.encode(errors="backslashreplace")))

    return record


def judge_program(job: TestsJob, program: Program, names: dict[str, Any], record: Record) -> bool:
    """Run the job's tests against a program and record the results; False where it wrote what no runner writes."""

    def note(letter: str, text: str) -> None:
        if program.fault is not None and letter == "p":
            raise program.fault  # a test that catches everything has caught it
        program.has_failed |= letter in "fe"
        record(letter, text)

    try:
        how, text, found = program.loaded()
        if how:
            if text:
                record("d", text)
            if how in ("x", "m"):
                record(how, "")
            raise Stop
        if not found.keys() <= set(job.names):  # only what was asked for, and never a builtin's name
            raise Garbage
        names |= found
        names[RESULT_NAME] = program.result
        if job.entry_name:
            names[job.entry_name] = program.entry
        run_tests(job.tests, names, lambda: program.entry, job.fail_fast, note, may_skip=True)
    except (Stop, Gone, Garbage, OutOfMemory):
        pass
    if isinstance(program.fault, OutOfMemory):
        record("m", "")
    elif program.fault is None:
        record(".", "")
    return not isinstance(program.fault, Garbage)


def run_tests(tests: Sequence[Step], names: dict[str, Any], entry: Callable[[], Any], fail_fast: bool,
              record: Record, may_skip: bool = False) -> None:  # fmt: skip
    """Run all tests; `entry` gives the entry point anew. Raises Stop, Gone or Garbage where there can be no more.

    may_skip: whether a unittest method that is skipped passes; not where a program could have it skipped.
    """
    silent = False

    def note(error: BaseException | None) -> None:
        nonlocal silent
        if error is None:
            record("p", "")
            return
        if isinstance(error, Gone | Garbage | Stop):
            raise error
        if isinstance(error, OutOfMemory):
            raise error
        if isinstance(error, MemoryError) and text_of(error) is None:
            record("m", "")
            raise Stop
        letter, text = _judge(error)
        if not silent:
            silent = True
            record("d", text)
        record(letter, "")
        if fail_fast:
            raise Stop

    for kind, *test in tests:
        _RUN[kind](names, entry, note, *test, *((may_skip,) if kind == "unittest" else ()))


def _run_assert(names: dict[str, Any], entry: Callable[[], Any], note: Note, code: types.CodeType) -> None:
    try:
        exec(code, names)
    except BaseException as error:
        note(error)
    else:
        note(None)


class NotRun(Exception):
    """A unittest method that did not come to its end."""


class Skipped(NotRun):
    """A unittest method that the tests skip."""


class WrongValue(Exception):
    """A VALUE test's result is not the one expected."""


def _run_value(
    names: dict[str, Any],
    entry: Callable[[], Any],
    note: Note,
    call: int | None,
    arguments: bytes,
    expected: bytes,
    atol: float,
    checker: types.CodeType | None,
) -> None:
    try:
        value = names[RESULT_NAME](call) if call is not None else entry()(*marshal.loads(arguments))
        wanted = marshal.loads(expected)
        if checker is not None:
            passed = checked(checker, marshal.loads(arguments), value, wanted)
        else:
            passed = equal(value, wanted, atol)
        if not passed:
            raise WrongValue(f"got {_short(value)}, expected {_short(wanted)}")
    except BaseException as error:
        note(error)
    else:
        note(None)


def checked(checker: types.CodeType, given: Any, got: Any, expected: Any) -> bool:
    """What the test's own `check(given, got, expected)` says."""
    names: dict[str, Any] = {"__name__": "checker"}
    exec(checker, names)
    return names["check"](given, got, expected) is True


def _run_check(
    names: dict[str, Any], entry: Callable[[], Any], note: Note, code: types.CodeType, num_results: int, stepwise: bool
) -> None:
    """A stepwise `check` is a generator that stops after each of its results."""
    num_done = 0
    fault: BaseException | None = None
    try:
        exec(code, names)
        check = names.pop(CHECK_NAME)
        if not stepwise:
            check(entry())
        else:
            steps = check(entry())
            send: Any = None
            while num_done < num_results:
                error = steps.send(send)
                num_done += 1
                note(error)
                send = entry()
            return
    except (Stop, Gone, Garbage):
        raise
    except BaseException as error:
        fault = error
    for _ in range(num_results - num_done):
        note(fault)


def _run_unittest(
    names: dict[str, Any],
    entry: Callable[[], Any],
    note: Note,
    code: types.CodeType,
    cases: list[tuple[str, str]],
    may_skip: bool,
) -> None:
    """Skipped methods pass if another one runs."""
    import unittest

    class Result(unittest.TestResult):
        fault: BaseException | None = NotRun("the test gave no result")

        def addSuccess(self, test: Any) -> None:
            if isinstance(self.fault, NotRun):
                self.fault = None

        addExpectedFailure = lambda self, test, err: self.addSuccess(test)  # noqa: E731

        def addSkip(self, test: Any, reason: str) -> None:
            self.fault = Skipped(f"the test was skipped: {reason}")

        def addFailure(self, test: Any, err: Any) -> None:
            self.fault = err[1] if self.fault is None or isinstance(self.fault, NotRun) else self.fault

        addError = addFailure

        def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
            if err:
                self.addFailure(test, err)

    try:
        exec(code, names)
    except BaseException as error:
        for _ in cases:
            note(error)
        return
    skipped: list[BaseException | None] = []
    has_run = False
    for class_name, method in cases:
        result = Result()
        try:
            unittest.TestSuite([names[class_name](method)]).run(result)
        except BaseException as error:
            result.fault = error
        skips = may_skip and isinstance(result.fault, Skipped)
        if skips and not has_run:
            skipped.append(result.fault)
            continue
        has_run = True
        while skipped:
            skipped.pop()
            note(None)
        note(None if skips else result.fault)
    for fault in skipped:
        note(fault)


_RUN: dict[str, Callable[..., None]] = {
    "assert": _run_assert,
    "value": _run_value,
    "check": _run_check,
    "unittest": _run_unittest,
}


def equal(value: Any, wanted: Any, atol: float) -> bool:
    """Equal, but for rounding: `==`, and within the tolerance wherever a float is expected."""
    if isinstance(wanted, float) or (atol and isinstance(wanted, int | complex)):
        if isinstance(value, int | float) and not isinstance(wanted, complex):
            try:
                close = math.isclose(value, wanted, rel_tol=_REL_TOL, abs_tol=atol or _ABS_TOL)
            except OverflowError:  # an int beyond the floats
                close = False
            return close or value == wanted or (value != value and wanted != wanted)
        return bool(value == wanted)
    if isinstance(wanted, list | tuple):
        same = isinstance(value, list if isinstance(wanted, list) else tuple) and len(value) == len(wanted)
        return same and all(equal(v, w, atol) for v, w in zip(value, wanted, strict=True))
    if isinstance(wanted, dict):
        same = isinstance(value, dict) and value.keys() == wanted.keys()
        return same and all(equal(value[key], wanted[key], atol) for key in wanted)
    return bool(value == wanted)


def _short(value: Any) -> str:
    try:
        return "an object of the program's" if isinstance(value, Remote) else reprlib.repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"


def _judge(error: BaseException) -> tuple[str, str]:
    """A wrong value, or the program's own fault? An assertion is the test's only if the test made it."""
    if isinstance(error, WrongValue):
        return "f", str(error)
    if (text := text_of(error)) is not None:
        return "e", text
    if isinstance(error, AssertionError) and _innermost_file(error) in (TESTS_FILE, "case.py"):
        return "f", "assertion failed"
    return "e", describe(error)


def _innermost_file(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    name = traceback.tb_frame.f_code.co_filename if traceback is not None else ""
    return name.rpartition("/")[2]  # unittest raises from its own case.py
