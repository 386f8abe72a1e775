"""How answers leave the gateway: a piece of JSON, a refusal, or a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from rrtf_ray.serving.answers import compact
from rrtf_ray.serving.refusals import Refusal


class EventStream(StreamingResponse):
    """Server-sent events, or lines of JSON. An error midway is the last; a client that disconnects ends the source."""

    def __init__(
        self,
        first: str,
        source: AsyncGenerator[str, None],
        on_disconnect: Callable[[], None],
        failed: Callable[[Refusal], str],
        media_type: str,
    ) -> None:
        """failed: the last piece of a stream that ends with a refusal."""
        self._first, self._source, self._on_disconnect = first, source, on_disconnect
        self._failed, self._finished = failed, False
        super().__init__(
            self._events(),
            media_type=media_type,
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )

    async def _events(self) -> AsyncGenerator[str, None]:
        yield self._first
        try:
            async for piece in self._source:
                yield piece
        except Refusal as refusal:
            yield self._failed(refusal)
        self._finished = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            if not self._finished:
                self._on_disconnect()
            await self._source.aclose()


def json_response(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(compact(body), status_code=status, media_type="application/json", headers=headers)


def refused(refusal: Refusal) -> Response:
    return json_response(refusal.body(), refusal.status, refusal.headers())
