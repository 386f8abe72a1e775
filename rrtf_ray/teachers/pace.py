"""When the next request may go out: limits that are known, and limits that an endpoint shows by its refusals.

Requests leave evenly, one at a time. A refusal for overload (429) takes the rate back to a little below what the
endpoint has just been answering, from where it rises slowly at first and then ever faster, as CUBIC does for TCP
(RFC 9438): near the limit for seconds, and soon at a limit that has gone up.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

FIRST = 20.0
"""Requests a second at the start where no limit is known; twice as many after each second, until a refusal."""
WINDOWS_S = (1.0, 10.0)
"""Over which the answered rate is measured: a short one for a rate that rises, a long one for slow endpoints."""
BELOW = 0.96
"""The rate after a refusal, of the rate that was answered."""
SLOWEST = 1 / 60
"""Requests a second that are tried however often the endpoint refuses."""
BURST_S = 0.1
"""How much of a rate may be caught up at once, after a moment without requests."""
TOKENS_BURST_S = 10.0
"""The same for tokens: a request takes many at once."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How far one refusal upsets a rate.

    least: what it leaves of it. rise: t seconds later the rate is exp(rise * t**2) times that.
    """

    least: float
    rise: float


KNOWN = Trust(0.8, 0.04)
"""A limit that somebody set: a refusal at it comes of unevenness on the way."""
GUESSED = Trust(0.5, 0.008)


class Bucket:
    """Fills by `rate` a second up to `burst_s` seconds' worth (at least one); what is taken may leave it in debt."""

    def __init__(self, rate: float, burst_s: float, now: float, *, full: bool) -> None:
        self.rate = rate
        self._burst_s = burst_s
        self._level = self._room if full else 1.0
        self._at = now

    @property
    def _room(self) -> float:
        return max(1.0, self.rate * self._burst_s)

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken; of more than it can hold: until it is full."""
        if math.isinf(self.rate):
            return 0.0
        self._level = min(self._room, self._level + (now - self._at) * self.rate)
        self._at = now
        return max(0.0, (min(amount, self._room) - self._level) / self.rate)

    def take(self, amount: float) -> None:
        """Take it; less than nothing gives back."""
        if not math.isinf(self.rate):
            self._level -= amount


class Pace:
    """The pace of one endpoint. For one event loop."""

    def __init__(
        self,
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        now = clock()
        self._clock = clock
        self._most = requests_per_minute / 60 if requests_per_minute else math.inf
        self._trust = KNOWN if requests_per_minute else GUESSED
        self._requests = Bucket(self._most, BURST_S, now, full=False)
        self._tokens = Bucket(tokens_per_minute / 60 if tokens_per_minute else math.inf, TOKENS_BURST_S, now, full=True)
        self._turn = asyncio.Lock()
        self._answered: deque[float] = deque()
        self._started: float | None = None
        self._base = math.inf
        self._slowed_at = -math.inf
        self._paused_until = -math.inf

    async def turn(self, tokens: int) -> float:
        """Wait until a request of `tokens` tokens may go out; returns when it did, by the pace's clock."""
        async with self._turn:
            while (wait := self.wait(tokens)) > 0:
                await asyncio.sleep(wait)
            return self.take(tokens)

    def wait(self, tokens: int) -> float:
        """Seconds until the next request may go out, as things are now."""
        now = self._clock()
        self._requests.rate = self.rate(now)
        return max(self._requests.wait(1, now), self._tokens.wait(tokens, now), self._paused_until - now)

    def take(self, tokens: int) -> float:
        """A request goes out now; returns when that is."""
        if self._started is None:
            self._started = self._clock()
        self._requests.take(1)
        self._tokens.take(tokens)
        return self._clock()

    def rate(self, now: float) -> float:
        """Requests a second that may go out."""
        if math.isinf(self._base):
            since = now - (now if self._started is None else self._started)
            return self._most if math.isfinite(self._most) else FIRST * 2.0 ** min(1000.0, since)
        since = now - self._slowed_at
        return min(self._most, self._base * math.exp(min(700.0, self._trust.rise * since * since)))

    def answered(self, spare_tokens: int) -> None:
        """A request was answered; spare_tokens: how many fewer it took than it was thought to."""
        now = self._clock()
        self._answered.append(now)
        while self._answered[0] < now - max(WINDOWS_S):
            self._answered.popleft()
        self._tokens.take(-spare_tokens)

    def refused(self, sent_at: float, retry_after: float | None) -> None:
        """The endpoint is overloaded. retry_after: seconds for which it wants to hear nothing.

        Requests that left before the last refusal say nothing new about the rate.
        """
        now = self._clock()
        if retry_after:
            self._paused_until = max(self._paused_until, now + retry_after)
        if sent_at <= self._slowed_at:
            return
        answered = max(sum(at > now - window for at in self._answered) / window for window in WINDOWS_S)
        rate = self.rate(now)
        # Where little was answered so far, that says little.
        self._base = max(SLOWEST, BELOW * min(answered, rate), self._trust.least * rate)
        self._slowed_at = now
