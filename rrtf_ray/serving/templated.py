"""Prompts that a client has templated for a family of models: the prefix and suffix in them.

The position of a marker decides whether it is used or only mentioned.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rrtf_ray.fim.families import FAMILIES, Family

_LEAD = re.compile(r"(?:[\s▁]|<s>|<bos>|<\|begin_of_text\|>|<\|endoftext\|>|<[|｜\[]begin▁of▁sentence[|｜\]]>)*")
_SEPARATOR = re.compile(r"<\|(?:repo_name|file_sep|file_separator)\|>|<(?:repo_?name|file_sep|filename|gh_stars)>")
_QUOTES = frozenset("\"'`")
_NEAR = 200
"""Characters looked at on each side of a marker to tell whether code only mentions it."""


@dataclass(frozen=True, slots=True)
class Templated:
    """The contents of a templated prompt. family: whose markers it had."""

    prefix: str
    suffix: str
    family: str


def parse_templated(prompt: str) -> Templated | None:
    """The prefix and suffix of a prompt that has a family's markers in their places; None for any other prompt.

    With P, S and M for the markers, it reads `P prefix S suffix M`, `P S suffix M prefix`, `S suffix P prefix M` and,
    for Codestral, `S suffix P prefix`. The prompt begins with the first marker, except for blanks, a
    beginning-of-text token, and the names and texts of the repository and other files after their own markers
    (`<file_sep>` and the like). Each of these becomes a line of the prefix, without its marker.

    Code may mention markers (this file does). The first marker is the one at the beginning, the middle marker the one
    at the end. Of several others it is one that is neither quoted nor on a line with another marker; of several such,
    the one that makes the prefix longest, since most code is before the cursor. So code that mentions markers unquoted
    after the cursor is misread, and code about markers cannot be told from a templated prompt.
    """
    start = _end_of(_LEAD, prompt)
    has_context = _SEPARATOR.match(prompt, start) is not None
    for family in FAMILIES:
        first: int | None = start
        if has_context:
            first = _first_marker(prompt, start, family) if family.closes else None
        if first is None:
            continue
        found = None
        if prompt.startswith(family.prefix, first):
            found = _read_prefix_first(prompt, first + len(family.prefix), family)
        elif prompt.startswith(family.suffix, first) and not family.spaced:
            found = _read_suffix_first(prompt, first + len(family.suffix), family)
        if found is not None:
            prefix, suffix = found
            return Templated(_as_lines(prompt[start:first]) + prefix, suffix, family.name)
    return None


def _end_of(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0


def _first_marker(prompt: str, start: int, family: Family) -> int | None:
    """Where a prompt after other files begins: at a marker at the start of a line or after a separator."""
    either = f"{re.escape(family.prefix)}|{re.escape(family.suffix)}"
    match = re.compile(rf"(?:\n|{_SEPARATOR.pattern})[ ▁]?({either})").search(prompt, start)
    return match.start(1) if match else None


def _as_lines(context: str) -> str:
    """Names and texts of other files without their markers, each on a line of its own."""
    pieces = (piece.strip("\n") for piece in _SEPARATOR.split(context))
    return "".join(f"{piece}\n" for piece in pieces if piece.strip())


def _closing(prompt: str, begin: int, family: Family) -> int | None:
    """Where the middle marker at the end of the prompt begins."""
    end = len(prompt.rstrip())
    return end - len(family.middle) if prompt.endswith(family.middle, begin, end) else None


def _read_prefix_first(prompt: str, begin: int, family: Family) -> tuple[str, str] | None:
    """`prefix S suffix M`, or `S suffix M prefix`, from `begin` on."""
    closing = _closing(prompt, begin, family)
    at: int | None = prompt.find(family.suffix, begin)
    if at is None or at < 0:
        return None
    is_next = not prompt[begin:at].strip(" ▁") if family.spaced else at == begin
    if is_next and closing is None:
        closing = _choose(prompt, family.middle, at + len(family.suffix), len(prompt), family)
    elif not is_next and closing is not None:
        at = _choose(prompt, family.suffix, begin, closing, family, last=True)
    if at is None or closing is None or at > closing:
        return None
    prefix, suffix = prompt[begin:at], prompt[at + len(family.suffix) : closing]
    rest = prompt[closing + len(family.middle) :]
    if family.spaced:
        prefix, suffix, rest = _without_spaces(prefix, suffix, rest)
    return prefix + rest, suffix


def _without_spaces(prefix: str, suffix: str, rest: str) -> tuple[str, str, str]:
    """CodeLlama's pieces without the spaces of its template, if all of them are present."""
    prefix, suffix = (piece[:-1] + " " if piece.endswith("▁") else piece for piece in (prefix, suffix))
    if not prefix.strip(" "):
        return "", suffix.removesuffix(" "), rest.removeprefix(" ")
    if prefix.startswith(" ") and prefix.endswith(" ") and suffix.endswith(" "):
        return prefix[1:-1], suffix[:-1], rest.removeprefix(" ")
    return prefix, suffix, rest


def _read_suffix_first(prompt: str, begin: int, family: Family) -> tuple[str, str] | None:
    """`suffix P prefix M` from `begin` on; M is optional if the family does not close with it."""
    closing = _closing(prompt, begin, family)
    if closing is None and family.closes:
        return None
    end = len(prompt) if closing is None else closing
    at = _choose(prompt, family.prefix, begin, end, family)
    if at is None:
        return None
    rest = prompt[end + len(family.middle) :]
    return prompt[at + len(family.prefix) : end] + rest, prompt[begin:at]


def _choose(prompt: str, marker: str, begin: int, end: int, family: Family, last: bool = False) -> int | None:
    """The most likely place of `marker` between begin and end."""
    places = _places(prompt, marker, begin, end)
    unquoted = [at for at in places if not _is_mention(prompt, at, marker, begin, end, family)]
    chosen = unquoted or places
    return chosen[-1 if last else 0] if chosen else None


def _places(prompt: str, marker: str, begin: int, end: int) -> list[int]:
    return [match.start() for match in re.compile(re.escape(marker)).finditer(prompt, begin, end)]


def _is_mention(prompt: str, at: int, marker: str, begin: int, end: int, family: Family) -> bool:
    """Whether a marker is between quotes, or on a line with another marker between begin and end."""
    behind = at + len(marker)
    if prompt[at - 1] in _QUOTES and prompt[behind : behind + 1] in _QUOTES:
        return True
    before = prompt[max(begin, at - _NEAR) : at].rpartition("\n")[2]
    after = prompt[behind : min(end, behind + _NEAR)].partition("\n")[0]
    others = {family.prefix, family.suffix, family.middle} - {marker}
    return bool(before) and any(other in before or other in after for other in others)
