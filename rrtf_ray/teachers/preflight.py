"""What must be there before a teacher is asked: reported before anything starts."""

from __future__ import annotations

from rrtf_ray.config import Config, TeacherConfig
from rrtf_ray.errors import ConfigError
from rrtf_ray.feedback.place import database_url
from rrtf_ray.store.files import is_local, join, resolve
from rrtf_ray.teachers.keys import key_of


def check_teachers(config: Config) -> None:
    """Raise ConfigError for a key that is not there, and for a run directory that cannot hold what is kept locally."""
    for name, teacher in config.teachers.items():
        if teacher.kind == "endpoint":
            key_of(name, teacher)
            ledger_path(config, name)
        if "judge" in teacher.roles:
            database_url(config.feedback, config.run_dir)


def with_role(config: Config, role: str) -> list[tuple[str, TeacherConfig]]:
    """The teachers that have a role, in order."""
    return [(name, teacher) for name, teacher in config.teachers.items() if role in teacher.roles]


def ledger_path(config: Config, name: str) -> str:
    """The file with an endpoint's answers and what was spent on them."""
    if place := config.teachers[name].cache:
        return place
    if not is_local(config.run_dir):
        raise ConfigError(
            f"run_dir={config.run_dir!r} cannot hold the answers of teachers.{name}, which are kept in a local SQLite "
            f"file; name one with teachers.{name}.cache"
        )
    return resolve(join(config.run_dir, "cache", "teachers.sqlite"))[1]
