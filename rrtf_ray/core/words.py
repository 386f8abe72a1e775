"""A problem's text as words, so that two texts can be compared apart from their looks.

Letter case, white space, forms of a Unicode character and the marks of prose (. , ; : ? quotes) do not count; operators
and brackets do. A number with its sign is one word; an ideograph or kana is one by itself. Pure, stdlib only.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_CODE = re.compile(
    r"""
      ^[ \t]* (?: @\w
        | (?:export[ \t]+)? (?:async[ \t]+)? (?:def|class|function) [ \t]+ \w+ [ \t]* [(:{]
        | (?:const|let|var) [ \t]+ \w+ [ \t]* =
        | from [ \t]+ [\w.]+ [ \t]+ import\b | import [ \t]+ [\w.]+ (?: [ \t]+as\b | [ \t]*[,;] | [ \t]*$ )
        | assert [ \t(]
      ) .* $
    | /\*+ | \*/ | ^[ \t]* (?: \#+ | //+ | \*/? )
    """,
    re.MULTILINE | re.VERBOSE | re.IGNORECASE,
)
_EXAMPLE = re.compile(r"^[ \t*#/]*>>>.*(?:\n(?![ \t*#/]*>>>|[ \t]*(?:['\"]{3}|\*/)).*\S.*)?", re.MULTILINE)
_FEWEST, _ENOUGH = 5, 8
"""Words of prose: with fewer the function's name counts, and with fewer all words are compared."""
_WORD = re.compile(r"(?<![\w)\]])-?\d+(?:\.\d+)?|[\u3040-\u30ff\u3400-\u9fff]|\w+|[^\w\s.,;:?\"'`‘’“”]")


@dataclass(frozen=True, slots=True)
class Statement:
    """words: all of them. prose: without the code around what is asked for (signatures, imports, comment marks) and
    without examples (doctests, assertions): data sets put the same question into other code. All words where there is
    hardly any prose."""

    words: list[str]
    prose: list[str]


def words_of(text: str, name: str = "") -> list[str]:
    """The words of a text in order. name: of a function; where it is defined or called it counts as the same word in
    all texts."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _renamed(_WORD.findall(text.lower()), name)


def _renamed(words: list[str], name: str) -> list[str]:
    name = name.lower()
    if not name or name not in words:
        return words
    nexts = [*words[1:], ""]
    return ["entry_point" if (word, after) == (name, "(") else word for word, after in zip(words, nexts, strict=True)]


def statement(prompt: str, suffix: str = "", entry_point: str = "") -> Statement:
    """The words by which a problem is compared with others. What its entry point is called does not count, unless
    there is little else to tell one problem from another."""
    text = f"{prompt} {suffix}"
    prose = words_of(_CODE.sub(" ", _EXAMPLE.sub("", text)))
    name = function_name(entry_point) if len(prose) >= _FEWEST else ""
    words = words_of(text, name)
    return Statement(words, _renamed(prose, name) if len(prose) >= _ENOUGH else words)


def function_name(entry_point: str) -> str:
    """`f` of `f` and of `Solution().f`."""
    return entry_point.rpartition(".")[2].removesuffix("()")


def key_of(words: Iterable[str]) -> bytes:
    """16 bytes that are equal for equal words."""
    return hashlib.sha256(" ".join(words).encode(errors="surrogatepass")).digest()[:16]
