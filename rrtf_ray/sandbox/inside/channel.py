"""Messages between a program and the interpreter of its tests: a length, then JSON.

program -> tests:  ["load", how, text, names]      once: how its loading ended, and the names that were asked for
                   ["v", value, changes]           the result of a call; changes: [[index, content], ...]
                   ["e", type, text, arguments, base]   the call raised
                   ["m"]                           it ran out of memory
                   ["call", callback, arguments]   in the middle of a call: the tests' own function is wanted
tests -> program:  ["call", handle, arguments, keywords], [operation, handle, argument ...]
                   ["v", value] or ["e", type, text] in answer to "call"
"""

from __future__ import annotations

import os
from typing import Any

MAX_RECEIVED = 64 << 20
"""Bytes that the tests take from one program."""
ENTRY = -1
"""The handle of the entry point, which is evaluated anew for every use."""


class Gone(BaseException):
    """The other side has ended. No Exception, so that no test catches it."""


def write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        data = data[written:]
        written = os.write(fd, data)


def write_message(fd: int, text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    write_all(fd, len(data).to_bytes(4, "big") + data)


class Reader:
    """Reads messages, in large pieces. `limit`: bytes in all; beyond it Gone is raised."""

    def __init__(self, fd: int, limit: int = MAX_RECEIVED) -> None:
        self._fd = fd
        self._left = limit
        self._buffer = b""

    def read(self) -> str:
        """The next message's text. Raises Gone at the end of the stream."""
        size = int.from_bytes(self._take(4), "big")
        if size > self._left:
            raise Gone
        return self._take(size).decode("utf-8", "surrogatepass")

    def read_bytes(self) -> bytes:
        return self._take(int.from_bytes(self._take(4), "big"))

    def _take(self, size: int) -> bytes:
        if len(self._buffer) < size:
            parts, have = [self._buffer], len(self._buffer)
            while have < size:
                try:
                    part = os.read(self._fd, 1 << 18)
                except ConnectionError:
                    part = b""
                self._left -= len(part)
                if not part or self._left < 0:
                    raise Gone
                parts.append(part)
                have += len(part)
            self._buffer = b"".join(parts)
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data


def message_of(value: Any) -> Any:
    """A message must be a list that begins with a word."""
    return value if type(value) is list and value and type(value[0]) is str else None
