"""HTTP as the world speaks it, in Ray Serve's proxy: what uvicorn's parser does not take is put right before it.

Ray Serve's proxies call `install` when they start, where the environment variable
RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names it, as it does in a cluster that we start.

- `Upgrade: h2c`, which Java's HttpClient and `curl --http2` send by themselves, is an offer that a server may ignore
  (RFC 9110, 7.8). The parser would take the body for the new protocol's and lose it, and run it as a second request.
  The offer is left out of the head.
- HTTP/1.0 knows no chunks: such an answer ends with its connection.
- A connection without a whole head is closed after a while.
- A client that closes its sending side after its request (`printf ... | nc`) gets its answer. One that has left looks
  the same until something is sent to it, and must not keep an engine busy: it is asked with interim answers (100
  Continue, RFC 9110, 15.2), which any client skips and to which a closed socket answers with a reset.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import uvicorn.protocols.http.auto as auto
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT_S = 20.0
"""For the rest of a head, from its first byte."""
IDLE_LIMIT_S = 60.0
"""For the first byte of a new connection."""
PROBES_S = (0.1, 0.05, 1.0)
"""Until the first interim answer, until the second, which meets the reset, and until each further one."""
_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
_MOST_HEAD = 1 << 16
_OFFER = re.compile(rb"\r\n(?:upgrade[ \t]*:(?![ \t]*websocket)|http2-settings[ \t]*:)[^\r\n]*", re.IGNORECASE)


def install() -> list[Any]:
    """Give this process's uvicorn the protocol; no middleware is added. Ray Serve calls it in each proxy."""
    auto.AutoHTTPProtocol = DoorProtocol
    return []


def without_offer(head: bytes) -> bytes:
    """The head of a request without its offer of another protocol than WebSocket."""
    return _OFFER.sub(b"", head)


class DoorProtocol(HttpToolsProtocol):
    """uvicorn's own, with whole heads only."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._head = b""
        self._is_between = True
        """Whether what comes next is the beginning of a request."""
        self._is_deaf = False
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm(IDLE_LIMIT_S, self._too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        if self._is_between:
            if not self._head:
                self._unset_keepalive_if_required()
                self._arm(HEAD_LIMIT_S, self._too_late)
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0 and len(self._head) <= _MOST_HEAD:
                return
            self._disarm()
            data, self._head = without_offer(self._head[:end]) + self._head[end:], b""
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays open for the answer."""
        if self.cycle is None or self.cycle.response_complete or not self._is_between:
            return False
        if self.scope["http_version"] == "1.0":  # which knows no interim answers
            return False
        self.cycle.keep_alive = False
        self._arm(PROBES_S[0], self._probe, PROBES_S[1:])
        return True

    def _probe(self, later_s: tuple[float, ...]) -> None:
        if self.transport.is_closing() or self.cycle.response_started:
            return  # what is sent of an answer shows the same
        self.transport.write(_INTERIM)
        self._arm(later_s[0], self._probe, later_s[1:] or later_s)

    def on_message_begin(self) -> None:
        self._is_between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.scope["http_version"] == "1.0" and self.cycle is not None:
            self.cycle.chunked_encoding = False
            self.cycle.expected_content_length = _Unknown()

    def on_message_complete(self) -> None:
        self._is_between = True
        super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """An offer in a head that came with the end of another request: what follows it is not read."""
        self._is_deaf = True
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _arm(self, seconds: float, then: Callable[..., None], *arguments: Any) -> None:
        self._disarm()
        self._limit = self.loop.call_later(seconds, then, *arguments)

    def _disarm(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _too_late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._arm(HEAD_LIMIT_S, self._too_late)  # the answer to an earlier request is on its way
        elif not self.transport.is_closing():
            if self._head:
                self.send_400_response("The head of the request did not arrive in time.")
            self.transport.close()


class _Unknown(int):
    """The length of an answer that ends with its connection: any number of bytes is right."""

    def __lt__(self, other: object) -> bool:
        return False

    def __sub__(self, other: object) -> _Unknown:
        return self

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__
