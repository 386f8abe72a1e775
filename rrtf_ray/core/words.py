"""A problem's text as words, so that two texts can be compared apart from their looks.

Letter case, white space, forms of a Unicode character and the marks of prose (. , ; : ? quotes) do not count; operators
and brackets do. A number with its sign is one word; an ideograph or kana is one by itself. Pure, stdlib only.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

_SIGNATURE = re.compile(r"^\s*(?:def|class|async|export|function|const|import|from)\b.*$", re.MULTILINE)
_FEWEST = 5
_WORD = re.compile(r"(?<![\w)\]])-?\d+(?:\.\d+)?|[\u3040-\u30ff\u3400-\u9fff]|\w+|[^\w\s.,;:?\"'`‘’“”]")


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


def statement(prompt: str, suffix: str = "", entry_point: str = "") -> list[str]:
    """The words by which a problem is compared with others. What its entry point is called does not count, unless
    there is little but a signature: then it is all that tells one problem from another."""
    text = f"{prompt} {suffix}"
    tells = len(_SIGNATURE.sub("", text).split()) >= _FEWEST
    return words_of(text, function_name(entry_point) if tells else "")


def function_name(entry_point: str) -> str:
    """`f` of `f` and of `Solution().f`."""
    return entry_point.rpartition(".")[2].removesuffix("()")


def key_of(words: Iterable[str]) -> bytes:
    """16 bytes that are equal for equal words."""
    return hashlib.sha256(" ".join(words).encode(errors="surrogatepass")).digest()[:16]
