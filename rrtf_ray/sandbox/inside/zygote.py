"""The warm parent of all candidates: one fork per program, watched until it ends.

Started with exec by the supervisor, so that it shares no memory with it; talks to it over one socket, and
ends when that closes. It is the first process of its pid namespace, so that its own end is everybody's end.
It is single-threaded, holds no secrets, and never runs a line of a candidate's code itself.
"""

from __future__ import annotations

import gc
import importlib
import marshal
import os
import select
import signal
import socket
import sys
import time
import types
from typing import Any, NoReturn

from rrtf_ray.sandbox import wire
from rrtf_ray.sandbox.inside import candidate, layers
from rrtf_ray.sandbox.inside.layers import Layers

_PRELOADED = """
    __future__ abc array ast base64 bisect calendar cmath codecs collections collections.abc contextlib
    copy copyreg dataclasses datetime decimal enum fractions functools hashlib heapq hmac html inspect
    io itertools json keyword linecache locale math numbers operator pathlib pickle pprint queue random
    re reprlib secrets shutil statistics string struct tempfile textwrap threading time timeit traceback
    types typing unicodedata uuid warnings weakref zlib
"""
_WARM_UP = "def f(x: list[int]) -> int:\n    return sum(y * y for y in x if y > 0) + len({1: 'a'}[1])\n"
_MAX_MESSAGE = 1 << 20
_PIPE_SIZE = 1 << 16


def main(control_fd: int) -> NoReturn:
    control = socket.socket(fileno=control_fd)
    control.set_inheritable(False)
    start = wire.receive_request(control)
    entered = Layers(start["without"])
    entered.enter_namespaces()
    entered.enter()
    _warm_up()
    wire.send_reply(control, {"layers": entered.causes})
    zygote = _Zygote(control, entered, start["limits"])
    gc.collect()
    gc.freeze()
    try:
        while True:
            zygote.answer(wire.receive_request(control))
    except (EOFError, OSError):
        os._exit(0)


def _warm_up() -> None:
    for name in _PRELOADED.split():
        importlib.import_module(name)
    compile(_WARM_UP, "<program>", "exec", dont_inherit=True)
    os.environ.clear()
    # What the candidates find in place of the zygote's own modules.
    sys.modules["__main__"] = types.ModuleType("__main__")
    for name in [name for name in sys.modules if name.partition(".")[0] == "rrtf_ray"]:
        del sys.modules[name]
    sys.argv = ["program"]
    del sys.orig_argv[:]


class _Zygote:
    def __init__(self, control: socket.socket, entered: Layers, limits: dict[str, float]) -> None:
        self._control = control
        self._layers = entered
        self._limits = limits
        self._job: dict[str, Any] = {}

    def answer(self, request: dict[str, Any]) -> None:
        if "job" in request:
            self._job = marshal.loads(request["job"])
            return
        try:
            report, blobs = self._run(request)
        except OSError as error:
            # Out of processes, descriptors or memory: the machine's fault, and the supervisor's to judge.
            report, blobs = {"error": f"{type(error).__name__}: {error}"}, [b"", b""]
        wire.send_reply(self._control, report, *blobs)

    def _run(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        script = request["stdin"] is not None
        stdin = _memory_file(request["stdin"]) if script else -1
        stdout = _memory_file(b"") if script else -1
        result, result_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        fds = [fd for fd in (stdin, stdout, result) if fd >= 0]
        try:
            # The child's statuses fit into the pipe, so that nobody need wake up to empty it.
            if request["message_size"] > _PIPE_SIZE:
                _set_pipe_size(result, request["message_size"])
            started = time.monotonic()
            pid = os.fork()
            if pid == 0:
                self._become_candidate(request, stdin, stdout, result, result_end)
            os.close(result_end)
            report = self._watch(pid, started, request["wall_s"])
            message = _read_pipe(result)
            output = os.pread(stdout, (int(self._limits["output_kb"]) << 10) + 1, 0) if script else b""
        finally:
            layers.kill_descendants(self._layers.proc, self._layers.holds("pid_namespace"))
            for fd in fds:
                os.close(fd)
            self._layers.renew_work_dir()
        return report, [message, output]

    def _become_candidate(
        self, request: dict[str, Any], stdin: int, stdout: int, result: int, result_end: int
    ) -> NoReturn:
        nonce, source = request["nonce"], request["program"]
        try:
            os.close(result)
            fd = self._layers.confine(stdin, stdout, result_end, self._limits)
        except BaseException as error:
            text = f"{nonce} ! {type(error).__name__}: {error}\n"
            os.write(result_end, text.encode(errors="replace"))
            os._exit(1)
        request.clear()
        if stdin >= 0:
            candidate.run_script(self._job, source, nonce, fd)
        candidate.run_function(self._job, source, nonce, fd)

    def _watch(self, pid: int, started: float, wall_s: float) -> dict[str, Any]:
        """Wait for the candidate within its limits, and end whatever is left of it."""
        pidfd = os.pidfd_open(pid)
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        poller.register(self._control, select.POLLIN)
        clock = (~pid << 3) | 2  # the kernel's name for the processor time of another process
        cpu_s = self._limits["cpu_s"]
        limit, waited_s = "", 0.0
        left = min(wall_s, cpu_s)
        while not (events := poller.poll(left * 1000 + 1)):
            cpu_left = cpu_s - time.clock_gettime(clock)
            left = min(started + wall_s - time.monotonic(), cpu_left)
            if left <= 0:
                limit = "cpu" if cpu_left <= 0 else "wall"
                waited_s = self._waited_s(pidfd, wall_s, cpu_s - cpu_left) if limit == "wall" else 0.0
                break
        if any(fd != pidfd for fd, _ in events):
            os._exit(0)  # the supervisor has gone; the namespace or the death signal ends the candidate
        if limit:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        wall = time.monotonic() - started
        cpu = usage.ru_utime + usage.ru_stime
        return {"status": status, "limit": limit, "waited_s": waited_s, "wall_s": wall, "cpu_s": cpu,
                "peak_kb": usage.ru_maxrss}  # fmt: skip

    def _waited_s(self, pidfd: int, wall_s: float, cpu_s: float) -> float:
        """How long it was ready to run but had no processor: the kernel tells that from sleep."""
        try:
            host_pid = _read_proc(self._layers.proc, f"self/fdinfo/{pidfd}").partition("Pid:")[2].split()[0]
            return int(_read_proc(self._layers.proc, f"{host_pid}/schedstat").split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            # Not known here. A program that has used little of its processor time may have waited.
            return 0.2 * wall_s if cpu_s < 0.5 * self._limits["cpu_s"] else 0.0


def _memory_file(content: bytes) -> int:
    fd = os.memfd_create("io", os.MFD_CLOEXEC)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _set_pipe_size(fd: int, size: int) -> None:
    import fcntl

    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size)


def _read_proc(proc: int, path: str) -> str:
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)) as file:
        return file.read()


def _read_pipe(fd: int) -> bytes:
    parts: list[bytes] = []
    while sum(map(len, parts)) <= _MAX_MESSAGE:
        try:
            part = os.read(fd, _MAX_MESSAGE)
        except BlockingIOError:
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)
