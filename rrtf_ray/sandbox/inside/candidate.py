"""Runs one program and its tests in a process of its own, and writes what happened into a pipe.

Every record is a line `<nonce> <letter>[ <text>]`:  p passed, f failed (wrong value), e error, m out of
memory, x does not compile, d the first failure's text, ! a fault of the machinery, . the end of an orderly
run. The nonce is in no place that the program's own names lead to. A program that searches the
interpreter's frames finds it all the same: the tests run in the candidate's interpreter, and what that
leaves open is listed in `rrtf_ray.sandbox`.
"""

from __future__ import annotations

import atexit
import io
import linecache
import marshal
import math
import os
import random
import reprlib
import sys
import threading
import types
from collections.abc import Callable
from typing import Any, NoReturn

PROGRAM_FILE, TESTS_FILE = "<program>", "<tests>"
_CHECK_NAME = "_rrtf_check"  # rrtf_ray.sandbox.plan
_MAX_TEXT = 300
_REL_TOL = 1e-6
_ABS_TOL = 1e-6
_COMPILE_ERRORS = (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError)

_Record = Callable[[str, str], None]


class _Stop(Exception):
    """No further test is to run."""


def run_function(job: dict[str, Any], source: str, nonce: str, fd: int) -> NoReturn:
    record = _recorder(fd, nonce)
    del nonce
    try:
        module = _prepare(source, "program", record)
        _load(job, source, module, record)
        _run_tests(job, module.__dict__, record)
        record(".", "")
    except _Stop:
        record(".", "")
    finally:
        os._exit(0)


def run_script(job: dict[str, Any], source: str, nonce: str, fd: int) -> NoReturn:
    """The standard output and the exit status are the result; the records only explain it."""
    record = _recorder(fd, nonce)
    del nonce
    status = 1
    try:
        sys.stdin = sys.__stdin__ = _text_stream(0, "r")  # type: ignore[misc]
        sys.stdout = sys.__stdout__ = _text_stream(1, "w")  # type: ignore[misc]
        stdout = sys.stdout
        module = _prepare(source, "__main__", record)
        code = _compile(source, record)
        try:
            exec(job["setup"], module.__dict__)
            exec(code, module.__dict__)
            status = 0
        except SystemExit as exit_:
            status = exit_.code & 0xFF if isinstance(exit_.code, int) else int(exit_.code is not None)
            if status:
                record("d", f"SystemExit: {exit_.code}")
        except MemoryError:
            record("m", "")
        except BaseException as error:
            record("d", _describe(error))
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        stdout.flush()
        record(".", "")
    except MemoryError:
        record("m", "")
        status = 1
    except OSError as error:
        record("d", _describe(error))
        status = 1
    except _Stop:
        status = 1
    finally:
        os._exit(status)


def _recorder(fd: int, nonce: str) -> _Record:
    write, prefix = os.write, nonce.encode()
    short = {letter: prefix + b" " + letter.encode() + b"\n" for letter in "pfemx."}

    def record(letter: str, text: str) -> None:
        if not text:
            write(fd, short[letter])
            return
        line = " ".join(text[:_MAX_TEXT].split())
        write(fd, b"%b %b %b\n" % (prefix, letter.encode(), line.encode(errors="backslashreplace")))

    return record


def _text_stream(fd: int, mode: str) -> io.TextIOWrapper:
    binary = open(fd, mode + "b", closefd=False)  # noqa: SIM115 - it lives as long as the process
    return io.TextIOWrapper(binary, encoding="utf-8", errors="surrogateescape")


def _prepare(source: str, name: str, record: _Record) -> types.ModuleType:
    """A module for the program, where pickle, dataclasses and tracebacks look for it."""
    random.seed(0)
    module = sys.modules[name] = types.ModuleType(name)
    lines = source.splitlines(keepends=True)
    linecache.cache[PROGRAM_FILE] = (len(source), None, lines, PROGRAM_FILE)
    return module


