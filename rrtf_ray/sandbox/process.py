"""Starts the sandbox's processes, has them run one program at a time, and ends them.

The caller's process is never forked (it may be a Ray actor of several GB): subprocess uses vfork and exec.
No signal handler is set and no thread started, so any thread may use it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import IO, Any

from rrtf_ray.errors import SandboxError
from rrtf_ray.sandbox.judge import MachineryFault, Report
from rrtf_ray.sandbox.languages import Runner
from rrtf_ray.sandbox.limits import Limits
from rrtf_ray.sandbox.shared import wire
from rrtf_ray.sandbox.shared.channel import MAX_RECEIVED
from rrtf_ray.sandbox.shared.jobs import (
    CheckOutput,
    EndJudge,
    Mode,
    NewJob,
    NewJudge,
    Rehearse,
    RunProgram,
    RunTests,
    Start,
    Stop,
)

_START_S = 60.0
_GRACE_S = 20.0
"""Beyond the candidate's own limit, for a busy machine; after that, the zygote itself is at fault."""
_HEAD_START_S = 0.02
"""A program whose tests are over has so much time to end by itself; most do."""
_MAX_WAITING = 8
_TESTS_FACTOR = 2.0
"""Processor time for the tests' own work on a program's results, in units of the program's limit."""

# The packages' own __init__ modules stay out of the zygote: they would bring the supervisor's side with them.
_BOOT = """
import sys, types
for name, path in (("rrtf_ray", sys.argv[2]), ("rrtf_ray.sandbox", sys.argv[2] + "/sandbox")):
    package = types.ModuleType(name)
    package.__path__ = [path]
    sys.modules[name] = package
from rrtf_ray.sandbox.inside.zygote import main
main(int(sys.argv[1]))
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a sandbox's processes are started.

    paths: directories of the modules in `preload`. runner: of programs that are not Python. hash_seed: of all of its
    interpreters; the order of a set of texts follows from it. libraries: changes with the versions of those in
    `paths`.
    """

    limits: Limits
    without: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    runner: Runner | None = None
    hash_seed: int = 0
    libraries: str = ""


