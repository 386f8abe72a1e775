"""All that a server of the page needs to know, in whatever process it runs."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI

from rrtf_ray.feedback.app import Access, make_app
from rrtf_ray.feedback.database import FeedbackDatabase
from rrtf_ray.feedback.queue import Queue, QueueSettings
from rrtf_ray.feedback.status import status_of
from rrtf_ray.serving.keys import KeyFile, Keys


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked, and of whom. url: the database's. keys_file: may change while the page is served; fixed: the keys
    that are not in it. rubric: the instructions."""

    url: str
    pair_set: str
    settings: QueueSettings
    access: Access
    keys_file: str | None = None
    fixed: Keys = Keys()  # noqa: RUF009 (frozen)
    show_tests: bool = False
    rubric: str = ""

    def application(self, database: FeedbackDatabase) -> FastAPI:
        """The page and its API."""
        return make_app(
            Queue(database, self.pair_set, self.settings),
            self.access,
            key_file=KeyFile(self.keys_file, self.fixed) if self.keys_file else None,
            show_tests=self.show_tests,
            rubric=self.rubric,
            status=lambda: status_of(database.votes()),
        )
