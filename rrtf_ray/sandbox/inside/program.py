"""The program's side: loads it and answers the calls of its tests, which run in another process.

Nothing here decides or knows what is right. The calls of most tests have literal arguments and are known
before: they are made one after the other, their results written to a file, and the process ends. Where tests need
more, or such a result stays here (a generator, an object), the process answers over a socket until that closes.
"""

from __future__ import annotations

import builtins
import marshal
import operator
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from rrtf_ray.sandbox.shared import codec, loading
from rrtf_ray.sandbox.shared.channel import (
    CHANNEL,
    ENTRY,
    GIVEN,
    STAYS,
    Gone,
    Reader,
    take_given,
    write_all,
    write_message,
)
from rrtf_ray.sandbox.shared.decoding import Decoder
from rrtf_ray.sandbox.shared.jobs import CallsJob
from rrtf_ray.sandbox.shared.loading import Unusable, describe, shown_by

_ITERATORS = (types.GeneratorType, map, filter, zip, enumerate, reversed)
LOADED: list[Any] = ["load", "", "", {"d": []}]
_MIN_RECURSION = 20_000
"""For the codec, whatever the program has set for itself."""


def run_ahead(job: CallsJob) -> NoReturn:
    """Load the given program, make the job's calls, and write what came of them. Does not return."""
    try:
        make_calls(job, GIVEN)
    except OSError:
        pass  # more results than a file may hold
    finally:
        os._exit(0)


def make_calls(job: CallsJob, file: int) -> None:
    """`run_ahead` without the end of the process, for the zygote to grow warm with."""
    answers = _Answers(job, file)
    if answers.load(take_given(file).decode("utf-8", "surrogatepass")):
        call_s = job.call_s
        for arguments in job.calls:
            if call_s:  # its default action ends this process, even inside a long call into C
                signal.setitimer(signal.ITIMER_PROF, call_s)
            answers.call(ENTRY, *marshal.loads(arguments))
        if job.foreseen:
            answers.send(LOADED)
            for text in job.foreseen:
                answers.answer(text)
        if answers.has_handles:
            write_all(file, STAYS)


def run(job: CallsJob) -> NoReturn:
    """Load the given program, and answer its tests. Does not return."""
    try:
        answers = _Answers(job, CHANNEL)
        if answers.load(take_given(GIVEN).decode("utf-8", "surrogatepass")):
            answers.send(["load", "", "", {"d": answers.wanted()}])
            answers.serve(Reader(CHANNEL, 1 << 30))
    except (Gone, OSError):
        pass  # nobody listens any more
    finally:
        os._exit(0)


