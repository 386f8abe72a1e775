"""A problem's text as words, so that two texts can be compared apart from their looks.

Letter case, white space, forms of a Unicode character and the marks of prose (. , ; : ? quotes) do not count; operators
and brackets do. A number with its sign is one word; an ideograph or kana is one by itself. Pure, stdlib only.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

SHINGLE = 5
"""Words in a row that are compared at once. A text is taken to be between blank words, so that each of its words is in
as many rows: one other word among n leaves a similarity of (n - 1) / (n + 9)."""
BLANKS = [""] * (SHINGLE - 1)
_WORD = re.compile(r"(?<![\w)\]])-?\d+(?:\.\d+)?|[\u3040-\u30ff\u3400-\u9fff]|\w+|[^\w\s.,;:?\"'`‘’“”]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def words_of(text: str, name: str = "") -> list[str]:
    """The words of a text in order. name: of a function; where it is defined or called it counts as the same word in
    all texts."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    words = _WORD.findall(text.lower())
    if name and (name := name.lower()) in words:
        nexts = [*words[1:], ""]
        return [
            "entry_point" if (word, after) == (name, "(") else word for word, after in zip(words, nexts, strict=True)
        ]
    return words


def numbers_of(words: Iterable[str]) -> tuple[str, ...]:
    """The numbers among the words, in order: texts that differ in them state different problems."""
    return tuple(word for word in words if _NUMBER.fullmatch(word))


def content_key(prompt: str) -> bytes:
    """Equal for prompts with the same words."""
    return key_of(words_of(prompt))


def key_of(words: Iterable[str]) -> bytes:
    """16 bytes that are equal for equal words."""
    return hashlib.sha256(" ".join(words).encode(errors="surrogatepass")).digest()[:16]
