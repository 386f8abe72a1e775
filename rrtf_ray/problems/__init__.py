"""Public problem formats, and our own, as `Problem` records.

In: a format's name and a source (a path, a URI, or a data set of the Hugging Face Hub). Out: validated
problems, one by one. `write_problems` and `read_problems` keep them as our own data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from rrtf_ray.errors import DataError
from rrtf_ray.problems import dataset
from rrtf_ray.problems.dataset import read_manifest, read_problems, write_problems
from rrtf_ray.problems.formats import evalplus, humaneval, leetcode, mbpp, stdio
from rrtf_ray.problems.python_source import check_reference
from rrtf_ray.problems.source import Row, read_rows
from rrtf_ray.records import Problem, Split
from rrtf_ray.store.files import MANIFEST, OLD_MANIFEST, exists, join

__all__ = ["FORMATS", "Format", "format_of", "load", "read_manifest", "read_problems", "write_problems"]


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the fields by which it is recognised, and how its rows become problems."""

    fields: tuple[str, ...]
    convert: Callable[[Iterator[Row]], Iterator[tuple[Row, Problem]]]
    about: str


FORMATS: dict[str, Format] = {
    # In the order in which a file's format is guessed: the more particular fields first.
    "evalplus": Format(evalplus.FIELDS, evalplus.convert, "HumanEval+ and MBPP+ of EvalPlus"),
    "leetcode": Format(leetcode.FIELDS, leetcode.convert, "LeetCodeDataset"),
    "stdio": Format(stdio.FIELDS, stdio.convert, "programs with standard input and output"),
    "humaneval": Format(humaneval.FIELDS, humaneval.convert, "HumanEval and data sets in its form"),
    "mbpp": Format(mbpp.FIELDS, mbpp.convert, "MBPP as Google publishes it"),
    "mbpp-challenge": Format(mbpp.FIELDS, partial(mbpp.convert, challenge_tests=True), "MBPP with challenge tests"),
    "parquet": Format(dataset.FIELDS, lambda rows: iter(()), "a data set that `write_problems` wrote"),
}


def format_of(source: str) -> str:
    """The format of a source, recognised by the fields of its first row; a folder is a data set of ours.

    Raises:
        DataError: the source cannot be read, or its fields are those of no format.
    """
    of_ours = source.endswith(".parquet") or any(exists(join(source, name)) for name in (MANIFEST, OLD_MANIFEST))
    if of_ours or Path(source).is_dir():
        return "parquet"
    rows = read_rows(source)
    first = next(rows)
    guess = _looks_like(first)
    if guess is None:
        raise first.error(f"the format cannot be recognised from {_fields(first)}; name one of {', '.join(FORMATS)}")
    return guess


def load(format: str, source: str, *, split: Split | None = None) -> Iterator[Problem]:
    """The problems of `source`, in its order. Memory: one problem and all ids.

    format: a name of FORMATS. split: put all problems there; None leaves it to the format.

    Raises:
        DataError: unknown format, or a source or row that cannot be used; the text names file and line.
    """
    if format not in FORMATS:
        raise DataError(f"unknown problem format {format!r}; valid are {', '.join(FORMATS)}")
    places: dict[str, str] = {}
    for row, problem in _converted(format, source):
        if problem.id in places:
            raise row.error(f"the id {problem.id!r} is already used at {places[problem.id]}; rename or remove one")
        places[problem.id] = row.place
        check_reference(row, problem)
        yield problem if split is None else replace(problem, split=split)


def _converted(format: str, source: str) -> Iterator[tuple[Row, Problem]]:
    if format == "parquet":
        yield from dataset.read_rows_of(source)
        return
    rows = read_rows(source)
    first = next(rows)
    last = [first]
    _check_format(format, first)

    def remembered() -> Iterator[Row]:
        for row in chain([first], rows):
            last[0] = row
            yield row

    try:
        yield from FORMATS[format].convert(remembered())
    except DataError as error:
        # Errors of the record itself know the problem but not the file and line.
        raise error if source in str(error) else last[0].error(str(error)) from error


def _check_format(format: str, row: Row) -> None:
    """Raise DataError if the first row lacks the format's fields, naming the format that it looks like."""
    missing = [name for name in FORMATS[format].fields if name not in row.fields]
    if not missing:
        return
    guess = _looks_like(row)
    hint = f"it looks like the format {guess!r}" if guess else f"it has {_fields(row)}"
    raise row.error(f"the format {format!r} needs the field {', '.join(map(repr, missing))}; {hint}")


def _looks_like(row: Row) -> str | None:
    return next((n for n, f in FORMATS.items() if all(name in row.fields for name in f.fields)), None)


def _fields(row: Row) -> str:
    return ", ".join(row.fields) or "no fields"
