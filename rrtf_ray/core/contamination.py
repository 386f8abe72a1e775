"""Problems that are in both the train and the held-out set, so that an evaluation would measure memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rrtf_ray.core.similarity import NEAR, Text, similarity, text_of
from rrtf_ray.core.words import Statement, key_of, statement

Stated = tuple[str, Statement]
"""A problem's id and what it states."""
Words = tuple[str, Sequence[str]]
"""A text's id and its words."""


def stated(problems: Iterable[tuple[str, str, str, str]]) -> Iterator[Stated]:
    """Of problems, given as id, prompt, suffix and entry point."""
    for id_, prompt, suffix, entry_point in problems:
        yield id_, statement(prompt, suffix, entry_point)


def overlap(train: Iterable[Stated], held_out: Iterable[Stated]) -> list[tuple[str, str]]:
    """Pairs of ids (train, held out) with the same id or words.

    Memory: two keys and an id per train problem. Limits: paraphrases and problems inside longer texts are not found.
    """
    ids: dict[object, str] = {}
    for problem_id, text in train:
        ids[key_of(text.words)] = problem_id
        ids[problem_id] = problem_id
    found = []
    for problem_id, text in held_out:
        same = ids.get(key_of(text.words)) or ids.get(problem_id)
        if same is not None:
            found.append((same, problem_id))
    return found


class CloseTexts:
    """Finds those of some texts that are near copies of another one.

    Texts from the similarity `threshold` (above 0) on are found, and only those. Memory: the runs of the texts. Prefix
    filtering (Bayardo et al., 2007) keeps most pairs from being compared: two sets this similar share one of the rarest
    runs of each.
    """

    def __init__(
        self, texts: Iterable[tuple[str, Sequence[str]]], threshold: float = NEAR, *, same_numbers: bool = True
    ) -> None:
        """same_numbers: texts whose numbers differ are no copies."""
        self._threshold = threshold
        self._same_numbers = same_numbers
        self._texts = {id_: text_of(words) for id_, words in texts}
        self._how_often = Counter(run for text in self._texts.values() for run in text.runs)
        self._index: dict[int, list[str]] = {}
        for id_, text in self._texts.items():
            for run in self._rarest(text):
                self._index.setdefault(run, []).append(id_)

    def close_to(self, words: Sequence[str]) -> list[tuple[str, float]]:
        """Ids and similarities of the close texts, the most similar first."""
        mine = text_of(words)
        pairs = []
        for id_ in {id_ for run in self._rarest(mine) for id_ in self._index.get(run, ())}:
            other = self._texts[id_]
            if self._same_numbers and mine.numbers != other.numbers:
                continue
            if (found := similarity(mine, other)) >= self._threshold:
                pairs.append((id_, found))
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))

    def _rarest(self, text: Text) -> Sequence[int]:
        return _rarest(text.runs, self._how_often, self._threshold)


def close_pairs(
    train: Iterable[Stated], held_out: Iterable[Stated], threshold: float = NEAR
) -> list[tuple[str, str, float]]:
    """Triples (train id, held-out id, similarity) of near copies by their prose, the most similar first."""
    texts = CloseTexts(((id_, text.prose) for id_, text in held_out), threshold)
    pairs = [(train_id, id_, found) for train_id, text in train for id_, found in texts.close_to(text.prose)]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[1], pair[0]))


def _rarest(runs: frozenset[int], how_often: Mapping[int, int], threshold: float) -> Sequence[int]:
    """So many of them that a set as similar as `threshold` must share one, in an order that is the same for all."""
    enough = len(runs) - math.ceil(threshold * len(runs) - 1e-9) + 1
    return sorted(runs, key=lambda run: (how_often.get(run, 0), run))[:enough]
