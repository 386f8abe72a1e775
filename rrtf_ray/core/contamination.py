"""Problems that are in both the train and the held-out set, so that an evaluation would measure memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rrtf_ray.core.words import BLANKS, SHINGLE, content_key, numbers_of, words_of


def overlap(train: Iterable[tuple[str, str]], held_out: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs of ids (train, held out) with the same id or words, given the problems' ids and prompts.

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


class CloseTexts:
    """Finds those of some texts that share most of their words with another text.

    Similarity is Jaccard's, of the sets of 5 words in a row; texts from `threshold` (above 0) on are found, and only
    those. Memory: the shingles of the texts. Prefix filtering (Bayardo et al., 2007) keeps most pairs from being
    compared: two sets this similar share one of the rarest shingles of each.
    """

    def __init__(self, texts: Iterable[tuple[str, Sequence[str]]], threshold: float, *, same_numbers: bool) -> None:
        """texts: their ids and words. same_numbers: texts whose numbers differ are not close."""
        self._threshold = threshold
        self._same_numbers = same_numbers
        self._sets: dict[str, frozenset[int]] = {}
        self._numbers: dict[str, tuple[str, ...]] = {}
        for id_, words in texts:
            self._sets[id_] = _shingles(words)
            self._numbers[id_] = numbers_of(words) if same_numbers else ()
        self._how_often = Counter(shingle for found in self._sets.values() for shingle in found)
        self._index: dict[int, list[str]] = {}
        for id_, found in self._sets.items():
            for shingle in _rarest(found, self._how_often, threshold):
                self._index.setdefault(shingle, []).append(id_)

    def close_to(self, words: Sequence[str]) -> list[tuple[str, float]]:
        """Ids and similarities of the close texts, the most similar first."""
        mine = _shingles(words)
        maybe = {
            id_ for shingle in _rarest(mine, self._how_often, self._threshold) for id_ in self._index.get(shingle, ())
        }
        numbers = numbers_of(words) if self._same_numbers and maybe else ()
        pairs = []
        for id_ in maybe:
            shared = len(mine & self._sets[id_])
            similarity = shared / (len(mine) + len(self._sets[id_]) - shared)
            if similarity >= self._threshold and numbers == self._numbers[id_]:
                pairs.append((id_, similarity))
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def close_pairs(
    train: Iterable[tuple[str, str]],
    held_out: Iterable[tuple[str, str]],
    threshold: float,
    *,
    same_numbers: bool = False,
) -> list[tuple[str, str, float]]:
    """Triples (train id, held-out id, similarity) of close prompts (see CloseTexts), the most similar first."""
    texts = CloseTexts(((id_, words_of(prompt)) for id_, prompt in held_out), threshold, same_numbers=same_numbers)
    pairs = [
        (train_id, id_, similarity)
        for train_id, prompt in train
        for id_, similarity in texts.close_to(words_of(prompt))
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[1], pair[0]))


def _shingles(words: Sequence[str]) -> frozenset[int]:
    words = [*BLANKS, *words, *BLANKS]
    rows = range(len(words) - SHINGLE + 1)
    return frozenset(hash(tuple(words[start : start + SHINGLE])) for start in rows)


def _rarest(shingles: frozenset[int], how_often: Mapping[int, int], threshold: float) -> Sequence[int]:
    """So many of them that a set as similar as `threshold` must share one, in an order that is the same for all."""
    enough = len(shingles) - math.ceil(threshold * len(shingles) - 1e-9) + 1
    return sorted(shingles, key=lambda shingle: (how_often.get(shingle, 0), shingle))[:enough]
