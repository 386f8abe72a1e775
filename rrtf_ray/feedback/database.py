"""Where votes are kept: SQLite by default, any database that SQLAlchemy speaks by its URL.

Votes are only ever added, each in a transaction of its own that is on disk before the call returns. The schema is
brought up to date by Alembic when a database is opened.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from rrtf_ray.errors import InputError, StageError, first_line
from rrtf_ray.feedback.tables import PROBLEMS, PROGRAMS, RETRACTIONS, VOTES
from rrtf_ray.identity import program_digest
from rrtf_ray.records import Arm, Choice, Vote, VoteSource

BUSY_S = 10.0
"""How long a statement waits for a database that another process has locked."""
_MOST_NAMED = 500
"""Problems that a query names; of more, all votes are read."""
_MIGRATING = 0x72727466
_MIGRATIONS = Path(__file__).with_name("migrations")


def sqlite_url(path: str | Path) -> str:
    """The URL of a file."""
    return f"sqlite:///{Path(path).absolute()}"


class FeedbackDatabase:
    """Votes, and the problems and programs that they are about. One object for a process; threads may share it."""

    def __init__(self, url: str) -> None:
        """Open the database, made or brought up to date if it must be.

        Raises InputError for a URL that names no database, one that cannot be reached, and one of a newer version.
        """
        self.url = url
        self._shown = _without_password(url)
        try:
            self.engine: Engine = create_engine(url, pool_pre_ping=True, **_arguments(url))
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise InputError(
                f"{self._shown!r} is no database URL that can be used ({first_line(error)}); give one such as "
                "sqlite:///feedback.sqlite, or postgresql+psycopg://user@host/name with `pip install psycopg[binary]`"
            ) from None
        self._is_sqlite = self.engine.dialect.name == "sqlite"
        # SQLite has one writer; threads that wait here get their turn sooner than by its own retries.
        self._turn = threading.Lock() if self._is_sqlite else nullcontext()
        if self._is_sqlite:
            event.listen(self.engine, "connect", _durable_sqlite)
        self._migrate()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def add_problem(self, problem_id: str, prompt: str, programs: Iterable[str]) -> list[str]:
        """Know a problem and programs of it; returns their digests, in order. What is known stays as it is."""
        with self.writing() as connection:
            return insert_problem(connection, problem_id, prompt, programs)

    def load(self, problems: Mapping[str, str], programs: Iterable[tuple[str, str]], votes: Iterable[Vote]) -> int:
        """Know problems (prompts by id), programs (problem ids and codes) and votes on them, all or nothing; returns
        how many votes were new (by id). What is known stays as it is."""
        with self.writing() as connection:
            add_missing(connection, PROBLEMS, [{"problem_id": id_, "prompt": text} for id_, text in problems.items()])
            rows = [{"problem_id": id_, "digest": program_digest(code), "code": code} for id_, code in programs]
            add_missing(connection, PROGRAMS, rows)
            return add_missing(connection, VOTES, [asdict(vote) for vote in votes])

    def add(self, votes: Iterable[Vote]) -> int:
        """Store votes, all or none; returns how many were new (by id).

        Raises InputError for a vote on a program that the database does not know.
        """
        with self.writing() as connection:
            return insert_votes(connection, list(votes))

    def retract(self, vote_id: str) -> bool:
        """Take a vote back; returns whether that changed anything. Raises InputError for an unknown vote."""
        with self.writing() as connection:
            if connection.scalar(select(func.count()).where(VOTES.c.id == vote_id)) == 0:
                raise InputError(f"there is no vote {vote_id!r} to take back")
            return bool(add_missing(connection, RETRACTIONS, [{"vote_id": vote_id, "at": time.time()}]))

    def votes(self, problem_ids: Iterable[str] | None = None) -> list[Vote]:
        """All votes that count, in the order in which they came; problem_ids: only those on these problems."""
        wanted = None if problem_ids is None else set(problem_ids)
        query = select(VOTES).where(VOTES.c.id.not_in(select(RETRACTIONS.c.vote_id))).order_by(VOTES.c.number)
        if wanted is not None and len(wanted) <= _MOST_NAMED:
            query = query.where(VOTES.c.problem_id.in_(wanted))
        with self.reading() as connection:
            rows = connection.execute(query).mappings()
            return [vote_of(row) for row in rows if wanted is None or row["problem_id"] in wanted]

    def program(self, problem_id: str, digest: str) -> str | None:
        """A program's code; None if it is unknown."""
        with self.reading() as connection:
            return program_of(connection, problem_id, digest)

    def prompt(self, problem_id: str) -> str | None:
        """A problem's prompt; None if it is unknown."""
        with self.reading() as connection:
            query = select(PROBLEMS.c.prompt).where(PROBLEMS.c.problem_id == problem_id)
            found: str | None = connection.scalar(query)
            return found

    def problems(self) -> list[tuple[str, str]]:
        """Id and prompt of every problem."""
        with self.reading() as connection:
            rows = connection.execute(select(PROBLEMS.c.problem_id, PROBLEMS.c.prompt).order_by(PROBLEMS.c.problem_id))
            return [(row.problem_id, row.prompt) for row in rows]

    def programs(self) -> dict[tuple[str, str], str]:
        """Every program's code, by problem id and digest."""
        with self.reading() as connection:
            return {(row.problem_id, row.digest): row.code for row in connection.execute(select(PROGRAMS))}

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection; what goes wrong in the database is a StageError."""
        with self._explained(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is on disk when the block ends, or has left no trace."""
        with self._explained(), self._turn, self.engine.begin() as connection:
            self._write_alone(connection)
            yield connection

    def _write_alone(self, connection: Connection) -> None:
        """SQLite would begin as a reader, and refuse to write where another has written since."""
        if self._is_sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise StageError(f"the feedback database {self._shown!r}: {_remedy(error)}; nothing was stored") from None

    def _migrate(self) -> None:
        config = AlembicConfig()
        config.set_main_option("script_location", str(_MIGRATIONS))
        scripts = ScriptDirectory.from_config(config)
        try:
            with self.engine.begin() as connection:
                self._write_alone(connection)
                if self.engine.dialect.name == "postgresql":  # of two that open a new database, one waits
                    connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
                current = MigrationContext.configure(connection).get_current_revision()
                if current == scripts.get_current_head():
                    return
                if current and current not in {script.revision for script in scripts.walk_revisions()}:
                    raise InputError(
                        f"the feedback database {self._shown!r} has schema {current!r}, which this version does not "
                        f"know (its newest is {scripts.get_current_head()!r}); update rrtf-ray"
                    )
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except SQLAlchemyError as error:
            raise InputError(f"the feedback database {self._shown!r} cannot be opened: {_remedy(error)}") from None


