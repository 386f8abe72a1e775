"""Problems that are in both the train and the held-out set: on these an evaluation would measure memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from rrtf_ray.records import Problem


def content_key(problem: Problem) -> bytes:
    """Equal for problems whose prompts differ only in white space and letter case."""
    return hashlib.sha256(" ".join(problem.prompt.lower().split()).encode()).digest()[:16]


def overlap(train: Iterable[Problem], held_out: Iterable[Problem]) -> list[tuple[str, str]]:
    """Pairs of ids (train, held out) with the same id or content. Memory: two keys and an id per train problem.

    Limits: paraphrases and problems inside longer texts are not found.
    """
    ids: dict[object, str] = {}
    for problem in train:
        ids[content_key(problem)] = problem.id
        ids[problem.id] = problem.id
    found = []
    for problem in held_out:
        same = ids.get(content_key(problem)) or ids.get(problem.id)
        if same is not None:
            found.append((same, problem.id))
    return found
