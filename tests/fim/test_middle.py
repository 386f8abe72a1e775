"""Where a middle ends, and that chunks make no difference."""

from __future__ import annotations

import random

import pytest

from rrtf_ray.fim.middle import Middle, trim


def streamed(text: str, suffix: str, sizes: list[int]) -> tuple[str, bool]:
    """The same in chunks of these sizes, repeated."""
    middle, shown, at, turn = Middle(suffix), "", 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        shown += middle.feed(text[at : at + size])
        at, turn = at + size, turn + 1
    shown += middle.end()
    return shown, middle.finished


# what is generated, what stands after the cursor, what is left
REPETITIONS = {
    "two lines": ("return x\nfoo(a)\nbar(b)\n", "\nfoo(a)\nbar(b)\n", "return x"),
    "two lines without an end": ("return x\nfoo(a)\nbar(b)", "\nfoo(a)\nbar(b)\nbaz(c)\n", "return x"),
    "blank lines differ": ("x = 1\n\n\nfoo(a)\n\nbar(b)\n", "\n\nfoo(a)\n\n\nbar(b)\nbaz(c)", "x = 1"),
    "blanks at the end of lines": ("x = 1\nfoo(a)  \nbar(b)\t\n", "\nfoo(a)\nbar(b)\nbaz(c)", "x = 1"),
    "blank lines with blanks": ("x = 1\n    \n  \nfoo(a)\nbar(b)\n", "\nfoo(a)\nbar(b)\nbaz(c)", "x = 1"),
    "line ends of Windows": ("x = 1\r\nfoo(a)\r\nbar(b)\r\n", "\r\nfoo(a)\r\nbar(b)\r\nbaz(c)\r\n", "x = 1"),
    "one long line": ("1\nresult = compute(alpha)\n", "\nresult = compute(alpha)\nx\ny\n", "1"),
    "one long line at the end": ("1\nresult = compute(alpha)", "\nresult = compute(alpha)\nx\ny\n", "1"),
    "cursor at the start of a line": ("    return a\nfoo(1)\nfoo(2)\n", "foo(1)\nfoo(2)\nx\n", "    return a\n"),
    "rest of the cursor's line": ("a, b):\n    return a\n", "):\n    return a\n", "a, b"),
    "rest of the cursor's line, long": ("a, default=None, **options)", ", default=None, **options)\n", "a"),
    "rest of a later line": ("a,\n  b):\n    return a\nx", "):\n    return a\nx\n", "a,\n  b"),
    "nothing but the suffix": ("\nfoo(a)\nbar(b)\n", "\nfoo(a)\nbar(b)\n", ""),
    "on an empty line": ("foo(a)\nbar(b)\n", "\nfoo(a)\nbar(b)\n", ""),
    "behind the indentation": ("foo(a)\n    bar(b)\n", "\n    foo(a)\n    bar(b)\n", ""),
    "the only line left": ("  return 1;\n}\n\nfunction g() {\n", "\n}\n", "  return 1;"),
    "the only line left, at the end": ("  return 1;\n}", "\n}\n", "  return 1;"),
    "all lines left, without words": ("a\n  }\n}\n", "\n  }\n}\n", "a"),
    "three lines without words": ("a\n    }\n  }\n}\nfoo", "\n    }\n  }\n}\n)\n", "a"),
    "short then long": ("a\n}\nfunction compute_total(items) {\n", "\n}\nfunction compute_total(items) {\n  x\n", "a"),
    "a run that began in vain": ("a\nfoo(a)\nfoo(a)\nbar(b)\n", "\nfoo(a)\nbar(b)\nx\n", "a\nfoo(a)"),
    "unicode": ("é\nprüfe_alles_gründlich(ü)\n", "\nprüfe_alles_gründlich(ü)\nx\n", "é"),
}

