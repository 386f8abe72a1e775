"""Near copies among texts, found exactly: what is found is what comparing all with all finds."""

import random

import pytest

from rrtf_ray.core.contamination import CloseTexts, close_pairs, overlap, stated
from rrtf_ray.core.similarity import similarity, text_of
from rrtf_ray.core.words import statement, words_of

TEXT = "sort the numbers and return those that are even as a list of text in the order of their last digit"


def pairs(train, held_out, threshold):
    return close_pairs([("t", statement(train))], [("h", statement(held_out))], threshold)


def test_white_space_and_case_do_not_matter_and_short_prompts_are_compared_whole():
    assert pairs("Sort\n it ", "sort it", 1.0) == [("t", "h", 1.0)]
    assert pairs("sort it now", "sort it", 0.5) == []
    assert pairs("", "sort it", 0.5) == []


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.8, 1.0])
def test_no_pair_is_missed(threshold):
    chance = random.Random(1)

    def prompts(name):
        found = []
        for number in range(60):
            words = TEXT.split()
            for _ in range(chance.randrange(4)):
                words[chance.randrange(len(words))] = chance.choice(words)
            found.append((f"{name}{number}", statement(" ".join([*words, *["more"] * chance.randrange(2)]))))
        return found

    train, held_out = prompts("t"), prompts("h")
    texts = {id_: text_of(text.prose) for id_, text in (*train, *held_out)}
    slowly = {(a, b) for a, _ in train for b, _ in held_out if similarity(texts[a], texts[b]) >= threshold}
    assert {(a, b) for a, b, _ in close_pairs(train, held_out, threshold)} == slowly
    assert slowly


def test_other_numbers_are_another_problem():
    ten, many = words_of(f"{TEXT}, up to 10"), words_of(f"{TEXT}, up to 3000")
    assert CloseTexts([("h", many)], 0.5).close_to(ten) == []
    assert [id_ for id_, _ in CloseTexts([("h", many)], 0.5, same_numbers=False).close_to(ten)] == ["h"]


def test_the_name_of_the_function_does_not_count_beside_a_statement():
    rows = [("a", f"def f(x):\n    '''{TEXT}'''", "", "f"), ("b", f"def g(x):\n    '''{TEXT}'''", "", "g")]
    one, other = stated(rows)
    assert one[1] == other[1] == statement(rows[0][1], "", "f")
    assert overlap([one], [other]) == [("a", "b")]


def test_a_name_that_is_all_there_is_counts():
    rows = [("a", "def is_even(number):\n", "", "is_even"), ("b", "def is_odd(number):\n", "", "is_odd")]
    assert overlap(*([row] for row in stated(rows))) == []


PROSE = "sort the numbers from the list and return those that are even as text".split()  # noqa: SIM905
SENTENCE = "Sort the numbers from the list, and return those that are even as text."


@pytest.mark.parametrize(
    "prompt",
    [
        f'from typing import List\nimport re, os\n\ndef even(v: List) -> str:\n    """\n    {SENTENCE}\n    """\n',
        f'"""\n{SENTENCE}\nassert even([2, 1]) == "2"\n"""\n',
        f"@cache\nasync def even(v):\n    '''\n    {SENTENCE}\n    >>> even([3])\n    2\n    >>> 1\n    '''\n",
        f"/*\n * {SENTENCE}\n * >>> even([2])\n * '2'\n */\nconst even = (v) => {{\n",
        f"// {SENTENCE}\nexport async function even(v) {{\n",
        f"# {SENTENCE}\nclass Even:\n",
    ],
)
def test_code_and_examples_around_a_statement_do_not_count(prompt):
    assert statement(prompt, "", "even").prose == PROSE


@pytest.mark.parametrize("prompt", ["def f(x):\n    # Return the sum.\n", "Sum it up: import x\nfrom the list.", ""])
def test_where_there_is_hardly_any_prose_all_words_count(prompt):
    found = statement(prompt, "", "f")
    assert found.prose == found.words == words_of(prompt)
