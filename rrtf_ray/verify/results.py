"""The file of results: what an interrupted command left of it is kept, and rows are added in order."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

from rrtf_ray.errors import DataError, InputError, StageError
from rrtf_ray.store.files import is_local
from rrtf_ray.verify.rows import Sample, check_kept


def default_output(samples: str) -> str:
    """`x.jsonl` and `x.jsonl.gz` give `x.results.jsonl`, next to it."""
    if not is_local(samples):
        raise InputError(f"the samples {samples} are not on this machine; name a local file for the results (--output)")
    path = Path(samples.removeprefix("file://"))
    for suffix in (".gz", ".jsonl", ".json", ".ndjson"):
        path = path.with_suffix("") if path.suffix == suffix else path
    return f"{path}.results.jsonl"


class ResultsFile:
    """Rows in the order of the samples, each in the file when it is added; `add` takes them in any order."""

    def __init__(self, stream: FileIO, num_kept: int, written: Callable[[Sample, dict[str, Any]], None]) -> None:
        self._stream = stream
        self._next = num_kept
        self._written = written
        self._early: dict[int, tuple[Sample, dict[str, Any]]] = {}

    @property
    def num_rows(self) -> int:
        """How many rows are in the file."""
        return self._next

    def add(self, position: int, sample: Sample, row: dict[str, Any]) -> None:
        """Write the row, and those that waited for it; keep it where an earlier one is not there yet."""
        self._early[position] = (sample, row)
        while self._next in self._early:
            sample, row = self._early.pop(self._next)
            try:
                _write_all(self._stream, json.dumps(row).encode() + b"\n")
            except OSError as error:
                raise StageError(
                    f"{self._stream.name} cannot be written any more ({error.strerror}); make room and start the same "
                    "command again: what is in it is kept"
                ) from error
            self._next += 1
            self._written(sample, row)


@contextlib.contextmanager
def results_file(
    path: str, samples: Sequence[Sample], written: Callable[[Sample, dict[str, Any]], None], *, overwrite: bool
) -> Iterator[ResultsFile]:
    """The file of results, opened to continue. written: called with every row in it, the kept ones first.

    Raises:
        InputError: it cannot be written, or another command writes it now.
        DataError: it holds rows of other samples; the text names the line.
    """
    if path.endswith(".gz"):
        raise InputError(f"--output {path}: results are continued line by line, which gzip cannot; leave .gz away")
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path} is not a file; name one with --output")
    try:
        stream = FileIO(path, "a")
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}); name another file with --output"
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path} is being written by another command; wait for it, or give --output") from None
        except OSError:  # a filesystem without locks
            pass
        if overwrite:
            stream.truncate(0)
        num_kept = 0
        for sample, row in _kept(path, samples):
            written(sample, row)
            num_kept += 1
        yield ResultsFile(stream, num_kept, written)


def _kept(path: str, samples: Sequence[Sample]) -> Iterator[tuple[Sample, dict[str, Any]]]:
    """The rows of an earlier start; a last line that was cut off is removed."""
    with open(path, "rb") as stream:
        end = 0
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n"):
                os.truncate(path, end)
                return
            end += len(line)
            place = f"{path}:{number}"
            if number > len(samples):
                raise DataError(
                    f"{place}: there are only {len(samples)} samples, so this is the result of others; "
                    "begin anew with --overwrite, or give another --output"
                )
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            check_kept(place, row, samples[number - 1])
            yield samples[number - 1], row


def _write_all(stream: FileIO, data: bytes) -> None:
    """Unbuffered: a full disk is noticed here and not when the file is closed."""
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]