def vote_of(row: Any) -> Vote:
    """The record of a row of VOTES."""
    fields = {name: row[name] for name in Vote.__dataclass_fields__}
    return Vote(
        **fields | {"choice": Choice(row["choice"]), "source": VoteSource(row["source"]), "arm": Arm(row["arm"])}
    )


def program_of(connection: Connection, problem_id: str, digest: str) -> str | None:
    """A program's code; None if it is unknown."""
    query = select(PROGRAMS.c.code).where(PROGRAMS.c.problem_id == problem_id, PROGRAMS.c.digest == digest)
    found: str | None = connection.scalar(query)
    return found


def insert_problem(connection: Connection, problem_id: str, prompt: str, programs: Iterable[str]) -> list[str]:
    """As FeedbackDatabase.add_problem, in a transaction that the caller has begun."""
    codes = {program_digest(code): code for code in programs}
    add_missing(connection, PROBLEMS, [{"problem_id": problem_id, "prompt": prompt}])
    rows = [{"problem_id": problem_id, "digest": digest, "code": code} for digest, code in codes.items()]
    add_missing(connection, PROGRAMS, rows)
    return list(codes)


def insert_votes(connection: Connection, votes: list[Vote]) -> int:
    """As FeedbackDatabase.add, in a transaction that the caller has begun."""
    for vote in votes:
        for digest in (vote.left, vote.right):
            if program_of(connection, vote.problem_id, digest) is None:
                raise InputError(
                    f"vote {vote.id!r} is on program {digest} of problem {vote.problem_id!r}, which this "
                    "database does not know; import the run or file that has the program first"
                )
    return add_missing(connection, VOTES, [asdict(vote) for vote in votes])


def add_missing(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> int:
    """Insert the rows whose unique key is not there; returns how many."""
    if not rows:
        return 0
    # A count by RETURNING: for many rows at once, PostgreSQL's driver gives no other.
    if connection.dialect.name not in ("sqlite", "postgresql") or not connection.dialect.insert_executemany_returning:
        return sum(_inserted(connection, table, row) for row in rows)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).on_conflict_do_nothing().returning(*table.primary_key)
    return len(connection.execute(statement, rows).all())


def _inserted(connection: Connection, table: Any, row: dict[str, Any]) -> int:
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(**row))
    except IntegrityError:
        return 0
    return 1


def _arguments(url: str) -> dict[str, Any]:
    if make_url(url).get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_S, "check_same_thread": False}}
    return {"connect_args": {"connect_timeout": int(BUSY_S)}} if "postgresql" in url else {}


def _durable_sqlite(connection: Any, _record: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def _remedy(error: SQLAlchemyError) -> str:
    """What the database says, and what to do about it."""
    text = first_line(error.orig) if isinstance(error, DBAPIError) and error.orig else first_line(error)
    for sign, remedy in (
        ("locked", f"another process has had it locked for {BUSY_S:.0f} s; end that process or try again"),
        ("readonly", "it is read-only; give write permission to the file and its folder"),
        ("read-only", "it is read-only; give write permission to the file and its folder"),
        ("full", "the disk is full; free some space"),
        ("unable to open", "the file cannot be opened; check that its folder exists and can be written"),
        ("not a database", "the file is no SQLite database; name another"),
    ):
        if sign in text.lower():
            return f"{text}: {remedy}"
    return text
