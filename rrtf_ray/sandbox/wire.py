"""Frames between the supervisor and the zygote: a length, then so many bytes.

Requests travel to the zygote as `marshal` (they hold code objects that the supervisor has compiled; both
sides are the same interpreter). Replies come back as JSON and raw bytes, because parts of them are written
by the candidate and `marshal` must not read what cannot be trusted.
"""

from __future__ import annotations

import json
import marshal
import socket
import struct
import time
from typing import Any

_HEADER = struct.Struct(">I")
MAX_FRAME = 1 << 30


def send_frame(sock: socket.socket, payload: bytes) -> None:
    if len(payload) > MAX_FRAME:
        raise ValueError(f"a frame of {len(payload)} bytes is larger than {MAX_FRAME}")
    sock.sendall(_HEADER.pack(len(payload)) + payload)


def receive_frame(sock: socket.socket, deadline: float | None = None) -> bytes:
    """One frame; EOFError if the peer has gone, TimeoutError at the deadline (time.monotonic)."""
    (length,) = _HEADER.unpack(_receive(sock, _HEADER.size, deadline))
    if length > MAX_FRAME:
        raise EOFError(f"a frame of {length} bytes cannot be right")
    return _receive(sock, length, deadline)


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


def send_request(sock: socket.socket, request: dict[str, Any], deadline: float) -> None:
    sock.settimeout(max(deadline - time.monotonic(), 0.001))
    send_frame(sock, marshal.dumps(request))


def receive_request(sock: socket.socket) -> dict[str, Any]:
    """For the zygote only: its peer is trusted."""
    request: dict[str, Any] = marshal.loads(receive_frame(sock))
    return request


def send_reply(sock: socket.socket, report: dict[str, Any], *blobs: bytes) -> None:
    for frame in (json.dumps(report).encode(), *blobs):
        send_frame(sock, frame)


def receive_reply(sock: socket.socket, num_blobs: int, deadline: float) -> tuple[dict[str, Any], list[bytes]]:
    report: dict[str, Any] = json.loads(receive_frame(sock, deadline))
    return report, [receive_frame(sock, deadline) for _ in range(num_blobs)]
