"""What a teacher has answered and what that cost, in one SQLite file.

An answer is found again by the content of its question. A request is entered with the most that it can cost before it
is sent, and with what it did cost when its answer is there: whatever is killed, the account never has less than was
spent.
"""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rrtf_ray.errors import StageError
from rrtf_ray.records import Fault
from rrtf_ray.teachers.asking import Reply

BUSY_S = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, reply TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY, teacher TEXT NOT NULL, at REAL NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cost REAL NOT NULL);
CREATE INDEX IF NOT EXISTS requests_of ON requests (teacher);
CREATE TABLE IF NOT EXISTS faults (
    teacher TEXT NOT NULL, fault TEXT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (teacher, fault)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """What requests took. cost: in the currency of the prices."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost + other.cost,
        )

    def __sub__(self, other: Spent) -> Spent:
        return self + Spent(-other.requests, -other.input_tokens, -other.output_tokens, -other.cost)


class Ledger:
    """The account of one teacher. Several processes may have the file open."""

    def __init__(self, path: str, teacher: str) -> None:
        """teacher: whose requests are added up. Raises StageError where the file cannot be used."""
        self._path = path
        self._teacher = teacher
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from None

    def close(self) -> None:
        self._database.close()

    def answer(self, key: str) -> Reply | None:
        """The answer that was given before."""
        row = self._do("SELECT reply FROM answers WHERE key = ?", key).fetchone()
        if row is None:
            return None
        fields = json.loads(row[0])
        return Reply(**fields | {"fault": Fault(fields["fault"]) if fields["fault"] else None})

    def spent(self) -> Spent:
        """By all requests so far, at their most where nobody knows what they took."""
        row = self._do(
            "SELECT COUNT(*), COALESCE(SUM(input_tokens), 0), COALESCE(SUM(output_tokens), 0), COALESCE(SUM(cost), 0) "
            "FROM requests WHERE teacher = ?",
            self._teacher,
        ).fetchone()
        return Spent(*row)

    def open(self, most: Spent) -> int:
        """Enter a request before it is sent; returns its number."""
        number = self._do(
            "INSERT INTO requests (teacher, at, input_tokens, output_tokens, cost) VALUES (?, ?, ?, ?, ?)",
            *(self._teacher, time.time(), most.input_tokens, most.output_tokens, most.cost),
        ).lastrowid
        assert number is not None
        return number

    def settle(self, number: int, spent: Spent) -> None:
        """What a request took in the end."""
        self._do(
            "UPDATE requests SET input_tokens = ?, output_tokens = ?, cost = ? WHERE number = ?",
            *(spent.input_tokens, spent.output_tokens, spent.cost, number),
        )

    def remember(self, key: str, reply: Reply) -> None:
        self._do("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", key, json.dumps(asdict(reply)), time.time())

    def note(self, fault: Fault, detail: str) -> None:
        """The last thing that went wrong in this way."""
        self._do("INSERT OR REPLACE INTO faults VALUES (?, ?, ?)", self._teacher, fault.value, detail)

    def notes(self) -> dict[Fault, str]:
        """What went wrong last in each way."""
        rows = self._do("SELECT fault, detail FROM faults WHERE teacher = ?", self._teacher).fetchall()
        return {Fault(fault): detail for fault, detail in rows}

    def _do(self, statement: str, *values: object) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> StageError:
        return StageError(
            f"{self._path}, where answers of teachers and what was spent on them are kept, cannot be used ({error}); "
            "give it write permission and space, or name another local file with teachers.NAME.cache"
        )
