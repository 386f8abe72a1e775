"""Rows of a source: a file (`rrtf_ray.problems.containers`) on any filesystem that fsspec knows, or a data set of the
Hugging Face Hub.

In: a path, a URI, `hf:org/name[:config][:split]` or `org/name`. Out: `Row`s that know their place: every complaint
names file and line. Parquet data sets of our own are read in `rrtf_ray.problems.dataset`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, cast

from rrtf_ray.errors import DataError
from rrtf_ray.problems.containers import entries_in

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_FILE_SUFFIX = re.compile(r"\.(jsonl?|ndjson|gz|bz2|xz|zst|zip|parquet|txt|csv)$", re.IGNORECASE)
_IDS = frozenset({"task_id", "problem_id", "question_id", "id", "name"})
_SPLITS = frozenset({"train", "test", "validation", "valid", "dev", "prompt", "all"})


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a source. place: file and line (or item) for messages. fields: the JSON object."""

    place: str
    fields: Mapping[str, Any]

    def text(self, name: str, default: str | None = None) -> str:
        """The field as a text, with `\\n` line ends; raises DataError if it is missing or not a text."""
        value = self._value(name, default)
        if not isinstance(value, str):
            raise self.error(f"the field {name!r} is {_shown(value)}, expected a text")
        return value.replace("\r\n", "\n").replace("\r", "\n")

    def texts(self, name: str, default: list[str] | None = None) -> list[str]:
        """The field as a list of texts."""
        value = self.items(name, default)
        for i, item in enumerate(value):
            if not isinstance(item, str):
                raise self.error(f"item {i} of the field {name!r} is {_shown(item)}, expected a text")
        return [item.replace("\r\n", "\n") for item in value]

    def items(self, name: str, default: list[Any] | None = None) -> list[Any]:
        """The field as a list."""
        value = self._value(name, default)
        if not isinstance(value, list):
            raise self.error(f"the field {name!r} is {_shown(value)}, expected a list")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """The field as a number."""
        value = self._value(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.error(f"the field {name!r} is {_shown(value)}, expected a number")
        return value

    def id(self, *names: str, default: str = "") -> str:
        """The first of these fields that is there, as the id that its text or whole number is."""
        for name in names:
            value = self.fields.get(name)
            if value is None:
                continue
            if not isinstance(value, str | int) or isinstance(value, bool):
                raise self.error(f"the field {name!r} is {_shown(value)}, expected a text or a whole number")
            return str(value)
        return default or self.text(names[0])

    def date(self, name: str) -> str:
        """The day of a date, with or without a time, as YYYY-MM-DD; empty where the field is missing or empty."""
        value = self.fields.get(name)
        if isinstance(value, date):  # of Parquet; a datetime is one too
            return value.isoformat()[:10]
        text = self.text(name, "")
        if not text:
            return ""
        try:
            day = datetime.fromisoformat(text).date().isoformat()
        except ValueError:
            day = ""
        if not day or not text.startswith(day):
            raise self.error(
                f"the field {name!r} is {_shown(value)}, expected a date (YYYY-MM-DD); correct or empty it"
            )
        return day

    def json(self, name: str) -> Any:
        """The field as the value that it is, or that its text is as JSON; None where it is missing or empty."""
        value = self.fields.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value, parse_constant=_constant) if value.strip() else None
        except (ValueError, RecursionError) as error:
            raise self.error(f"the field {name!r} is not JSON ({error}): {_shown(value)}; correct it") from error

    def error(self, message: str) -> DataError:
        """A DataError that begins with this row's place."""
        return DataError(f"{self.place}: {message}")

    def _value(self, name: str, default: Any) -> Any:
        value = self.fields.get(name)
        value = default if value is None else value  # Parquet has a null where JSON has nothing
        if value is None:
            raise self.error(f"the field {name!r} is missing; the row has {', '.join(self.fields) or 'no fields'}")
        return value


def _constant(text: str) -> float:
    return float(text.replace("Infinity", "inf"))


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def read_rows(source: str) -> Generator[Row, None, None]:
    """The rows of `source`, one by one.

    Raises:
        DataError: the source cannot be opened, is empty, or holds something that is not a JSON object.
    """
    rows = _hub_rows(source) if is_hub(source) else _file_rows(source)
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise DataError(f"{source}: the file is empty; check that the download or export completed")


def is_hub(source: str) -> bool:
    """Whether `source` names a data set of the Hub, not a file."""
    if source.startswith("hf:") and not source.startswith("hf://"):
        return True
    looks = bool(_HUB_ID.fullmatch(source)) and not _FILE_SUFFIX.search(source)
    return looks and not Path(source).exists() and not Path(source).parent.is_dir()


def _file_rows(source: str) -> Iterator[Row]:
    import fsspec  # imported here: `rrtf --help` has no use for it

    try:
        with fsspec.open(source, "rb") as raw:
            yield from rows_in(source, cast("IO[bytes]", raw))
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise DataError(
            f"{source}: cannot be read ({type(error).__name__}); check the path, or give hf:org/name"
        ) from error
    except (ImportError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{source}: {error}; install the filesystem's package or copy the file here") from error


def rows_in(source: str, stream: IO[bytes]) -> Iterator[Row]:
    """The rows of an open file (see `rrtf_ray.problems.containers`); `source` is its name for messages.

    A row of an object of rows has its name as `task_id` where it has no id of its own. Raises DataError.
    """
    for entry in entries_in(source, stream):
        row = row_of(entry.place, entry.value)
        if entry.key is not None and not _IDS & row.fields.keys():
            row = replace(row, fields={"task_id": entry.key, **row.fields})
        yield row


def row_of(place: str, value: Any) -> Row:
    """The value as a row; raises DataError where it is no object."""
    if not isinstance(value, dict):
        raise DataError(f"{place}: {_shown(value)} is not a JSON object; every row is one {{...}} with named fields")
    return Row(place, value)


def _hub_rows(source: str) -> Iterator[Row]:
    name, config, split = _hub_parts(source)
    try:
        import datasets  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise DataError(
            f"{source}: reading from the Hugging Face Hub needs the package 'datasets'; "
            "install it with `pip install 'rrtf-ray[hub]'`, or give the path of a file"
        ) from error
    try:
        loaded = datasets.load_dataset(name, config, split=split)
    except Exception as error:  # the Hub's clients raise from several libraries; the cause is kept
        raise DataError(
            f"{source}: cannot be loaded from the Hub ({type(error).__name__}: {error}); "
            "check the id and the network, or give the path of a file"
        ) from error
    if isinstance(loaded, dict):
        if len(loaded) > 1:
            raise DataError(f"{source}: has the splits {', '.join(loaded)}; name one as hf:{name}:<split>")
        loaded = next(iter(loaded.values()))
    for number, fields in enumerate(loaded, 1):
        yield Row(f"{source}:row {number}", fields)


def _hub_parts(source: str) -> tuple[str, str | None, str | None]:
    """Data set id, configuration, split; of a single extra part, a usual split name is the split."""
    name, *extra = source.removeprefix("hf:").split(":")
    if not _HUB_ID.fullmatch(name) or len(extra) > 2:
        raise DataError(f"{source!r} is not of the form hf:org/name[:config][:split]")
    if len(extra) == 1 and extra[0] in _SPLITS:
        return name, None, extra[0]
    config, split = [*extra, "", ""][:2]
    return name, config or None, split or None
