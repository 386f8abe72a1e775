"""Groups items that arrive close together.

Input: an asynchronous stream. Output: the same items in lists.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any


async def gathered(
    stream: AsyncGenerator[Any, None], interval_s: Callable[[], float]
) -> AsyncGenerator[list[Any], None]:
    """The stream's items in lists: the first and the last at once, those between at most every `interval_s()` seconds.

    Each list is a trip between processes, which costs as much as computing a small model's token.
    """
    waiting: list[Any] = []
    news, ended = asyncio.Event(), asyncio.Event()

    async def read() -> None:
        try:
            async for item in stream:
                waiting.append(item)
                news.set()
        finally:
            ended.set()
            news.set()

    reader = asyncio.create_task(read())
    try:
        while True:
            await news.wait()
            news.clear()
            if waiting:
                items = waiting[:]
                waiting.clear()
                yield items
            if ended.is_set():
                if not waiting:
                    reader.result()  # its exception, if any
                    return
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s()):
                    await ended.wait()
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
