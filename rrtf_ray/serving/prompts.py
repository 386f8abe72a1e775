"""Plain prompts that fit the context: what is farthest from the end is left out.

Input: text or token ids. Output: the same if it fits, else the tokens at its end, and the tokens left for the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from rrtf_ray.serving.models import Engine
from rrtf_ray.serving.refusals import invalid

Prompt = str | Sequence[int]


@dataclass(frozen=True, slots=True)
class Fitting:
    """prompt: one or several, as they were given or as token ids. cut: whether any was shortened."""

    prompt: Prompt | Sequence[Prompt]
    max_tokens: int
    cut: bool = False


def fitting(engine: Engine, prompt: Prompt | Sequence[Prompt], max_tokens: int, *, whole: bool = False) -> Fitting:
    """`prompt` and `max_tokens` as they fit the engine's context together.

    An answer of `max_tokens` takes at most half of the context from a prompt that is too long, and gets what is left
    by one that is not. whole: the prompt is echoed or scored and must not be cut.

    Raises Refusal (400) for a prompt without a token, and for one that must be whole and is too long.
    """
    if isinstance(prompt, str) or isinstance(prompt[0], int):
        return Fitting(*_fitted(engine, cast("Prompt", prompt), max_tokens, whole))
    fitted = [_fitted(engine, one, max_tokens, whole) for one in cast("Sequence[Prompt]", prompt)]
    prompts, limits, cuts = zip(*fitted, strict=True)
    return Fitting(list(prompts), min(limits), any(cuts))


def _fitted(engine: Engine, prompt: Prompt, max_tokens: int, whole: bool) -> tuple[Prompt, int, bool]:
    context = engine.context
    # A token is at least a byte, but for one that begins every text and a blank before the first word.
    if isinstance(prompt, str) and prompt.strip() and len(prompt.encode()) + 2 + max_tokens <= context:
        return prompt, max_tokens, False
    room = context - (1 if whole else max(1, min(max_tokens, context // 2)))
    start = [] if engine.bos is None or not isinstance(prompt, str) else [engine.bos]
    tokens = start + _end_of(engine, prompt, room)
    if not tokens:
        raise invalid("prompt", "prompt is empty, and the model needs a token to begin with; send some text")
    if len(tokens) <= room:
        return prompt, min(max_tokens, context - len(tokens)), False
    if whole:
        raise invalid("prompt", f"prompt has {len(tokens)} tokens or more, and the context is {context}; shorten it")
    return [*start, *tokens[len(tokens) - room + len(start) :]], context - room, True


def _end_of(engine: Engine, prompt: Prompt, room: int) -> list[int]:
    """All tokens of a prompt, or more than `room` of those at its end: a long text is not tokenized as a whole."""
    if not isinstance(prompt, str):
        return list(prompt)
    size = 4 * room
    while True:
        part = prompt[-size:]
        ids: list[int] = engine.tokenizer.encode(part, add_special_tokens=False).ids
        if len(part) == len(prompt) or len(ids) > room:
            return ids
        size *= 2
