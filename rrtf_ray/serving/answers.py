"""Answers: an engine's stream of events in the client's format.

Input: server-sent events of vLLM's completions. Output: a middle in OpenAI's, Mistral's or llama.cpp's format (Ollama's
is in `ollama`). Answers to plain completions and chat pass through unchanged.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from rrtf_ray.fim.middle import Middle
from rrtf_ray.serving.refusals import Refusal

DONE = "data: [DONE]\n\n"
EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Delta:
    """More text of one choice. finish_reason: why the choice ended, in its last delta."""

    index: int
    text: str
    finish_reason: str | None = None


@dataclass(slots=True)
class Usage:
    """Tokens of a request so far. copies: how often each choice that the engine gives is answered."""

    prompt_tokens: int = 0
    by_choice: dict[int, int] = field(default_factory=dict)
    copies: int = 1

    @property
    def generated(self) -> int:
        return sum(self.by_choice.values())

    @property
    def completion_tokens(self) -> int:
        return self.copies * self.generated

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


def copied(event: dict[str, Any], copies: int) -> dict[str, Any]:
    """An answer, or an event of one, of a greedy engine with each choice `copies` times."""
    choices = [c | {"index": c["index"] * copies + i} for c in event["choices"] for i in range(copies)]
    usage = event.get("usage")
    if usage:
        generated = copies * (usage.get("completion_tokens") or 0)
        usage = usage | {"completion_tokens": generated, "total_tokens": usage["prompt_tokens"] + generated}
    return event | {"choices": choices} | ({"usage": usage} if usage else {})


async def copied_deltas(deltas: AsyncGenerator[Delta, None], copies: int) -> AsyncGenerator[Delta, None]:
    """As `copied`, for middles."""
    async with aclosing(deltas):
        async for delta in deltas:
            for i in range(copies):
                yield Delta(delta.index * copies + i, delta.text, delta.finish_reason)


async def middles(
    stream: AsyncGenerator[list[str], None], suffix: str, choices: int, usage: Usage, limit_s: float | None = None
) -> AsyncGenerator[Delta, None]:
    """The deltas of `choices` middles before `suffix`. Ends, and ends the engine's request, with the last middle.

    stream: events of a completion with continuous usage statistics; `usage` is kept up to date. limit_s: seconds from
    the first token after which a middle that has a line end is ended.
    """
    open_middles = {index: Middle(suffix) for index in range(choices)}
    has_line_end: set[int] = set()
    began: float | None = None
    async with aclosing(stream):
        async for lines in stream:
            began = began or time.monotonic()
            is_late = limit_s is not None and time.monotonic() - began > limit_s
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
                    if "\n" in text:
                        has_line_end.add(index)
                    if is_late and index in has_line_end:
                        finish = finish or "length"
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
    media_type: str
    """Of a stream."""

    def chunk(self, delta: Delta, usage: Usage) -> str:
        """One event of a stream; empty where it waits for the next."""

    def first_token(self) -> None:
        """The first token of an answer that is not streamed has arrived."""

    def last(self, usage: Usage) -> str:
        """The end of a stream."""

    def whole(self, texts: Sequence[str], reasons: Sequence[str], usage: Usage) -> Any:
        """An answer in one piece, for JSON."""

    def failed(self, refusal: Refusal) -> str:
        """The end of a stream that ends with a refusal."""


def compact(body: Any) -> str:
    """JSON without blanks between its parts: llama.vim looks for `"content":"` in the raw answer."""
    return json.dumps(body, separators=(",", ":"))


def event_of(body: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {compact(body)}\n\n"


def failed_event(refusal: Refusal) -> str:
    """The last events of a stream that ends with a refusal."""
    return event_of(refusal.body()) + DONE


class EventForm:
    """What the forms have in common whose streams are server-sent events."""

    cut = False
    media_type = EVENTS

    def failed(self, refusal: Refusal) -> str:
        return failed_event(refusal)


class OpenAIForm(EventForm):
    """`text_completion`, the answer of /v1/completions."""

    object = chunk_object = "text_completion"

    def __init__(self, request_id: str, model: str, include_usage: bool = False, always_usage: bool = False) -> None:
        """include_usage: in a last event of its own. always_usage: in every event."""
        self._head = {"id": request_id, "created": int(time.time()), "model": model}
        self._include_usage = include_usage
        self._always_usage = always_usage

    def first_token(self) -> None:
        pass

    def choice(self, text: str) -> dict[str, Any]:
        return {"text": text, "logprobs": None}

    part = choice

    def chunk(self, delta: Delta, usage: Usage) -> str:
        return event_of(self._chunk(delta) | ({"usage": usage.body()} if self._always_usage else {}))

    def _chunk(self, delta: Delta) -> dict[str, Any]:
        choice = {"index": delta.index} | self.part(delta.text) | {"finish_reason": delta.finish_reason}
        return self._head | {"object": self.chunk_object, "choices": [choice]}

    def last(self, usage: Usage) -> str:
        if not self._include_usage:
            return DONE
        return event_of(self._head | {"object": self.chunk_object, "choices": [], "usage": usage.body()}) + DONE

    def whole(self, texts: Sequence[str], reasons: Sequence[str], usage: Usage) -> dict[str, Any]:
        choices = [
            {"index": index} | self.choice(text) | {"finish_reason": reason}
            for index, (text, reason) in enumerate(zip(texts, reasons, strict=True))
        ]
        return self._head | {"object": self.object, "choices": choices, "usage": usage.body()}


class MistralForm(OpenAIForm):
    """Chat-like, the answer of Mistral's /v1/fim/completions: usage is part of the last event with a choice."""

    object, chunk_object = "chat.completion", "chat.completion.chunk"
    _ending: dict[str, Any] | None = None

    def chunk(self, delta: Delta, usage: Usage) -> str:
        if delta.finish_reason is None:
            return event_of(self._chunk(delta))
        self._ending = self._chunk(delta)  # the engine may not have reported all tokens yet
        return ""

    def last(self, usage: Usage) -> str:
        return (event_of(self._ending | {"usage": usage.body()}) if self._ending else "") + DONE

    def choice(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text, "tool_calls": None}}

    def part(self, text: str) -> dict[str, Any]:
        return {"delta": {"role": "assistant", "content": text}}


