"""Text of models and problems, made fit to be shown: nothing invisible, nothing endless.

Escaping for HTML is the template's; this is about what a person would see.
"""

from __future__ import annotations

import re
import unicodedata

MAX_CHARACTERS = 4000
"""Of one text on the page; what is cut off is counted."""

_MAY_BE_HIDDEN = re.compile(r"[^\n\t -~]")
_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
"""Unicode's categories of controls (bidirectional ones too), surrogates, unassigned, line and paragraph separators."""


def visible(text: str, limit: int = MAX_CHARACTERS) -> str:
    """`text` cut to `limit` characters, with a mark such as `‹U+202E›` for each character that would not be seen."""
    shown = _MAY_BE_HIDDEN.sub(_marked, text[:limit])
    return shown if len(text) <= limit else f"{shown} … ({len(text) - limit:,} more characters)"


def _marked(match: re.Match[str]) -> str:
    character = match.group()
    return f"‹U+{ord(character):04X}›" if unicodedata.category(character) in _HIDDEN else character
