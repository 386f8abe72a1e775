"""What the supervisor asks of the sandbox's processes: jobs, which hold for many programs, and requests.

They travel as `marshal` (both sides are the same interpreter): the name of the record and its values. Code objects in
them were compiled by the supervisor.
"""

from __future__ import annotations

import marshal
from dataclasses import dataclass
from enum import StrEnum
from types import CodeType
from typing import Any

Step = tuple[Any, ...]
"""One test, or what is left of it for a rehearsal."""


class Mode(StrEnum):
    """How a program is run."""

    AHEAD = "ahead"
    """It makes calls that are known in advance, writes their results to its file, and ends."""
    TALKING = "talking"
    """It answers its tests, which call it from another process while they run."""
    INSIDE = "inside"
    """The tests run in its own interpreter."""
    SCRIPT = "script"
    """It reads standard input and writes standard output."""


# ---- jobs: what a program's process has to do


@dataclass(frozen=True, slots=True)
class CallsJob:
    """AHEAD and TALKING. Nothing that is expected of the program is in it.

    setup: runs before the program. entry_point: gives the function. names: the program's own names that the tests want.
    classes: names of classes that both sides know. calls: arguments of the calls to make, each marshalled. call_s: the
    limit of processor time of each, 0 for none. foreseen: messages with calls, as a rehearsal of the tests wrote them.
    """

    setup: CodeType
    entry_point: CodeType
    names: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    calls: tuple[bytes, ...] = ()
    call_s: float = 0.0
    foreseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InsideJob:
    """INSIDE: as both sides."""

    setup: CodeType
    entry_point: CodeType
    tests: tuple[Step, ...]
    fail_fast: bool


@dataclass(frozen=True, slots=True)
class ScriptJob:
    """SCRIPT."""

    setup: CodeType


@dataclass(frozen=True, slots=True)
class CommandJob:
    """A program in another language, in any mode: the command that runs it."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """What a program's process finds in its file, INSIDE and as a SCRIPT: the program, and the nonce of its records."""

    program: str
    nonce: str


# ---- jobs of the process that runs tests


@dataclass(frozen=True, slots=True)
class TestsJob:
    """The tests of functions.

    setup, helpers: run before the tests. classes: as of CallsJob. entry_name: what the tests call, if it is a name.
    names: the program's own names that the tests want. num_ahead: how many calls were made ahead. rehearsal: the tests
    without their assertions.
    """

    __test__ = False  # not a pytest class

    setup: CodeType
    helpers: CodeType
    classes: tuple[str, ...]
    entry_name: str
    names: tuple[str, ...]
    tests: tuple[Step, ...]
    fail_fast: bool
    num_ahead: int
    rehearsal: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class CheckersJob:
    """The checkers of tests of scripts; None for a test that has none."""

    checkers: tuple[CodeType | None, ...]


# ---- requests


@dataclass(frozen=True, slots=True)
class Start:
    """To a zygote, once. judges: it makes processes that run tests. The rest as of `process.Setting`."""

    limits: dict[str, float]
    without: tuple[str, ...]
    preload: tuple[str, ...]
    paths: tuple[str, ...]
    runs_commands: bool
    judges: bool


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job, packed, for what follows: to the programs' zygote, or to a process that runs tests."""

    job: bytes


@dataclass(frozen=True, slots=True)
class RunProgram:
    """To the programs' zygote, with the program's file and the like as descriptors."""

    mode: Mode
    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Stop:
    """To the programs' zygote: the tests of the program that runs are over."""


@dataclass(frozen=True, slots=True)
class NewJudge:
    """To the tests' zygote, with a socket: make a process that runs tests."""


@dataclass(frozen=True, slots=True)
class EndJudge:
    """To the tests' zygote: end that process; wait: it ends by itself."""

    wait: bool


@dataclass(frozen=True, slots=True)
class RunTests:
    """To a process that runs tests, with the program's results or socket. foreseen: its calls were rehearsed."""

    nonce: str
    cpu_s: float
    foreseen: bool


@dataclass(frozen=True, slots=True)
class Rehearse:
    """To a process that runs tests: which calls do they make?"""

    cpu_s: float


@dataclass(frozen=True, slots=True)
class CheckOutput:
    """To a process that runs tests: what does the checker of this test say?"""

    nonce: str
    cpu_s: float
    test: int
    given: str
    got: str
    expected: str


RECORDS: dict[str, type[Any]] = {
    record.__name__: record
    for record in (CallsJob, InsideJob, ScriptJob, CommandJob, Order, TestsJob, CheckersJob, Start, NewJob, RunProgram,
                   Stop, NewJudge, EndJudge, RunTests, Rehearse, CheckOutput)
}  # fmt: skip


def packed(record: Any) -> bytes:
    kind = type(record)
    values = [getattr(record, name) for name in kind.__slots__]
    if kind is RunProgram:
        values[0] = str(values[0].value)
    return marshal.dumps([kind.__name__, *values])


def unpacked(data: bytes) -> Any:
    """The record; for processes whose peer is the supervisor."""
    name, *values = marshal.loads(data)
    if name == "RunProgram":
        values[0] = Mode(values[0])
    return RECORDS[name](*values)