def _compile(source: str, record: _Record) -> types.CodeType:
    try:
        return compile(source.removeprefix("\ufeff"), PROGRAM_FILE, "exec", dont_inherit=True)
    except _COMPILE_ERRORS as error:
        if isinstance(error, SyntaxError) and error.lineno:
            record("d", f"{type(error).__name__}: {error.msg} (line {error.lineno})")
        else:
            record("d", _describe(error))
        record("x", "")
        raise _Stop from None


def _load(job: dict[str, Any], source: str, module: types.ModuleType, record: _Record) -> None:
    code = _compile(source, record)
    try:
        exec(job["setup"], module.__dict__)
        exec(code, module.__dict__)
    except MemoryError:
        record("m", "")
        raise _Stop from None
    except BaseException as error:
        record("d", _describe(error))
        raise _Stop from None


def _run_tests(job: dict[str, Any], names: dict[str, Any], record: _Record) -> None:
    entry, fail_fast = job["entry_point"], job["fail_fast"]
    silent = False

    def note(error: BaseException | None) -> None:
        nonlocal silent
        if error is None:
            record("p", "")
            return
        if isinstance(error, MemoryError):
            record("m", "")
            raise _Stop
        letter, text = _judge(error)
        if not silent:
            silent = True
            record("d", text)
        record(letter, "")
        if fail_fast:
            raise _Stop

    for test in job["tests"]:
        if test[0] == "check":
            _, code, num_results, stepwise = test
            _run_check(code, num_results, stepwise, entry, names, note)
            continue
        try:
            if test[0] == "assert":
                exec(test[1], names)
            else:
                _, arguments, expected, atol = test
                _run_value(arguments, expected, atol, eval(entry, names))
        except BaseException as error:
            note(error)
        else:
            note(None)


def _run_check(
    code: types.CodeType,
    num_results: int,
    stepwise: bool,
    entry: types.CodeType,
    names: dict[str, Any],
    note: Callable[[BaseException | None], None],
) -> None:
    """The supervisor has turned a stepwise `check` into a generator that stops after each of its results."""
    num_done = 0
    fault: BaseException | None = None
    try:
        exec(code, names)
        check = names.pop(_CHECK_NAME)
        candidate = eval(entry, names)
        if stepwise:
            steps = check(candidate)
            send: Any = None
            while num_done < num_results:
                error = steps.send(send)
                num_done += 1
                note(error)
                send = eval(entry, names)
            return
        check(candidate)
    except _Stop:
        raise
    except BaseException as error:
        fault = error
    for _ in range(num_results - num_done):
        note(fault)


class _WrongValue(Exception):
    """A VALUE test's result is not the one expected."""


def _run_value(arguments: bytes, expected: bytes, atol: float, candidate: Callable[..., Any]) -> None:
    value = candidate(*marshal.loads(arguments))
    wanted = marshal.loads(expected)
    if not _equal(value, wanted, atol):
        raise _WrongValue(f"got {_short(value)}, expected {_short(wanted)}")


def _equal(value: Any, wanted: Any, atol: float) -> bool:
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
        return same and all(_equal(v, w, atol) for v, w in zip(value, wanted, strict=True))
    if isinstance(wanted, dict):
        same = isinstance(value, dict) and value.keys() == wanted.keys()
        return same and all(_equal(value[key], wanted[key], atol) for key in wanted)
    return bool(value == wanted)


def _short(value: Any) -> str:
    try:
        return reprlib.repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"


def _judge(error: BaseException) -> tuple[str, str]:
    """A wrong value, or the program's own fault? An assertion is the test's only if the test made it."""
    if isinstance(error, _WrongValue):
        return "f", str(error)
    if isinstance(error, AssertionError) and _innermost_file(error) == TESTS_FILE:
        return "f", "assertion failed"
    return "e", _describe(error)


def _innermost_file(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code.co_filename if traceback is not None else ""


def _describe(error: BaseException) -> str:
    """`IndexError: list index out of range (line 7)`; the exception's own methods are not to be relied on."""
    try:
        text = str(error)[:_MAX_TEXT]
    except BaseException:
        text = ""
    line, traceback = 0, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == PROGRAM_FILE:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    name = type(error).__name__
    return name + (f": {text}" if text else "") + (f" (line {line})" if line else "")
