"""Starts the sandbox's processes, asks them to run one program at a time, and puts an end to them.

The caller's process is never forked (it may be a Ray actor of several GB): subprocess uses vfork and exec.
No signal handler is set and no thread started, so any thread may use it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

from rrtf_ray.errors import SandboxError
from rrtf_ray.sandbox import wire
from rrtf_ray.sandbox.judge import MachineryFault, Report
from rrtf_ray.sandbox.limits import Limits

_START_S = 60.0
_GRACE_S = 20.0
"""Beyond the candidate's own limit, for a busy machine; then the zygote itself is at fault."""
_HEAD_START_S = 0.02
"""A program whose calls are known gets so much time by itself; most have ended by then."""
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
    """How a sandbox's processes are started. paths: directories of the modules in `preload`."""

    limits: Limits
    without: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


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
                env={"PYTHONHASHSEED": "0"},
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
        start = {
            "without": list(setting.without),
            "limits": asdict(setting.limits),
            "preload": list(setting.preload),
            "paths": list(setting.paths),
            "judges": judges,
        }
        try:
            deadline = time.monotonic() + _START_S
            wire.send_request(self.control, start, deadline)
            reply, _ = wire.receive_reply(self.control, 0, deadline)
        except (OSError, EOFError) as error:
            cause = self.last_words() or str(error)
            self.close()
            raise SandboxError(f"the sandbox's process did not start: {cause}") from error
        self.causes: dict[str, str] = reply["layers"]
        """One entry per layer: empty where it is in force, else why it is not."""

    def send(self, request: dict[str, Any], deadline: float, fds: Sequence[int] = ()) -> None:
        try:
            wire.send_request(self.control, request, deadline, fds)
        except (OSError, ValueError) as error:
            raise self.fault(error) from error

    def receive(self, num_blobs: int, deadline: float) -> tuple[dict[str, Any], list[bytes]]:
        try:
            reply, blobs = wire.receive_reply(self.control, num_blobs, deadline)
        except (OSError, EOFError, ValueError) as error:
            raise self.fault(error) from error
        if "error" in reply:
            raise MachineryFault(f"a process could not be made: {reply['error']}")
        return reply, blobs

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


