"""Problems of one set that are in others, those that a model is evaluated on.

Near copies are found exactly, without hashing's misses. Memory: keys and runs of words of the other sets; the problems
that are judged pass by one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rrtf_ray.core.contamination import CloseTexts
from rrtf_ray.core.similarity import NEAR
from rrtf_ray.curation.copies import Copy
from rrtf_ray.curation.keys import PARTS, Holders, Reason, keys_of
from rrtf_ray.records import Problem


@dataclass(frozen=True, slots=True)
class Place:
    """A problem of a set that is evaluated on."""

    where: str
    id: str
    prompt: str


class Evaluated:
    """The problems of the sets that a model is evaluated on."""

    def __init__(
        self,
        sets: Iterable[tuple[str, Iterable[Problem]]],
        *,
        threshold: float = NEAR,
        parts: tuple[str, ...] = PARTS,
        same_numbers: bool = True,
    ) -> None:
        """sets: their names and problems. The rest is as in `repeats.find_repeats`."""
        self.places: list[Place] = []
        self._parts = parts
        self._holders = Holders()
        words: list[tuple[str, list[str]]] = []
        for where, problems in sets:
            for problem in problems:
                number = len(self.places)
                self.places.append(Place(where, problem.id, problem.prompt))
                keys = keys_of(problem, parts)
                self._holders.add(number, keys)
                if keys.prose:
                    words.append((str(number), keys.prose))
        self._near = CloseTexts(words, threshold, same_numbers=same_numbers)

    def copies_in(self, problems: Iterable[Problem]) -> Iterator[tuple[Problem, Copy | None, Place | None]]:
        """Each problem, with the surest reason why it is in one of the sets, and the problem there."""
        for problem in problems:
            found = self._found(problem)
            if found is None:
                yield problem, None, None
                continue
            number, reason, similarity = found
            place = self.places[number]
            yield problem, Copy(problem.id, place.id, reason, similarity, place.where), place

    def _found(self, problem: Problem) -> tuple[int, Reason, float] | None:
        keys = keys_of(problem, self._parts)
        if found := self._holders.find(keys):
            return *found, 1.0
        close = self._near.close_to(keys.prose) if keys.prose else []
        return (int(close[0][0]), Reason.NEAR_COPY, close[0][1]) if close else None
