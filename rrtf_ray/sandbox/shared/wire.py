"""Frames between the supervisor and the zygote: a length, then so many bytes.

Requests are the records of `jobs`. Answers come back as text, because some are written by processes of tests and
`marshal` must not read what cannot be trusted.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

from rrtf_ray.sandbox.shared.jobs import packed, unpacked

_HEADER = struct.Struct(">I")
MAX_FRAME = 1 << 30
_MAX_FDS = 4


def send_frame(sock: socket.socket, payload: bytes, fds: Sequence[int] = ()) -> None:
    if len(payload) > MAX_FRAME:
        raise ValueError(f"a frame of {len(payload)} bytes is larger than {MAX_FRAME}")
    data = _HEADER.pack(len(payload)) + payload
    if fds:  # they travel with the first byte
        data = data[socket.send_fds(sock, [data], list(fds)) :]
    sock.sendall(data)


def receive_frame(sock: socket.socket, deadline: float | None = None) -> bytes:
    """One frame; EOFError if the peer has gone, TimeoutError at the deadline (time.monotonic)."""
    return _receive(sock, _length(_receive(sock, _HEADER.size, deadline)), deadline)


def _length(header: bytes) -> int:
    (length,) = _HEADER.unpack(header)
    if length > MAX_FRAME:
        raise EOFError(f"a frame of {length} bytes cannot be right")
    return int(length)


def _receive(sock: socket.socket, length: int, deadline: float | None) -> bytes:
    parts = []
    while length:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer in time")
            sock.settimeout(left)
        part = sock.recv(min(length, 1 << 20))
        if not part:
            raise EOFError("the other side has closed the connection")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def send_request(sock: socket.socket, request: Any, deadline: float, fds: Sequence[int] = ()) -> None:
    sock.settimeout(max(deadline - time.monotonic(), 0.001))
    send_frame(sock, packed(request), fds)


def receive_request(sock: socket.socket) -> tuple[Any, list[int]]:
    """A request and the descriptors that came with it; for processes whose peer is the supervisor."""
    header, fds, _, _ = socket.recv_fds(sock, _HEADER.size, _MAX_FDS)
    if not header:
        raise EOFError("the other side has closed the connection")
    header += _receive(sock, _HEADER.size - len(header), None)
    return unpacked(_receive(sock, _length(header), None)), list(fds)


def report_of(status: int, limit: str, waited_s: float, wall_s: float, cpu_s: float, peak_kb: int) -> bytes:
    """What became of a program, as a frame's payload; see `judge.Report`."""
    return b"%d %b %.6f %.6f %.6f %d" % (status, limit.encode() or b"-", waited_s, wall_s, cpu_s, peak_kb)


def error_of(text: str) -> bytes:
    """In place of a report: why there is none."""
    return b"error " + text.encode(errors="replace")


def receive_report(sock: socket.socket, deadline: float) -> tuple[int, str, float, float, float, int] | str:
    """The fields that `report_of` was given, or the text of `error_of`."""
    payload = receive_frame(sock, deadline)
    if payload.startswith(b"error "):
        return payload[6:].decode(errors="replace")
    status, limit, waited_s, wall_s, cpu_s, peak_kb = payload.decode().split()
    limit = limit.removeprefix("-")
    return int(status), limit, float(waited_s), float(wall_s), float(cpu_s), int(peak_kb)


def send_reply(sock: socket.socket, reply: dict[str, Any]) -> None:
    send_frame(sock, json.dumps(reply).encode())


def receive_reply(sock: socket.socket, deadline: float) -> dict[str, Any]:
    reply: dict[str, Any] = json.loads(receive_frame(sock, deadline))
    return reply
