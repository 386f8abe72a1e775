"""Public problem formats, and our own, as `Problem` records.

In: a format's name and a source (a path, a URI, or a data set of the Hugging Face Hub). Out: validated
problems, one by one. `write_problems` and `read_problems` keep them as our own data set.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from rrtf_ray.errors import DataError
from rrtf_ray.problems import dataset
from rrtf_ray.problems.catalogue import AUTO, FORMATS, Format, looks_like
from rrtf_ray.problems.dataset import read_manifest, read_problems, write_problems
from rrtf_ray.problems.python_source import check_reference
from rrtf_ray.problems.source import Row, read_rows
from rrtf_ray.records import Problem, Split
from rrtf_ray.store.files import MANIFEST, OLD_MANIFEST, exists, join

__all__ = ["FORMATS", "Format", "format_of", "load", "read_manifest", "read_problems", "write_problems"]

_log = logging.getLogger(__name__)


def format_of(source: str) -> str:
    """The format of a source, recognised by the fields of its first row; a folder is a data set of ours.

    Raises:
        DataError: the source cannot be read, or its fields are those of no format.
    """
    if any(exists(join(source, name)) for name in (MANIFEST, OLD_MANIFEST)) or Path(source).is_dir():
        return "parquet"
    first = next(read_rows(source))
    guess = looks_like(first)
    if guess is None:
        raise first.error(
            f"the format cannot be recognised from {_fields(first)}; name one of {', '.join(FORMATS)} "
            "(`rrtf problems formats` says which fields each has)"
        )
    return guess


def load(format: str, source: str, *, split: Split | None = None) -> Iterator[Problem]:
    """The problems of `source`, in its order. Memory: one problem and all ids.

    format: a name of FORMATS, or `auto` to recognise it. split: put all problems there; None leaves it to the format.

    Raises:
        DataError: unknown format, or a source or row that cannot be used; the text names file and line.
    """
    if format not in (AUTO, *FORMATS):
        raise DataError(f"unknown problem format {format!r}; valid are {AUTO}, {', '.join(FORMATS)}")
    format = format_of(source) if format == AUTO else format
    places: dict[str, str] = {}
    for row, problem in _converted(format, source):
        if problem.id in places:
            raise row.error(f"the id {problem.id!r} is already used at {places[problem.id]}; rename or remove one")
        places[problem.id] = row.place
        check_reference(row, problem)
        yield problem if split is None else replace(problem, split=split)


def _converted(format: str, source: str) -> Iterator[tuple[Row, Problem]]:
    if format == "parquet" and not Path(source).is_file():
        yield from dataset.read_rows_of(source)
        return
    rows = read_rows(source)
    first = next(rows)
    last = [first]
    _check_format(format, first)
    if format == "parquet":
        rows.close()
        yield from dataset.read_rows_of(source)
        return

    def remembered() -> Iterator[Row]:
        for row in chain([first], rows):
            last[0] = row
            _check_same(format, row, first)
            yield row

    try:
        yield from FORMATS[format].convert(remembered())
    except RecursionError as error:
        raise last[0].error("something in the row is nested too deep to be read; remove the row") from error
    except DataError as error:
        # Errors of the record itself know the problem but not the file and line.
        raise error if source in str(error) else last[0].error(str(error)) from error


def _check_format(format: str, row: Row) -> None:
    """Raise DataError if the first row lacks the format's fields, naming the format that it looks like."""
    missing = [name for name in FORMATS[format].fields if name not in row.fields]
    guess = looks_like(row)
    if not missing:
        if format.startswith("mbpp") and format != guess == "mbppplus":
            _log.warning("%s: the tests in the field 'test' are not read; --format mbppplus reads them", row.place)
        return
    hint = f"it looks like the format {guess!r}" if guess else f"it has {_fields(row)}"
    raise row.error(f"the format {format!r} needs the field {', '.join(map(repr, missing))}; {hint}")


def _check_same(format: str, row: Row, first: Row) -> None:
    """Raise DataError if a row lacks fields because it is of another format than the first."""
    if all(name in row.fields for name in FORMATS[format].fields):
        return
    other = looks_like(row)
    if other is not None and other != format:
        raise row.error(
            f"the row looks like the format {other!r}, but the file is read as {format!r} since {first.place}; "
            "write one file for each format"
        )


def _fields(row: Row) -> str:
    return ", ".join(row.fields) or "no fields"
