"""Every program of the catalogue against its tasks: the verdict, the time it took, and what it left behind.

One test per family; it goes through all of the family's entries and reports everything that was wrong.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import socket
import stat
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rrtf_ray.records import Outcome, Verdict
from rrtf_ray.sandbox import Limits, Sandbox, process, supervisor

from .catalogue import FAMILIES
from .catalogue.entry import Ends, Entry, Task
from .catalogue.tasks import ALL, LOOPS, SUM
from .conftest import descendants, wait_until, zygotes

pytestmark = pytest.mark.slow

LIMITS = Limits(wall_s=1.0, cpu_s=0.4, memory_mb=128, output_kb=64, processes=32)
ALONE_S = supervisor._ALONE_FACTOR * LIMITS.wall_s
TESTS_S = process._TESTS_FACTOR * LIMITS.cpu_s + 1
LONGEST_S = {
    Ends.ITSELF: LIMITS.wall_s + 1,
    Ends.WALL: LIMITS.wall_s + 1,
    Ends.CPU: LIMITS.wall_s + ALONE_S + TESTS_S + 1,
}
"""A program that reaches its limit of processor time is run again, alone, with more time by the clock; its tests have
a limit of their own. One that sleeps is not run again. On a machine that is not busy, all are stopped much sooner."""
SETTLE_S = 10.0
OWN_S = 1.0
"""Of processor time in the caller's process, which should compute nothing."""
MOST_TRIES = 5
"""Of what a busy machine may be to blame for: a limit by the clock, or a sandbox that had to wait for a processor. A
fault of the sandbox is there each time."""
MOST_TASKS = 4
"""Of an entry, in the reduced tier."""
NAMESPACES = ("pid_namespace", "mount_namespace", "network_namespace", "ipc_namespace")
REDUCED = ("forgery", "messages", "results", "secrets", "early exits", "files", "network")
"""What the layers of a container that grants nothing must hold by themselves."""
SLOW = "took longer"
BUSY = "the machine is too busy"
TIMED_OUT = f": {Outcome.TIMEOUT.value}, "
MARK = "mark" + secrets.token_hex(5)
SECRET = "secret-" + secrets.token_hex(16)
PLACEHOLDER = re.compile("@[A-Z]+@")
PLACES = [
    path
    for path in ("/", "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", "/work", "/sys/fs/cgroup", os.getcwd(),
                 os.path.expanduser("~"), os.path.dirname(os.__file__), sysconfig.get_path("purelib"))
    if os.path.isdir(path)
]  # fmt: skip
"""Where a program would leave something, or change the mode of what is there."""


