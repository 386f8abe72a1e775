"""Reads what `codec.Encoder` has written, and believes nothing that it reads: a text can only become a value of a known
type, or be refused."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rrtf_ray.sandbox.shared.codec import FACTORIES, NUMPY_KINDS, Refused, refuse


class Decoder:
    """Decodes what the other side's Encoder wrote. Bad texts raise Refused.

    handle: makes a stand-in of a handle's content. classes: as the other side's.
    shared: the other side is the tests', which give their mutable objects numbers.
    """

    def __init__(
        self,
        handle: Callable[[Any], Any] = refuse,
        classes: Mapping[str, Any] | None = None,
        shared: bool = False,
    ) -> None:
        self._handle = handle
        self._shared = shared
        self._classes = classes or {}
        self._decode = json.JSONDecoder(object_hook=self._tagged).decode
        self.objects: dict[int, Any] = {}

    def know(self, objects: Iterable[Any]) -> None:
        """The objects that references mean."""
        self.objects = dict(enumerate(objects))

    def value(self, text: str) -> Any:
        try:
            return self._decode(text) if text else refuse(text)
        except Refused:
            raise
        except Exception as error:  # whatever a text can make of a type's constructor
            raise Refused(f"a message cannot be read: {type(error).__name__}") from None

    def _tagged(self, entry: dict[str, Any]) -> Any:
        ((tag, content),) = entry.items()
        if type(content) is not list and tag not in _NOT_LISTS:
            raise Refused(f"{tag} has no list")
        if tag == "t":
            return tuple(content)
        if tag == "d":
            return dict(content)
        if tag == "h":
            return self._handle(content)
        if tag == "r":
            return self.objects[content]
        if tag == "m" and self._shared:
            index, value = content
            self.objects[index] = value
            return value
        if tag == "o":
            return self._instance(*content)
        if tag == "u":
            return self._classes[content[0]][content[1]]
        if tag == "k":
            return tuple.__new__(self._classes[content[0]], content[1])
        return _READ[tag](content)

    def _instance(self, name: str, attributes: list[Any]) -> Any:
        value = object.__new__(self._classes[name])
        for key, item in attributes:
            object.__setattr__(value, key, item)
        return value


def _hex(text: str) -> int:
    return int(text, 16)


def _read_extra(content: list[Any]) -> Any:
    name, arguments = content
    if type(arguments) is not list:
        raise Refused(f"{name} has no list")
    return _EXTRA[name](*arguments) if name in _SPREAD else _EXTRA[name](arguments)


def _read_fraction(numerator: int, denominator: int) -> fractions.Fraction:
    if not type(numerator) is type(denominator) is int:  # a text such as "1e999999999" is a number, too
        raise Refused("a fraction of other than integers")
    return fractions.Fraction(numerator, denominator)


def _read_deque(items: list[Any], maxlen: int | None) -> Any:
    if type(items) is not list:
        raise Refused("deque has no list")
    return collections.deque(items, maxlen)


def _read_namedtuple(content: list[Any]) -> Any:
    name, fields, values = content
    return collections.namedtuple(name, fields)(*values)


def _read_numpy(kind: str, shape: list[int] | None, data: str) -> Any:
    import numpy

    dtype = numpy.dtype(kind)
    if dtype.kind not in NUMPY_KINDS:
        raise Refused(f"arrays of {kind} cannot be copied")
    values = numpy.frombuffer(data.encode("latin-1"), dtype)
    if shape is not None and math.prod(shape) != len(values):
        raise Refused("an array of another size than its shape")
    return values[0] if shape is None else values.reshape(shape).copy()


def _read_datetime(year: int, month: int, day: int, *time: Any) -> datetime.datetime:
    return datetime.datetime.combine(datetime.date(year, month, day), _read_time(*time))


def _read_time(hour: int, minute: int, second: int, microsecond: int, utc: bool) -> datetime.time:
    return datetime.time(hour, minute, second, microsecond, datetime.UTC if utc else None)


_NOT_LISTS = frozenset("rifba")
_READ: dict[str, Callable[[Any], Any]] = {
    "s": set,
    "z": frozenset,
    "i": _hex,
    "f": float,
    "c": lambda parts: complex(*parts),
    "b": lambda text: text.encode("latin-1"),
    "a": lambda text: bytearray(text, "latin-1"),
    "n": _read_namedtuple,
    "x": _read_extra,
}
_SPREAD = frozenset({"range", "deque", "Fraction", "datetime", "date", "time", "timedelta", "numpy"})
_EXTRA: dict[str, Callable[..., Any]] = {
    "Counter": lambda pairs: collections.Counter(dict(pairs)),
    "OrderedDict": collections.OrderedDict,
    "defaultdict": lambda parts: collections.defaultdict(FACTORIES.get(parts[0]), parts[1:]),
    "keys": lambda items: dict.fromkeys(items).keys(),
    "items": lambda items: dict(items).items(),
    "values": lambda items: dict(enumerate(items)).values(),
    "range": range,
    "deque": _read_deque,
    "Decimal": lambda parts: decimal.Decimal(parts[0]),
    "Fraction": _read_fraction,
    "datetime": _read_datetime,
    "date": datetime.date,
    "time": _read_time,
    "timedelta": datetime.timedelta,
    "numpy": _read_numpy,
    "NotImplemented": lambda _: NotImplemented,
    "Ellipsis": lambda _: ...,
}
