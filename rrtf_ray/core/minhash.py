"""Near copies among many texts: MinHash (Broder, 1997) and locality-sensitive hashing by bands (Leskovec, Rajaraman and
Ullman, Mining of Massive Datasets, chapter 3), then the exact similarity of each candidate.

Similarity is that of `core.similarity`. Memory per text of n words: 4n bytes, 48 for its ends, and 8 for each band (20
at a threshold of 0.8).

Limits: a pair right at the threshold is missed with a probability of at most 0.5%; a pair well above it practically
never. Among many texts with the same band, each is compared with the `NEIGHBOURS` before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rrtf_ray.core.similarity import RUN, filled, numbers_of

HASHES = 120
"""Hash functions, shared among the bands."""
NEIGHBOURS = 16
_MISSED = 0.005
_PAIRS_AT_ONCE = 20_000
_WORDS_KEPT = 1_000_000
Words = NDArray[np.uint64]
Small = NDArray[np.uint32]
Rows = NDArray[np.int64]
_32 = np.uint64(32)
_EDGE = RUN - 1


@dataclass(frozen=True, slots=True)
class _Texts:
    """Hashes of n texts. runs: the distinct ones of each, one text after another and sorted within it. counts (n): how
    many each has. edges (n, 2): its first and last run. ends (n, 2, 4): of its first and last word, two words ..."""

    runs: Small
    counts: Rows
    edges: Small
    ends: Small

    @staticmethod
    def together(parts: Sequence[_Texts]) -> _Texts:
        return _Texts(
            np.concatenate([part.runs for part in parts]),
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.edges for part in parts]),
            np.concatenate([part.ends for part in parts]),
        )


class NearCopies:
    """Texts are added in batches; `first_copies` then says which repeat an earlier one."""

    def __init__(self, threshold: float, *, same_numbers: bool = True) -> None:
        """threshold: in (0, 1]. same_numbers: texts whose numbers differ are no copies (their bands differ)."""
        self.threshold = threshold
        self._same_numbers = same_numbers
        self._rows = rows_per_band(threshold)
        chance = np.random.Generator(np.random.PCG64(0))
        self._factors = chance.integers(0, 2**64, (3, HASHES), dtype=np.uint64) | np.uint64(1)
        self._places = chance.integers(0, 2**64, RUN, dtype=np.uint64) | np.uint64(1)
        self._ids: dict[str, int] = {}
        self._bands: list[Words] = []
        self._texts: list[_Texts] = []

    def add(self, texts: Sequence[Sequence[str]], kinds: Sequence[str] = ()) -> None:
        """texts: the words of each. kinds: only texts of one kind are compared (a language, say)."""
        if not texts:
            return
        hashed = self._hashed(texts)
        guards = np.array(
            [
                self._id(" ".join((kind, *(numbers_of(words) if self._same_numbers else ()))))
                for words, kind in zip(texts, kinds or [""] * len(texts), strict=True)
            ],
            dtype=np.uint64,
        )
        self._bands.append(self._banded(hashed, guards))
        self._texts.append(hashed)

    def first_copies(self) -> dict[int, tuple[int, float]]:
        """Of each text that is a copy of an earlier one which is none itself: that one, and their similarity.

        What is left has no pair that this would find, so a second pass over it finds nothing.
        """
        if not self._bands:
            return {}
        self._bands = [np.concatenate(self._bands)]
        self._texts = [_Texts.together(self._texts)]
        bands, texts = self._bands[0], self._texts[0]
        starts = np.concatenate(([0], np.cumsum(texts.counts)))
        left = np.arange(len(bands))
        found: dict[int, tuple[int, float]] = {}
        while True:
            copies: dict[int, tuple[int, float]] = {}
            for second, first, similarity in self._similar(bands, left, texts, starts):
                if second not in copies and first not in copies:
                    copies[second] = first, similarity
            if not copies:
                return found
            found |= copies
            left = left[~np.isin(left, list(copies))]

    def _similar(self, bands: Words, left: Rows, texts: _Texts, starts: Rows) -> list[tuple[int, int, float]]:
        """Similar pairs (later, earlier, similarity) among `left`, in the order of the later, then the most similar."""
        pairs: list[tuple[int, int, float]] = []
        for number in range(bands.shape[1]):
            keys = bands[left, number]
            order = np.argsort(keys, kind="stable")
            keys, rows = keys[order], left[order]
            for distance in range(1, min(NEIGHBOURS, len(rows) - 1) + 1):
                same = np.flatnonzero(keys[distance:] == keys[:-distance])
                if not len(same):
                    break
                first, second = rows[same], rows[same + distance]
                fresh = ~(bands[first, :number] == bands[second, :number]).any(axis=1)
                first, second = first[fresh], second[fresh]
                for begin in range(0, len(first), _PAIRS_AT_ONCE):
                    some = slice(begin, begin + _PAIRS_AT_ONCE)
                    similarity = _similarity(first[some], second[some], texts, starts)
                    close = similarity >= self.threshold
                    pairs += zip(
                        second[some][close].tolist(),
                        first[some][close].tolist(),
                        similarity[close].tolist(),
                        strict=True,
                    )
        return sorted(pairs, key=lambda pair: (pair[0], -pair[2], pair[1]))

    def _id(self, word: str) -> int:
        """64 bits for a word, the same in every process."""
        found = self._ids.get(word)
        if found is None:
            if len(self._ids) >= _WORDS_KEPT:
                self._ids.clear()
            digest = hashlib.blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest()
            found = self._ids[word] = int.from_bytes(digest, "little")
        return found

    def _hashed(self, texts: Sequence[Sequence[str]]) -> _Texts:
        padded = [filled(words) for words in texts]
        lengths = np.array([len(words) for words in padded])
        ends = np.cumsum(lengths)
        begins = ends - lengths
        ids = np.array([self._id(word) for words in padded for word in words], dtype=np.uint64)
        mixed = np.zeros(len(ids) - RUN + 1, dtype=np.uint64)
        for place, factor in enumerate(self._places):
            mixed += ids[place : place + len(mixed)] * factor
        mixed ^= mixed >> np.uint64(29)
        mixed = (mixed * self._places[0]) >> _32
        owner = np.repeat(np.arange(len(padded)), lengths)[: len(mixed)]
        whole = np.arange(len(mixed)) + RUN <= ends[owner]
        distinct = np.unique((owner[whole].astype(np.uint64) << _32) | mixed[whole])
        counts = np.bincount((distinct >> _32).astype(np.int64), minlength=len(padded))
        edges = np.stack([mixed[begins], mixed[ends - RUN]], axis=1)
        within = np.arange(_EDGE)
        outermost = np.stack([ids[begins[:, None] + within], ids[ends[:, None] - 1 - within]], axis=1)
        so_far = np.cumsum(outermost * self._places[:_EDGE], axis=2, dtype=np.uint64) >> _32
        return _Texts(
            distinct.astype(np.uint32), counts.astype(np.int64), edges.astype(np.uint32), so_far.astype(np.uint32)
        )

    def _banded(self, texts: _Texts, guards: Words) -> Words:
        """A key per text and band, from the smallest hashes of the text's runs."""
        starts = np.cumsum(texts.counts) - texts.counts
        wide = texts.runs.astype(np.uint64)
        bands = np.repeat(guards[:, None], HASHES // self._rows, axis=1)
        for number in range(bands.shape[1] * self._rows):
            multiply, add, mix = self._factors[:, number]
            # Multiply and shift with 64 random bits each: universal for keys of 32 (Dietzfelbinger, 1996).
            hashed = ((wide * multiply + add) >> _32).astype(np.uint32)
            smallest = np.minimum.reduceat(hashed, starts).astype(np.uint64)
            band = bands[:, number // self._rows]
            band ^= smallest + mix
            band *= mix
            band ^= band >> np.uint64(31)
        return bands


def rows_per_band(threshold: float) -> int:
    """The most hashes per band with which a pair at the threshold still has a band in common but for `_MISSED`."""
    fits = [rows for rows in range(1, 21) if (1 - threshold**rows) ** (HASHES // rows) <= _MISSED]
    return max(fits, default=1)


def _similarity(first: Rows, second: Rows, texts: _Texts, starts: Rows) -> NDArray[np.float64]:
    """core.similarity.similarity of each pair of texts (first[i], second[i])."""
    tags = np.arange(len(first), dtype=np.uint64) << _32
    one, other = (_tagged(rows, tags, texts, starts) for rows in (first, second))
    merged = np.sort(np.concatenate([one, other]))
    twice = merged[1:][merged[1:] == merged[:-1]]
    shared = np.bincount((twice >> _32).astype(np.int64), minlength=len(first))
    either = texts.counts[first] + texts.counts[second] - shared
    for end in (0, 1):
        goes_on = _has(one, tags | texts.edges[second, end]) | _has(other, tags | texts.edges[first, end])
        unlike = (texts.ends[first, end] != texts.ends[second, end]).sum(axis=1)
        either += np.where(goes_on, 0, 2 * unlike)
    return np.asarray(shared / either, dtype=np.float64)


def _tagged(rows: Rows, tags: Words, texts: _Texts, starts: Rows) -> Words:
    """The runs of these texts, each behind its pair's number; sorted."""
    sizes = texts.counts[rows]
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.asarray(np.repeat(tags, sizes) | texts.runs[np.repeat(starts[rows], sizes) + within])


def _has(tagged: Words, wanted: Words) -> NDArray[np.bool_]:
    places = np.searchsorted(tagged, wanted)
    return np.asarray(tagged[np.minimum(places, len(tagged) - 1)] == wanted)
