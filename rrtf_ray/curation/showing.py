"""What a person sees of copies: counts by reason, and pairs of problems side by side."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable
from itertools import zip_longest

from rrtf_ray.curation.copies import Copy
from rrtf_ray.curation.keys import Reason

_MOST_LINES = 12
_NARROWEST = 60


def counts(copies: Iterable[Copy]) -> str:
    """`3 same text, 1 near copy`."""
    by_reason = Counter(copy.reason for copy in copies)
    return ", ".join(f"{by_reason[reason]} {reason.value}" for reason in Reason if by_reason[reason])


def headline(copy: Copy) -> str:
    """One line on a copy."""
    near = f" ({100 * copy.similarity:.0f}%)" if copy.reason is Reason.NEAR_COPY else ""
    where = f" of {copy.where}" if copy.where else ""
    return f"{copy.id} = {copy.of}{where}: {copy.reason.value}{near}"


def side_by_side(left: str, right: str, width: int = 0) -> str:
    """The beginnings of two texts, in two columns of a terminal (or `width` characters)."""
    width = max(_NARROWEST, width or min(160, shutil.get_terminal_size().columns))
    column = (width - 7) // 2
    rows = zip_longest(_lines(left, column), _lines(right, column), fillvalue="")
    return "\n".join(f"  | {one:<{column}} | {other}".rstrip() for one, other in rows)


def _lines(text: str, width: int) -> list[str]:
    lines = [
        piece
        for line in text.strip("\n").expandtabs(4).splitlines()
        for piece in textwrap.wrap(line, width, drop_whitespace=False, replace_whitespace=False) or [""]
    ]
    # A control character of a data set must not reach the terminal.
    shown = ["".join(c if c.isprintable() else "?" for c in line) for line in lines[:_MOST_LINES]]
    return [*shown, "..."] if len(lines) > _MOST_LINES else shown
