"""Ollama's answers: of POST /api/generate, whose stream is lines of JSON, and of GET /api/tags.

Limits: a prompt without `suffix` is continued as it is, whatever `raw` says; a `context` is neither given nor taken.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rrtf_ray.serving.answers import Delta, Usage, compact
from rrtf_ray.serving.refusals import Refusal

LINES = "application/x-ndjson"


class OllamaForm:
    """The answer of /api/generate. Durations are in nanoseconds."""

    cut = False
    media_type = LINES

    def __init__(self, model: str) -> None:
        self._model = model
        self._began = time.monotonic()
        self._first: float | None = None
        self._reason = "stop"

    def chunk(self, delta: Delta, usage: Usage) -> str:
        self.first_token()
        self._reason = delta.finish_reason or self._reason
        return compact(self._head(delta.text, done=False)) + "\n" if delta.text else ""

    def first_token(self) -> None:
        self._first = self._first or time.monotonic()

    def last(self, usage: Usage) -> str:
        return compact(self._ending("", self._reason, usage)) + "\n"

    def whole(self, texts: Sequence[str], reasons: Sequence[str], usage: Usage) -> dict[str, Any]:
        return self._ending(texts[0], reasons[0], usage)

    def failed(self, refusal: Refusal) -> str:
        return compact({"error": refusal.message}) + "\n"

    def _head(self, text: str, *, done: bool) -> dict[str, Any]:
        return {"model": self._model, "created_at": datetime.now(UTC).isoformat(), "response": text, "done": done}

    def _ending(self, text: str, reason: str, usage: Usage) -> dict[str, Any]:
        now = time.monotonic()
        first = self._first or now
        return self._head(text, done=True) | {
            "done_reason": reason,
            "total_duration": _nanoseconds(now - self._began),
            "load_duration": 0,
            "prompt_eval_count": usage.prompt_tokens,
            "prompt_eval_duration": _nanoseconds(first - self._began),
            "eval_count": usage.generated,
            "eval_duration": _nanoseconds(now - first),
        }


def tags(cards: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The answer of /api/tags. cards: by name, as /v1/models shows them."""
    return {
        "models": [
            {
                "name": name,
                "model": name,
                "modified_at": datetime.fromtimestamp(card["created"], UTC).isoformat(),
                "size": 0,
                "digest": "",
                "details": {"format": "safetensors", "family": "", "parameter_size": "", "quantization_level": ""},
            }
            for name, card in cards.items()
        ]
    }


def _nanoseconds(seconds: float) -> int:
    return round(1e9 * seconds)