class Outside:
    """What no program may touch: a folder, listeners and the machine's common places."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="canary"))
        (self.folder / "folder" / "empty").mkdir(parents=True)
        (self.folder / "kept.txt").write_text("kept")
        (self.folder / "secret.txt").write_text(SECRET)
        self._stream = socket.create_server(("127.0.0.1", 0))
        self.port = self._stream.getsockname()[1]
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", self.port))
        self._named = self._local(str(self.folder / "socket"))
        self._abstract = self._local(f"\0{MARK}")
        for path in (self.folder, *self.folder.rglob("*")):
            path.chmod(0o777 if path.is_dir() or path.is_socket() else 0o666)
        for listener in (self._stream, self._datagrams, self._named, self._abstract):
            listener.setblocking(False)
        self._content = self._look()
        self._modes = {path: os.stat(path).st_mode for path in (*PLACES, os.__file__)}

    @staticmethod
    def _local(address: str) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        listener.listen()
        return listener

    def filled(self, text: str) -> str:
        """The text with its placeholders replaced."""
        names = {"MARK": MARK, "CANARY": str(self.folder), "PORT": str(self.port), "SECRET": SECRET}
        return PLACEHOLDER.sub(lambda found: names.get(found.group()[1:-1], found.group()), text)

    def _look(self) -> dict[str, tuple[object, ...]]:
        found: dict[str, tuple[object, ...]] = {}
        for path in (self.folder, *self.folder.rglob("*")):
            info = path.lstat()
            attributes = tuple((name, os.getxattr(path, name)) for name in os.listxattr(path))
            content = path.read_bytes() if stat.S_ISREG(info.st_mode) else b""
            owner = (info.st_mode, info.st_uid, info.st_gid, info.st_ino, info.st_nlink)
            found[str(path)] = (*owner, info.st_mtime_ns, info.st_ctime_ns, attributes, content)
        return found

    def traces(self) -> list[str]:
        """What has changed, what bears the mark, and who was heard, since the last call."""
        found = [f"process {pid} lives on" for pid in _marked_processes()]
        if (content := self._look()) != self._content:
            changed = {path for path, _ in set(content.items()) ^ set(self._content.items())}
            found.append(f"changed: {sorted(changed)}")
            self._content = content
        found += [f"left behind: {place}/{name}" for place in PLACES for name in os.listdir(place) if MARK in name]
        for path, mode in self._modes.items():
            if os.stat(path).st_mode != mode:
                found.append(f"mode of {path}: {os.stat(path).st_mode:o}")
                os.chmod(path, mode)
        for name, listener in (("tcp", self._stream), ("socket", self._named), ("abstract socket", self._abstract)):
            with contextlib.suppress(BlockingIOError):
                listener.accept()[0].close()
                found.append(f"a connection by {name}")
        with contextlib.suppress(BlockingIOError):
            found.append(f"a datagram: {self._datagrams.recv(100)!r}")
        return found

    def close(self) -> None:
        for listener in (self._stream, self._datagrams, self._named, self._abstract):
            listener.close()
        shutil.rmtree(self.folder)


def _marked_processes() -> list[int]:
    """The processes of the whole machine with the mark as their name or in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if MARK.encode() in (path / "comm").read_bytes() + (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


class Warnings(logging.Handler):
    """Keeps what the sandbox says."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


class Watched:
    """A sandbox, and what it needs of this process when it is warm."""

    def __init__(self, warnings: Warnings, without: Sequence[str] = ()) -> None:
        self._warnings = warnings
        self.sandbox = Sandbox(LIMITS, without=without)
        self._warm_up()

    def _warm_up(self) -> None:
        for task in (SUM, LOOPS):  # one needs no process of tests, the other does
            assert run(self.sandbox, task, task.solution)[0].outcome is Outcome.PASSED
        self._zygotes, self._own = set(zygotes()), self._used()
        self._warnings.texts.clear()

    @staticmethod
    def _used() -> tuple[int, int]:
        return len(descendants(os.getpid())), len(os.listdir("/proc/self/fd"))

    def surplus(self) -> list[str]:
        """What it has of processes and descriptors beyond that, and zygotes that did not survive."""
        found, now = [], set(zygotes())
        causes = "; ".join(self._warnings.texts)
        if self._zygotes - now and BUSY not in causes:
            found.append(f"the sandbox's processes had to be replaced: {causes}")
        if self._zygotes != now:
            self._warm_up()
        # What has been killed needs a processor once more to be gone.
        wait_until(lambda: all(used <= own for used, own in zip(self._used(), self._own, strict=True)), SETTLE_S)
        for name, used, own in zip(("processes", "descriptors"), self._used(), self._own, strict=True):
            if used > own:
                found.append(f"{used - own} {name} more")
        return found


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARK, SECRET)
        made = Outside()
        yield made
        made.close()


@pytest.fixture(scope="module")
def warnings() -> Iterator[Warnings]:
    logger, handler = logging.getLogger("rrtf_ray.sandbox"), Warnings()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.fixture(scope="module")
def full(outside, warnings) -> Iterator[Watched]:
    watched = Watched(warnings)
    yield watched
    watched.sandbox.close()


@pytest.fixture
def reduced(full, warnings) -> Iterator[Watched]:
    watched = Watched(warnings, NAMESPACES)
    with contextlib.closing(watched.sandbox):
        if not all(watched.sandbox.isolation.get(layer) for layer in ("seccomp", "landlock")):
            pytest.skip("this machine has no seccomp or no landlock")
        yield watched


def run(sandbox: Sandbox, task: Task, *programs: str) -> list[Verdict]:
    return sandbox.run(programs, task.tests, kind=task.kind, entry_point=task.entry_point, setup=task.setup)


def filled_task(task: Task, outside: Outside) -> Task:
    fill = outside.filled
    tests = tuple(replace(t, code=fill(t.code), expected=fill(t.expected), checker=fill(t.checker)) for t in task.tests)
    texts = {name: fill(getattr(task, name)) for name in ("solution", "wrong", "setup")}
    return replace(task, tests=tests, **texts)


def tasks_of(families: dict[str, tuple[Entry, ...]]) -> dict[str, Task]:
    tasks = {task.name: task for task in ALL}
    for entries in families.values():
        tasks |= {task.name: task for entry in entries for task in entry.tasks}
    return tasks


def wrong_with(verdict: Verdict, entry: Entry, seconds: float, own_s: float) -> list[str]:
    found = []
    if entry.passes is not None and (verdict.outcome is Outcome.PASSED) is not entry.passes:
        found.append("must pass" if entry.passes else "must not pass")
    if verdict.outcome is Outcome.SANDBOX_ERROR:
        found.append("a fault of the sandbox")
    if verdict.inside:
        found.append("judged inside")
    if verdict.outcome is Outcome.TIMEOUT and entry.ends is Ends.ITSELF:
        found.append("did not end by itself")
    if seconds > LONGEST_S[entry.ends]:
        found.append(f"{SLOW} than {LONGEST_S[entry.ends]:.1f} s")
    if own_s > OWN_S:
        found.append(f"kept the caller's own process busy for {own_s:.1f} s")
    return found


def try_task(entry: Entry, task: Task, watched: Watched, outside: Outside) -> tuple[Verdict, list[str]]:
    """The verdict of one entry in one task, and what is wrong with it each time."""
    for _ in range(MOST_TRIES):
        verdict, found = try_once(entry, task, watched, outside)
        if not found or not all(any(sign in fault for sign in (SLOW, BUSY, TIMED_OUT)) for fault in found):
            break
    return verdict, found


def try_once(entry: Entry, task: Task, watched: Watched, outside: Outside) -> tuple[Verdict, list[str]]:
    """As try_task, of a single run. An honest program runs right after it."""
    programs = [outside.filled(text) for text in (entry.before, entry.source) if text or text is entry.source]
    task = filled_task(task, outside)
    started, own = time.monotonic(), time.process_time()
    try:
        *_, verdict, after = run(watched.sandbox, task, *programs, task.solution)
    except Exception as error:
        verdict = after = Verdict(Outcome.SANDBOX_ERROR, detail=f"run() raised {type(error).__name__}: {error}")
    seconds = time.monotonic() - started
    found = wrong_with(verdict, entry, seconds, time.process_time() - own)
    if after.outcome is not Outcome.PASSED and after is not verdict:
        found.append(f"the next program: {after.outcome.value}, {after.detail}")
    told = f"{verdict.outcome.value}, {verdict.detail}, {seconds:.2f} s"
    return verdict, [f"{task.name}: {fault}: {told}" for fault in found]


def try_entry(entry: Entry, watched: Watched, outside: Outside, full: Watched | None = None) -> list[str]:
    """What is wrong with one entry. full: also where its verdicts differ from those with all layers."""
    found = []
    for task in entry.tasks:
        verdict, wrong = try_task(entry, task, watched, outside)
        found += wrong
        if full is not None and entry.passes is None:
            usual, _ = try_task(entry, task, full, outside)
            if (verdict.outcome is Outcome.PASSED) is not (usual.outcome is Outcome.PASSED):
                found.append(f"{task.name}: {verdict.outcome.value}, with all layers {usual.outcome.value}")
    found += outside.traces() + watched.surplus()
    return [f"{entry.name} / {fault}" for fault in found]


@pytest.mark.parametrize("family", FAMILIES)
def test_family(family, full, outside):
    found = [f"{family} / {fault}" for entry in FAMILIES[family] for fault in try_entry(entry, full, outside)]
    assert not found, f"{len(found)} faults\n" + "\n".join(found)


@pytest.mark.parametrize("family", REDUCED)
def test_family_without_namespaces(family, full, reduced, outside):
    """seccomp, landlock and the limits of resources hold by themselves, and the verdicts are the same.

    Programs that are ended by a limit of time are left out: it is the same one in every tier.
    """
    able = [entry for entry in FAMILIES[family] if entry.ends is Ends.ITSELF and not entry.needs_folder]
    entries = [replace(entry, tasks=entry.tasks[:MOST_TASKS]) for entry in able]
    found = [f"{family} / {fault}" for entry in entries for fault in try_entry(entry, reduced, outside, full)]
    assert not found, f"{len(found)} faults\n" + "\n".join(found)


def test_solutions_pass_and_what_looks_like_them_does_not(full, outside):
    found = []
    for task in tasks_of(FAMILIES).values():
        task = filled_task(task, outside)
        right, wrong = run(full.sandbox, task, task.solution, task.wrong)
        if right.outcome is not Outcome.PASSED or right.inside:
            found.append(f"{task.name}: its solution: {right}")
        if not task.wrong or wrong.outcome is Outcome.PASSED:
            found.append(f"{task.name}: what must fail: {wrong}")
    assert not found, "\n".join(found)


def test_the_catalogue_is_whole(outside):
    assert len(MARK) <= 15
    assert sum(map(len, FAMILIES.values())) >= 120
    tasks = tasks_of(FAMILIES)
    for family, entries in FAMILIES.items():
        names = [entry.name for entry in entries]
        assert len(names) == len(set(names)), family
        for entry in entries:
            assert entry.tasks, (family, entry.name)
            shared = [task.name for task in entry.tasks if tasks[task.name] is not task]
            assert not shared, f"{family} / {entry.name}: names of other tasks: {shared}"
            texts = [entry.source, entry.before]
            for task in (filled_task(task, outside) for task in entry.tasks):
                texts += [task.solution, task.wrong, task.setup, *(t.code + t.expected for t in task.tests)]
            left = {found for text in texts for found in PLACEHOLDER.findall(outside.filled(text))}
            assert not left, (family, entry.name, left)
