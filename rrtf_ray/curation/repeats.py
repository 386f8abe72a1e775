"""Problems of one set that repeat an earlier one.

In: problems, in order. Out: of each that is left out, the one that it is a copy of. Of two copies the first is kept,
and what is kept holds no copies, so that doing it again finds none. Memory per problem: some 200 bytes for each kind of
key, and what `core.minhash` says.

Limits: programs in different languages, and infilling problems (many share a text on purpose), are not compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context

from rrtf_ray.core.minhash import NearCopies
from rrtf_ray.core.similarity import NEAR
from rrtf_ray.curation.copies import Copy
from rrtf_ray.curation.keys import PARTS, Holders, Keys, Reason, keys_of
from rrtf_ray.records import Problem

_BATCH = 1000


def find_repeats(
    problems: Iterable[Problem],
    *,
    threshold: float = NEAR,
    parts: tuple[str, ...] = PARTS,
    same_numbers: bool = True,
    processes: int = 1,
) -> list[Copy]:
    """The problems that repeat an earlier one by any of these parts.

    threshold: of near copies, in (0, 1]. same_numbers: near copies whose numbers differ are different problems.
    processes: that read the problems' programs and tests, which takes most of the time.
    """
    holders = Holders()
    ids: list[str] = []
    copies: dict[str, Copy] = {}
    near = NearCopies(threshold, same_numbers=same_numbers)
    compared: list[str] = []
    words: list[list[str]] = []
    languages: list[str] = []
    for id_, language, keys in _keyed(problems, parts, processes):
        same = holders.find(keys, language)
        if same:
            copies[id_] = Copy(id_, ids[same[0]], same[1])
        holders.add(len(ids), keys, language)
        ids.append(id_)
        if keys.prose and not (same and same[1].part == "prompt"):
            compared.append(id_)
            words.append(keys.prose)
            languages.append(language)
        if len(words) == _BATCH:
            near.add(words, languages)
            words, languages = [], []
    near.add(words, languages)
    del holders
    for later, (earlier, similarity) in near.first_copies().items():
        copy = Copy(compared[later], compared[earlier], Reason.NEAR_COPY, similarity)
        copies.setdefault(copy.id, copy)
    return [_with_root(copy, copies) for copy in copies.values()]


def _keyed(problems: Iterable[Problem], parts: tuple[str, ...], processes: int) -> Iterator[tuple[str, str, Keys]]:
    """Id, language and keys of the problems that are compared, in order; few batches are in memory at once."""
    rest = iter(problems)
    if processes == 1:
        while batch := list(islice(rest, _BATCH)):
            yield from _keys_of_all(batch, parts)
        return
    waiting: deque[Future[list[tuple[str, str, Keys]]]] = deque()
    # A forked copy of a process with threads, as pyarrow's readers are, can stand still.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        while True:
            while len(waiting) <= processes and (batch := list(islice(rest, _BATCH))):
                waiting.append(pool.submit(_keys_of_all, batch, parts))
            if not waiting:
                return
            yield from waiting.popleft().result()


def _keys_of_all(problems: list[Problem], parts: tuple[str, ...]) -> list[tuple[str, str, Keys]]:
    return [(problem.id, problem.language.value, keys_of(problem, parts)) for problem in problems if not problem.suffix]


def _with_root(copy: Copy, copies: dict[str, Copy]) -> Copy:
    """With the problem that is kept in the end: that of which it is a copy may be one itself."""
    kept = copy.of
    while kept in copies:
        kept = copies[kept].of
    return Copy(copy.id, copy.of, copy.reason, copy.similarity, kept=kept)
