"""The warm parent of all candidates: one fork per program, watched until it ends.

Started with exec by the supervisor, so that it shares no memory with it; talks to it over one socket, and
ends when that closes. It is the first process of its pid namespace, so that its own end is everybody's end.
It is single-threaded, holds no secrets, and never runs a line of a candidate's code itself. A program reaches
its process through a socket of its own, after the fork: no candidate's memory holds another's program.

A second one, in the same way, is the parent of the processes that run the tests (`judging`).
"""

from __future__ import annotations

import builtins
import gc
import importlib
import marshal
import os
import random
import select
import signal
import socket
import sys
import time
import types
from _sitebuiltins import Quitter
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from rrtf_ray.sandbox.inside import judging, kernel, layers, program, same_interpreter, script
from rrtf_ray.sandbox.inside.layers import Layers
from rrtf_ray.sandbox.shared import wire
from rrtf_ray.sandbox.shared.jobs import (
    CallsJob,
    CommandJob,
    EndJudge,
    Mode,
    NewJob,
    NewJudge,
    RunProgram,
    Stop,
    unpacked,
)

_PRELOADED = """
    __future__ abc array ast bisect calendar codecs collections collections.abc contextlib
    copy copyreg dataclasses datetime decimal enum fractions functools heapq inspect
    io itertools json keyword linecache locale math numbers operator pathlib pprint random
    re reprlib statistics string struct textwrap threading time timeit traceback
    types typing warnings weakref
"""
"""What programs commonly import. What brings a shared library with it (`hashlib`, `tempfile`) costs every fork, for its
five mappings each, more than the few programs gain that would import it."""
_WARM_UP = """
import math
from typing import List, Tuple, Optional
def f(x: List[int], y: Optional[str] = None) -> Tuple[int, str]:
    '''A program of the common sort.'''
    counts = {}
    for i, value in enumerate(sorted(x)):
        counts[value] = counts.get(value, 0) + i
    text = f"{len(x)}, {y}".upper().split(",")
    try:
        return [sum(v * v for v in x if v > 0), text, counts, (True, None, 1.5), {math.floor(2.5)}]
    except (ValueError, IndexError):
        raise
"""
_WARM_UP_ROUNDS = 64
"""So often, the interpreter has specialised the code of this package, which children then need not copy."""
_UNLIMITED_S = 1e8
_GC_THRESHOLD = 10_000
"""New objects before the collector looks at them; with Python's own 700 it runs for most programs, for nothing."""
_RUN: dict[Mode, Callable[..., NoReturn]] = {
    Mode.AHEAD: program.run_ahead,
    Mode.TALKING: program.run,
    Mode.INSIDE: same_interpreter.run,
    Mode.SCRIPT: script.run,
}


def main(control_fd: int) -> NoReturn:
    control = socket.socket(fileno=control_fd)
    control.set_inheritable(False)
    start, _ = wire.receive_request(control)
    entered = Layers(start.limits, start.without, start.paths, start.runs_commands)
    entered.enter_namespaces()
    entered.enter()
    _warm_up(start.preload, start.paths)
    zygote = _Judges(control, entered) if start.judges else _Programs(control, entered)
    last_words = os.dup(2)
    entered.share()
    wire.send_reply(control, {"layers": entered.causes})
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    try:
        while True:
            zygote.answer(*wire.receive_request(control))
    except (EOFError, OSError):
        os._exit(0)
    except BaseException as error:
        os.write(last_words, f"{type(error).__name__}: {error}".encode(errors="replace"))
        os._exit(1)


def _warm_up(preload: Sequence[str], paths: Sequence[str]) -> None:
    sys.path += paths
    for name in [*_PRELOADED.split(), *preload]:
        importlib.import_module(name)
    random.seed(0)  # the children begin with this state
    calls = (marshal.dumps(([[3, 1, 2], "a"], {})), marshal.dumps(([1], {})))
    job = CallsJob(compile("", "<setup>", "exec"), compile("f", "<entry_point>", "eval"), calls=calls)
    for _ in range(_WARM_UP_ROUNDS):
        file = os.memfd_create("warm", os.MFD_CLOEXEC)
        os.write(file, _WARM_UP.encode())
        os.lseek(file, 0, os.SEEK_SET)
        program.make_calls(job, file)
        os.close(file)
    os.environ.clear()
    # What the candidates find in place of the zygote's own modules.
    sys.modules["__main__"] = types.ModuleType("__main__")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("rrtf_ray", "program")]:
        del sys.modules[name]
    builtins.exit, builtins.quit = Quitter("exit", ""), Quitter("quit", "")  # which a site would have made
    sys.argv = ["program"]
    del sys.orig_argv[:]


