"""A teacher behind an OpenAI-compatible endpoint, through the official client.

One object asks for the whole cluster, so limits of rate, tokens and money hold over all of it. Answers are kept by the
content of their question: the same question is not sent again.
"""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, replace
from typing import Any

import httpx
import openai

from rrtf_ray.config import TeacherConfig
from rrtf_ray.errors import StageError
from rrtf_ray.identity import fingerprint
from rrtf_ray.records import Fault
from rrtf_ray.teachers.asking import Question, Reply
from rrtf_ray.teachers.budget import Budget, shown
from rrtf_ray.teachers.keys import OPENAI, Key
from rrtf_ray.teachers.ledger import Ledger, Spent
from rrtf_ray.teachers.pace import Pace
from rrtf_ray.teachers.troubles import Kind, Trouble, trouble_of

DOWN_AFTER = 10
"""Questions in a row that stay without an answer before the endpoint counts as down; one, before the first answer."""
MAX_WAIT_S = 600.0
"""The longest that an endpoint may ask to wait before it counts as down."""
_BACK_OFF_S, _MAX_BACK_OFF_S = 0.5, 30.0
_OVERHEAD = 64
"""Tokens around a chat's messages, at most."""


class EndpointTeacher:
    """Answers through one endpoint. For one event loop."""

    def __init__(self, name: str, config: TeacherConfig, key: Key, ledger: Ledger) -> None:
        """name: under `teachers` in the configuration."""
        self._name = name
        self._config = config
        self._key = key
        self._ledger = ledger
        self._budget = Budget(config, ledger)
        self._pace = Pace(config.requests_per_minute, config.tokens_per_minute)
        self._slots = asyncio.Semaphore(config.concurrency)
        self._url = config.base_url or OPENAI
        self._unanswered = 0
        self._answers = 0
        self._closed: Reply | None = None
        self._client = openai.AsyncOpenAI(
            api_key=key.reveal() or "none", base_url=self._url, max_retries=0, timeout=config.timeout_s
        )

    async def ask(self, question: Question) -> Reply:
        body = self._body(question)
        known = fingerprint(self._url, self._config.form, body, question.seed)
        if reply := self._ledger.answer(known):
            return reply
        async with self._slots:
            if self._closed:
                return self._closed
            reply = await self._asked(body)
        if reply.fault in (None, Fault.REFUSED):
            self._ledger.remember(known, reply)
        if reply.fault:
            self._ledger.note(reply.fault, reply.detail)
        return reply

    async def close(self) -> None:
        """Give connections and the ledger's file back."""
        await self._client.close()
        self._ledger.close()

    def _body(self, question: Question) -> dict[str, Any]:
        """The request's fields."""
        config = self._config
        if config.form == "chat":
            system = [{"role": "system", "content": config.system}] if config.system else []
            put: dict[str, Any] = {"messages": [*system, {"role": "user", "content": question.user}]}
        else:
            put = {"prompt": question.text}
        ours = {
            "model": config.model,
            "max_tokens": question.max_tokens,
            "temperature": question.temperature,
            "top_p": question.top_p,
            "seed": question.seed,
        }
        return {name: value for name, value in (put | ours | config.parameters).items() if value is not None}

    async def _asked(self, body: dict[str, Any]) -> Reply:
        """Send until there is a reply, or nothing to hope for."""
        most = self._most(body)
        trouble = Trouble(Kind.PASSING, "never sent")
        for attempt in range(self._config.retries + 1):
            if attempt and trouble.kind is Kind.PASSING:
                await asyncio.sleep(trouble.retry_after or _back_off(attempt))
            if self._closed:
                return self._closed
            found = await self._sent(body, most)
            if isinstance(found, Reply):
                return self._counted(found)
            trouble = found
            if (trouble.retry_after or 0) > MAX_WAIT_S:
                trouble = Trouble(Kind.LASTING, f"{trouble.text}; it asks to wait for {trouble.retry_after:.0f} s")
            if trouble.kind is Kind.LASTING:
                return self._down(trouble.text)
            if trouble.kind is Kind.REJECTED:
                return self._counted(Reply(fault=Fault.REJECTED, detail=trouble.text))
        text = f"{trouble.text} ({self._config.retries + 1} times)"
        return self._counted(Reply(fault=Fault.UNANSWERED, detail=text))

    async def _sent(self, body: dict[str, Any], most: Spent) -> Reply | Trouble:
        """One request, paid for."""
        sent_at = await self._pace.turn(most.tokens)
        number = await self._budget.reserve(most)
        if number is None:
            return self._spent()
        spent = most
        try:
            found = await self._answered(body)
            if isinstance(found, _Read):
                spent = self._budget.of(found.tokens_in, found.reply.num_tokens) if found.told else most
                self._pace.answered(most.tokens - spent.tokens)
                return found.reply
            if found.kind is Kind.OVERLOAD:
                self._pace.refused(sent_at, found.retry_after)
            if found.kind is not Kind.PASSING:
                spent = self._budget.of(0, 0)  # nobody worked on it
            return found
        finally:
            await self._budget.settle(number, most, spent)

    async def _answered(self, body: dict[str, Any]) -> _Read | Trouble:
        path = "/chat/completions" if self._config.form == "chat" else "/completions"
        try:
            async with asyncio.timeout(self._config.timeout_s):
                answer = await self._client.post(path, body=body, cast_to=httpx.Response)
            return _read(json.loads(self._key.scrubbed(answer.text)), self._config.form)
        except (openai.OpenAIError, TimeoutError, ValueError) as error:
            trouble = trouble_of(error, self._config.timeout_s)
        return replace(trouble, text=self._key.scrubbed(trouble.text))

    def _most(self, body: dict[str, Any]) -> Spent:
        """What a request can take at most: a token is at least one byte."""
        put = body.get("prompt") or "".join(message["content"] for message in body.get("messages", ()))
        limits = [body.get(name) for name in ("max_tokens", "max_completion_tokens")]
        output = max([limit for limit in limits if isinstance(limit, int)], default=self._config.max_tokens)
        return self._budget.of(len(put.encode(errors="replace")) + _OVERHEAD, output)

    def _counted(self, reply: Reply) -> Reply:
        """The reply; an endpoint that answers nothing any more is down."""
        if reply.fault in (None, Fault.REFUSED):
            self._answers += 1
            self._unanswered = 0
            return reply
        self._unanswered += reply.fault is not Fault.OUT_OF_BUDGET
        first = reply.fault is Fault.UNANSWERED and not self._answers
        if self._unanswered >= (1 if first else DOWN_AFTER):
            return self._down(reply.detail)
        return reply

    def _down(self, why: str) -> Reply:
        text = f"{self._url} answers no questions to {self._config.model!r}: {why}"
        if self._config.when_down == "stop":
            raise StageError(
                f"teachers.{self._name}: {text}. What was answered is kept; start the same command again to continue, "
                f"or go on without it: teachers.{self._name}.when_down=go_on"
            )
        self._closed = Reply(fault=Fault.UNANSWERED, detail=text)
        return self._closed

    def _spent(self) -> Reply:
        spent = shown(self._budget.spent, self._config)
        if self._config.when_spent == "stop":
            raise StageError(
                f"teachers.{self._name}: its limit leaves no room for another question: {spent}. What was answered is "
                f"kept; raise teachers.{self._name}.max_tokens_total or max_cost, or go on without more answers: "
                f"teachers.{self._name}.when_spent=go_on"
            )
        self._closed = Reply(fault=Fault.OUT_OF_BUDGET, detail=f"no room for another question: {spent}")
        return self._closed