class Programs:
    """Runs programs, one at a time, each in a process of its own; their tests run in `Tests`."""

    def __init__(self, setting: Setting) -> None:
        self._zygote = Zygote(setting)
        self._job: bytes | None = None
        self.causes = self._zygote.causes
        self._kills_itself = bool(self.causes.get("seccomp"))

    def run_alone(
        self, mode: str, job: bytes, program: str, stdin: bytes | None, wall_s: float, cpu_s: float
    ) -> tuple[Report, str]:
        """A program that writes its own records: what became of it, and the nonce that they must carry.

        mode: `script`, or `inside` for one with its tests in its own interpreter.
        """
        nonce = secrets.token_hex(8)
        theirs, ours = socket.socketpair()
        with ours:
            with theirs:
                deadline = self._begin(mode, job, theirs, stdin, wall_s, cpu_s)
            self._hand_over(ours, wire.dumps({"program": program, "nonce": nonce}), deadline)
            report, output = self._end(deadline)
            return self._report(report, _drain(ours), output), nonce

    def run_with(
        self, tests: Tests, ahead: bool, job: bytes, program: str, wall_s: float, cpu_s: float
    ) -> tuple[Report, str]:
        """A program whose tests run in `tests`; ahead: it needs them only when it has ended."""
        nonce = secrets.token_hex(8)
        theirs, ours = socket.socketpair()
        with ours:
            with theirs:
                deadline = self._begin("outside", job, theirs, None, wall_s, cpu_s)
            self._hand_over(ours, program.encode("utf-8", "surrogatepass"), deadline)
            ended = ahead and _readable(_HEAD_START_S, self._zygote.control)
            tests.ask(nonce, ours.fileno(), _TESTS_FACTOR * cpu_s + 1)
        finished = not ended and tests.control in _readable_of(deadline, self._zygote.control, tests.control)
        if finished and not _readable(_HEAD_START_S, self._zygote.control):
            self._zygote.send({"stop": True}, deadline)  # whatever it still does, nobody waits for it
        report, output = self._end(deadline)
        return self._report(report, tests.answer(deadline), output), nonce

    def _begin(
        self, mode: str, job: bytes, channel: socket.socket, stdin: bytes | None, wall_s: float, cpu_s: float
    ) -> float:
        deadline = time.monotonic() + wall_s + _GRACE_S
        if job is not self._job:
            self._zygote.send({"job": job}, deadline)
            self._job = job
        request = {"mode": mode, "stdin": stdin, "wall_s": wall_s, "cpu_s": cpu_s}
        self._zygote.send(request, deadline, [channel.fileno()])
        return deadline

    def _hand_over(self, channel: socket.socket, payload: bytes, deadline: float) -> None:
        """Give the program to its process. One that is larger than the socket waits for its reader."""
        data = memoryview(len(payload).to_bytes(4, "big") + payload)
        channel.setblocking(False)
        while data:
            try:
                data = data[channel.send(data) :]
            except BlockingIOError:
                if self._zygote.control in _readable_of(deadline, self._zygote.control, writes=channel):
                    return  # its process has ended; the report says how
            except OSError:
                return
        channel.setblocking(True)

    def _end(self, deadline: float) -> tuple[dict[str, Any], bytes]:
        report, (output,) = self._zygote.receive(1, deadline)
        return report, output

    def _report(self, report: dict[str, Any], message: bytes, output: bytes) -> Report:
        return Report(message=message, output=output, kills_itself=self._kills_itself, **report)

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
            self._zygote.send({}, deadline, [theirs.fileno()])
            self._zygote.receive(0, deadline)
        self.control, self._job = ours, job
        self._request({"plan": job}, deadline)

    def ask(self, nonce: str, channel: int, cpu_s: float) -> None:
        """Have the tests run with the program at the other end of `channel`."""
        self._cpu_s = cpu_s
        self._request({"nonce": nonce, "cpu_s": cpu_s}, time.monotonic() + _GRACE_S, [channel])

    def check(self, test: int, given: str, got: str, expected: str, cpu_s: float) -> tuple[bytes, str]:
        """What the checker of a STDIO test says: a message, and its nonce."""
        nonce = secrets.token_hex(8)
        request = {"nonce": nonce, "cpu_s": cpu_s, "test": test, "given": given, "got": got, "expected": expected}
        deadline = time.monotonic() + 4 * cpu_s + _GRACE_S
        self._cpu_s = cpu_s
        self._request(request, deadline)
        return self.answer(deadline), nonce

    def _request(self, request: dict[str, Any], deadline: float, fds: Sequence[int] = ()) -> None:
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
            _, (message,) = wire.receive_reply(self.control, 1, deadline + _GRACE_S)
            return message
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
        self._zygote.send({"end": wait}, deadline)
        status: int = self._zygote.receive(0, deadline)[0]["status"]
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


def _readable_of(deadline: float, *socks: socket.socket | None, writes: socket.socket | None = None) -> list[Any]:
    """The sockets that have something to read (or, `writes`, room to write); raises MachineryFault at the deadline."""
    poller = select.poll()
    known = {sock.fileno(): sock for sock in socks if sock is not None}
    for fd in known:
        poller.register(fd, select.POLLIN)
    if writes is not None:
        poller.register(writes, select.POLLOUT)
    events = poller.poll(max(0.0, deadline - time.monotonic()) * 1000)
    if not events:
        raise MachineryFault("the sandbox's process gave no answer in time")
    return [known[fd] for fd, _ in events if fd in known]


def _drain(channel: socket.socket) -> bytes:
    """What lies in the channel."""
    channel.setblocking(False)
    parts = []
    with contextlib.suppress(OSError):
        while part := channel.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)
