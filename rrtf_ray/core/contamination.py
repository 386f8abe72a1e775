"""Problems that are in both the train and the held-out set, so that an evaluation would measure memory."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

SHINGLE = 5
"""Words in a row that are compared at once."""
_WORD = re.compile(r"\w+|[^\w\s]")


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


def close_pairs(
    train: Iterable[tuple[str, str]], held_out: Iterable[tuple[str, str]], threshold: float
) -> list[tuple[str, str, float]]:
    """Pairs (train id, held-out id, similarity) of prompts that share most of their text, the most similar first.

    Similarity is Jaccard's, of the sets of 5 words in a row, letter case aside; pairs from `threshold` (above 0) on
    are found, and only those. Memory: the shingles of the held-out prompts. Prefix filtering (Bayardo et al., 2007)
    keeps most pairs from being compared: two sets this similar share one of the rarest shingles of each.
    """
    sets = {id_: _shingles(prompt) for id_, prompt in held_out}
    how_often = Counter(shingle for found in sets.values() for shingle in found)
    index: dict[int, list[str]] = {}
    for id_, found in sets.items():
        for shingle in _rarest(found, how_often, threshold):
            index.setdefault(shingle, []).append(id_)
    pairs = []
    for train_id, prompt in train:
        mine = _shingles(prompt)
        maybe = {id_ for shingle in _rarest(mine, how_often, threshold) for id_ in index.get(shingle, ())}
        for id_ in maybe:
            shared = len(mine & sets[id_])
            similarity = shared / (len(mine) + len(sets[id_]) - shared)
            if similarity >= threshold:
                pairs.append((train_id, id_, similarity))
    return sorted(pairs, key=lambda pair: (-pair[2], pair[1], pair[0]))


def _shingles(prompt: str) -> frozenset[int]:
    words = _WORD.findall(prompt.lower())
    rows = range(max(1, len(words) - SHINGLE + 1))
    return frozenset(hash(tuple(words[start : start + SHINGLE])) for start in rows)


def _rarest(shingles: frozenset[int], how_often: Mapping[int, int], threshold: float) -> Sequence[int]:
    """So many of them that a set as similar as `threshold` must share one, in an order that is the same for all."""
    enough = len(shingles) - math.ceil(threshold * len(shingles) - 1e-9) + 1
    return sorted(shingles, key=lambda shingle: (how_often.get(shingle, 0), shingle))[:enough]