def _back_off(attempt: int) -> float:
    """Seconds before the retry of this number, spread so that many do not come back together."""
    most: float = min(_MAX_BACK_OFF_S, _BACK_OFF_S * 2.0 ** (attempt - 1))
    return most * random.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class _Read:
    """A reply, and the tokens of its prompt. told: the endpoint said how many tokens it took."""

    reply: Reply
    tokens_in: int
    told: bool


def _read(answer: Any, form: str) -> _Read:
    """What is in an answer. Raises ValueError for another shape than the API's."""
    try:
        choice = answer["choices"][0]
        message = choice["message"] if form == "chat" else {"content": choice["text"]}
        text, declined = message.get("content"), message.get("refusal")
        reason = str(choice.get("finish_reason") or "stop")
        usage = answer.get("usage") or {}
        told = "prompt_tokens" in usage and "completion_tokens" in usage
        used = (int(usage["prompt_tokens"]), int(usage["completion_tokens"])) if told else (0, 0)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"no answer in the form of OpenAI's API: {type(error).__name__} {error}") from None
    if isinstance(text, list):  # in parts
        text = "".join(str(part.get("text", "")) for part in text if isinstance(part, dict))
    if not isinstance(text, str | None):
        raise ValueError(f"the answer's content is of type {type(text).__name__}, not a text")
    declined = declined or (reason if reason == "content_filter" else "")
    fault = Fault.REFUSED if declined else None
    return _Read(Reply(text or "", reason, used[1], fault, str(declined)), used[0], told)
