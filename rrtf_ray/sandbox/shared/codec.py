"""Values as JSON text, copied exactly, between the interpreter of a program and that of its tests.

The receiver need not trust a byte: decoding (`decoding`) makes objects of known types and runs nobody's code. By
value travel the builtin types, a few of the standard library, and instances of classes that both sides know by name.
An instance of a subclass of a builtin travels as the builtin's own value, whatever its methods say; a container whose
class adds methods is a handle that equals what its content equals. Everything else is a handle, which its own side can
be asked about and which equals nothing.

JSON's scalars and lists stand for themselves; every JSON object is a tag with one entry, {tag: content}.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import json
from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import Any

to_json = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")).encode

_EXACT = frozenset({NoneType, bool, str, int})
_SAFE_INT = 1 << 53
"""Integers up to here are numbers in every language's JSON."""
_DICT_VIEWS: dict[type, str] = {type({}.keys()): "keys", type({}.items()): "items", type({}.values()): "values"}
NUMPY_KINDS = frozenset("biufc")


class Refused(Exception):
    """A text that `encode` cannot have written, or a value that cannot be written."""


Opaque = Callable[[Any], Any]
"""Encodes what does not travel by value; may raise Refused."""


def refuse(value: Any) -> Any:
    raise Refused(f"a value of type {type(value).__name__} cannot be copied")


def is_scalar(value: Any) -> bool:
    """Does it stand for itself in JSON? Most results do, and need no encoder."""
    kind = type(value)
    return kind in _EXACT and (kind is not int or -_SAFE_INT < value < _SAFE_INT)