class _Programs:
    """Runs candidates, one at a time, in the order of their requests."""

    def __init__(self, control: socket.socket, entered: Layers) -> None:
        self._control = control
        self._layers = entered
        self._job: Any = None
        self._num_oom_kills = _num_oom_kills(entered.proc)
        # Only a process that is not yet confined can write here.
        self._faults = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def answer(self, request: NewJob | Stop | RunProgram, fds: list[int]) -> None:
        if isinstance(request, NewJob):
            self._job = unpacked(request.job)
            return
        if isinstance(request, Stop):  # for a candidate that had ended by itself
            return
        try:
            report = self._run(request, fds)
        except OSError as error:
            # Out of processes, descriptors or memory: the machine's fault, and the supervisor's to judge.
            report = wire.error_of(f"{type(error).__name__}: {error}")
        finally:
            for fd in fds:
                os.close(fd)
        wire.send_frame(self._control, report)

    def _run(self, request: RunProgram, fds: list[int]) -> bytes:
        try:
            started = time.monotonic()
            pid = kernel.fork()
            if pid == 0:
                self._become_candidate(request, fds)
            status, report = self._watch(pid, started, request)
            if status and (fault := self._fault()):
                return wire.error_of(f"it could not be confined: {fault}")
        finally:
            layers.kill_descendants(self._layers.proc, self._layers.holds("pid_namespace"))
            self._layers.renew_work_dir()
        return report

    def _become_candidate(self, request: RunProgram, fds: list[int]) -> NoReturn:
        try:
            if request.mode is Mode.SCRIPT:
                self._layers.confine(fds[:1], request.cpu_s, fds[1:])
            else:
                self._layers.confine(fds, request.cpu_s)
        except BaseException as error:
            os.write(self._faults[1], f"{type(error).__name__}: {error}".encode(errors="replace")[:1000])
            os._exit(1)
        if isinstance(self._job, CommandJob):
            _execute(self._job.command)
        _RUN[request.mode](self._job)

    def _fault(self) -> str:
        try:
            return os.read(self._faults[0], 1 << 16).decode(errors="replace")
        except BlockingIOError:
            return ""

    def _watch(self, pid: int, started: float, request: RunProgram) -> tuple[int, bytes]:
        """Wait for the candidate within its limits. Returns its status and the report of it."""
        wall_s, cpu_s = request.wall_s, request.cpu_s
        pidfd = os.pidfd_open(pid)
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        # The next request may wait there already; only a candidate that is talked to can be stopped.
        poller.register(self._control, select.POLLIN if request.mode is Mode.TALKING else 0)
        clock = (~pid << 3) | 2  # the kernel's name for the processor time of another process
        limit, waited_s = "", 0.0
        left = min(wall_s, cpu_s)
        while not (events := poller.poll(left * 1000 + 1)):
            cpu_left = cpu_s - time.clock_gettime(clock)
            left = min(started + wall_s - time.monotonic(), cpu_left)
            if left <= 0:
                limit = "cpu" if cpu_left <= 0 else "wall"
                waited_s = self._waited_s(pidfd, wall_s, cpu_s - cpu_left, cpu_s) if limit == "wall" else 0.0
                break
        if any(fd != pidfd for fd, _ in events):
            try:
                if request.mode is not Mode.TALKING:
                    raise EOFError
                wire.receive_request(self._control)  # its tests are over
            except (EOFError, OSError):
                os._exit(0)  # the supervisor has gone; the namespace or the death signal ends the candidate
            limit = "stop"
        if limit:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        wall = time.monotonic() - started
        cpu = usage.ru_utime + usage.ru_stime
        if not limit and status == signal.SIGKILL:
            limit = "cpu" if cpu >= cpu_s else "oom" if self._ran_out_of_memory() else ""
        return status, wire.report_of(status, limit, waited_s, wall, cpu, usage.ru_maxrss)

    def _ran_out_of_memory(self) -> bool:
        """Has the machine killed for lack of memory since this was last asked? If unknown, yes."""
        before, self._num_oom_kills = self._num_oom_kills, _num_oom_kills(self._layers.proc)
        return self._num_oom_kills < 0 or self._num_oom_kills > before

    def _waited_s(self, pidfd: int, wall_s: float, used_s: float, cpu_s: float) -> float:
        """How long it was ready to run but had no processor: the kernel tells that from sleep."""
        try:
            host_pid = _read_proc(self._layers.proc, f"self/fdinfo/{pidfd}").partition("Pid:")[2].split()[0]
            return int(_read_proc(self._layers.proc, f"{host_pid}/schedstat").split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            # Not known here. A program that has used little of its processor time may have waited.
            return 0.2 * wall_s if used_s < 0.5 * cpu_s else 0.0


def _execute(command: tuple[str, ...]) -> NoReturn:
    try:
        os.execve(command[0], command, {})
    finally:
        os._exit(127)


class _Judges:
    """Makes processes that run tests; each gets its orders from the supervisor over a socket of its own."""

    def __init__(self, control: socket.socket, entered: Layers) -> None:
        self._control = control
        self._layers = entered

    def answer(self, request: NewJudge | EndJudge, fds: list[int]) -> None:
        if isinstance(request, EndJudge):
            wire.send_reply(self._control, {"status": self._end(request.wait)})
            return
        try:
            if kernel.fork() == 0:
                try:
                    self._layers.confine(fds, _UNLIMITED_S)
                except BaseException:
                    os._exit(1)
                judging.serve()
            report = {}
        except OSError as error:
            report = {"error": f"{type(error).__name__}: {error}"}
        for fd in fds:
            os.close(fd)
        wire.send_reply(self._control, report)

    def _end(self, wait: bool) -> int:
        """End the process that there is; wait: it ends by itself."""
        if not wait:
            layers.kill_descendants(self._layers.proc, self._layers.holds("pid_namespace"))
            return 0
        try:
            return os.waitpid(-1, 0)[1]
        except ChildProcessError:
            return 0


def _num_oom_kills(proc: int) -> int:
    """Of the whole machine since it was started; -1 where it is not known."""
    try:
        return int(_read_proc(proc, "vmstat").partition("\noom_kill ")[2].split()[0])
    except (OSError, IndexError, ValueError):
        return -1


def _read_proc(proc: int, path: str) -> str:
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)) as file:
        return file.read()
