"""Data sets that people collect have rows that cannot be used: those are left out, counted, and the first one named."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from rrtf_ray.errors import DataError
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem

_log = logging.getLogger(__name__)


class Unusable(DataError):
    """The row is as its publisher meant it, and yet no problem can be made of it: it has no tests, for one."""


def usable(name: str, rows: Iterator[Row], problem_of: Callable[[Row, int], Problem]) -> Iterator[tuple[Row, Problem]]:
    """The problems of all rows that are not Unusable. problem_of: of a row and its number, from 0.

    Raises:
        Unusable: no row can be used; it says why the first cannot.
    """
    first: Unusable | None = None
    count = left_out = 0
    for count, row in enumerate(rows, 1):
        try:
            problem = problem_of(row, count - 1)
        except Unusable as error:
            left_out, first = left_out + 1, first or error
            continue
        yield row, problem
    if first is not None and left_out == count:
        raise first
    if first is not None:
        _log.warning("%s: %d of %d rows are left out; the first: %s", name, left_out, count, first)


def unusable(row: Row, why: str) -> Unusable:
    """An Unusable that begins with the row's place."""
    return Unusable(f"{row.place}: {why}")
