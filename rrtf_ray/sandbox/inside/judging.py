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
from rrtf_ray.sandbox.shared.remote import Program
from rrtf_ray.sandbox.shared.testing import CHECK_NAME, GARBAGE, UNFORESEEN, Record

_RECURSION = 10_000
"""Nested values may be deeper than what Python allows by default."""


def serve() -> NoReturn:
    """Answer the supervisor until it closes the socket. Does not return."""
    supervisor = socket.socket(fileno=GIVEN)
    sys.setrecursionlimit(_RECURSION)
    plan: dict[str, Any] = {}
    calls: list[str] | None = None
    try:
        while True:
            request, fds = wire.receive_request(supervisor)
            if "plan" in request:
                plan = wire.loads(request["plan"])
                calls = None
                continue
            # Its default action ends this process, even inside a long call into C.
            signal.setitimer(signal.ITIMER_PROF, request["cpu_s"])
            lines: list[bytes] = []
            record = testing.recorder(lines.append, request["nonce"])
            if calls is None and request.get("foreseen"):
                calls = _rehearse(plan)
            if "rehearse" in request:
                lines.append(json.dumps(calls).encode())
            elif "given" in request:
                _check(plan["checkers"][request["test"]], request, record)
            else:
                _judge(plan, fds[0], record, lines, calls if request["foreseen"] else None)
            signal.setitimer(signal.ITIMER_PROF, 0)
            for given in fds:
                os.close(given)
            wire.send_frame(supervisor, b"".join(lines))
    except (EOFError, OSError):
        os._exit(0)


def _names(plan: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the tests find, and the classes among it."""
    random.seed(0)
    names: dict[str, Any] = {"__name__": "tests"}
    exec(plan["setup"], names)
    exec(plan["helpers"], names)
    return names, {name: names[name] for name in plan["classes"]}


def _rehearse(plan: dict[str, Any]) -> list[str]:
    try:
        names, classes = _names(plan)
        return rehearsal.calls_of(plan["rehearsal"], names, plan["entry_name"], classes, CHECK_NAME) or []
    except BaseException:
        return []


def _judge(plan: dict[str, Any], fd: int, record: Record, lines: list[bytes], foreseen: list[str] | None) -> None:
    try:
        names, classes = _names(plan)
        program = Program(Reader(fd), functools.partial(write_message, fd), classes, plan["num_ahead"], foreseen)
        if not testing.judge_program(plan, program, names, record):
            lines[:] = [GARBAGE]
        if program.unforeseen:
            lines[:] = [UNFORESEEN]
    except BaseException as error:
        record("d", f"the tests cannot be run: {testing.describe(error)}")
        record(".", "")


def _check(checker: types.CodeType, request: dict[str, Any], record: Record) -> None:
    try:
        passed = testing.checked(checker, request["given"], request["got"], request["expected"])
        record("p" if passed else "f", "")
    except BaseException as error:
        record("d", testing.describe(error))
        record("e", "")
    record(".", "")
