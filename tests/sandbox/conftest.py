from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rrtf_ray.records import ProblemKind, Test, TestKind, Verdict
from rrtf_ray.sandbox import Limits, Sandbox

LIMITS = Limits(wall_s=6.0, cpu_s=0.5, memory_mb=256, output_kb=64, processes=32)
DOUBLE = (Test(TestKind.ASSERT, "assert double(2) == 4"), Test(TestKind.ASSERT, "assert double(-1) == -2"))
GOOD = "def double(x):\n    return 2 * x\n"


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(LIMITS) as shared:
        yield shared


def run_function(sandbox: Sandbox, program: str, tests: Sequence[Test] = DOUBLE, entry: str = "double") -> Verdict:
    return sandbox.run([program], tests, kind=ProblemKind.FUNCTION, entry_point=entry)[0]


def run_script(sandbox: Sandbox, program: str, *pairs: tuple[str, str]) -> Verdict:
    tests = [Test(TestKind.STDIO, stdin, expected) for stdin, expected in pairs]
    return sandbox.run([program], tests, kind=ProblemKind.STDIO, entry_point="")[0]


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def processes_named(name: str) -> list[int]:
    """The processes of the whole machine with this command name (at most 15 characters)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().strip() == name:
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def descendants(pid: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def zygotes() -> list[int]:
    """This process's own sandbox processes, as it started them."""
    found = []
    for pid in descendants(os.getpid()):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"sandbox.inside.zygote" in command and parent == os.getpid():
            found.append(pid)
    return found
