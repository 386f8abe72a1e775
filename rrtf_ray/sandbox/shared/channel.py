"""Messages between a program and the interpreter of its tests: a length, then JSON.

program -> tests:  ["load", how, text, names]      how its loading ended, and the names that were asked for; not sent
                                                   for calls made ahead, if it ended well
                   ["v", value, changes]           the result of a call; changes: [[index, content], ...]
                   ["e", type, text, arguments, base, shown]   the call raised; shown: what its own str gives
                   ["m"]                           it ran out of memory
                   ["stays"]                       at the end of calls made ahead: something they gave stays here
                   ["call", callback, arguments]   in the middle of a call: the tests' own function is wanted
tests -> program:  ["call", handle, arguments, keywords], [operation, handle, argument ...]
                   ["v", value] or ["e", type, text] in answer to "call"
"""

from __future__ import annotations

import os
from typing import Any

GIVEN = 3
"""The descriptor of the file with the program, in its process; where it writes what comes of calls made ahead."""
CHANNEL = 4
"""The descriptor of the socket to its tests."""
MAX_RECEIVED = 64 << 20
"""Bytes that the tests take from one program."""
ENTRY = -1
"""The handle of the entry point, which is evaluated anew for every use."""
_STAYS = '["stays"]'
STAYS = len(_STAYS).to_bytes(4, "big") + _STAYS.encode()
"""The message, with its length, at the end of a file of results of which some stay in the program's process."""


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


def take_given(file: int) -> bytes:
    """What the supervisor has put into `file`, which is then empty."""
    size = os.lseek(file, 0, os.SEEK_END)
    given = os.pread(file, size, 0)
    os.lseek(file, 0, os.SEEK_SET)
    os.ftruncate(file, 0)
    return given


class Reader:
    """Reads messages, in large pieces. `limit`: bytes in all; beyond it Gone is raised.

    buffer: what has been read before; without `fd`, that is all there is.
    """

    def __init__(self, fd: int | None, limit: int = MAX_RECEIVED, buffer: bytes = b"") -> None:
        self._fd = fd
        self._left = limit
        self._buffer = buffer
        self._at = 0

    def read(self) -> str:
        """The next message's text. Raises Gone at the end of the stream."""
        size = int.from_bytes(self._take(4), "big")
        if size > self._left:
            raise Gone
        return self._take(size).decode("utf-8", "surrogatepass")

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if len(self._buffer) < end:
            self._fill(end)
            end = size
        data = self._buffer[self._at : end]
        self._at = end
        return data

    def _fill(self, end: int) -> None:
        """Have the bytes up to `end`; the buffer then begins with the next message."""
        parts = [self._buffer[self._at :]]
        missing = end - len(self._buffer)
        while missing > 0:
            try:
                part = os.read(self._fd, 1 << 18) if self._fd is not None else b""
            except ConnectionError:
                part = b""
            self._left -= len(part)
            if not part or self._left < 0:
                raise Gone
            parts.append(part)
            missing -= len(part)
        self._buffer, self._at = b"".join(parts), 0


def message_of(value: Any) -> Any:
    """A message must be a list that begins with a word."""
    return value if type(value) is list and value and type(value[0]) is str else None
