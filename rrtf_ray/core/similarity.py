"""How much of their statement two problems share.

A text is the set of its runs of 5 words, and similarity is Jaccard's: the share of the runs that both texts have among
those that either has. A word at an end is in one run only, where others are in five, so an end counts for more: where
each text ends in its own way, and not one of them where the other just goes on, the blank runs behind the words count
too. One other word among n then leaves a similarity between (n - 9) / (n + 1), in the middle, and (n - 5) / (n + 5), at
an end; k more words at an end leave (n - 4) / (n - 4 + k).

Texts with other numbers state different problems, however similar they are. Pure, stdlib only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

RUN = 5
"""Words in a row that are compared at once."""
NEAR = 0.8
"""From this similarity on a problem is a near copy, where no other is asked for."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Text:
    """runs: hashes of the runs of words. first, last: the runs at the ends. start, end: the 4 words at each end, the
    outermost first. numbers: in order."""

    runs: frozenset[int]
    first: int
    last: int
    start: tuple[str, ...]
    end: tuple[str, ...]
    numbers: tuple[str, ...]


def text_of(words: Sequence[str]) -> Text:
    """The words of a text, to be compared. Hashes are those of this process."""
    words = filled(words)
    runs = [hash(tuple(words[place : place + RUN])) for place in range(len(words) - RUN + 1)]
    start, end = tuple(words[: RUN - 1]), tuple(words[:-RUN:-1])
    return Text(frozenset(runs), runs[0], runs[-1], start, end, numbers_of(words))


def filled(words: Sequence[str]) -> Sequence[str]:
    """With blank words behind a text that is shorter than a run: it is compared as a whole."""
    return words if len(words) >= RUN else [*words, *[""] * (RUN - len(words))]


def numbers_of(words: Sequence[str]) -> tuple[str, ...]:
    """The numbers among the words, in order."""
    return tuple(word for word in words if _NUMBER.fullmatch(word))


def similarity(one: Text, other: Text) -> float:
    """In [0, 1], and never above Jaccard's of the runs; their numbers are not looked at."""
    shared = len(one.runs & other.runs)
    either = len(one.runs) + len(other.runs) - shared
    if one.first not in other.runs and other.first not in one.runs:
        either += _blank_runs(one.start, other.start)
    if one.last not in other.runs and other.last not in one.runs:
        either += _blank_runs(one.end, other.end)
    return shared / either


def _blank_runs(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many runs with blank words in them only one of two texts has at an end."""
    same = 0
    while same < len(one) and one[same] == other[same]:
        same += 1
    return 2 * (len(one) - same)
