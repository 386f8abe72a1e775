"""The tests' side of a program in another process: stand-ins for what stays there.

A stand-in forwards attribute access, calls, iteration, length and items: what a test says of an object, it
asks by name. It has no arithmetic, no order and no containment of its own and equals only itself, so that an
object that would equal everything equals nothing here. What comes back is a value, compared on this side.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeGuard

from rrtf_ray.sandbox.shared import codec
from rrtf_ray.sandbox.shared.channel import ENTRY, Gone, Reader, message_of
from rrtf_ray.sandbox.shared.decoding import Decoder
from rrtf_ray.sandbox.shared.rehearsal import call_message

_LIBRARY = frozenset(
    {"builtins", "asyncio", "binascii", "concurrent", "configparser", "copy", "csv", "_csv", "dataclasses", "datetime",
     "decimal", "fractions", "graphlib", "ipaddress", "json", "pickle", "_pickle", "queue", "_queue", "re", "shutil",
     "statistics", "struct", "urllib", "xml", "zlib", "zoneinfo"}
)  # fmt: skip
"""Packages whose exceptions a program may raise as such. None that a test framework takes for anything but an error."""
_KINDS = frozenset({"function", "class", "iterator", "exception", "object", "container"})
_SHOWN = "_rrtf_shown"
"""The attribute that holds what the exception's own `str` gave."""
_TEXT = "_rrtf_text"
"""The attribute of an exception of the program's that holds its description."""


class Garbage(BaseException):
    """The program's side has written what its runner cannot have written."""


class OutOfMemory(BaseException):
    """The program ran out of memory in a call."""


