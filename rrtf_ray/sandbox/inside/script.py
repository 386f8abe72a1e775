"""A program that reads standard input and writes standard output: its output and its exit status are the result."""

from __future__ import annotations

import atexit
import builtins
import errno
import functools
import io
import os
import sys
import threading
from typing import Any, NoReturn

from rrtf_ray.sandbox.shared import loading, testing
from rrtf_ray.sandbox.shared.channel import GIVEN, take_given
from rrtf_ray.sandbox.shared.jobs import Order, ScriptJob, unpacked
from rrtf_ray.sandbox.shared.loading import Unusable, describe

_open, _os_open, _stack_size = open, os.open, threading.stack_size
_STANDARD = {
    f"{folder}/{name}": fd
    for folder, names in (
        ("/dev", ("stdin", "stdout", "stderr")),
        ("/dev/fd", ("0", "1", "2")),
        ("/proc/self/fd", ("0", "1", "2")),
    )
    for fd, name in enumerate(names)
}
_MAX_STACK = 64 << 20
"""Python code needs little of a thread's stack, and one of a gigabyte, as contest programmers ask for, would be all
the memory of the program."""


def run(job: ScriptJob) -> NoReturn:
    """Run the program that is given as `__main__`; the records there only explain. Does not return."""
    status = 1
    try:
        order: Order = unpacked(take_given(GIVEN))
        record = testing.recorder(functools.partial(os.write, GIVEN), order.nonce)
        sys.stdin = sys.__stdin__ = _text_stream(0, "r")  # type: ignore[misc]
        sys.stdout = sys.__stdout__ = _text_stream(1, "w")  # type: ignore[misc]
        builtins.open = io.open = _open_standard
        os.open = _os_open_standard
        threading.stack_size = _small_stack_size
        try:
            module = loading.new_module("__main__", order.program)
            code = loading.compiled(order.program)
            status = _execute(job, code, module.__dict__, record)
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            module.__dict__.clear()  # which closes, and so writes, the files that it has left open
            for stream in {id(s): s for s in (sys.stdout, sys.__stdout__)}.values():
                if stream is not None and not stream.closed:
                    stream.flush()
            record(".", "")
        except Unusable as error:
            record("d", error.text)
            record("x", "")
        except MemoryError:
            record("m", "")
            status = 1
        except OSError as error:
            record("d", _described(error))
            status = 1
    except OSError:
        pass
    finally:
        os._exit(status)


def _standard(file: Any) -> int | None:
    """The descriptor that /dev/stdin and its kin lead to: there is no /proc through which they could."""
    return _STANDARD.get(os.fspath(file)) if isinstance(file, str | os.PathLike) else None


def _open_standard(file: Any, *arguments: Any, **keywords: Any) -> Any:
    fd = _standard(file)
    return _open(file if fd is None else os.dup(fd), *arguments, **keywords)


def _os_open_standard(path: Any, *arguments: Any, **keywords: Any) -> int:
    fd = _standard(path)
    return _os_open(path, *arguments, **keywords) if fd is None else os.dup(fd)


def _small_stack_size(size: int = 0) -> int:
    return _stack_size(min(size, _MAX_STACK))


def _execute(job: ScriptJob, code: Any, names: dict[str, Any], record: testing.Record) -> int:
    try:
        exec(job.setup, names)
        exec(code, names)
        return 0
    except SystemExit as exit_:
        status = exit_.code & 0xFF if isinstance(exit_.code, int) else int(exit_.code is not None)
        if status:
            record("d", f"SystemExit: {exit_.code}")
        return status
    except MemoryError:
        record("m", "")
    except BaseException as error:
        record("d", _described(error))
    return 1


def _described(error: BaseException) -> str:
    text = describe(error)
    too_large = isinstance(error, OSError) and error.errno == errno.EFBIG
    return f"{text}: the output or a file is larger than the limit output_kb" if too_large else text


def _text_stream(fd: int, mode: str) -> io.TextIOWrapper:
    raw = io.FileIO(fd, mode, closefd=False)
    raw.name = "<stdin>" if mode == "r" else "<stdout>"  # as CPython makes its own streams
    binary = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    stream = io.TextIOWrapper(binary, encoding="utf-8", errors="surrogateescape")
    stream.mode = mode  # type: ignore[misc]
    return stream
