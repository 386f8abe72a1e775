"""What a person sees of copies: counts by reason, and pairs of problems side by side."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable
from itertools import islice, takewhile, zip_longest

from rrtf_ray.curation.copies import Copy
from rrtf_ray.curation.keys import Reason

_MOST_LINES = 12
_BEFORE = 3
"""Equal lines that are shown before the first one that differs."""
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
    """Two texts in two columns of a terminal (or `width` characters), from a little before the first line in which they
    differ; from there on lines are marked with `>`."""
    width = max(_NARROWEST, width or min(160, shutil.get_terminal_size().columns))
    one, other = (text.strip("\n").expandtabs(4).splitlines() for text in (left, right))
    equal = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    skipped = 0 if one == other else max(0, equal - _BEFORE)
    column = (width - 7) // 2
    before, after = slice(skipped, equal), slice(equal, None)
    rows = ["  | ..."] if skipped else []
    for mark, part in (("|", before), (">", after)):
        lines = (_lines(text[part], column) for text in (one, other))
        rows += (f"  {mark} {a:<{column}} | {b}".rstrip() for a, b in zip_longest(*lines, fillvalue=""))
    most = _BEFORE if one == other else _MOST_LINES
    return "\n".join([*rows[:most], "  | ..."] if len(rows) > most else rows)


def _lines(lines: list[str], width: int) -> list[str]:
    """Wrapped; without the control characters of a data set, which must not reach the terminal."""
    pieces = (
        piece
        for line in lines
        for piece in textwrap.wrap(line, width, drop_whitespace=False, replace_whitespace=False) or [""]
    )
    return ["".join(c if c.isprintable() else "?" for c in piece) for piece in islice(pieces, _MOST_LINES + 1)]
