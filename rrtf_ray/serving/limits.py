"""Which requests run, wait or are rejected: a rate limit per key, and one gate in front of the engines.

Both belong to one event loop in one process: nothing here is thread-safe, and several gateways would each admit their
own share. The gate's state changes only in functions without an await, so a cancelled request leaves no trace,
whenever it is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from enum import StrEnum

from rrtf_ray.errors import RRTFError


class Reason(StrEnum):
    """Why a request was rejected."""

    RATE = "rate"
    """Its key sent too many requests per minute."""
    CONCURRENCY = "concurrency"
    """Its key has too many requests in progress."""
    QUEUE = "queue"
    """All engines are busy and the queue is full."""
    TIMEOUT = "timeout"
    """It waited in the queue as long as a request may."""


_TEXTS = {
    Reason.RATE: "this key sends more requests per minute than it may",
    Reason.CONCURRENCY: "this key has as many requests in progress as it may; wait for one to end",
    Reason.QUEUE: "the server is busy and its queue is full",
    Reason.TIMEOUT: "the server is busy, and the request waited as long as a request may",
}


class Rejected(RRTFError):
    """A request was rejected; `reason` says why, `retry_after_s` when to try again."""

    def __init__(self, reason: Reason, retry_after_s: float) -> None:
        super().__init__(reason, retry_after_s)
        self.reason = reason
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{_TEXTS[self.reason]}; try again in {max(1, math.ceil(self.retry_after_s))} s"


class RateLimit:
    """A token bucket for one key: a request takes a token, and `per_minute` tokens are added per minute.

    burst: the most tokens it holds, and so the most requests at once; by default as many as are added in a minute.
    """

    __slots__ = ("_burst", "_last", "_per_s", "_tokens")

    def __init__(self, per_minute: float, burst: float | None = None) -> None:
        assert per_minute > 0
        self._per_s = per_minute / 60
        self._burst = max(1.0, per_minute if burst is None else burst)
        self._tokens = self._burst
        self._last: float | None = None

    def take(self, now: float) -> float:
        """0.0 if the request is admitted, else the seconds until one would be. now: of a monotonic clock."""
        if self._last is not None and now > self._last:
            self._tokens = min(self._burst, self._tokens + (now - self._last) * self._per_s)
        if self._last is None or now > self._last:
            self._last = now
        if self._tokens >= 1 - 1e-6:  # a retry after exactly the returned seconds must not fail by rounding
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._per_s


class Slot:
    """The right to use an engine; `release` returns it, once, however often it is called."""

    __slots__ = ("_admission", "_clock", "_key", "_since")

    def __init__(self, admission: Admission, key: str, clock: Callable[[], float]) -> None:
        self._admission: Admission | None = admission
        self._key = key
        self._clock = clock
        self._since = clock()

    def release(self) -> None:
        if self._admission is not None:
            admission, self._admission = self._admission, None
            admission._served(self._key, self._clock() - self._since)


class _Waiter:
    """A request in the queue. Its future becomes None when it gets a slot, and a Rejected when it is rejected."""

    __slots__ = ("future", "granted", "key")

    def __init__(self, key: str, future: asyncio.Future[Rejected | None]) -> None:
        self.key = key
        self.future = future
        self.granted = False


class Admission:
    """The gate in front of the engines: `max_ongoing` requests run, `max_queued` wait, the others are rejected.

    Keys with waiting requests take turns, and those of one key keep their order. A full queue rejects the newest
    request of the key that has most of them in it, so one key's burst neither delays nor shuts out another key. While
    a request waits, no slot is free.
    """

    def __init__(self, max_ongoing: int, max_queued: int, queue_timeout_s: float) -> None:
        assert max_ongoing >= 0
        assert max_queued >= 0
        assert queue_timeout_s > 0
        self._max_ongoing = max_ongoing
        self._max_queued = max_queued
        self._queue_timeout_s = queue_timeout_s
        self._ongoing = 0
        self._ongoing_of: Counter[str] = Counter()
        self._waiting: OrderedDict[str, OrderedDict[_Waiter, None]] = OrderedDict()
        """By key, in the order of their turns; only keys with a waiter."""
        self._service_s: float | None = None

    @property
    def ongoing(self) -> int:
        """Requests that have a slot; for a while more than there are slots, after a `resize` to fewer."""
        return self._ongoing

    @property
    def queued(self) -> int:
        """Requests that wait for a slot."""
        return sum(map(len, self._waiting.values()))

    @property
    def max_ongoing(self) -> int:
        return self._max_ongoing

    def resize(self, max_ongoing: int) -> None:
        """As engines come and go. Running requests may finish; with 0 all others wait."""
        assert max_ongoing >= 0
        self._max_ongoing = max_ongoing
        self._grant()

    @contextlib.asynccontextmanager
    async def slot(self, key: str, concurrency: int | None = None) -> AsyncIterator[None]:
        """Hold a slot for the duration of an `async with`. Raises Rejected, as `acquire` does."""
        slot = await self.acquire(key, concurrency)
        try:
            yield
        finally:
            slot.release()

    async def acquire(self, key: str, concurrency: int | None = None) -> Slot:
        """Wait for a slot; the caller must release it. For what outlives a function, such as a streamed answer.

        concurrency: how many requests the key may have here, waiting ones included. Await this directly: in a task of
        its own, or in `asyncio.wait_for`, a slot can be lost after it was granted. Raises Rejected.
        """
        if concurrency is not None and self._in_progress(key) >= concurrency:
            raise Rejected(Reason.CONCURRENCY, max(1.0, self._service_s or 0.0))
        if self._ongoing < self._max_ongoing:
            self._take(key)
        else:
            self._make_room(key)
            await self._wait(key)
        return Slot(self, key, asyncio.get_running_loop().time)

    async def _wait(self, key: str) -> None:
        loop = asyncio.get_running_loop()
        waiter = _Waiter(key, loop.create_future())
        self._waiting.setdefault(key, OrderedDict())[waiter] = None
        timer = loop.call_later(self._queue_timeout_s, self._reject, waiter, Reason.TIMEOUT)
        try:
            rejected = await waiter.future
        except BaseException:  # cancelled, or closed with its loop: perhaps after a grant that nobody will use
            if waiter.granted:
                self._give(key)
            else:
                self._leave(waiter)
            raise
        finally:
            timer.cancel()
        if rejected is not None:
            raise rejected

    def _make_room(self, key: str) -> None:
        """Make sure that one more fits into the queue. Raises Rejected if the place is not this key's."""
        if self.queued < self._max_queued:
            return
        longest = max(self._waiting.values(), key=len, default=OrderedDict[_Waiter, None]())
        if len(longest) <= len(self._waiting.get(key, ())) + 1:
            raise Rejected(Reason.QUEUE, self._retry_after_s())
        self._reject(next(reversed(longest)), Reason.QUEUE)

    def _reject(self, waiter: _Waiter, reason: Reason) -> None:
        if self._leave(waiter) and not waiter.future.done():
            waiter.future.set_result(Rejected(reason, self._retry_after_s()))

    def _leave(self, waiter: _Waiter) -> bool:
        """Leave the queue; False if it was no longer in it."""
        queue = self._waiting.get(waiter.key)
        if queue is None or waiter not in queue:
            return False
        del queue[waiter]
        if not queue:
            del self._waiting[waiter.key]
        return True

    def _grant(self) -> None:
        """Give free slots to those who wait, one of each key in turn."""
        while self._waiting and self._ongoing < self._max_ongoing:
            key, queue = next(iter(self._waiting.items()))
            waiter = next(iter(queue))
            self._leave(waiter)
            if waiter.future.done():  # cancelled, and its task has not run since
                continue
            if key in self._waiting:
                self._waiting.move_to_end(key)
            self._take(key)
            waiter.granted = True
            waiter.future.set_result(None)

    def _take(self, key: str) -> None:
        self._ongoing += 1
        self._ongoing_of[key] += 1

    def _give(self, key: str) -> None:
        self._ongoing -= 1
        self._ongoing_of[key] -= 1
        if not self._ongoing_of[key]:
            del self._ongoing_of[key]
        self._grant()

    def _served(self, key: str, seconds: float) -> None:
        """A slot is returned; its seconds weigh a tenth in the running mean."""
        mean = self._service_s
        self._service_s = seconds if mean is None else mean + (seconds - mean) / 10
        self._give(key)

    def _in_progress(self, key: str) -> int:
        return self._ongoing_of[key] + len(self._waiting.get(key, ()))

    def _retry_after_s(self) -> float:
        """When the current queue will have been served, by the mean time of the latest requests."""
        return max(1.0, (self._service_s or 0.0) * self.queued / max(1, self._max_ongoing))
