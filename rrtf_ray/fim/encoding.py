"""Text to tokens. What a client sends is text: a marker's name in it becomes the characters of that name, never the
marker."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tokenizers import Tokenizer

from rrtf_ray.fim.families import ENDS, FAMILIES

_MARKER_TOKENS = tuple(f.token(marker) for f in FAMILIES for marker in (f.prefix, f.suffix, f.middle))
_CONTROL = re.compile(r"<[|｜].+[|｜]>")
_PREFIX_SPACES = "▁Ġ"
_APART = "☺"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text and its tokens, with the characters that each covers."""

    text: str
    ids: list[int]
    offsets: list[tuple[int, int]]


def encode_text(tokenizer: Tokenizer, text: str) -> list[int]:
    """Tokens of a text in which every marker is plain text; no beginning-of-text token is added.

    Excluded are tokens flagged special, and added tokens that are a family's marker or end or of the form `<|...|>`,
    whatever their flags (Qwen's and DeepSeek's markers are not flagged). Other added tokens, such as Gemma's `<table>`
    and the runs of blanks of GPT-NeoX, are text.
    """
    return encode(tokenizer, text, control_ids(tokenizer), joined=False).ids


def beginning_of_text(tokenizer: Tokenizer) -> int | None:
    """The token that the tokenizer begins every text with, if any."""
    with_it, without = (tokenizer.encode("a", add_special_tokens=flag).ids for flag in (True, False))
    return with_it[0] if len(with_it) > len(without) and with_it[:1] != without[:1] else None


def control_ids(tokenizer: Tokenizer) -> frozenset[int]:
    flagged = {
        id_ for id_, t in tokenizer.get_added_tokens_decoder().items() if t.special or _CONTROL.fullmatch(t.content)
    }
    named = (tokenizer.token_to_id(name) for name in (*_MARKER_TOKENS, *ENDS))
    return frozenset(flagged | {id_ for id_ in named if id_ is not None})


def encode(tokenizer: Tokenizer, text: str, control: frozenset[int], joined: bool) -> Encoded:
    """Tokens without `control`. joined: the text continues another one, so no space is put before it.

    `Tokenizer.encode_special_tokens` excludes only what is flagged special, and changes the tokenizer for everyone.
    Instead the text is split inside each control token that was found, and the parts are encoded separately, until
    none is left.
    """
    found = _encode_once(tokenizer, text, joined)
    if control.isdisjoint(found.ids):
        return found
    borders, gone = [0], set()
    for at, (id_, (start, end)) in enumerate(zip(found.ids, found.offsets, strict=True)):
        if id_ not in control:
            continue
        if end - start < 2:
            gone.add(at)  # nothing to split, such as the unknown token for one character: it is left out
        else:
            # After a marker's first character; one with blanks around it and a run of unknown characters are halved.
            is_marker = text[start:end] == tokenizer.id_to_token(id_)
            borders.append(start + 1 if is_marker else (start + end) // 2)
    if len(borders) == 1:
        kept = [at for at in range(len(found.ids)) if at not in gone]
        return Encoded(text, [found.ids[at] for at in kept], [found.offsets[at] for at in kept])
    ids: list[int] = []
    offsets: list[tuple[int, int]] = []
    for start, end in zip(borders, [*borders[1:], len(text)], strict=True):
        part = encode(tokenizer, text[start:end], control, joined or start > 0)
        ids += part.ids
        offsets += [(start + a, start + b) for a, b in part.offsets]
    return Encoded(text, ids, offsets)


def _encode_once(tokenizer: Tokenizer, text: str, joined: bool) -> Encoded:
    if not text:
        return Encoded(text, [], [])
    if tokenizer.truncation or tokenizer.padding:  # left in the file by some library; both would spoil a prompt
        tokenizer.no_truncation()
        tokenizer.no_padding()
    if joined and _puts_space_before(tokenizer):
        # As Meta's and Mistral's own code does: after a character whose tokens are then dropped.
        encoding = tokenizer.encode(_APART + text, add_special_tokens=False)
        first = next((at for at, (start, _) in enumerate(encoding.offsets) if start >= 1), len(encoding.ids))
        if all(end <= 1 for _, end in encoding.offsets[:first]):
            offsets = [(start - 1, end - 1) for start, end in encoding.offsets[first:]]
            return Encoded(text, encoding.ids[first:], offsets)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    return Encoded(text, encoding.ids, encoding.offsets)


def _puts_space_before(tokenizer: Tokenizer) -> bool:
    """Whether the first word of a text gets a space of its own, as in SentencePiece."""
    return tokenizer.encode("a", add_special_tokens=False).tokens[0][0] in _PREFIX_SPACES