class Program:
    """One program that has been loaded elsewhere.

    reader, write: its messages, and a message to it; write is None where it has ended.
    classes: classes that both sides have from the same source; their instances travel by value.
    num_ahead: how many calls it makes without being asked. foreseen: these calls, where the tests make them without
        knowing that they are made already; a call that is none of them ends it all (`unforeseen`).

    has_failed: set it when a test has; until then, the tests' next call must be the next that was foreseen.
    fault: why there is no more to be had of it (Gone, Garbage, OutOfMemory), whoever has caught that meanwhile.
    """

    def __init__(
        self,
        reader: Reader,
        write: Callable[[str], None] | None,
        classes: dict[str, Any],
        num_ahead: int,
        foreseen: list[str] | None = None,
    ) -> None:
        self._reader = reader
        self._write = write
        self._classes = classes
        self._num_ahead = num_ahead
        self._foreseen = foreseen
        self._num_used = 0
        self.unforeseen = self.has_failed = False
        self.fault: BaseException | None = None
        self._decoder = Decoder(self._stand_in, classes)
        self._exported: list[Any] = []
        self._exceptions: dict[tuple[str, str], type[BaseException]] = {}
        self._results: list[Any] = []
        self.entry = Remote(self, ENTRY)

    def loaded(self) -> list[Any]:
        """[how, text, names]: the first message. how is empty where the program was loaded."""
        first = self._receive()
        if self._num_ahead and first[0] != "load":
            self._results.append(first)
            return ["", "", {}]
        word, how, text, names = first if len(first) == 4 else ("", "", "", "")
        if word != "load" or type(how) is not str or type(text) is not str or type(names) is not dict:
            self._end(Garbage())
        return [how, text, names]

    def result(self, index: int) -> Any:
        """What the call with this number gave, of those that are made without being asked."""
        self._receive_results(index + 1)
        return self._outcome(self._results[index])

    def _receive_results(self, number: int) -> None:
        while len(self._results) < number:
            self._results.append(self._receive())

    def call(self, handle: int, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        encoder = codec.Encoder(self._export, self._classes, shared=True)
        if self._foreseen is not None:
            return self._call_foreseen(handle, arguments, keywords, encoder)
        try:
            self._send(["call", handle, encoder.tree(list(arguments)), encoder.tree(keywords)])
        except codec.Refused as error:
            raise TypeError(f"an argument of the test: {error}") from None
        return self._answer(encoder.objects)

    def _call_foreseen(
        self, handle: int, arguments: tuple[Any, ...], keywords: dict[str, Any], encoder: codec.Encoder
    ) -> Any:
        """The result that is there already, if this is the call that it is of."""
        assert self._foreseen is not None
        try:
            message = call_message(arguments, keywords, encoder)
        except codec.Refused:
            self._end_foreseen()
        left = self._foreseen[self._num_used :][: None if self.has_failed else 1]
        if self.unforeseen or handle != ENTRY or message not in left:
            self._end_foreseen()
        for _ in range(left.index(message)):  # calls that a failed assertion has kept the tests from making
            self._read()
        self._num_used += left.index(message) + 1
        self._decoder.know(encoder.objects)
        try:
            return self._outcome(self._receive(), encoder.objects)
        finally:
            self._decoder.know(())

    def _end_foreseen(self) -> NoReturn:
        self.unforeseen = True
        self._end(Gone())

    def _end(self, fault: BaseException) -> NoReturn:
        self.fault = fault
        raise fault

    def operate(self, operation: str, handle: int, *arguments: Any) -> Any:
        if self._foreseen is not None:
            self._end_foreseen()
        encoder = codec.Encoder(self._export, self._classes)
        try:
            self._send([operation, handle, *map(encoder.tree, arguments)])
        except codec.Refused as error:
            raise TypeError(f"an argument of the test: {error}") from None
        return self._answer([])

    def _send(self, message: list[Any]) -> None:
        if self.fault is not None:
            raise self.fault
        if self._write is None:
            self._end(Gone())
        try:
            self._write(codec.to_json(message))
        except OSError:
            self._end(Gone())

    def _read(self) -> str:
        if self.fault is not None:
            raise self.fault
        try:
            return self._reader.read()
        except Gone as fault:
            self._end(fault)
        except UnicodeDecodeError:
            self._end(Garbage())

    def _receive(self) -> list[Any]:
        text = self._read()
        try:
            message = message_of(self._decoder.value(text))
        except codec.Refused:
            message = None
        if message is None:
            self._end(Garbage())
        return message

    def _answer(self, shared: list[Any]) -> Any:
        """What the other side answers; meanwhile it may call back."""
        self._receive_results(self._num_ahead)
        self._decoder.know(shared)
        try:
            while True:
                message = self._receive()
                if message[0] != "call":
                    return self._outcome(message, shared)
                self._send(self._called_back(*message[1:]))
        finally:
            self._decoder.know(())

    def _called_back(self, index: Any = None, arguments: Any = (), *_: Any) -> list[Any]:
        if type(index) is not int or not 0 <= index < len(self._exported) or type(arguments) is not tuple:
            self._end(Garbage())
        target = self._exported[index]
        try:
            value = next(target) if isinstance(target, Iterator) else target(*arguments)
            return ["v", codec.Encoder(self._export, self._classes).tree(value)]
        except Exception as error:
            return ["e", [type(error).__name__, str(error)[:300]]]

    def _outcome(self, message: list[Any], shared: list[Any] | None = None) -> Any:
        word, *rest = message
        if word == "m":
            self._end(OutOfMemory())
        if word == "e" and len(rest) == 5:
            raise self._exception(*rest)
        if word != "v" or len(rest) != 2 or type(rest[1]) is not list:
            self._end(Garbage())
        for change in rest[1]:
            self._change(shared or [], change)
        return rest[0]

    def _change(self, shared: list[Any], change: Any) -> None:
        try:
            index, content = change
            codec.replace_content(shared[index], content)
        except (TypeError, ValueError, IndexError, AttributeError):
            self._end(Garbage())

    def _exception(self, kind: Any, text: Any, arguments: Any, base: Any, shown: Any) -> BaseException:
        is_text = type(text) is type(base) is type(shown) is str
        if not (is_text and type(kind) is list and list(map(type, kind)) == [str, str]):
            self._end(Garbage())
        cls = self._exception_class(kind[0], kind[1], base)
        try:
            error = cls.__new__(cls)
        except TypeError:  # an ExceptionGroup cannot be without content
            error = self._exception_class("program", kind[1], "Exception")()
        if type(arguments) is list:
            error.args = tuple(arguments)
        setattr(error, _TEXT, text)
        setattr(error, _SHOWN, shown)
        return error

    def _exception_class(self, module: str, name: str, base: str) -> type[BaseException]:
        """The class itself where it is the library's, else a stand-in for it, always the same one."""
        known = vars(sys.modules.get(module, builtins)).get(name) if module.partition(".")[0] in _LIBRARY else None
        if _is_exception(known):
            return known
        key = (module, name)
        if key not in self._exceptions:
            parent: Any = vars(builtins).get(base)
            if not _is_exception(parent) or issubclass(parent, BaseExceptionGroup):
                parent = Exception
            parents = (parent,)
            own_text = {"__str__": lambda self: getattr(self, _SHOWN, "")}
            self._exceptions[key] = type(name if name.isidentifier() else "Exception", parents, own_text)
        return self._exceptions[key]

    def _stand_in(self, content: Any) -> Any:
        try:
            handle, kind, name, base = content
        except (TypeError, ValueError):
            raise codec.Refused("no handle") from None
        if type(handle) is not int or kind not in _KINDS or type(name) is not str or type(base) is not str:
            raise codec.Refused("no handle")
        if kind == "class" and base:
            return self._exception_class("program", name, base)
        return (Container if kind == "container" else Remote)(self, handle, name)

    def _export(self, value: Any) -> Any:
        if isinstance(value, Remote):
            return {"h": ["program", _handle(value), ""]}
        name = getattr(value, "__name__", None)
        if isinstance(name, str) and getattr(builtins, name, None) is value:
            return {"h": ["builtin", 0, name]}
        if not (isinstance(value, Iterator) or callable(value)):
            return codec.refuse(value)
        self._exported.append(value)
        return {"h": ["tests", len(self._exported) - 1, "iterator" if isinstance(value, Iterator) else "function"]}


def _is_exception(value: Any) -> TypeGuard[type[BaseException]]:
    return isinstance(value, type) and issubclass(value, BaseException)


def text_of(error: BaseException) -> str | None:
    """The description of an exception that the program raised; None for one of the tests' own."""
    text = getattr(error, _TEXT, None)
    return text if isinstance(text, str) else None


def _forward(operation: str) -> Callable[..., Any]:
    def method(self: Remote, *arguments: Any) -> Any:
        return _program(self).operate(operation, _handle(self), *arguments)

    return method


class Remote:
    """An object of the program's."""

    def __init__(self, program: Program, handle: int, name: str = "") -> None:
        object.__setattr__(self, "_rrtf_program", program)
        object.__setattr__(self, "_rrtf_handle", handle)
        object.__setattr__(self, "_rrtf_name", name)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return _program(self).call(_handle(self), arguments, keywords)

    def __getattr__(self, name: str) -> Any:
        return _program(self).operate("get", _handle(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        _program(self).operate("set", _handle(self), name, value)

    def __bool__(self) -> bool:
        return _program(self).operate("bool", _handle(self)) is True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and _handle(self) == _handle(other)

    def __hash__(self) -> int:
        return hash(_handle(self))

    def __iter__(self) -> Any:
        found = _program(self).operate("iter", _handle(self))
        return found if isinstance(found, Remote) else iter(found)

    def __len__(self) -> int:
        found = _program(self).operate("len", _handle(self))
        if type(found) is not int:
            raise TypeError("len() gave no number")
        return found

    def __str__(self) -> str:
        return _text(_program(self).operate("str", _handle(self)))

    def __repr__(self) -> str:
        return _text(_program(self).operate("repr", _handle(self)))

    __next__ = _forward("next")
    __getitem__ = _forward("item")
    __setitem__ = _forward("set_item")
    __delitem__ = _forward("del_item")
    __enter__ = _forward("enter")

    def __exit__(self, *details: Any) -> Any:
        return _program(self).operate("exit", _handle(self), None, None, None)

    # Where it is a class: asked over there, of the program's objects only.

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, Remote) and _program(self).operate("isinstance", _handle(value), self) is True

    def __subclasscheck__(self, value: Any) -> bool:
        return isinstance(value, Remote) and _program(self).operate("issubclass", _handle(value), self) is True


class Container(Remote):
    """An object of a class that adds methods to a builtin container: equal to what its content is equal to."""

    def __eq__(self, other: object) -> bool:
        own = _program(self).operate("content", _handle(self))
        if isinstance(other, Container):
            other = _program(other).operate("content", _handle(other))
        return bool(own == other)

    __hash__ = None  # type: ignore[assignment]

    def __contains__(self, item: Any) -> bool:
        return item in _program(self).operate("content", _handle(self))


def _program(remote: Remote) -> Program:
    found: Program = object.__getattribute__(remote, "_rrtf_program")
    return found


def _handle(remote: Remote) -> int:
    found: int = object.__getattribute__(remote, "_rrtf_handle")
    return found


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("no text")
    return value
