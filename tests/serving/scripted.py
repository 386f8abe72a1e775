"""A scripted engine behind the real gateway: the test decides what the model answers.

The script is in the prompt's tokens: the engine "generates" what `say` returns for the request's body. Its stream has
one event per token, like vLLM's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from rrtf_ray.quickstart.tokenizer import train_tokenizer
from rrtf_ray.serving.app import make_app
from rrtf_ray.serving.gateway import Gateway
from rrtf_ray.serving.keys import Keys
from rrtf_ray.serving.models import EngineDescription, engine_from
from rrtf_ray.serving.settings import GatewaySettings

CONTEXT = 128


def tokenizer_json() -> str:
    """A tokenizer with StarCoder's markers."""
    texts = ["def add(a, b):\n    return a + b\n", "print(add(1, 2))\nfor i in range(10):\n    print(i)\n"] * 4
    return train_tokenizer(texts, vocab_size=400, max_length=CONTEXT).backend_tokenizer.to_str()


def plain_tokenizer_json() -> str:
    """One without any marker."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocab = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer.to_str()


class ScriptedEngine:
    """say(body): the texts, one per token, that it answers with. gate: if set, holds every token back.

    asked: every body. closed: requests whose stream was ended early.
    """

    def __init__(self, say: Callable[[dict[str, Any]], list[str]]) -> None:
        self.say = say
        self.asked: list[dict[str, Any]] = []
        self.gate: asyncio.Event | None = None
        self.closed = 0
        self.error: dict[str, Any] | None = None

    async def __call__(self, call: str, body: dict[str, Any]):
        self.asked.append(body)
        if self.error:
            yield {"error": self.error}
            return
        tokens = self.say(body)[: body["max_tokens"]]
        reason = "length" if len(tokens) == body["max_tokens"] else "stop"
        prompt = len(body.get("prompt", "")) or 1
        if not body.get("stream"):
            if self.gate:
                await self._hold()
            part = {"message": {"role": "assistant", "content": "".join(tokens)}} if call == "chat" else {}
            choices = (
                [{"index": i, "text": "".join(tokens), "finish_reason": reason} | part for i in range(body["n"])]
                if "n" in body
                else [{"index": 0, "text": "".join(tokens), "finish_reason": reason}]
            )
            head = {"id": f"{call}-{len(self.asked)}", "model": body["model"]}
            yield json.dumps(head | {"choices": choices, "usage": _usage(prompt, len(tokens))})
            return
        request_id = f"{call}-{len(self.asked)}"
        try:
            for number, token in enumerate(tokens, start=1):
                if self.gate:
                    await self._hold()
                await asyncio.sleep(0)
                last = number == len(tokens)
                events = [
                    {
                        "id": request_id,
                        "model": body["model"],
                        "choices": [{"index": i, "text": token, "finish_reason": reason if last else None}],
                        "usage": _usage(prompt, number),
                    }
                    for i in range(body["n"])
                ]
                yield [_event(event) for event in events]
            yield [_event({"choices": [], "usage": _usage(prompt, len(tokens) * body["n"])}), "data: [DONE]\n\n"]
        except (GeneratorExit, asyncio.CancelledError):
            self.closed += 1
            raise

    async def _hold(self) -> None:
        assert self.gate
        await self.gate.wait()
        self.gate.clear()


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, separators=(',', ':'))}\n\n"


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def scripted_gateway(
    engine: ScriptedEngine,
    *,
    keys: Keys | None = None,
    tokenizer: str | None = None,
    name: str = "rrtf",
    chat: bool = False,
    slots: int = 4,
    **settings: Any,
):
    """A gateway with one model whose engine is scripted, and its ASGI application."""
    gateway = Gateway(GatewaySettings(**settings), keys or Keys())
    add_engine(gateway, engine, tokenizer=tokenizer, name=name, chat=chat)
    model = gateway.models.get(name)
    assert model
    model.admission.resize(slots)
    return gateway, make_app(gateway)


def add_engine(gateway, engine, *, tokenizer=None, name="rrtf", number=1, chat=False, adapters=()) -> None:
    description = EngineDescription(
        adapters=tuple(adapters),
        context=CONTEXT,
        vocab_size=400,
        chat=chat,
        capacity=4,
        tokenizer=tokenizer or tokenizer_json(),
    )
    gateway.models.add(name, engine_from(description, number, engine))
