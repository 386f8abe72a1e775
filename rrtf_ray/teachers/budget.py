"""A teacher's limits of tokens and money, which no number of requests in flight can overrun."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from rrtf_ray.config import TeacherConfig
from rrtf_ray.teachers.ledger import Ledger, Spent


class Budget:
    """Spending, with what requests in flight may still cost. For one event loop."""

    def __init__(self, config: TeacherConfig, ledger: Ledger) -> None:
        self._config = config
        self._ledger = ledger
        self.spent = ledger.spent()
        """At most, requests in flight included."""
        self._open = 0
        self._settled = asyncio.Condition()

    def of(self, input_tokens: int, output_tokens: int) -> Spent:
        """One request of so many tokens, at this teacher's prices."""
        config = self._config
        cost = input_tokens * config.price_per_million_input + output_tokens * config.price_per_million_output
        return Spent(1, input_tokens, output_tokens, cost / 1e6)

    async def reserve(self, most: Spent) -> int | None:
        """Enter a request that costs `most` at most; returns its number in the ledger, None where the limits have no
        room for it. Waits while requests in flight may turn out to leave room."""
        async with self._settled:
            while not self._fits(most):
                if not self._open:
                    return None
                await self._settled.wait()
            self._open += 1
            self.spent += most
            return self._ledger.open(most)

    async def settle(self, number: int, most: Spent, spent: Spent) -> None:
        """What a request took in the end; most: what was reserved for it."""
        async with self._settled:
            self._ledger.settle(number, spent)
            self._open -= 1
            self.spent += replace(spent - most, requests=0)
            self._settled.notify_all()

    def _fits(self, more: Spent) -> bool:
        config, total = self._config, self.spent + more
        return not (
            (config.max_tokens_total is not None and total.tokens > config.max_tokens_total)
            or (config.max_cost is not None and total.cost > config.max_cost + 1e-9)
        )


def shown(spent: Spent, config: TeacherConfig) -> str:
    """`96 requests, 31,204 tokens of 50,000, 0.42 of 5.00 in money`."""
    tokens = f"{spent.tokens:,} tokens" + (f" of {config.max_tokens_total:,}" if config.max_tokens_total else "")
    money = ""
    if config.price_per_million_input or config.price_per_million_output:
        money = f", {spent.cost:.2f}" + (f" of {config.max_cost:.2f}" if config.max_cost else "") + " in money"
    return f"{spent.requests:,} requests, {tokens}{money}"
