"""The process that runs the tests of a problem, one program after the other, each in another process.

Confined as a program is: the tests may have been written by a model. It gets the tests from the supervisor,
and for each program a socket whose other end the program's process holds.
"""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import socket
import sys
import types
from typing import Any, NoReturn

from rrtf_ray.sandbox.shared import rehearsal, testing, wire
from rrtf_ray.sandbox.shared.channel import GIVEN, Reader, write_message
from rrtf_ray.sandbox.shared.jobs import CheckOutput, NewJob, Rehearse, RunTests, TestsJob, unpacked
from rrtf_ray.sandbox.shared.remote import Program
from rrtf_ray.sandbox.shared.testing import CHECK_NAME, GARBAGE, UNFORESEEN, Record

_RECURSION = 10_000
"""Nested values may be deeper than what Python allows by default."""


def serve() -> NoReturn:
    """Answer the supervisor until it closes the socket. Does not return."""
    supervisor = socket.socket(fileno=GIVEN)
    sys.setrecursionlimit(_RECURSION)
    job: Any = None
    calls: list[str] | None = None
    try:
        while True:
            request, fds = wire.receive_request(supervisor)
            if isinstance(request, NewJob):
                job = unpacked(request.job)
                calls = None
                continue
            # Its default action ends this process, even inside a long call into C.
            signal.setitimer(signal.ITIMER_PROF, request.cpu_s)
            lines: list[bytes] = []
            if calls is None and (
                isinstance(request, Rehearse) or (isinstance(request, RunTests) and request.foreseen)
            ):
                calls = _rehearse(job)
            if isinstance(request, Rehearse):
                lines.append(json.dumps(calls).encode())
            elif isinstance(request, CheckOutput):
                _check(job.checkers[request.test], request, testing.recorder(lines.append, request.nonce))
            else:
                record = testing.recorder(lines.append, request.nonce)
                _judge(job, fds[0], record, lines, calls if request.foreseen else None)
            signal.setitimer(signal.ITIMER_PROF, 0)
            for given in fds:
                os.close(given)
            wire.send_frame(supervisor, b"".join(lines))
    except (EOFError, OSError):
        os._exit(0)


def _names(job: TestsJob) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the tests find, and the classes among it."""
    random.seed(0)
    names: dict[str, Any] = {"__name__": "tests"}
    exec(job.setup, names)
    exec(job.helpers, names)
    return names, {name: names[name] for name in job.classes}


def _rehearse(job: TestsJob) -> list[str]:
    try:
        names, classes = _names(job)
        return rehearsal.calls_of(job.rehearsal, names, job.entry_name, classes, CHECK_NAME) or []
    except BaseException:
        return []


def _judge(job: TestsJob, fd: int, record: Record, lines: list[bytes], foreseen: list[str] | None) -> None:
    try:
        names, classes = _names(job)
        program = Program(Reader(fd), functools.partial(write_message, fd), classes, job.num_ahead, foreseen)
        if not testing.judge_program(job, program, names, record):
            lines[:] = [GARBAGE]
        if program.unforeseen:
            lines[:] = [UNFORESEEN]
    except BaseException as error:
        record("d", f"the tests cannot be run: {testing.describe(error)}")
        record(".", "")


def _check(checker: types.CodeType, request: CheckOutput, record: Record) -> None:
    try:
        passed = testing.checked(checker, request.given, request.got, request.expected)
        record("p" if passed else "f", "")
    except BaseException as error:
        record("d", testing.describe(error))
        record("e", "")
    record(".", "")
