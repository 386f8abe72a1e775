"""The process that runs the tests of a problem, one program after the other, each in another process.

Confined as a program is: the tests may have been written by a model. It gets the tests from the supervisor,
and for each program a socket whose other end the program's process holds.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import types
from typing import Any, NoReturn

from rrtf_ray.sandbox import wire
from rrtf_ray.sandbox.inside import testing
from rrtf_ray.sandbox.inside.channel import Gone
from rrtf_ray.sandbox.inside.remote import Garbage, Program
from rrtf_ray.sandbox.inside.testing import Record, Stop

_RECURSION = 10_000
"""Nested values may be deeper than what Python allows by default."""


def serve(fd: int) -> NoReturn:
    """Answer the supervisor until it closes the socket. Does not return."""
    supervisor = socket.socket(fileno=fd)
    sys.setrecursionlimit(_RECURSION)
    plan: dict[str, Any] = {}
    try:
        while True:
            request, fds = wire.receive_request(supervisor)
            if "plan" in request:
                plan = wire.loads(request["plan"])
                continue
            # Its default action ends this process, even inside a long call into C.
            signal.setitimer(signal.ITIMER_PROF, request["cpu_s"])
            lines: list[bytes] = []
            record = testing.recorder(lines.append, request["nonce"])
            if "given" in request:
                _check(plan["checkers"][request["test"]], request, record)
            else:
                _judge(plan, fds[0], record, lines)
            signal.setitimer(signal.ITIMER_PROF, 0)
            for given in fds:
                os.close(given)
            wire.send_reply(supervisor, {}, b"".join(lines))
    except (EOFError, OSError):
        os._exit(0)


def _judge(plan: dict[str, Any], fd: int, record: Record, lines: list[bytes]) -> None:
    random.seed(0)
    names: dict[str, Any] = {"__name__": "tests"}
    try:
        exec(plan["setup"], names)
        exec(plan["helpers"], names)
        classes = {name: names[name] for name in plan["classes"]}
        program = Program(fd, classes, plan["num_ahead"])
        how, text, found = program.loaded()
        if how:
            if text:
                record("d", text)
            if how in ("x", "m"):
                record(how, "")
            raise Stop
        names |= found
        names[testing.RESULT_NAME] = program.result
        if plan["entry_name"]:
            names[plan["entry_name"]] = program.entry
        testing.run_tests(plan["tests"], names, lambda: program.entry, plan["fail_fast"], record)
        record(".", "")
    except Stop:
        record(".", "")
    except Garbage:
        lines[:] = [b"?\n"]
    except Gone:
        pass
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
