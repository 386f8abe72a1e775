"""Nothing on the page is invisible or endless."""

import pytest

from rrtf_ray.report.texts import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("def f():\n\treturn 'ä∑'", "def f():\n\treturn 'ä∑'"),
        ("a\u202eb\u2066", "a‹U+202E›b‹U+2066›"),
        ("\u2028\u2029", "‹U+2028›‹U+2029›"),
        ("\x00\x1b[31m\r", "‹U+0000›‹U+001B›[31m‹U+000D›"),
        ("\ud800\ufeff\u200b", "‹U+D800›‹U+FEFF›‹U+200B›"),
        ("\U000e0041", "‹U+E0041›"),
    ],
)
def test_what_cannot_be_seen_is_marked(text, shown):
    assert visible(text) == shown


def test_long_texts_are_cut_and_counted():
    assert visible("x" * 1_000_000, 5) == "xxxxx … (999,995 more characters)"
    assert visible("xxxxx", 5) == "xxxxx"
