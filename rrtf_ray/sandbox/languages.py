"""Programs in another language than Python: the command that runs one, and what it must find on the disk.

Such a command is started anew for each program, in the program's own confined process. It reads its order as JSON from
descriptor 3 and writes its results there, in the form of `shared.channel` and `shared.codec`; the tests, the expected
values and the comparison are the same as for Python, and as far away.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rrtf_ray.errors import SandboxError
from rrtf_ray.records import Language
from rrtf_ray.sandbox.limits import Limits

_NODE_MODULES = "/usr/share/nodejs"
"""Debian's node reads parts of its own library from there."""


@dataclass(frozen=True, slots=True)
class Runner:
    """command: with its arguments. paths: files and folders that it reads. identity: changes with its version."""

    command: tuple[str, ...]
    paths: tuple[str, ...]
    identity: str


def runner_of(language: Language, limits: Limits) -> Runner | None:
    """None for Python, whose programs run in forks of a warm interpreter. Raises SandboxError where it is missing."""
    return None if language is Language.PYTHON else _node(limits.memory_mb)


@cache
def _node(memory_mb: int) -> Runner:
    found = shutil.which("node") or shutil.which("nodejs")
    if found is None:
        raise SandboxError("there is no `node` on the PATH; install Node.js 18 or newer to run JavaScript programs")
    path = os.path.realpath(found)
    source = (Path(__file__).parent / "inside" / "program.js").read_text()
    # One thread of V8's own less to start; and the same random numbers for every program, as Python's have.
    options = (f"--max-old-space-size={memory_mb}", "--single-threaded", "--random-seed=1", "--no-warnings",
               "--openssl-config=/dev/null")  # fmt: skip
    file = os.stat(path)
    identity = f"{path} {_version(path)} {file.st_size} {file.st_mtime_ns}"
    return Runner((path, *options, "-e", source), (path, _NODE_MODULES), identity)


def _version(node: str) -> str:
    try:
        return subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=60, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxError(f"{node} --version fails ({error}); install Node.js 18 or newer") from error
