"""A deployment that answers what `rrtf_ray.deployments.engine.EngineServer` does, from a script."""

import asyncio
import json
import math

from rrtf_ray.serving.models import EngineDescription
from rrtf_ray.serving.settings import EngineSettings


class ScriptedServer:
    """Answers every request with `word` after `seconds`.

    broken: its log-probabilities are NaN, as with broken weights.
    """

    def __init__(self, word, tokenizer, seconds, broken):
        self._word, self._tokenizer, self._seconds, self._broken = word, tokenizer, seconds, broken

    async def describe(self):
        return EngineDescription(
            adapters=(), context=128, vocab_size=400, chat=False, capacity=4, tokenizer=self._tokenizer
        )

    async def settings(self):
        return EngineSettings(model=self._word, name="fast")

    async def answer(self, call, body):
        await asyncio.sleep(self._seconds)
        logprobs = {"token_logprobs": [math.nan if self._broken else -1.0]}
        choice = {"index": 0, "text": self._word, "finish_reason": "stop", "logprobs": logprobs}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        yield json.dumps({"model": body["model"], "choices": [choice], "usage": usage})
