"""The tables of a feedback database. A change here needs a migration in `migrations/versions/`."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint, text
from sqlalchemy.types import TypeDecorator

_UNSTORABLE = re.compile("[\x00\ud800-\udfff\ufffe]")
_STORED = re.compile("\ufffe([0-9a-f]{4})")


class AnyText(TypeDecorator[str]):
    """Text of programs: also with NUL characters and lone surrogates, which databases refuse."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return value and _UNSTORABLE.sub(lambda found: f"\ufffe{ord(found[0]):04x}", value)

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return value and _STORED.sub(lambda found: chr(int(found[1], 16)), value)


METADATA = MetaData()
_DIGEST = String(32)
_NAME = String(255)

PROBLEMS = Table(
    "problems",
    METADATA,
    Column("problem_id", _NAME, primary_key=True),
    Column("prompt", AnyText, nullable=False),
)
PROGRAMS = Table(
    "programs",
    METADATA,
    Column("problem_id", _NAME, primary_key=True),
    Column("digest", _DIGEST, primary_key=True),
    Column("code", AnyText, nullable=False),
)
VOTES = Table(
    "votes",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("problem_id", _NAME, nullable=False, index=True),
    Column("left", _DIGEST, nullable=False),
    Column("right", _DIGEST, nullable=False),
    Column("choice", String(16), nullable=False),
    Column("annotator", _NAME, nullable=False),
    Column("source", String(16), nullable=False),
    Column("at", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("reason", AnyText, nullable=False),
    Column("rubric", String(64), nullable=False),
    Column("saw_tests", Boolean, nullable=False),
    Column("arm", String(16), nullable=False),
    Index("votes_by_annotator", "annotator"),
)
"""Only ever added to; `number` is the order in which they came."""
RETRACTIONS = Table(
    "retractions",
    METADATA,
    Column("vote_id", String(64), primary_key=True),
    Column("at", Float, nullable=False),
)
"""Votes that their annotator took back: they stay in VOTES and no longer count."""
RESULTS = Table(
    "results",
    METADATA,
    Column("problem_id", _NAME, primary_key=True),
    Column("digest", _DIGEST, primary_key=True),
    Column("outcome", String(32), nullable=False),
    Column("passed", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("detail", AnyText, nullable=False),
)
"""What the tests say of a program, for whoever asks to see it."""
PAIRS = Table(
    "pairs",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("problem_id", _NAME, nullable=False),
    Column("first", _DIGEST, nullable=False),
    Column("second", _DIGEST, nullable=False),
    Column("pair_set", _NAME, nullable=False),
    Column("language", String(32), nullable=False),
    Column("arm", String(16), nullable=False),
    Column("base", Float, nullable=False),
    Column("priority", Float, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("free", Integer, nullable=False),
    Column("closed", Boolean, nullable=False),
    UniqueConstraint("problem_id", "first", "second", name="one_row_a_pair"),
)
"""What can be asked. `first` < `second`; `arm` is `chosen` or `random` (asked in a random order); `base` is the
priority before any vote, `priority` the one that counts, higher is sooner; `wanted` annotators are to answer, and
`free` of these places nobody holds."""
TO_ASK = Index(
    "pairs_to_ask",
    PAIRS.c.pair_set,
    PAIRS.c.arm,
    PAIRS.c.priority.desc(),
    PAIRS.c.number,
    sqlite_where=text("free > 0"),
    postgresql_where=text("free > 0"),
)
ASSIGNMENTS = Table(
    "assignments",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("pair", Integer, nullable=False),
    Column("annotator", _NAME, nullable=False),
    Column("arm", String(16), nullable=False),
    Column("left", _DIGEST, nullable=False),
    Column("right", _DIGEST, nullable=False),
    Column("state", String(16), nullable=False),
    Column("due", Integer, nullable=False),
    Column("leased_at", Float, nullable=False),
    Column("saw_tests", Boolean, nullable=False),
    Column("vote_id", String(64)),
    UniqueConstraint("pair", "annotator", "arm", name="one_row_an_annotator"),
    Index("assignments_by_annotator", "annotator", "state"),
    Index("assignments_by_lease", "state", "leased_at"),
)
"""Who was given which pair, with which sides. `state`: `open` (to be answered), `voted`, `lapsed` (its lease ended), or
`waiting` (a repetition for when its annotator has answered `due` pairs)."""
