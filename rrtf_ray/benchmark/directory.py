"""A benchmark's directory.

started.json            written first: what is measured, so that nothing else is written here
problems/               the problems as the model gets them
groups/                 candidates with verdicts, where a model was sampled
<draw>.jsonl            the samples of a draw, as `rrtf verify` reads them
<draw>.results.jsonl    a row for each, as `rrtf verify` writes it
benchmark.json          the figures, written last: the benchmark is complete exactly when it is there
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rrtf_ray.errors import InputError
from rrtf_ray.records import Group, Problem
from rrtf_ray.store.files import exists, join, make_dir, names_in, read_json, remove, write_json
from rrtf_ray.store.rows import RowStore, first_difference

STARTED = "started.json"
RESULT = "benchmark.json"
PROBLEMS = "problems"


@dataclass(frozen=True, slots=True)
class Directory:
    """The places in it."""

    uri: str

    def at(self, name: str) -> str:
        return join(self.uri, name)

    @property
    def problems(self) -> RowStore[Problem]:
        return RowStore(self.at(PROBLEMS), Problem, "id")

    @property
    def groups(self) -> RowStore[Group]:
        return RowStore(self.at("groups"), Group, "problem.id")

    def samples(self, draw: str) -> str:
        return f"{draw}.jsonl"

    def results(self, draw: str) -> str:
        return f"{draw}.results.jsonl"

    def claim(self, measured: dict[str, Any]) -> bool:
        """Take the directory for this benchmark; returns whether it was taken just now (then `release` gives it back).

        Raises InputError where it holds another benchmark, naming what differs, or anything else.
        """
        if exists(self.at(STARTED)):
            before = read_json(self.at(STARTED))
            differs = [
                first_difference(key, value, before.get(key))
                for key, value in measured.items()
                if value != before.get(key)
            ]
            if differs:
                raise InputError(
                    f"--output {self.uri} holds another benchmark ({'; '.join(differs)}); give another directory, or "
                    "remove this one to begin anew"
                )
            return False
        make_dir(self.uri)
        if any(name != PROBLEMS for name in names_in(self.uri)):
            raise InputError(f"--output {self.uri} is not empty and holds no benchmark; give another directory")
        write_json(self.at(STARTED), measured)
        return True

    def release(self) -> None:
        """Give the directory back after a start that was refused: only complete problems are kept, which may have taken
        long to make."""
        kept = PROBLEMS if self.problems.is_complete() else ""
        for name in names_in(self.uri):
            if name != kept:
                remove(self.at(name))

    def finished(self) -> dict[str, Any] | None:
        """benchmark.json, where the benchmark is complete."""
        return dict(read_json(self.at(RESULT))) if exists(self.at(RESULT)) else None
