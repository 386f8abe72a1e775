"""The problems of a benchmark: where they come from, and a copy of them as the protocol puts them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice

from rrtf_ray.benchmark.prompts import docstring_first
from rrtf_ray.benchmark.protocols import Protocol
from rrtf_ray.errors import InputError
from rrtf_ray.identity import fingerprint
from rrtf_ray.problems.dataset import canonical
from rrtf_ray.progress import say
from rrtf_ray.records import Problem
from rrtf_ray.schemas import to_row
from rrtf_ray.store.rows import RowStore
from rrtf_ray.verify.command import load_shown

_ROWS_PER_PART = 500


@dataclass(frozen=True, slots=True)
class ProblemSet:
    """source: a file, URI, data set or Hub id. format: what to load it as. identity: changes with its content. limit:
    only the first so many, None for all."""

    source: str
    format: str
    identity: str
    limit: int | None = None

    def load(self) -> Iterator[Problem]:
        """The problems as they are in the source. Raises DataError."""
        return islice(load_shown(self.format, self.source), self.limit)


def copy_problems(problems: ProblemSet, protocol: Protocol, store: RowStore[Problem]) -> None:
    """Fill the store, once: the problems in the protocol's form of prompt.

    Its manifest has the number of `rows` and the `sha256` of the problems as they were. Raises DataError for a row
    that cannot be used.
    """
    settings = {**asdict(problems), "prompt": protocol.prompt}
    key = fingerprint(settings)
    store.begin(key, settings)
    if store.is_complete():
        return
    digest, count, part = hashlib.sha256(), 0, 0
    loaded = problems.load()
    while chunk := list(islice(loaded, _ROWS_PER_PART)):
        for problem in chunk:
            digest.update(canonical(to_row(problem)))
        store.write(map(docstring_first, chunk) if protocol.prompt == "docstring-first" else chunk, f"{part:05d}")
        count, part = count + len(chunk), part + 1
    if not count:
        raise InputError(f"{problems.source} holds no problems; check that the download or export completed")
    store.finish({"rows": count, "fingerprint": key, "sha256": digest.hexdigest()})
    say(f"problems: {count} ({problems.format})")
