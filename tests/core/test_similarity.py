"""Similarity, with numbers worked out by hand."""

import pytest

from rrtf_ray.core.similarity import numbers_of, similarity, text_of
from rrtf_ray.core.words import words_of

WORDS = "abcdefghijklmnopqrst"
"""20 words are 16 runs of five."""


def of(one, other):
    found = similarity(text_of(one), text_of(other))
    assert found == similarity(text_of(other), text_of(one))
    return found


def with_other(place):
    return [*WORDS[:place], "other", *WORDS[place + 1 :]]


def test_another_word_in_the_middle_is_in_five_runs():
    assert of(WORDS, with_other(10)) == pytest.approx(11 / 21)


@pytest.mark.parametrize(("place", "shared"), [(0, 15), (1, 14), (2, 13), (3, 12), (4, 11)])
def test_another_word_near_an_end_counts_with_the_blank_runs_that_it_is_in(place, shared):
    """With them, each text has five runs that the other has not."""
    assert of(WORDS, with_other(place)) == pytest.approx(shared / (shared + 10))
    assert of(WORDS, with_other(19 - place)) == pytest.approx(shared / (shared + 10))


def test_a_text_that_goes_on_differs_by_its_own_runs_only():
    assert of(WORDS, WORDS + "uv") == pytest.approx(16 / 18)
    assert of(WORDS, "uv" + WORDS) == pytest.approx(16 / 18)
    assert of(WORDS, "u" + WORDS + "v") == pytest.approx(16 / 18)
    assert of(WORDS + "u", WORDS + "vw") == pytest.approx(16 / (19 + 8))


def test_equal_and_unlike_texts():
    assert of(WORDS, WORDS) == 1.0
    assert of(WORDS, "uvwxyz") == 0.0
    assert of("ab", "ab") == 1.0
    assert of("ab", "abc") == of("", "ab") == 0.0
    assert of("", "") == 1.0


def test_numbers_are_words_by_themselves():
    assert numbers_of(words_of("n1 <= 10, k <= -3, x-1 or 2.5")) == ("10", "-3", "1", "2.5")