class Encoder:
    """Encodes values to JSON text.

    opaque: for what does not travel by value. classes: by name, those that the other side knows too.
    shared: remember mutable objects by index, so that the other side can tell aliases and send changes.
    """

    def __init__(self, opaque: Opaque = refuse, classes: Mapping[str, Any] | None = None, shared: bool = False) -> None:
        self._opaque = opaque
        self._classes = {cls: name for name, cls in (classes or {}).items() if isinstance(cls, type)}
        self._shared = shared
        self.objects: list[Any] = []
        self._known: dict[int, int] = {}

    def know(self, objects: Iterable[Any]) -> None:
        """Objects that the other side has too, by their position."""
        self.objects = list(objects)
        self._known = {id(value): index for index, value in enumerate(self.objects)}

    def text(self, value: Any) -> str:
        """Raises Refused."""
        try:
            return to_json(self.tree(value))
        except RecursionError:
            raise Refused("a value is nested too deeply or contains itself") from None

    def tree(self, value: Any) -> Any:
        """The value as JSON's types."""
        kind = type(value)
        if kind is int:
            return value if -_SAFE_INT < value < _SAFE_INT else {"i": hex(value)}
        if kind in _EXACT:
            return value
        if kind is float:
            return value if value - value == 0.0 else {"f": repr(value)}
        if id(value) in self._known:
            return {"r": self._known[id(value)]}
        if kind is tuple:
            return {"t": self._items(value)}
        if self._shared and (kind in _MUTABLE or kind in self._classes):
            index = self._known[id(value)] = len(self.objects)
            self.objects.append(value)
            return {"m": [index, self.content(value)]}
        return self.content(value)

    def content(self, value: Any) -> Any:
        """As `tree`, for the value itself even where it is known to the other side."""
        kind = type(value)
        if kind is list:
            return self._items(value)
        if kind is dict:
            return {"d": self._pairs(value.items())}
        if kind in self._classes:
            return self._instance(value, self._classes[kind])
        if isinstance(value, CONTAINERS) and _adds_methods(kind):
            return self._opaque(value)
        for base, write in _WRITE:
            if isinstance(value, base):
                return write(self, value)
        name = type(value).__module__
        if name == "numpy" or name.startswith("numpy."):
            return _numpy_tree(self, value)
        return self._opaque(value)

    def _instance(self, value: Any, name: str) -> Any:
        if isinstance(value, enum.Enum):
            return {"u": [name, value.name]}
        if isinstance(value, tuple):
            return {"k": [name, self._items(tuple.__iter__(value))]}
        return {"o": [name, self._pairs(_attributes(value))]}

    def _items(self, values: Iterable[Any]) -> list[Any]:
        tree = self.tree
        return [v if type(v) is str or v is None or v is True or v is False else tree(v) for v in values]

    def _pairs(self, pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
        tree = self.tree
        return [[tree(key), tree(value)] for key, value in pairs]


def _attributes(value: Any) -> list[tuple[str, Any]]:
    found = dict(object.__getattribute__(value, "__dict__")) if hasattr(type(value), "__dict__") else {}
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                found[name] = getattr(value, name)
    return list(found.items())


def _plain_int(encoder: Encoder, value: Any) -> Any:
    return encoder.tree(int.__int__(value))


def _namedtuple(encoder: Encoder, value: Any) -> Any:
    fields = getattr(type(value), "_fields", None)
    items = encoder._items(tuple.__iter__(value))
    if type(fields) is tuple and len(fields) == len(items) and all(type(f) is str for f in fields):
        return {"n": [str(type(value).__name__), list(fields), items]}
    return {"t": items}


def _bytes(tag: str) -> Callable[[Encoder, Any], Any]:
    return lambda encoder, value: {tag: bytes(value).decode("latin-1")}


def _extra(name: str, arguments: Callable[[Any], list[Any]]) -> Callable[[Encoder, Any], Any]:
    return lambda encoder, value: {"x": [name, encoder._items(arguments(value))]}


def _view(encoder: Encoder, value: Any) -> Any:
    return {"x": [_DICT_VIEWS[type(value)], encoder._items(value)]}


def _date_parts(value: Any) -> list[Any]:
    return [value.year, value.month, value.day]


def _time_parts(value: Any) -> list[Any]:
    if value.tzinfo not in (None, datetime.UTC):
        raise Refused("a time with a time zone other than UTC cannot be copied")
    return [value.hour, value.minute, value.second, value.microsecond, value.tzinfo is not None]


_COMPLEX: tuple[Any, Any] = (complex.real, complex.imag)  # whatever a subclass says of itself
# In order: a subclass before its base.
_WRITE: tuple[tuple[type | tuple[type, ...], Callable[[Encoder, Any], Any]], ...] = (
    (int, _plain_int),
    (str, lambda encoder, value: str.__str__(value)),
    (float, lambda encoder, value: encoder.tree(float.__float__(value))),
    (tuple, _namedtuple),
    (list, lambda encoder, value: encoder._items(list.__iter__(value))),
    (collections.Counter, lambda encoder, value: {"x": ["Counter", encoder._pairs(dict.items(value))]}),
    (collections.OrderedDict, lambda encoder, value: {"x": ["OrderedDict", encoder._pairs(dict.items(value))]}),
    (collections.defaultdict, lambda encoder, value: {
        "x": ["defaultdict", [_factory_name(value), *encoder._pairs(dict.items(value))]]}),
    (dict, lambda encoder, value: {"d": encoder._pairs(dict.items(value))}),
    (frozenset, lambda encoder, value: {"z": encoder._items(frozenset.__iter__(value))}),
    (set, lambda encoder, value: {"s": encoder._items(set.__iter__(value))}),
    (bytes, _bytes("b")),
    (bytearray, _bytes("a")),
    (complex, lambda encoder, value: {"c": [encoder.tree(float(p.__get__(value))) for p in _COMPLEX]}),
    (range, _extra("range", lambda r: [r.start, r.stop, r.step])),
    (collections.deque, lambda encoder, value: {
        "x": ["deque", [encoder._items(collections.deque.__iter__(value)), value.maxlen]]}),
    (decimal.Decimal, _extra("Decimal", lambda d: [decimal.Decimal.__str__(d)])),
    (fractions.Fraction, _extra("Fraction", lambda f: [f.numerator, f.denominator])),
    (datetime.datetime, _extra("datetime", lambda d: [*_date_parts(d), *_time_parts(d)])),
    (datetime.date, _extra("date", _date_parts)),
    (datetime.time, _extra("time", _time_parts)),
    (datetime.timedelta, _extra("timedelta", lambda d: [d.days, d.seconds, d.microseconds])),
    (tuple(_DICT_VIEWS), _view),
    (type(NotImplemented), lambda encoder, value: {"x": ["NotImplemented", []]}),
    (type(...), lambda encoder, value: {"x": ["Ellipsis", []]}),
)  # fmt: skip
_MUTABLE = frozenset({list, dict, set, bytearray, collections.deque, collections.Counter, collections.OrderedDict,
                      collections.defaultdict})  # fmt: skip


CONTAINERS = (list, tuple, dict, set, frozenset, collections.deque)
FACTORIES: dict[Any, Callable[[], Any]] = {kind.__name__: kind for kind in (int, float, str, list, dict, set, tuple)}


def _factory_name(value: Any) -> str | None:
    factory = vars(collections.defaultdict)["default_factory"].__get__(value)
    return next((name for name, kind in FACTORIES.items() if kind is factory), None)


def _adds_methods(kind: type) -> bool:
    """Has a class, derived from a container, methods of its own under public names?"""
    if kind in CONTAINERS or kind.__module__ in ("collections", "builtins"):
        return False
    own = (c for c in kind.__mro__ if c not in CONTAINERS and c is not object and c.__module__ != "collections")
    return any(not name.startswith("_") and callable(found) for c in own for name, found in vars(c).items())


def content_of(value: Any) -> Any:
    """A container's content as the builtin container that its class is derived from."""
    base = next(kind for kind in CONTAINERS if isinstance(value, kind))
    return base(dict.items(value) if base is dict else base.__iter__(value))


def _numpy_tree(encoder: Encoder, value: Any) -> Any:
    import numpy

    if isinstance(value, numpy.generic) and value.dtype.kind in NUMPY_KINDS:
        return {"x": ["numpy", [value.dtype.str, None, value.tobytes().decode("latin-1")]]}
    if isinstance(value, numpy.ndarray) and value.dtype.kind in NUMPY_KINDS:
        data = numpy.ascontiguousarray(value).tobytes().decode("latin-1")
        return {"x": ["numpy", [value.dtype.str, list(value.shape), data]]}
    return encoder._opaque(value)


def replace_content(target: Any, source: Any) -> None:
    """Give `target` the content of `source`, in place."""
    if isinstance(target, list | bytearray):
        target[:] = source
    elif isinstance(target, dict | set):
        target.clear()
        target.update(source)
    elif isinstance(target, collections.deque):
        target.clear()
        target.extend(source)
    else:
        vars(target).clear()
        vars(target).update(vars(source))


def fingerprint(value: Any) -> Any:
    """Something that changes when the object's own content does."""
    if isinstance(value, dict):
        return [(id(k), id(v)) for k, v in dict.items(value)]
    if isinstance(value, list | collections.deque):
        return list(map(id, value))
    if isinstance(value, set):
        return set(value)
    if isinstance(value, bytearray):
        return bytes(value)
    return [(k, id(v)) for k, v in vars(value).items()] if hasattr(value, "__dict__") else None
