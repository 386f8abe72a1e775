"""Fill-in-the-middle: from the code around a cursor to the prompt that a model was trained to complete.

Input: prefix and suffix. Output: token ids in the order and with the markers of the model's family, cut to what is
nearest to the cursor to fit the context.

Limit: the cursor always separates tokens, inside a word too.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from rrtf_ray.errors import InputError
from rrtf_ray.fim.encoding import Encoded, control_ids, encode
from rrtf_ray.fim.families import Markers, Order

LEAST_CODE = 16
LEAST_MIDDLE = 16
"""Tokens of code, and of a middle, that every context must have room for."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt that fits the context together with `max_tokens`.

    dropped_prefix_tokens, dropped_suffix_tokens: how much of the code was cut; an estimate if the text was so long
    that its far end was never tokenized.
    """

    prompt_ids: list[int]
    max_tokens: int
    dropped_prefix_tokens: int
    dropped_suffix_tokens: int


def fill_in_the_middle(
    tokenizer: Tokenizer,
    markers: Markers,
    prefix: str,
    suffix: str,
    *,
    context: int,
    max_tokens: int,
    bos: int | None = None,
) -> Fitted:
    """The prompt for the code between `prefix` and `suffix`, in the order of the model's family.

    context: tokens of the prompt and the middle together. Code that leaves less than `max_tokens` is cut, farthest from
    the cursor first: the prefix gets three quarters of the room, and either side gets what the other does not need.
    A large `max_tokens` takes at most half of the context from the code; the middle gets what is left, at most
    `max_tokens`. Tokenizing takes time in proportion to the context, not to the file.

    Raises InputError if the context has no room for `LEAST_CODE` and `LEAST_MIDDLE` tokens.
    """
    if max_tokens < 1:
        raise InputError(f"max_tokens={max_tokens}: a middle has at least 1 token")
    overhead = 2 + (markers.middle is not None) + (bos is not None)
    if context < overhead + LEAST_CODE + LEAST_MIDDLE:
        raise InputError(
            f"a context of {context} tokens is too short for fill-in-the-middle: {overhead} markers, {LEAST_CODE} "
            f"tokens of code and {LEAST_MIDDLE} of the middle need {overhead + LEAST_CODE + LEAST_MIDDLE}"
        )
    room = context - overhead - min(max_tokens, (context - overhead) // 2)
    control = control_ids(tokenizer)
    before = _nearest(tokenizer, prefix, room, control, is_prefix=True)
    after = _nearest(tokenizer, suffix, room, control, is_prefix=False)
    # A side that fits is never cut: its limit is at least its length.
    prefix_limit = max(room - room // 4, room - len(after.ids))
    kept_before = _cut(tokenizer, before, prefix_limit, control, is_prefix=True)
    kept_after = _cut(tokenizer, after, room - len(kept_before.ids), control, is_prefix=False)

    first, second = [markers.prefix, *kept_before.ids], [markers.suffix, *kept_after.ids]
    if markers.order is Order.SUFFIX_FIRST:
        first, second = second, first
    start = [] if bos is None else [bos]
    end = [] if markers.middle is None else [markers.middle]
    prompt_ids = [*start, *first, *second, *end]
    return Fitted(
        prompt_ids=prompt_ids,
        max_tokens=min(max_tokens, context - len(prompt_ids)),
        dropped_prefix_tokens=_dropped(prefix, before, kept_before),
        dropped_suffix_tokens=_dropped(suffix, after, kept_after),
    )


def _nearest(tokenizer: Tokenizer, text: str, limit: int, control: frozenset[int], *, is_prefix: bool) -> Encoded:
    """The end of a prefix or the beginning of a suffix: all of it, or more than `limit` tokens.

    Code has about 3 to 4 characters per token. For a text with more (long runs of blanks) the length is doubled until
    there are enough tokens.
    """
    size = 4 * limit
    while True:
        part = text[-size:] if is_prefix else text[:size]
        encoded = encode(tokenizer, part, control, joined=not is_prefix)
        if len(part) == len(text) or len(encoded.ids) > limit:
            return encoded
        size *= 2


def _cut(tokenizer: Tokenizer, code: Encoded, limit: int, control: frozenset[int], *, is_prefix: bool) -> Encoded:
    """At most `limit` tokens of whole characters: a prefix loses its beginning, a suffix its end.

    The rest is encoded anew, as if the file had no more; if that gives more tokens than expected, it is cut again.
    """
    while len(code.ids) > limit:
        over, text = len(code.ids) - limit, code.text
        # After or before the dropped tokens; several tokens of one character are dropped together.
        if is_prefix:
            begin = max(1, *(end for _, end in code.offsets[:over]))
            text = text[_line_start(text, begin) :]
        else:
            end = min(len(text) - 1, *(start for start, _ in code.offsets[-over:]))
            text = text[: _line_end(text, end)]
        code = encode(tokenizer, text, control, joined=not is_prefix)
    return code


def _line_start(text: str, at: int) -> int:
    """`at`, or the beginning of the next line if it lies in the first tenth of what follows."""
    if text[at - 1] == "\n":
        return at
    newline = text.find("\n", at, at + (len(text) - at) // 10)
    return at if newline < 0 else newline + 1


def _line_end(text: str, at: int) -> int:
    """`at`, or the end of the last whole line if it lies in the last tenth of what precedes."""
    newline = text.rfind("\n", at - at // 10, at)
    return at if newline < 0 else newline + 1


def _dropped(text: str, nearest: Encoded, kept: Encoded) -> int:
    if len(kept.text) == len(text):
        return 0
    unseen = (len(text) - len(nearest.text)) * len(nearest.ids) // max(1, len(nearest.text))
    return max(1, len(nearest.ids) - len(kept.ids) + unseen)
