"""Near copies among many texts: MinHash (Broder, 1997) and locality-sensitive hashing by bands (Leskovec, Rajaraman and
Ullman, Mining of Massive Datasets, chapter 3), then the exact similarity of each candidate.

Texts are sets of 5 words in a row (`words`), similarity is Jaccard's. Memory per text of n words: 4n bytes, and 8 for
each band (20 at a threshold of 0.8).

Limits: a pair right at the threshold is missed with a probability of at most 0.5%; a pair well above it practically
never. Among many texts with the same band, each is compared with the `NEIGHBOURS` before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rrtf_ray.core.words import BLANKS, SHINGLE, numbers_of

HASHES = 120
"""Hash functions, shared among the bands."""
NEIGHBOURS = 16
_MISSED = 0.005
_PAIRS_AT_ONCE = 20_000
_WORDS_KEPT = 1_000_000
Words = NDArray[np.uint64]
Small = NDArray[np.uint32]
Rows = NDArray[np.int64]


class NearCopies:
    """Texts are added in batches; `first_copies` then says which repeat an earlier one."""

    def __init__(self, threshold: float, *, same_numbers: bool = True) -> None:
        """threshold: in (0, 1]. same_numbers: texts whose numbers differ are no copies (their bands differ)."""
        self.threshold = threshold
        self._same_numbers = same_numbers
        self._rows = rows_per_band(threshold)
        chance = np.random.Generator(np.random.PCG64(0))
        self._factors = chance.integers(0, 2**64, (3, HASHES), dtype=np.uint64) | np.uint64(1)
        self._places = chance.integers(0, 2**64, SHINGLE, dtype=np.uint64) | np.uint64(1)
        self._ids: dict[str, int] = {}
        self._bands: list[Words] = []
        self._shingles: list[Small] = []
        self._counts: list[Rows] = []

    def add(self, texts: Sequence[Sequence[str]], kinds: Sequence[str] = ()) -> None:
        """texts: the words of each. kinds: only texts of one kind are compared (a language, say)."""
        if not texts:
            return
        shingles, counts = self._sets(texts)
        guards = np.array(
            [
                self._id(" ".join((kind, *(numbers_of(words) if self._same_numbers else ()))))
                for words, kind in zip(texts, kinds or [""] * len(texts), strict=True)
            ],
            dtype=np.uint64,
        )
        self._bands.append(self._banded(shingles, counts, guards))
        self._shingles.append(shingles)
        self._counts.append(counts)

    def first_copies(self) -> dict[int, tuple[int, float]]:
        """Of each text that is a copy of an earlier one which is none itself: that one, and their similarity.

        What is left has no pair that this would find, so a second pass over it finds nothing.
        """
        if not self._bands:
            return {}
        bands = np.concatenate(self._bands)
        counts = np.concatenate(self._counts)
        shingles = np.concatenate(self._shingles)
        starts = np.concatenate(([0], np.cumsum(counts)))
        left = np.arange(len(bands))
        found: dict[int, tuple[int, float]] = {}
        while True:
            copies: dict[int, tuple[int, float]] = {}
            for second, first, similarity in self._similar(bands, left, shingles, starts):
                if second not in copies and first not in copies:
                    copies[second] = first, similarity
            if not copies:
                return found
            found |= copies
            left = left[~np.isin(left, list(copies))]

    def _similar(self, bands: Words, left: Rows, shingles: Small, starts: Rows) -> list[tuple[int, int, float]]:
        """Similar pairs (later, earlier, similarity) among `left`, in the order of the later, then the most similar."""
        pairs: list[tuple[int, int, float]] = []
        for number in range(bands.shape[1]):
            keys = bands[left, number]
            order = np.argsort(keys, kind="stable")
            keys, texts = keys[order], left[order]
            for distance in range(1, min(NEIGHBOURS, len(texts) - 1) + 1):
                same = np.flatnonzero(keys[distance:] == keys[:-distance])
                if not len(same):
                    break
                first, second = texts[same], texts[same + distance]
                fresh = ~(bands[first, :number] == bands[second, :number]).any(axis=1)
                first, second = first[fresh], second[fresh]
                for begin in range(0, len(first), _PAIRS_AT_ONCE):
                    some = slice(begin, begin + _PAIRS_AT_ONCE)
                    similarity = _jaccard(first[some], second[some], shingles, starts)
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

    def _sets(self, texts: Sequence[Sequence[str]]) -> tuple[Small, Rows]:
        """The distinct shingles of each text, one text after another and sorted within it, and how many each has."""
        padded = [[*BLANKS, *words, *BLANKS] for words in texts]
        lengths = np.array([len(words) for words in padded])
        ids = np.array([self._id(word) for words in padded for word in words], dtype=np.uint64)
        mixed = np.zeros(len(ids) - SHINGLE + 1, dtype=np.uint64)
        for place, factor in enumerate(self._places):
            mixed += ids[place : place + len(mixed)] * factor
        mixed ^= mixed >> np.uint64(29)
        mixed = (mixed * self._places[0]) >> np.uint64(32)
        owner = np.repeat(np.arange(len(padded)), lengths)[: len(mixed)]
        ends = np.cumsum(lengths)
        whole = np.arange(len(mixed)) + SHINGLE <= ends[owner]
        distinct = np.unique((owner[whole].astype(np.uint64) << np.uint64(32)) | mixed[whole])
        counts = np.bincount((distinct >> np.uint64(32)).astype(np.int64), minlength=len(padded))
        return distinct.astype(np.uint32), counts.astype(np.int64)

    def _banded(self, shingles: Small, counts: Rows, guards: Words) -> Words:
        """A key per text and band, from the smallest hashes of the text's shingles."""
        starts = np.cumsum(counts) - counts
        wide = shingles.astype(np.uint64)
        bands = np.repeat(guards[:, None], HASHES // self._rows, axis=1)
        for number in range(bands.shape[1] * self._rows):
            multiply, add, mix = self._factors[:, number]
            # Multiply and shift with 64 random bits each: universal for keys of 32 (Dietzfelbinger, 1996).
            hashed = ((wide * multiply + add) >> np.uint64(32)).astype(np.uint32)
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


def _jaccard(first: Rows, second: Rows, shingles: Small, starts: Rows) -> NDArray[np.float64]:
    """The similarity of each pair of texts."""
    sizes = [starts[texts + 1] - starts[texts] for texts in (first, second)]
    tagged = []
    for texts, size in zip((first, second), sizes, strict=True):
        pair = np.repeat(np.arange(len(texts)), size)
        within = np.arange(len(pair)) - np.repeat(np.cumsum(size) - size, size)
        tagged.append((pair.astype(np.uint64) << np.uint64(32)) | shingles[starts[texts][pair] + within])
    merged = np.sort(np.concatenate(tagged))
    twice = merged[1:][merged[1:] == merged[:-1]]
    shared = np.bincount((twice >> np.uint64(32)).astype(np.int64), minlength=len(first))
    return np.asarray(shared / (sizes[0] + sizes[1] - shared), dtype=np.float64)
