"""Records to Arrow rows and back, derived from the annotations in `rrtf_ray.records`.

In: a frozen dataclass. Out: a `pyarrow.Schema`, plain rows (dicts of str, int, float, bool, list, dict, None)
or a `pyarrow.Table`; and the records again, validated on the way.

    str -> string, int -> int64, float -> double, bool -> bool, StrEnum -> string,
    tuple[X, ...] -> list<X>, dataclass -> struct, X | None -> X

Every Arrow field is nullable, because Ray Data and Parquet readers unify schemas of blocks and a `not null`
on one side only makes them differ; `from_row` is what rejects a null in a field that is not optional.
Limits: no dicts, no unions other than `X | None`, integers within 64 bits.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

import pyarrow as pa

from rrtf_ray.errors import DataError

R = TypeVar("R")


class _FieldError(Exception):
    """A value that does not fit, and the path to it; `from_row` turns it into a DataError."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path


@dataclass(frozen=True, slots=True)
class _Codec:
    """How one annotation becomes an Arrow type, and its values plain Python and back."""

    arrow: pa.DataType
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    optional: bool = False


def schema_of(cls: type) -> pa.Schema:
    """The Arrow schema of the rows of `cls`, a dataclass of `rrtf_ray.records`."""
    struct = _codec(cls).arrow
    return pa.schema([struct.field(i) for i in range(struct.num_fields)])


def to_row(record: Any) -> dict[str, Any]:
    """The record as a row of plain Python values; a lone surrogate becomes U+FFFD (Arrow is UTF-8)."""
    row: dict[str, Any] = _codec(type(record)).encode(record)
    return row


def from_row(cls: type[R], row: Mapping[str, Any]) -> R:
    """The record that `row` describes; accepts what Ray Data hands out (numpy scalars and arrays) as well.

    A missing key, or a null, stands for the field's default if it has one.

    Raises:
        DataError: unknown or missing keys, a wrong type, a value outside a closed set, or a row that breaks
            the record's own invariants; the text names the field.
    """
    try:
        record: R = _codec(cls).decode(row)
    except _FieldError as error:
        place = f"{cls.__name__}.{error.path}" if error.path else cls.__name__
        raise DataError(f"{place}: {error.message}") from None
    return record


def to_table(records: Iterable[Any], cls: type) -> pa.Table:
    """All records, of class `cls`, as one table with the declared schema.

    Raises:
        DataError: a value does not fit its Arrow type (an integer beyond 64 bits).
    """
    encode = _codec(cls).encode
    rows = [encode(record) for record in records]
    try:
        return pa.Table.from_pylist(rows, schema=schema_of(cls))
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise DataError(f"a {cls.__name__} does not fit its Arrow schema: {error}") from error


def from_table(cls: type[R], table: pa.Table) -> list[R]:
    """All rows of `table` as records; raises DataError as `from_row` does."""
    return [from_row(cls, row) for row in table.to_pylist()]


def _codec(annotation: Any) -> _Codec:
    """The codec of one annotation; cached, since type hints are slow to resolve."""
    return _cached_codec(annotation)


@cache
def _cached_codec(annotation: Any) -> _Codec:
    origin = typing.get_origin(annotation)
    if origin in (types.UnionType, typing.Union):
        return _optional_codec(annotation)
    if origin is tuple:
        item, *rest = typing.get_args(annotation)
        if rest == [Ellipsis]:
            return _tuple_codec(item)
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if isinstance(annotation, type):
        if issubclass(annotation, StrEnum):
            return _enum_codec(annotation)
        if is_dataclass(annotation):
            return _record_codec(annotation)
    raise TypeError(f"no Arrow type is known for the annotation {annotation!r}")


def _text(value: str) -> str:
    if value.isascii():
        return str(value)
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return str(value)


