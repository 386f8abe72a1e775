"""Prompts that share most of their text."""

import random

import pytest

from rrtf_ray.core.contamination import close_pairs
from rrtf_ray.core.words import SHINGLE

TEXT = "sort the numbers and return those that are even as a list of text in the order of their last digit"


def test_similarity_by_hand():
    """Ten words between blanks are 14 runs of five; each word is in five of them: nine are shared, 19 there are."""
    one = " ".join("abcdefghij")
    for place in range(10):
        other = one.replace("abcdefghij"[place], "k")
        ((train, held_out, similarity),) = close_pairs([("t", one)], [("h", other)], 0.47)
        assert (train, held_out) == ("t", "h")
        assert similarity == pytest.approx(9 / 19)
        assert close_pairs([("t", one)], [("h", other)], 0.48) == []


def test_white_space_and_case_do_not_matter_and_short_prompts_are_compared_whole():
    assert close_pairs([("t", "Sort\n it ")], [("h", "sort it")], 1.0) == [("t", "h", 1.0)]
    assert close_pairs([("t", "")], [("h", "sort it")], 0.5) == []


def test_no_pair_is_missed():
    """Against comparing all with all."""
    chance = random.Random(1)

    def prompts(name):
        found = []
        for number in range(60):
            words = TEXT.split()
            for _ in range(chance.randrange(4)):
                words[chance.randrange(len(words))] = chance.choice(words)
            found.append((f"{name}{number}", " ".join(words)))
        return found

    def runs(text):
        words = ["", "", "", "", *text.split(), "", "", "", ""]
        return {tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}

    train, held_out = prompts("t"), prompts("h")
    for threshold in (0.3, 0.6, 0.8, 1.0):
        slowly = {
            (a, b)
            for a, mine in train
            for b, theirs in held_out
            if len(runs(mine) & runs(theirs)) / len(runs(mine) | runs(theirs)) >= threshold
        }
        assert {(a, b) for a, b, _ in close_pairs(train, held_out, threshold)} == slowly
        assert slowly