class Zygote:
    """A running zygote. Every fault of its own is a MachineryFault; it is then of no further use."""

    def __init__(self, setting: Setting, judges: bool = False) -> None:
        if not sys.platform.startswith("linux"):
            raise SandboxError(f"the sandbox does not run on {sys.platform!r}; run it on Linux 5.3 or newer")
        self.control, theirs = socket.socketpair()
        package_dir = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        executable = getattr(sys, "_base_executable", None) or sys.executable
        # -s -P -S and a bare environment isolate like -I, which would ignore the hash seed as well.
        command = [executable, "-s", "-P", "-S", "-X", "utf8", "-W", "ignore", "-c", _BOOT]
        try:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), package_dir],
                # An arena of malloc reserves 64 MiB of address space, and every thread would have its own.
                env={"PYTHONHASHSEED": str(setting.hash_seed), "MALLOC_ARENA_MAX": "2"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            self.control.close()
            raise SandboxError(f"the interpreter {executable} cannot be started: {error}") from error
        finally:
            theirs.close()
        start = Start(
            limits=asdict(setting.limits),
            without=setting.without,
            preload=setting.preload,
            paths=(*setting.paths, *(setting.runner.paths if setting.runner else ())),
            runs_commands=setting.runner is not None,
            judges=judges,
        )
        try:
            deadline = time.monotonic() + _START_S
            wire.send_request(self.control, start, deadline)
            reply = wire.receive_reply(self.control, deadline)
        except (OSError, EOFError) as error:
            cause = self.last_words() or str(error)
            self.close()
            raise SandboxError(f"the sandbox's process did not start: {cause}") from error
        self.causes: dict[str, str] = reply["layers"]
        """One entry per layer: empty where it is in force, else why it is not."""

    def send(self, request: Any, deadline: float, fds: Sequence[int] = ()) -> None:
        try:
            wire.send_request(self.control, request, deadline, fds)
        except (OSError, ValueError) as error:
            raise self.fault(error) from error

    def receive(self, deadline: float) -> dict[str, Any]:
        try:
            reply = wire.receive_reply(self.control, deadline)
        except (OSError, EOFError, ValueError) as error:
            raise self.fault(error) from error
        if "error" in reply:
            raise MachineryFault(f"a process could not be made: {reply['error']}")
        return reply

    def receive_report(self, deadline: float) -> tuple[int, str, float, float, float, int]:
        """What became of a program: the first fields of a Report."""
        try:
            report = wire.receive_report(self.control, deadline)
        except (OSError, EOFError, ValueError) as error:
            raise self.fault(error) from error
        if isinstance(report, str):
            raise MachineryFault(f"a process could not be made: {report}")
        return report

    def fault(self, error: Exception) -> MachineryFault:
        return MachineryFault(f"the sandbox's process failed: {self.last_words() or error}")

    def last_words(self) -> str:
        """The last line of its standard error, if it has ended."""
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            return ""
        stderr: IO[bytes] = self._process.stderr  # type: ignore[assignment]
        os.set_blocking(stderr.fileno(), False)
        lines = (stderr.read() or b"").decode(errors="replace").split("\n")
        said = next((line for line in reversed(lines) if line.strip()), "")
        return said or f"it ended with status {self._process.returncode}"

    def close(self) -> None:
        """End it with all that it has started. The closed socket tells it; the kill makes sure."""
        with contextlib.suppress(OSError):
            self.control.close()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a program that nobody talks to.

    mode: not TALKING. given: what its process reads from its file. stdin: of a script.
    """

    mode: Mode
    given: bytes
    stdin: bytes = b""


class Programs:
    """Runs programs, one at a time, each in a process of its own; their tests run in `Tests`."""

    def __init__(self, setting: Setting) -> None:
        self._zygote = Zygote(setting)
        self._job: bytes | None = None
        self._max_output = (setting.limits.output_kb << 10) + 1
        self.causes = self._zygote.causes
        self._kills_itself = bool(self.causes.get("seccomp"))
        self._heap_kb = setting.limits.memory_mb << 10 if setting.runner else 0

    def run_alone(
        self, job: bytes, runs: Iterable[Run], wall_s: float, cpu_s: float
    ) -> Generator[tuple[Report, int], None, None]:
        """What became of each, in order, and the file that it wrote to, which is closed at the next one.

        Some requests are on their way while a program runs, so that the zygote need not wait for the next.
        """
        waiting: deque[list[int]] = deque()
        left = iter(runs)
        try:
            while True:
                for run in islice(left, _MAX_WAITING - len(waiting)):
                    waiting.append([_memory_file(run.given)])
                    if run.mode is Mode.SCRIPT:
                        waiting[-1] += [_memory_file(run.stdin), _memory_file(b"")]
                    self._begin(run.mode, job, waiting[-1], wall_s, cpu_s)
                if not waiting:
                    return
                end = self._zygote.receive_report(time.monotonic() + wall_s + _GRACE_S)
                file, *standard = waiting[0]
                output = os.pread(standard[1], self._max_output, 0) if standard else b""
                yield Report(*end, _content(file), output, self._kills_itself, self._heap_kb), file
                _close(waiting.popleft())
        finally:
            for files in waiting:
                _close(files)

    def run_with(self, tests: Tests, job: bytes, program: bytes, wall_s: float, cpu_s: float) -> tuple[Report, str]:
        """A program whose tests run in `tests` and talk to it. What became of it, and its records' nonce."""
        nonce = secrets.token_hex(8)
        theirs, ours = socket.socketpair()
        deadline = time.monotonic() + wall_s + _GRACE_S
        file = _memory_file(program)
        with ours:
            with theirs:
                try:
                    self._begin(Mode.TALKING, job, [file, theirs.fileno()], wall_s, cpu_s)
                finally:
                    os.close(file)
            tests.ask(nonce, ours.fileno(), _TESTS_FACTOR * cpu_s + 1)
        finished = tests.control in _readable_of(deadline, self._zygote.control, tests.control)
        if finished and not _readable(_HEAD_START_S, self._zygote.control):
            self._zygote.send(Stop(), deadline)  # whatever it still does, nobody waits for it
        end = self._zygote.receive_report(deadline)
        return Report(*end, tests.answer(deadline), b"", self._kills_itself), nonce

    def _begin(self, mode: Mode, job: bytes, fds: Sequence[int], wall_s: float, cpu_s: float) -> None:
        deadline = time.monotonic() + _GRACE_S
        if job is not self._job:
            self._zygote.send(NewJob(job), deadline)
            self._job = job
        self._zygote.send(RunProgram(mode, wall_s, cpu_s), deadline, fds)

    def close(self) -> None:
        self._zygote.close()


class Tests:
    """The process that runs the tests of a problem, and the one that makes such processes."""

    __test__ = False  # not a pytest class

    def __init__(self, setting: Setting) -> None:
        self._zygote = Zygote(setting, judges=True)
        self._job: bytes | None = None
        self._cpu_s = 0.0
        self.control: socket.socket | None = None

    def prepare(self, job: bytes) -> None:
        """Have a process with these tests: the one that is there, or a new one."""
        if job is self._job and self.control is not None:
            return
        self._end_process()
        ours, theirs = socket.socketpair()
        deadline = time.monotonic() + _GRACE_S
        with theirs:
            self._zygote.send(NewJudge(), deadline, [theirs.fileno()])
            self._zygote.receive(deadline)
        self.control, self._job = ours, job
        self._request(NewJob(job), deadline)

    def read(self, file: int, cpu_s: float, deadline: float, foreseen: bool) -> tuple[bytes, str]:
        """The records of the tests with what a program has written to `file`, and their nonce."""
        nonce = secrets.token_hex(8)
        os.lseek(file, 0, os.SEEK_SET)
        self.ask(nonce, file, _TESTS_FACTOR * cpu_s + 1, foreseen)
        return self.answer(deadline), nonce

    def ask(self, nonce: str, channel: int, cpu_s: float, foreseen: bool = False) -> None:
        """Have the tests run with the program at the other end of `channel`."""
        self._cpu_s = cpu_s
        self._request(RunTests(nonce, cpu_s, foreseen), time.monotonic() + _GRACE_S, [channel])

    def rehearse(self, cpu_s: float) -> list[str]:
        """The calls that the tests make, as far as they can be known without a program; else empty."""
        self._cpu_s = cpu_s
        deadline = time.monotonic() + 4 * cpu_s + _GRACE_S
        self._request(Rehearse(cpu_s), deadline)
        calls = json.loads(self.answer(deadline))
        return [str(call) for call in calls]

    def check(self, test: int, given: str, got: str, expected: str, cpu_s: float) -> tuple[bytes, str]:
        """What the checker of a STDIO test says: a message, and its nonce."""
        nonce = secrets.token_hex(8)
        deadline = time.monotonic() + 4 * cpu_s + _GRACE_S
        self._cpu_s = cpu_s
        self._request(CheckOutput(nonce, cpu_s, test, given, got, expected), deadline)
        return self.answer(deadline), nonce

    def _request(self, request: Any, deadline: float, fds: Sequence[int] = ()) -> None:
        assert self.control is not None
        try:
            wire.send_request(self.control, request, deadline, fds)
        except (OSError, ValueError) as error:
            self._end_process()
            raise MachineryFault(f"the process of the tests failed: {error}") from error

    def answer(self, deadline: float) -> bytes:
        """The records. Where it spent its processor time on this program's results, a record that says so."""
        assert self.control is not None
        try:
            return wire.receive_frame(self.control, deadline + _GRACE_S)
        except EOFError as error:
            status = self._end_process(wait=True)
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF:
                spent = f"{self._cpu_s:.0f} s of processor time"
                raise TestsStopped(f"its tests used up {spent} on its results") from None
            raise MachineryFault(f"the process of the tests ended with status {status}") from error
        except (OSError, ValueError) as error:
            self._end_process()
            raise MachineryFault(f"the process of the tests failed: {error}") from error

    def _end_process(self, wait: bool = False) -> int:
        """wait: it is about to end by itself. Returns its wait status."""
        if self.control is None:
            return 0
        self.control.close()
        self.control = None
        deadline = time.monotonic() + _GRACE_S
        self._zygote.send(EndJudge(wait), deadline)
        status: int = self._zygote.receive(deadline)["status"]
        return status

    def close(self) -> None:
        with contextlib.suppress(MachineryFault):
            self._end_process()
        self._zygote.close()


class TestsStopped(Exception):
    """The tests used up their own processor time on a program's results."""

    __test__ = False


def _readable(seconds: float, sock: socket.socket) -> bool:
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def _readable_of(deadline: float, *socks: socket.socket | None) -> list[Any]:
    """The sockets that have something to read; raises MachineryFault at the deadline."""
    poller = select.poll()
    known = {sock.fileno(): sock for sock in socks if sock is not None}
    for fd in known:
        poller.register(fd, select.POLLIN)
    events = poller.poll(max(0.0, deadline - time.monotonic()) * 1000)
    if not events:
        raise MachineryFault("the sandbox's process gave no answer in time")
    return [known[fd] for fd, _ in events]


def _memory_file(content: bytes) -> int:
    """A file without a name that holds `content`, to be read from its beginning."""
    fd = os.memfd_create("rrtf", os.MFD_CLOEXEC)
    if content:
        left = memoryview(content)
        while left:
            left = left[os.write(fd, left) :]
        os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _content(file: int) -> bytes:
    size = os.fstat(file).st_size
    return os.pread(file, min(size, MAX_RECEIVED), 0) if size else b""


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)
