"""What editors say became of a completion: shown, taken, dismissed, or changed after it was taken.

Off unless gateway.events names a folder. A completion can be spoken of for an hour, by its id and by the key that asked
for it. Each event is a line of JSON in DAY-HOST-PROCESS.jsonl; without gateway.events_code it holds digests and lengths
in place of code. Files older than gateway.events_days are removed.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from rrtf_ray.identity import fingerprint, program_digest
from rrtf_ray.serving.answers import compact, events
from rrtf_ray.serving.bodies import Body
from rrtf_ray.serving.refusals import Refusal
from rrtf_ray.serving.settings import GatewaySettings

KEPT_S = 3600.0
MOST_KEPT = 10_000
MOST_CHARS = 64 * 2**20
"""Completions that can be spoken of, and the characters kept of them; beyond these the oldest are forgotten."""
_DAY = "%Y-%m-%d"
_MEANING = {"view": "shown", "select": "accepted", "dismiss": "rejected"}


class EventBody(Body):
    """POST /v1/events. `view`, `select` and `dismiss` are Tabby's names for shown, accepted and rejected."""

    type: Literal["view", "select", "dismiss", "shown", "accepted", "rejected", "edited"]
    completion_id: str = Field(min_length=1, max_length=256)
    choice_index: int = Field(0, ge=0)
    elapsed: float | None = Field(None, ge=0)
    """Milliseconds from shown to decided."""
    text: str | None = Field(None, max_length=100_000)
    """Of `edited`: what the user made of the completion."""


@dataclass(slots=True)
class Completion:
    """One that is being answered, or was. prompt, suffix: empty where no code is kept with events. texts: by choice.
    chars: of all of these."""

    prompt: str
    suffix: str
    prompt_digest: str
    model: str
    key: str
    texts: dict[int, str] = field(default_factory=dict)
    chars: int = 0
    at: float = field(default_factory=time.monotonic)


class EditorEvents:
    """Remembers completions, and writes down what is said of them."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._folder = Path(settings.events) if settings.events else None
        self._with_code = settings.events_code
        self._days = settings.events_days
        self._known: OrderedDict[str, Completion] = OrderedDict()
        self._chars = 0
        self._cleaned = ""

    @property
    def on(self) -> bool:
        """Whether events are taken."""
        return self._folder is not None

    def completion(self, prompt: str, suffix: str, model: str, key: str) -> Completion:
        """What is remembered of a request."""
        digest = fingerprint(prompt, suffix)
        if not self._with_code:
            prompt = suffix = ""
        return Completion(prompt, suffix, digest, model, key, chars=len(prompt) + len(suffix))

    async def watched(self, pieces: AsyncGenerator[str, None], completion: Completion) -> AsyncGenerator[str, None]:
        """The pieces of an answer in OpenAI's form, which are remembered under its id."""
        try:
            async for piece in pieces:
                for event in events(piece.split("\n\n")) if piece.startswith("data:") else [json.loads(piece)]:
                    self._learn(event, completion)
                yield piece
        finally:
            await pieces.aclose()

    def _learn(self, event: dict[str, Any], completion: Completion) -> None:
        """What a part of an answer adds to its completion."""
        if not isinstance(event.get("id"), str):
            return
        if event["id"] not in self._known:
            self._known[event["id"]] = completion
            self._chars += completion.chars
        for choice in event.get("choices", ()):
            part = choice.get("message") or choice.get("delta") or choice
            text = part.get("text") or part.get("content") or ""
            completion.texts[choice["index"]] = completion.texts.get(choice["index"], "") + text
            completion.chars += len(text)
            self._chars += len(text)
        self._forget()

    def _forget(self) -> None:
        """What is too old, or too much."""
        began = time.monotonic() - KEPT_S
        while self._known:
            oldest = next(iter(self._known.values()))
            if oldest.at >= began and len(self._known) <= MOST_KEPT and self._chars <= MOST_CHARS:
                return
            self._known.popitem(last=False)
            self._chars -= oldest.chars

    def record(self, body: EventBody, key: str) -> None:
        """Write an event down.

        Raises Refusal: 404 where events are not taken and for a completion that is not known, 400 for a choice that it
        does not have, 503 where the folder cannot be written to.
        """
        if self._folder is None:
            raise Refusal(404, "this service takes no events; its operator can set gateway.events to a folder")
        found = self._known.get(body.completion_id)
        if found is None or found.key != key:
            raise Refusal(
                404, f"completion {body.completion_id!r} is not known; events are taken for an hour after the answer"
            )
        if body.choice_index not in found.texts:
            raise Refusal(400, f"choice_index={body.choice_index}: the completion has {len(found.texts)} choices")
        if (body.type == "edited") != (body.text is not None):
            raise Refusal(400, "`text` is what `edited` needs, and no other type takes", param="text")
        self._write(self._line(body, found))

    def _line(self, body: EventBody, found: Completion) -> dict[str, Any]:
        text = found.texts[body.choice_index]
        line: dict[str, Any] = {
            "at": time.time(),
            "event": _MEANING.get(body.type, body.type),
            "completion_id": body.completion_id,
            "choice_index": body.choice_index,
            "model": found.model,
            "key": found.key,
            "prompt_digest": found.prompt_digest,
            "text_digest": program_digest(text),
            "text_chars": len(text),
        }
        if body.elapsed is not None:
            line["elapsed_ms"] = body.elapsed
        if body.text is not None:
            line |= {"edited_digest": program_digest(body.text), "edited_chars": len(body.text)}
        if self._with_code:
            line |= {"prompt": found.prompt, "suffix": found.suffix, "text": text, "edited": body.text}
        return line

    def _write(self, line: dict[str, Any]) -> None:
        assert self._folder is not None
        today = datetime.now(UTC).strftime(_DAY)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if today != self._cleaned:
                self._clean(self._folder)
                self._cleaned = today
            file = self._folder / f"{today}-{socket.gethostname()}-{os.getpid()}.jsonl"
            with file.open("a", encoding="utf-8") as out:
                out.write(compact(line) + "\n")
        except OSError as error:
            raise Refusal(
                503, f"the event could not be written ({error.strerror}); see gateway.events", retry_after_s=60
            ) from None

    def _clean(self, folder: Path) -> None:
        oldest = (datetime.now(UTC) - timedelta(days=self._days)).strftime(_DAY)
        for file in folder.glob("????-??-??-*.jsonl"):
            if file.name[: len(oldest)] < oldest:
                file.unlink(missing_ok=True)
