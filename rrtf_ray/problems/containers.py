"""What a file of rows is wrapped in: gzip, bzip2, xz, zstd, zip or Parquet, or a JSON list, object or lines.

In: an open file and its name. Out: its values one by one, each with its place (file and line, item or key). All of it
is recognised by content, because names lie, and read as a stream: one value is in memory (of Parquet, one batch).
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

from rrtf_ray.errors import DataError

MAX_VALUE = 1 << 28
"""The longest value (one row), in bytes or characters."""
_CHUNK = 1 << 20
_BATCH = 64
_MAX_WRAPPINGS = 3
_IN_ZIP = re.compile(r"\.(jsonl?|ndjson|parquet)(\.(gz|bz2|xz|zst))?$", re.IGNORECASE)
_BEGINS_OBJECT = re.compile(rb'\{\s*("(?:[^"\\]|\\.)*"\s*:\s*[{\[]\s*)?')
_BLANKS = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()

_Stream = io.BufferedReader  # with `peek`
Found = tuple[str, Any, str | None]
"""Place, value, key."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a file. place: file and line, item or key. key: its name where the file is one object of rows.
    number: its place in the order of the file, from 0."""

    place: str
    value: Any
    key: str | None = None
    number: int = 0


def entries_in(source: str, stream: IO[bytes]) -> Iterator[Entry]:
    """The values of an open file; `source` is its name for messages.

    Raises:
        DataError: something in it is broken or cannot be read; the text says where and what to do.
    """
    for number, (place, value, key) in enumerate(_values(source, stream, 0)):
        yield Entry(place, value, key, number)


def _values(source: str, raw: IO[bytes], depth: int) -> Iterator[Found]:
    if depth > _MAX_WRAPPINGS:
        raise DataError(f"{source}: is wrapped more than {_MAX_WRAPPINGS} times; unpack it and give the file inside")
    stream: _Stream = io.BufferedReader(cast("io.RawIOBase", raw))
    magic = stream.peek(6)[:6]
    for mark, kind, opened in _PACKED:
        if magic.startswith(mark):
            yield from _unpacked(source, kind, opened, stream, depth)
            return
    if magic.startswith(b"PK\x03\x04"):
        yield from _zip(source, stream, depth)
    elif magic.startswith(b"PAR1"):
        yield from _parquet(source, stream)
    else:
        yield from _json(source, stream)


def _zstd(stream: _Stream) -> Any:
    import pyarrow as pa  # it reads zstd without another package

    return pa.CompressedInputStream(stream, "zstd")


_PACKED: tuple[tuple[bytes, str, Callable[[_Stream], Any]], ...] = (
    (b"\x1f\x8b", "gzip", lambda stream: gzip.GzipFile(fileobj=stream)),
    (b"BZh", "bzip2", bz2.BZ2File),
    (b"\xfd7zXZ\x00", "xz", lzma.LZMAFile),
    (b"\x28\xb5\x2f\xfd", "zstd", _zstd),
)


def _unpacked(source: str, kind: str, opened: Callable[[_Stream], Any], stream: _Stream, depth: int) -> Iterator[Found]:
    try:
        yield from _values(source, opened(stream), depth + 1)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{source}: broken {kind} data ({error}); fetch the file again") from error
    except OSError as error:  # without a number where it is not the system that fails
        if error.errno is not None:
            raise
        raise DataError(f"{source}: broken {kind} data ({error}); fetch the file again") from error


def _zip(source: str, stream: _Stream, depth: int) -> Iterator[Found]:
    if not stream.seekable():
        raise DataError(f"{source}: a zip file inside another file cannot be read; unpack it first")
    try:
        archive = zipfile.ZipFile(stream)
    except zipfile.BadZipFile as error:
        raise DataError(f"{source}: broken zip data ({error}); fetch the file again") from error
    with archive:
        files = [info for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX")]
        chosen = files if len(files) == 1 else [info for info in files if _IN_ZIP.search(info.filename)]
        if not chosen:
            names = ", ".join(info.filename for info in files[:5]) or "nothing"
            raise DataError(f"{source}: the zip file holds {names}, but no JSON or Parquet; give the file itself")
        for info in sorted(chosen, key=lambda one: one.filename):
            try:
                with archive.open(info) as member:
                    yield from _values(f"{source}/{info.filename}", member, depth + 1)
            except zipfile.BadZipFile as error:
                raise DataError(f"{source}/{info.filename}: broken zip data ({error}); fetch it again") from error
            except (RuntimeError, NotImplementedError) as error:  # a password, or another method of compression
                if isinstance(error, RecursionError):
                    raise
                raise DataError(f"{source}/{info.filename}: {error}; unpack it and give the file itself") from error


def _parquet(source: str, stream: _Stream) -> Iterator[Found]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not stream.seekable():
        raise DataError(f"{source}: Parquet inside a compressed file cannot be read; unpack it first")
    try:
        file = pq.ParquetFile(stream)
        number = 0
        for batch in file.iter_batches(batch_size=_BATCH):
            for value in batch.to_pylist():
                number += 1
                yield f"{source}:row {number}", value, None
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{source}: cannot be read as Parquet ({error}); fetch the file again") from error


# --- JSON


def _json(source: str, stream: _Stream) -> Iterator[Found]:
    line = _skip_blanks(stream)
    if stream.peek(1)[:1] == b"[":
        yield from _Elements(source, stream, b"", line).items()
        return
    for number, data in _lines(source, stream, line):
        place = f"{source}:{number}"
        if number == line and data[:1] == b"{" and _goes_on(data):
            yield from _Elements(source, stream, data, number).members(place)
            return
        if len(data) >= MAX_VALUE:
            raise DataError(f"{place}: the line is longer than {MAX_VALUE >> 20} MiB; write one row a line")
        if text := decoded(place, data).strip():
            value = parsed(place, text)
            if number == line and _is_mapping(value) and not stream.peek(1)[:1]:
                yield from ((f"{place} key {key!r}", row, key) for key, row in value.items())
            else:
                yield place, value, None


def _skip_blanks(stream: _Stream) -> int:
    """Read up to the first character that counts; the number of its line."""
    if stream.peek(3)[:3] == b"\xef\xbb\xbf":
        stream.read(3)
    line = 1
    while stream.peek(1)[:1] in (b" ", b"\t", b"\r", b"\n"):
        line += stream.read(1) == b"\n"
    return line


def _lines(source: str, stream: _Stream, first: int) -> Iterator[tuple[int, bytes]]:
    number = first
    while data := stream.readline(MAX_VALUE):
        yield number, data
        number += 1


def _goes_on(data: bytes) -> bool:
    """Whether the first line is the beginning of an object over many lines, or of one too long for a line."""
    if len(data) >= MAX_VALUE:
        return True
    begins = _BEGINS_OBJECT.fullmatch(data.strip())
    try:
        return begins is not None and not json.loads(data)
    except ValueError:
        return True


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict) and len(value) > 0 and all(isinstance(row, dict) for row in value.values())


def decoded(place: str, data: bytes) -> str:
    """The text of some bytes; raises DataError where they are not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{place}: not UTF-8 (byte {error.start} is {data[error.start]:#04x}); convert the file"
        ) from error


def parsed(place: str, text: str) -> Any:
    """The JSON value of a text; raises DataError where there is none."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{place} column {error.colno}" if error.lineno == 1 else f"{place} line {error.lineno}"
        raise DataError(
            f"{where}: malformed JSON ({error.msg}); each line is one object, or the file is one list of them"
        ) from error
    except RecursionError as error:
        raise DataError(f"{place}: the JSON is nested too deep; write plain rows") from error
    except ValueError as error:  # a number of more digits than Python reads
        raise DataError(f"{place}: malformed JSON ({error}); correct the row") from error


class _Elements:
    """The elements of a JSON list or object that goes over many lines, without the whole of it in memory."""

    def __init__(self, source: str, stream: IO[bytes], data: bytes, line: int) -> None:
        self._source, self._stream, self._line = source, stream, line
        self._bytes = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at, self._ended = "", 0, False
        self._take(data)

    def items(self) -> Iterator[Found]:
        """The items of a list."""
        number = 0
        self._expect("[")
        while self._next() != "]":
            if number:
                self._expect(",")
            number += 1
            yield f"{self._source}:item {number}", self._value(), None
        self._end("]")

    def members(self, place: str) -> Iterator[Found]:
        """The members of an object whose first value is an object; any other is one value, at `place`."""
        found: dict[str, Any] = {}
        rows = 0
        self._expect("{")
        while self._next() != "}":
            if rows or found:
                self._expect(",")
            if self._next() != '"':
                raise self._malformed("expected a name in double quotes")
            key = self._value()
            self._expect(":")
            value = self._value()
            if rows or (isinstance(value, dict) and not found):
                rows += 1
                yield f"{self._source} key {key!r}", value, key
            else:
                found[key] = value
        self._end("}")
        if not rows:
            yield place, found, None

    def _end(self, bracket: str) -> None:
        self._expect(bracket)
        if self._next():
            raise self._malformed("there is more after the end")

    def _next(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            blanks = _BLANKS.match(self._text, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._text) or not self._more(_CHUNK):
                return self._text[self._at : self._at + 1]

    def _expect(self, character: str) -> None:
        if self._next() != character:
            raise self._malformed(f"expected {character!r}")
        self._at += 1

    def _value(self) -> Any:
        self._next()
        wanted = _CHUNK
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                if end < len(self._text) or self._ended:  # a number may go on
                    self._at = end
                    return value
            except json.JSONDecodeError as error:
                if self._ended:
                    raise self._malformed(error.msg) from error
            except (RecursionError, ValueError) as error:
                raise self._malformed(f"nested too deep, or a number too long: {error}") from error
            if len(self._text) - self._at > MAX_VALUE:
                raise self._malformed(f"no value ends within {MAX_VALUE >> 20} MiB")
            self._more(wanted)
            wanted *= 2  # so that a long value is not read again and again

    def _more(self, wanted: int) -> bool:
        self._line += self._text.count("\n", 0, self._at)
        self._text, self._at = self._text[self._at :], 0
        data = b"" if self._ended else self._stream.read(wanted)
        self._ended = not data
        self._take(data)
        return bool(data)

    def _take(self, data: bytes) -> None:
        try:
            self._text += self._bytes.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self._source} after line {self._line}: not UTF-8 ({error.reason}); convert the file"
            ) from error

    def _malformed(self, message: str) -> DataError:
        line = self._line + self._text.count("\n", 0, self._at)
        return DataError(
            f"{self._source} line {line}: malformed JSON ({message}); "
            "each line is one object, or the file is one list of them"
        )
