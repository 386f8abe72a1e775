"""Problems of one set that repeat an earlier one.

In: problems, in order. Out: of each that is left out, the one that it is a copy of. Of two copies the first is kept,
and what is kept holds no copies, so that doing it again finds none. Memory per problem: some 200 bytes for each kind of
key, and what `core.minhash` says.

Limits: programs in different languages, and infilling problems (many share a text on purpose), are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable

from rrtf_ray.core.minhash import NearCopies
from rrtf_ray.curation.copies import THRESHOLD, Copy
from rrtf_ray.curation.keys import PARTS, Reason, keys_of
from rrtf_ray.records import Problem

_BATCH = 1000


def find_repeats(
    problems: Iterable[Problem],
    *,
    threshold: float = THRESHOLD,
    parts: tuple[str, ...] = PARTS,
    same_numbers: bool = True,
) -> list[Copy]:
    """The problems that repeat an earlier one by any of these parts.

    threshold: of near copies, in (0, 1]. same_numbers: near copies whose numbers differ are different problems.
    """
    first: dict[tuple[Reason, str, bytes], str] = {}
    copies: dict[str, Copy] = {}
    near = NearCopies(threshold, same_numbers=same_numbers)
    compared: list[str] = []
    words: list[list[str]] = []
    languages: list[str] = []
    for problem in problems:
        if problem.suffix:
            continue
        keys = keys_of(problem, parts)
        places = [(reason, problem.language.value, key) for reason, key in keys.by.items()]
        same = next((place for place in places if place in first), None)
        if same:
            copies[problem.id] = Copy(problem.id, first[same], same[0])
        for place in places:
            first.setdefault(place, problem.id)
        if keys.words and not (same and same[0].part == "prompt"):
            compared.append(problem.id)
            words.append(keys.words)
            languages.append(problem.language.value)
        if len(words) == _BATCH:
            near.add(words, languages)
            words, languages = [], []
    near.add(words, languages)
    first.clear()
    for later, (earlier, similarity) in near.first_copies().items():
        copy = Copy(compared[later], compared[earlier], Reason.NEAR_COPY, similarity)
        copies.setdefault(copy.id, copy)
    return [_with_root(copy, copies) for copy in copies.values()]


def _with_root(copy: Copy, copies: dict[str, Copy]) -> Copy:
    """With the problem that is kept in the end: that of which it is a copy may be one itself."""
    kept = copy.of
    while kept in copies:
        kept = copies[kept].of
    return Copy(copy.id, copy.of, copy.reason, copy.similarity, kept=kept)
