"""A program that reads standard input and writes standard output: its output and its exit status are the result."""

from __future__ import annotations

import atexit
import builtins
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

_open = open
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1}


def run(job: ScriptJob) -> NoReturn:
    """Run the program that is given as `__main__`; the records there only explain. Does not return."""
    status = 1
    try:
        order: Order = unpacked(take_given(GIVEN))
        record = testing.recorder(functools.partial(os.write, GIVEN), order.nonce)
        sys.stdin = sys.__stdin__ = _text_stream(0, "r")  # type: ignore[misc]
        sys.stdout = sys.__stdout__ = _text_stream(1, "w")  # type: ignore[misc]
        builtins.open = io.open = _open_standard
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
            record("d", describe(error))
            status = 1
    except OSError:
        pass
    finally:
        os._exit(status)


def _open_standard(file: Any, *arguments: Any, **keywords: Any) -> Any:
    """`open`, for /dev/stdin and /dev/stdout as well: there is no /proc that they could lead to."""
    return _open(_STANDARD.get(file, file) if isinstance(file, str) else file, *arguments, **keywords)


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
        record("d", describe(error))
    return 1


def _text_stream(fd: int, mode: str) -> io.TextIOWrapper:
    binary = open(fd, mode + "b", closefd=False)  # noqa: SIM115 - it lives as long as the process
    return io.TextIOWrapper(binary, encoding="utf-8", errors="surrogateescape")
