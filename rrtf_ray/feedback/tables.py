"""The tables of a feedback database. A change here needs a migration in `migrations/versions/`."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()
_DIGEST = String(32)
_NAME = String(255)

PROBLEMS = Table(
    "problems",
    METADATA,
    Column("problem_id", _NAME, primary_key=True),
    Column("prompt", Text, nullable=False),
)
PROGRAMS = Table(
    "programs",
    METADATA,
    Column("problem_id", _NAME, primary_key=True),
    Column("digest", _DIGEST, primary_key=True),
    Column("code", Text, nullable=False),
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
    Column("reason", Text, nullable=False),
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
