"""Which database a run's votes are in."""

from __future__ import annotations

from pathlib import Path

from rrtf_ray.config import FeedbackConfig
from rrtf_ray.errors import ConfigError
from rrtf_ray.feedback.database import sqlite_url
from rrtf_ray.store.files import is_local, join, resolve

FILE = "feedback.sqlite"


def database_url(feedback: FeedbackConfig, run_dir: str) -> str:
    """feedback.database, or else a file in the run directory. Raises ConfigError where that is no local folder."""
    if feedback.database:
        return feedback.database
    if not is_local(run_dir):
        raise ConfigError(
            f"run_dir={run_dir!r} cannot hold {FILE}, where votes go; set feedback.database to the URL of a database, "
            "such as postgresql+psycopg://user@host/name"
        )
    return sqlite_url(_file(run_dir))


def known_database_url(feedback: FeedbackConfig, run_dir: str) -> str | None:
    """The same where votes may be: None where nothing is configured and the run directory has no such file."""
    if not feedback.database and not feedback.min_votes and not (is_local(run_dir) and Path(_file(run_dir)).exists()):
        return None
    return database_url(feedback, run_dir)


def _file(run_dir: str) -> str:
    return resolve(join(run_dir, FILE))[1]