class _Answers:
    def __init__(self, job: CallsJob, fd: int) -> None:
        self._job = job
        self._fd = fd
        self._reader: Reader | None = None
        self._handles: list[Any] = []
        self._names: dict[str, Any] = {}
        self._classes: dict[str, Any] = {}

    @property
    def has_handles(self) -> bool:
        """Do the tests have something that stays here?"""
        return bool(self._handles)

    def load(self, source: str) -> bool:
        module = loading.new_module("program", source)
        self._names = module.__dict__
        try:
            loading.load(self._job.setup, source, module)
        except Unusable as error:
            self.send(["load", error.how, error.text, {"d": []}])
            return False
        if classes := self._job.classes:
            self._classes = {name: self._names.get(name) for name in classes}
        return True

    def wanted(self) -> list[Any]:
        """The program's own names that its tests use, with their values."""
        return [[name, self._tree(self._names[name])] for name in self._job.names if name in self._names]

    def serve(self, reader: Reader) -> NoReturn:
        """Until the other side has gone."""
        self._reader = reader
        while True:
            self.answer(reader.read())

    def send(self, message: list[Any]) -> None:
        write_message(self._fd, codec.to_json(message))

    def _target(self, handle: int) -> Any:
        return eval(self._job.entry_point, self._names) if handle == ENTRY else self._handles[handle]

    def call(
        self, handle: int, arguments: list[Any], keywords: dict[str, Any], shared: list[Any] | None = None
    ) -> None:
        """Make the call and send what comes of it; shared: mutable arguments whose changes are sent as well."""
        shared = shared or []
        before = [codec.fingerprint(value) for value in shared]
        self._send_result(lambda: self._result(self._target(handle)(*arguments, **keywords), shared, before))

    def _result(self, value: Any, shared: Sequence[Any], before: list[Any]) -> list[Any]:
        if not before and codec.is_scalar(value):
            return ["v", value, []]
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, _MIN_RECURSION))
        try:
            encoder = codec.Encoder(self._handle, self._classes)
            encoder.know(shared)
            changes = [
                [index, encoder.content(shared[index])]
                for index, was in enumerate(before)
                if codec.fingerprint(shared[index]) != was
            ]
            return ["v", encoder.tree(value), changes]
        except RecursionError:
            raise codec.Refused("the value is nested too deeply or contains itself") from None
        finally:
            sys.setrecursionlimit(limit)

    def _tree(self, value: Any) -> Any:
        return self._result(value, [], [])[1]

    def _handle(self, value: Any) -> Any:
        """Something that stays here: its number, what it can be used as, and its type's name."""
        index = next((i for i, known in enumerate(self._handles) if known is value), len(self._handles))
        self._handles[index:] = self._handles[index:] or [value]
        base = ""
        if isinstance(value, type):
            kind = "class"
            base = _builtin_base(value) if issubclass(value, BaseException) else ""
        elif isinstance(value, _ITERATORS):
            kind = "iterator"
        elif isinstance(value, BaseException):
            kind, base = "exception", _builtin_base(type(value))
        elif isinstance(value, codec.CONTAINERS):
            kind = "container"
        else:
            kind = "function" if callable(value) else "object"
        name = value.__name__ if isinstance(value, type) else type(value).__name__
        return {"h": [index, kind, str(name), base]}

    def _raised(self, error: BaseException) -> list[Any]:
        kind = type(error)
        try:
            arguments = codec.Encoder(classes=self._classes).tree(list(error.args))
        except Exception:
            arguments = []
        return ["e", [kind.__module__, kind.__name__], describe(error), arguments, _builtin_base(kind), shown_by(error)]

    def answer(self, text: str) -> None:
        """Do what this message of the tests asks for, and send what comes of it."""
        decoder = self._decoder()
        operation, handle, *rest = decoder.value(text)
        shared = [decoder.objects[index] for index in sorted(decoder.objects)]
        if operation == "call":
            arguments, keywords = rest
            self.call(handle, arguments, keywords, shared)
            return
        operate = _OPERATIONS[operation]
        self._send_result(lambda: ["v", self._tree(operate(self._target(handle), *rest)), []])

    def _decoder(self) -> Decoder:
        return Decoder(self._stand_in, self._classes, shared=True)

    def _send_result(self, make: Callable[[], list[Any]]) -> None:
        """Send the message that `make` gives, or what it raises."""
        try:
            message = make()
        except Gone:
            raise
        except MemoryError:
            message = ["m"]
        except BaseException as error:
            message = self._raised(error)
        self.send(message)

    def _stand_in(self, content: Any) -> Any:
        """For what the tests have passed: one of our own handles, or something of theirs."""
        whose, index, kind = content
        if whose == "program":
            return self._target(index)
        if whose == "builtin":
            return getattr(builtins, kind)
        return self._iterate(index) if kind == "iterator" else self._callback(index)

    def _callback(self, index: int) -> Callable[..., Any]:
        def callback(*arguments: Any) -> Any:
            self.send(["call", index, self._tree(arguments)])
            while True:  # the tests' function may itself call what it was given
                text = self._reader.read() if self._reader else ""
                how, value, *_ = self._decoder().value(text)
                if how == "v":
                    return value
                if how == "e":
                    raise _builtin_error(value[0], value[1])
                self.answer(text)

        return callback

    def _iterate(self, index: int) -> Iterator[Any]:
        step = self._callback(index)
        while True:
            try:
                yield step()
            except StopIteration:
                return


def _builtin_base(kind: type) -> str:
    return next((base.__name__ for base in kind.__mro__ if base.__module__ == "builtins"), "Exception")


def _builtin_error(name: str, text: str) -> BaseException:
    kind = getattr(builtins, name, Exception)
    return kind(text) if text else kind()


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "get": getattr,
    "set": setattr,
    "iter": iter,
    "next": next,
    "len": len,
    "item": operator.getitem,
    "set_item": operator.setitem,
    "del_item": operator.delitem,
    "str": str,
    "repr": repr,
    "bool": bool,
    "content": codec.content_of,
    "isinstance": isinstance,
    "issubclass": issubclass,
    "enter": lambda value: type(value).__enter__(value),
    "exit": lambda value, *details: type(value).__exit__(value, *details),
}
