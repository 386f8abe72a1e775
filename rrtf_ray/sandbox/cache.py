"""Verdicts that are known already, by the content of all that decides them: program, tests, limits, the interpreter,
the libraries that programs can import, and the code of the sandbox itself.

One SQLite file, shared by the workers of a machine. It is a cache: where it cannot be read or written, the
programs are run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sqlite3
import sys
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from rrtf_ray.records import Outcome, TestStatus, Verdict
from rrtf_ray.sandbox.plan import Plan
from rrtf_ray.sandbox.process import Setting
from rrtf_ray.sandbox.shared.jobs import Mode

_log = logging.getLogger("rrtf_ray.sandbox")
_WAIT_S = 10.0
_PACKAGE = Path(__file__).parent
_SCHEMA = "CREATE TABLE IF NOT EXISTS verdicts (key BLOB PRIMARY KEY, verdict TEXT NOT NULL) WITHOUT ROWID"


class VerdictCache:
    """Remembers verdicts in a file. Safe for several threads and processes.

    hits, misses: how often a verdict was there and how often not.
    """

    def __init__(self, path: str | Path) -> None:
        """Makes the file and its folder if need be; where that fails, warns and remembers nothing."""
        self.hits = self.misses = 0
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            database = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=OFF")  # what a crash loses is run again
            database.execute(_SCHEMA)
            self._database = database
        except (OSError, sqlite3.Error) as error:
            _log.warning("verdicts are not remembered: %s: %s", path, error)

    @staticmethod
    def key(plan: Plan, program: str, setting: Setting, cpu_s: float, inside: bool) -> bytes:
        """What the verdict of this program depends on, as 32 bytes."""
        return _digest("verdict", plan, program, setting, repr((cpu_s, inside)))

    def get(self, key: bytes) -> Verdict | None:
        found = self._read(key)
        self.hits += found is not None
        self.misses += found is None
        if found is None:
            return None
        fields = json.loads(found)
        return Verdict(
            Outcome(fields["outcome"]),
            tuple(map(TestStatus, fields["tests"])),
            fields["seconds"],
            fields["detail"],
            fields["inside"],
            tuple(fields["unprotected"]),
        )

    def add(self, key: bytes, verdict: Verdict) -> None:
        self._write(key, json.dumps({name: getattr(verdict, name) for name in Verdict.__dataclass_fields__}))

    @staticmethod
    def reference_key(plan: Plan, program: str, setting: Setting) -> bytes:
        """What a reference's run depends on, as 32 bytes."""
        return _digest("reference", plan, program, setting)

    def reference(self, key: bytes) -> tuple[float, Mode] | None:
        """The seconds of processor time of a reference's run, and the mode that it needed."""
        found = self._read(key)
        if found is None:
            return None
        used_s, mode = json.loads(found)
        return used_s, Mode(mode)

    def add_reference(self, key: bytes, used_s: float, mode: Mode) -> None:
        self._write(key, json.dumps([used_s, mode]))

    def _read(self, key: bytes) -> str | None:
        with self._lock, contextlib.suppress(sqlite3.Error):
            if self._database is not None:
                row = self._database.execute("SELECT verdict FROM verdicts WHERE key = ?", (key,)).fetchone()
                return row[0] if row else None
        return None

    def _write(self, key: bytes, text: str) -> None:
        with self._lock, contextlib.suppress(sqlite3.Error):
            if self._database is not None:
                self._database.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", (key, text))

    def close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None


def code_digest(folder: Path) -> str:
    """Changes with every source file below `folder`: a corrected judge must not repeat an earlier one's verdicts."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".js")):
        for part in (path.relative_to(folder).as_posix().encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


@cache
def _judge() -> str:
    return code_digest(_PACKAGE)


def installed(paths: Iterable[str]) -> str:
    """Changes with the version of every library in these directories: programs can import all that are there."""
    names = [path.name for folder in paths for path in Path(folder).glob("*-info")]
    return hashlib.sha256("\n".join(sorted(names)).encode("utf-8", "surrogateescape")).hexdigest()


def _digest(what: str, plan: Plan, program: str, setting: Setting, rest: str = "") -> bytes:
    digest = hashlib.sha256(plan.digest)
    for part in (what, _judge(), sys.version, repr(setting), program, rest):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()
