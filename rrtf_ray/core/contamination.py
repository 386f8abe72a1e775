"""Problems that are in both the train and the held-out set, so that an evaluation would measure memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def content_key(prompt: str) -> bytes:
    """Equal for prompts that differ only in white space and letter case."""
    return hashlib.sha256(" ".join(prompt.lower().split()).encode()).digest()[:16]


def overlap(train: Iterable[tuple[str, str]], held_out: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs of ids (train, held out) with the same id or content, given the problems' ids and prompts.

    Memory: two keys and an id per train problem. Limits: paraphrases and problems inside longer texts are not found.
    """
    ids: dict[object, str] = {}
    for problem_id, prompt in train:
        ids[content_key(prompt)] = problem_id
        ids[problem_id] = problem_id
    found = []
    for problem_id, prompt in held_out:
        same = ids.get(content_key(prompt)) or ids.get(problem_id)
        if same is not None:
            found.append((same, problem_id))
    return found
