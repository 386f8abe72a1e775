"""The bytes of a request's body, within limits of time and size, whether its client compressed it or not."""

from __future__ import annotations

import asyncio
import zlib

from starlette.requests import ClientDisconnect, Request

from rrtf_ray.serving.refusals import Refusal

BODY_TIMEOUT_S = 30.0
_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


async def read_body(request: Request, limit: int) -> bytes:
    """The body as it was before its client compressed it.

    Raises Refusal: 413 beyond `limit` bytes, as sent or as unpacked; 408 for one that does not arrive in time; 415 for
    an encoding that is not read, 400 for data that is not in it.
    """
    too_large = Refusal(413, f"the body is larger than {limit} bytes; send less code")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise Refusal(408, f"the body did not arrive within {BODY_TIMEOUT_S:g} s") from None
    except ClientDisconnect:
        raise Refusal(408, "the client disconnected") from None
    body, encoding = b"".join(parts), request.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return body
    plain = _unpacked(body, encoding, limit + 1)
    if len(plain) > limit:
        raise too_large
    return plain


def _unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """At most `most` bytes of what is packed in the body: more are not unpacked."""
    if encoding not in _WINDOWS:
        raise Refusal(415, f"content-encoding: {encoding[:40]!r} is not supported; send gzip, deflate or none")
    decoder = zlib.decompressobj(_WINDOWS[encoding])
    try:
        plain = decoder.decompress(body, most)
    except zlib.error:
        raise Refusal(400, f"the body is not {encoding}, which its content-encoding says") from None
    if len(plain) < most and not decoder.eof:
        raise Refusal(400, f"the body ends within its {encoding} data")
    return plain