def _decode_str(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _FieldError(f"{value!r} is {_type_name(value)}, expected a text")


def _decode_bool(value: Any) -> bool:
    value = _plain(value)
    if isinstance(value, bool):
        return value
    raise _FieldError(f"{value!r} is {_type_name(value)}, expected true or false")


def _decode_int(value: Any) -> int:
    value = _plain(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _FieldError(f"{value!r} is {_type_name(value)}, expected an integer")


def _decode_float(value: Any) -> float:
    value = _plain(value)
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise _FieldError(f"{value!r} is {_type_name(value)}, expected a number")


def _plain(value: Any) -> Any:
    """A numpy scalar as the Python value; numpy itself is not imported for it."""
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value


def _type_name(value: Any) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"


_SCALARS: dict[Any, _Codec] = {
    str: _Codec(pa.string(), _text, _decode_str),
    bool: _Codec(pa.bool_(), bool, _decode_bool),
    int: _Codec(pa.int64(), int, _decode_int),
    float: _Codec(pa.float64(), float, _decode_float),
}


def _optional_codec(annotation: Any) -> _Codec:
    inner = [arg for arg in typing.get_args(annotation) if arg is not type(None)]
    if len(inner) != 1:
        raise TypeError(f"no Arrow type is known for the annotation {annotation!r}")
    codec = _codec(inner[0])
    encode, decode = codec.encode, codec.decode
    return _Codec(
        codec.arrow,
        lambda value: None if value is None else encode(value),
        lambda value: None if value is None else decode(value),
        optional=True,
    )


def _enum_codec(cls: type[StrEnum]) -> _Codec:
    members = {member.value: member for member in cls}

    def decode(value: Any) -> StrEnum:
        try:
            return members[value]
        except (KeyError, TypeError):
            raise _FieldError(f"{value!r} is not one of {', '.join(members)}") from None

    return _Codec(pa.string(), lambda value: cls(value).value, decode)


def _tuple_codec(item: Any) -> _Codec:
    codec = _codec(item)
    encode, decode_item = codec.encode, codec.decode

    def decode(value: Any) -> tuple[Any, ...]:
        if hasattr(value, "tolist"):  # numpy array
            value = value.tolist()
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            raise _FieldError(f"{value!r} is {_type_name(value)}, expected a list")
        items = []
        try:
            for element in value:
                items.append(decode_item(element))
        except _FieldError as error:
            path = f"[{len(items)}]" + (f".{error.path}" if error.path else "")
            raise _FieldError(error.message, path) from None
        return tuple(items)

    return _Codec(pa.list_(codec.arrow), lambda value: [encode(element) for element in value], decode)


def _record_codec(cls: type) -> _Codec:
    hints = typing.get_type_hints(cls)
    names = [field.name for field in fields(cls)]
    codecs = [_codec(hints[name]) for name in names]
    arrow = pa.struct([pa.field(name, codec.arrow) for name, codec in zip(names, codecs, strict=True)])

    # attrgetter of one name returns the bare value, hence the special case.
    get = attrgetter(*names) if len(names) > 1 else lambda record: (getattr(record, names[0]),)
    encoders = [(name, codec.encode) for name, codec in zip(names, codecs, strict=True)]

    def encode(record: Any) -> dict[str, Any]:
        return {name: enc(value) for (name, enc), value in zip(encoders, get(record), strict=True)}

    return _Codec(arrow, encode, _record_decoder(cls, names, codecs))


def _record_decoder(cls: type, names: list[str], codecs: list[_Codec]) -> Callable[[Any], Any]:
    known = frozenset(names)
    has_default = {
        field.name for field in fields(cls) if field.default is not MISSING or field.default_factory is not MISSING
    }
    required = known - has_default
    plan = [
        (name, codec.decode, codec.optional, name in has_default) for name, codec in zip(names, codecs, strict=True)
    ]

    def decode(row: Any) -> Any:
        if not isinstance(row, Mapping):
            raise _FieldError(f"{row!r} is {_type_name(row)}, expected a row with {', '.join(names)}")
        keys = row.keys()
        if keys != known:
            _check_keys(set(keys), known, required)
        values: dict[str, Any] = {}
        for name, decode_value, optional, defaulted in plan:
            value = row.get(name)
            if value is None and defaulted and not (optional and name in row):
                continue
            try:
                values[name] = decode_value(value)
            except _FieldError as error:
                separator = "." if error.path and not error.path.startswith("[") else ""
                raise _FieldError(error.message, name + separator + error.path) from None
        return cls(**values)

    return decode


def _check_keys(keys: set[str], known: frozenset[str], required: frozenset[str]) -> None:
    missing, unknown = sorted(required - keys), sorted(keys - known)
    if missing:
        raise _FieldError(f"missing {', '.join(missing)}; the row has {', '.join(sorted(keys)) or 'no keys'}")
    if unknown:
        raise _FieldError(f"unknown {', '.join(unknown)}; valid are {', '.join(sorted(known))}")