class LlamaForm(EventForm):
    """The answer of llama.cpp's /infill.

    warm_up: only the prompt in the prefix cache is wanted, no text. fields: the only ones that are wanted, with `/`
    between a part and its field. A whole answer of several choices is a list.
    """

    def __init__(self, model: str, warm_up: bool, fields: Sequence[str] | None = None) -> None:
        self._model, self._warm_up, self._fields = model, warm_up, fields
        self._began = time.monotonic()
        self._first: float | None = None
        self._reasons: dict[int, str] = {}

    def chunk(self, delta: Delta, usage: Usage) -> str:
        self._first = self._first or time.monotonic()
        if delta.finish_reason:
            self._reasons[delta.index] = delta.finish_reason
        return event_of({"index": delta.index, "content": self._shown(delta.text), "tokens": [], "stop": False})

    def last(self, usage: Usage) -> str:
        return "".join(event_of(self._body(index, "", reason, usage)) for index, reason in self._reasons.items())

    def whole(self, texts: Sequence[str], reasons: Sequence[str], usage: Usage) -> Any:
        answers = [
            self._body(index, text, reason, usage)
            for index, (text, reason) in enumerate(zip(texts, reasons, strict=True))
        ]
        return answers[0] if len(answers) == 1 else answers

    def first_token(self) -> None:
        self._first = self._first or time.monotonic()

    def _shown(self, text: str) -> str:
        return "" if self._warm_up else text

    def _body(self, index: int, text: str, reason: str, usage: Usage) -> dict[str, Any]:
        now = time.monotonic()
        first = self._first or now
        generated = usage.by_choice.get(index // usage.copies, 0)
        body = {
            "index": index,
            "content": self._shown(text),
            "tokens": [],
            "stop": True,
            "stop_type": "limit" if reason == "length" else "eos",
            "model": self._model,
            "tokens_predicted": generated,
            "tokens_evaluated": usage.prompt_tokens,
            "tokens_cached": usage.prompt_tokens + generated,
            "truncated": self.cut,
            "timings": {
                "prompt_n": usage.prompt_tokens,
                **_timing("prompt", usage.prompt_tokens, first - self._began),
                "predicted_n": generated,
                **_timing("predicted", generated, now - first),
            },
        }
        return body if self._fields is None else _fields_of(body, self._fields)


def _timing(what: str, tokens: int, seconds: float) -> dict[str, float]:
    seconds = max(seconds, 1e-6)
    return {
        f"{what}_ms": 1e3 * seconds,
        f"{what}_per_token_ms": 1e3 * seconds / max(1, tokens),
        f"{what}_per_second": tokens / seconds,
    }


def _fields_of(body: dict[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """These fields of an answer, each under the name that asked for it; what it does not have is left out."""
    found = {}
    for name in wanted:
        value: Any = body
        for part in name.split("/"):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            found[name] = value
    return found


async def collect(deltas: AsyncIterator[Delta], choices: int) -> tuple[list[str], list[str]]:
    """Texts and finish reasons of all choices."""
    texts, reasons = [""] * choices, ["stop"] * choices
    async for delta in deltas:
        texts[delta.index] += delta.text
        reasons[delta.index] = delta.finish_reason or reasons[delta.index]
    return texts, reasons
