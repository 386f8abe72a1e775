"""Answers: an engine's stream of events in the client's format.

Input: server-sent events of vLLM's completions. Output: a middle in OpenAI's, Mistral's or llama.cpp's format.
Answers to plain completions and chat pass through unchanged.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from rrtf_ray.serving.middle import Middle
from rrtf_ray.serving.refusals import Refusal

DONE = "data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Delta:
    """More text of one choice. finish_reason: why the choice ended, in its last delta."""

    index: int
    text: str
    finish_reason: str | None = None


@dataclass(slots=True)
class Usage:
    """Tokens of a request so far."""

    prompt_tokens: int = 0
    by_choice: dict[int, int] = field(default_factory=dict)

    @property
    def completion_tokens(self) -> int:
        return sum(self.by_choice.values())

    def body(self) -> dict[str, int]:
        spent = self.completion_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": spent,
            "total_tokens": self.prompt_tokens + spent,
        }


def events(lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects of some server-sent events. Raises Refusal if one of them is an error."""
    for line in lines:
        data = line.removeprefix("data:").strip()
        if data and data != "[DONE]":
            event = json.loads(data)
            if "error" in event:
                raise engine_error(event)
            yield event


def engine_error(answer: dict[str, Any]) -> Refusal:
    """An error that the engine answered with. A 4xx keeps its status and message; anything else becomes 503."""
    error = answer["error"] if isinstance(answer.get("error"), dict) else answer
    status = error.get("code")
    if isinstance(status, int) and 400 <= status < 500:
        return Refusal(status, str(error.get("message")), param=error.get("param"))
    return Refusal(503, "the engine failed to answer; try again", retry_after_s=1)


async def middles(
    stream: AsyncGenerator[list[str], None], suffix: str, choices: int, usage: Usage
) -> AsyncGenerator[Delta, None]:
    """The deltas of `choices` middles before `suffix`. Ends, and ends the engine's request, with the last middle.

    stream: events of a completion with continuous usage statistics; `usage` is kept up to date.
    """
    open_middles = {index: Middle(suffix) for index in range(choices)}
    async with aclosing(stream):
        async for lines in stream:
            for event in events(lines):
                if event.get("usage"):
                    usage.prompt_tokens = event["usage"]["prompt_tokens"]
                for choice in event["choices"]:
                    index, finish = choice["index"], choice.get("finish_reason")
                    middle = open_middles.get(index)
                    if middle is None:
                        continue
                    if event.get("usage"):
                        usage.by_choice[index] = event["usage"]["completion_tokens"]
                    text = middle.feed(choice["text"])
                    if finish and not middle.finished:
                        text += middle.end()
                    reason = "stop" if middle.finished else finish
                    if reason:
                        del open_middles[index]
                    if text or reason:
                        yield Delta(index, text, reason)
            if not open_middles:
                return


class Form(Protocol):
    """The format of a middle for one kind of client. cut: whether the context was too short for all of the code."""

    cut: bool

    def chunk(self, delta: Delta) -> str:
        """One event of a stream."""

    def last(self, usage: Usage) -> str:
        """The end of a stream."""

    def whole(self, texts: Sequence[str], reasons: Sequence[str], usage: Usage) -> dict[str, Any]:
        """An answer in one piece."""


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, separators=(',', ':'))}\n\n"


class OpenAIForm:
    """`text_completion`, the answer of /v1/completions."""

    object = chunk_object = "text_completion"
    cut = False

    def __init__(self, request_id: str, model: str, include_usage: bool) -> None:
        self._head = {"id": request_id, "created": int(time.time()), "model": model}
        self._include_usage = include_usage

    def choice(self, text: str) -> dict[str, Any]:
        return {"text": text, "logprobs": None}

    part = choice

    def chunk(self, delta: Delta) -> str:
        choice = {"index": delta.index} | self.part(delta.text) | {"finish_reason": delta.finish_reason}
        return _event(self._head | {"object": self.chunk_object, "choices": [choice]})

    def last(self, usage: Usage) -> str:
        if not self._include_usage:
            return DONE
        return _event(self._head | {"object": self.chunk_object, "choices": [], "usage": usage.body()}) + DONE

    def whole(self, texts: Sequence[str], reasons: Sequence[str], usage: Usage) -> dict[str, Any]:
        choices = [
            {"index": index} | self.choice(text) | {"finish_reason": reason}
            for index, (text, reason) in enumerate(zip(texts, reasons, strict=True))
        ]
        return self._head | {"object": self.object, "choices": choices, "usage": usage.body()}


class MistralForm(OpenAIForm):
    """Chat-like, the answer of Mistral's /v1/fim/completions."""

    object, chunk_object = "chat.completion", "chat.completion.chunk"

    def choice(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text, "tool_calls": None}}

    def part(self, text: str) -> dict[str, Any]:
        return {"delta": {"role": "assistant", "content": text}}


class LlamaForm:
    """The answer of llama.cpp's /infill. warm_up: only the prompt in the prefix cache is wanted, no text."""

    cut = False

    def __init__(self, model: str, warm_up: bool) -> None:
        self._model, self._warm_up = model, warm_up
        self._began = time.monotonic()
        self._first: float | None = None
        self._reason = "stop"

    def chunk(self, delta: Delta) -> str:
        self._first = self._first or time.monotonic()
        self._reason = delta.finish_reason or self._reason
        return _event({"index": delta.index, "content": self._shown(delta.text), "tokens": [], "stop": False})

    def last(self, usage: Usage) -> str:
        return _event(self._body("", self._reason, usage))

    def whole(self, texts: Sequence[str], reasons: Sequence[str], usage: Usage) -> dict[str, Any]:
        return self._body(texts[0], reasons[0], usage)

    def _shown(self, text: str) -> str:
        return "" if self._warm_up else text

    def _body(self, text: str, reason: str, usage: Usage) -> dict[str, Any]:
        now = time.monotonic()
        first = self._first or now
        prompt_ms, predicted_ms = 1e3 * (first - self._began), 1e3 * (now - first)
        return {
            "index": 0,
            "content": self._shown(text),
            "tokens": [],
            "stop": True,
            "stop_type": "limit" if reason == "length" else "eos",
            "model": self._model,
            "tokens_predicted": usage.completion_tokens,
            "tokens_evaluated": usage.prompt_tokens,
            "truncated": self.cut,
            "timings": {
                "prompt_n": usage.prompt_tokens,
                "prompt_ms": prompt_ms,
                "predicted_n": usage.completion_tokens,
                "predicted_ms": predicted_ms,
            },
        }


async def collect(deltas: AsyncIterator[Delta], choices: int) -> tuple[list[str], list[str]]:
    """Texts and finish reasons of all choices."""
    texts, reasons = [""] * choices, ["stop"] * choices
    async for delta in deltas:
        texts[delta.index] += delta.text
        reasons[delta.index] = delta.finish_reason or reasons[delta.index]
    return texts, reasons