# what is generated and what stands after the cursor: all of it stays
LEGITIMATE = {
    "one brace": ("if (a) {\n}\nb();\n", "\n}\nc();\n"),
    "one short line": ("return x\nelse:\n    pass\n", "\nelse:\n    y = 2\nz\n"),
    "a brace, then other code": ("a\n}\nb\n", "\n}\nc\n"),
    "two braces of more": ("a\n  }\n}\nb\n", "\n  }\n}\nc\n"),
    "other indentation": ("    result = compute(alpha)\n", "\nx = 1\n    result = compute(alpha)\n"),
    "deeper": ("if a:\n        result = compute(alpha)\n", "\n    result = compute(alpha)\nx\n"),
    "a longer line": ("a\nresult = compute(alpha) + 1\n", "\nresult = compute(alpha)\nx\n"),
    "a line that is only begun": ("a\nresult = compute(al", "\nresult = compute(alpha)\nx\n"),
    "the suffix's second line": ("a\nresult = compute(alpha)\n", "\nx\nresult = compute(alpha)\n"),
    "a closing bracket": ("foo(x)", ")"),
    "closing brackets, then other code": ("foo(x)\nbar(y)\n", ")\nbaz(z)\n"),
    "two lines not in a row": ("a\nfoo(a)\nx\nbar(b)\n", "\nfoo(a)\nbar(b)\nz\n"),
    "a line end at the end": ("a\n", "\nfoo(a)\n"),
    "many line ends at the end": ("a\n\n  \n", "\nfoo(a)\n"),
    "closing an inner block at the cursor": ("}", "\n}\n"),
    "no suffix": ("a\nfoo(a)\nbar(b)\n", ""),
    "a blank suffix": ("a\n\n\n", "\n \n"),
    "nothing": ("", "\nfoo(a)\n"),
}


@pytest.mark.parametrize("name", REPETITIONS)
def test_the_suffix_is_not_written_again(name: str) -> None:
    text, suffix, left = REPETITIONS[name]
    assert trim(text, suffix) == (left, True)


@pytest.mark.parametrize("name", LEGITIMATE)
def test_lines_that_only_look_like_it_stay(name: str) -> None:
    text, suffix = LEGITIMATE[name]
    assert trim(text, suffix) == (text, False)


def test_nothing_comes_after_the_end() -> None:
    middle = Middle("\nfoo(a)\nbar(b)\n")
    assert middle.feed("x\nfoo(a)\nbar(b)\n") == "x"
    assert middle.finished
    assert middle.feed("more") == ""
    assert middle.end() == ""


def test_text_flows_as_soon_as_it_cannot_be_a_repetition() -> None:
    middle = Middle("\nfoo(a)\nbar(b)\n")
    shown = [middle.feed(c) for c in "ab\nfox\nfoo(a)\nbaz\n"]
    # A line is held while it equals the start of the suffix's first, with the line end before it; then it goes on.
    assert shown[:7] == ["a", "b", "", "", "", "\nfox", ""]
    assert "".join(shown) == "ab\nfox\nfoo(a)\nbaz"
    assert middle.end() == "\n"


def test_of_a_line_that_ends_like_the_cursors_only_that_end_is_held() -> None:
    middle = Middle("):\n    return a\n")
    assert [middle.feed(c) for c in "f(a) + b):"] == ["f", "(", "a", "", ") ", "+", " ", "b", "", ""]
    assert middle.end() == "):"


@pytest.mark.parametrize("name", [*REPETITIONS, *LEGITIMATE])
def test_every_pair_of_chunks_gives_the_same(name: str) -> None:
    text, suffix = (REPETITIONS.get(name) or LEGITIMATE[name])[:2]
    whole = trim(text, suffix)
    for first in range(1, len(text) + 1):
        assert streamed(text, suffix, [first, len(text)]) == whole
    assert streamed(text, suffix, [1]) == whole


@pytest.mark.parametrize("seed", range(8))
def test_random_chunks_of_random_code_give_the_same(seed: int) -> None:
    """Middles made of the suffix's own lines, so that runs begin, fail, overlap and end in every way."""
    rng = random.Random(seed)
    pieces = ["}", "  }", "foo(a)", "foo(a", ")", "):", "return x", "    return x", "result = compute(alpha)", "", "  "]
    ends = ["\n", "\n", "\r\n", "\n\n", " \n", "", "\r"]
    finished = kept = 0
    for _ in range(2000):
        suffix = "".join(rng.choice(pieces) + rng.choice(ends) for _ in range(rng.randrange(6)))
        text = "".join(
            rng.choice([*pieces, suffix, suffix[: rng.randrange(len(suffix) + 1)]]) + rng.choice(ends)
            for _ in range(rng.randrange(7))
        )
        whole, ended = trim(text, suffix)
        assert text.startswith(whole)
        assert ended or whole == text
        assert streamed(text, suffix, [rng.randrange(1, 6) for _ in range(9)]) == (whole, ended)
        finished += ended
        kept += not ended
    assert finished > 300
    assert kept > 300


def test_long_lines_and_large_suffixes_cost_little() -> None:
    """Measured by what is held back, not by time: a line of 20,000 characters with a suffix of 2 MB flows through."""
    middle = Middle("x" * 1_000_000 + "\n" + " " * 1_000_000)
    assert len("".join(middle.feed("y" * 10) for _ in range(2000))) == 20_000
