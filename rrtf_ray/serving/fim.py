"""Fill-in-the-middle: from the code around a cursor to the tokens that a model was trained to fill in.

Input: prefix and suffix, or a prompt that a client has templated for any family of models. Output: token ids in the
order and with the markers of the family that serves, cut around the cursor to fit the context.

What a client sends is text: a marker's name in it becomes the plain characters of that name, never the marker.

Limits: a tokenizer with StarCoder's markers is taken for StarCoder's order (Mellum has the same markers and wants the
suffix first), and a cursor inside a word is a border of tokens as anywhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from tokenizers import Tokenizer

from rrtf_ray.errors import InputError

LEAST_CODE = 16
LEAST_MIDDLE = 16
"""Tokens of code and of a middle that every context must have room for."""


class Order(StrEnum):
    """How the pieces of a prompt follow each other."""

    PREFIX_FIRST = "prefix first"
    """Prefix marker, prefix, suffix marker, suffix, middle marker."""

    SUFFIX_FIRST = "suffix first"
    """Suffix marker, suffix, prefix marker, prefix, and the middle marker where the family closes with it."""


@dataclass(frozen=True, slots=True)
class Family:
    """Models with the same markers, as texts.

    closes: whether a prompt ends in the middle marker. spaced: CodeLlama's, whose tokens begin with `▁` and whose texts
    have spaces that are not code: `<PRE> prefix <SUF>suffix <MID>`.
    """

    name: str
    prefix: str
    suffix: str
    middle: str
    order: Order = Order.PREFIX_FIRST
    closes: bool = True
    spaced: bool = False

    def token(self, marker: str) -> str:
        """The marker as it stands in the vocabulary."""
        return f"▁{marker}" if self.spaced else marker


FAMILIES = (
    # StarCoder, StarCoder2, Granite, Stable Code, Yi-Coder, Refact
    Family("starcoder", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    Family("santacoder", "<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    # Qwen-Coder, CodeGemma, Granite 4
    Family("qwen", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    Family("deepseek", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    Family("codellama", "<PRE>", "<SUF>", "<MID>", spaced=True),
    Family("seedcoder", "<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>", Order.SUFFIX_FIRST),
    Family("codegeex", "<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>", Order.SUFFIX_FIRST),
    Family("codestral", "[PREFIX]", "[SUFFIX]", "[MIDDLE]", Order.SUFFIX_FIRST, closes=False),
)

_ENDS = (
    *(
        "<|endoftext|>",
        "</s>",
        "<eos>",
        "<|end_of_text|>",
        "<|eot_id|>",
        "<｜end▁of▁sentence｜>",
        "<[end▁of▁sentence]>",
    ),
    *("<EOT>", "▁<EOT>", "<|EOT|>", "<|im_end|>", "<|im_start|>", "<end_of_turn>", "<|cursor|>"),
    *("<fim_pad>", "<fim-pad>", "<|fim_pad|>", "<[fim-pad]>"),
    *("<file_sep>", "<|file_sep|>", "<|file_separator|>", "<repo_name>", "<|repo_name|>", "<reponame>", "<filename>"),
    *("<gh_stars>", "<issue_start>", "<jupyter_start>", "<commit_before>"),
)
"""Tokens that end a middle in some family, beside its markers."""

_MARKER_TOKENS = tuple(f.token(marker) for f in FAMILIES for marker in (f.prefix, f.suffix, f.middle))
_CONTROL = re.compile(r"<[|｜].+[|｜]>")
_PREFIX_SPACES = "▁Ġ"
_APART = "☺"


@dataclass(frozen=True, slots=True)
class Markers:
    """A model's own markers as token ids. middle: None where the family does not close a prompt with one.

    stop_ids: tokens that end a middle: the markers, end of text and what separates files.
    """

    family: str
    prefix: int
    suffix: int
    middle: int | None
    order: Order
    stop_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt that fits the context together with `max_tokens`.

    dropped_prefix_tokens, dropped_suffix_tokens: how much of the code was cut away, 0 for none; an estimate where the
    text was so long that its far end was never tokenized.
    """

    prompt_ids: list[int]
    max_tokens: int
    dropped_prefix_tokens: int
    dropped_suffix_tokens: int


@dataclass(frozen=True, slots=True)
class Templated:
    """What a templated prompt says. family: whose markers it had."""

    prefix: str
    suffix: str
    family: str


def find_markers(tokenizer: Tokenizer) -> Markers | None:
    """The family whose markers are all added tokens of this tokenizer; None if there is none."""
    added = {token.content: id_ for id_, token in tokenizer.get_added_tokens_decoder().items()}
    for family in FAMILIES:
        names = [family.token(marker) for marker in (family.prefix, family.suffix, family.middle)]
        needed = names if family.closes else names[:2]
        if all(name in added for name in needed):
            return Markers(
                family=family.name,
                prefix=added[names[0]],
                suffix=added[names[1]],
                middle=added[names[2]] if family.closes else None,
                order=family.order,
                stop_ids=frozenset(added[name] for name in (*names, *_ENDS) if name in added),
            )
    return None


# --- text to tokens


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A text and its tokens, with the characters that each stands for."""

    text: str
    ids: list[int]
    offsets: list[tuple[int, int]]


def encode_text(tokenizer: Tokenizer, text: str) -> list[int]:
    """Tokens of a text in which every marker is plain text. No token that begins a text is added.

    Kept out: tokens flagged special, and added tokens of any family's markers and ends, or of the form `<|...|>`,
    whatever their flags (Qwen's and DeepSeek's markers are not flagged). Other added tokens, such as Gemma's `<table>`
    and the runs of blanks of GPT-NeoX, are text.
    """
    return _encode(tokenizer, text, _control_ids(tokenizer), joined=False).ids


def _control_ids(tokenizer: Tokenizer) -> frozenset[int]:
    flagged = {
        id_ for id_, t in tokenizer.get_added_tokens_decoder().items() if t.special or _CONTROL.fullmatch(t.content)
    }
    named = (tokenizer.token_to_id(name) for name in (*_MARKER_TOKENS, *_ENDS))
    return frozenset(flagged | {id_ for id_ in named if id_ is not None})


def _encode(tokenizer: Tokenizer, text: str, control: frozenset[int], joined: bool) -> _Encoded:
    """Tokens without `control`. joined: this goes on where other text ends, so that no space is put before it.

    `Tokenizer.encode_special_tokens` keeps out only what is flagged special, and it changes the tokenizer for all who
    use it. Instead the text is parted inside each control token that was found, and the parts are encoded by
    themselves, until none is left.
    """
    found = _encode_once(tokenizer, text, joined)
    if control.isdisjoint(found.ids):
        return found
    borders, gone = [0], set()
    for at, (id_, (start, end)) in enumerate(zip(found.ids, found.offsets, strict=True)):
        if id_ not in control:
            continue
        if end - start < 2:
            gone.add(at)  # nothing to part, such as the unknown token for one character: it is left out
        else:
            # Behind a marker's first character; one with blanks around it and a run of unknown characters are halved.
            is_marker = text[start:end] == tokenizer.id_to_token(id_)
            borders.append(start + 1 if is_marker else (start + end) // 2)
    if len(borders) == 1:
        kept = [at for at in range(len(found.ids)) if at not in gone]
        return _Encoded(text, [found.ids[at] for at in kept], [found.offsets[at] for at in kept])
    ids: list[int] = []
    offsets: list[tuple[int, int]] = []
    for start, end in zip(borders, [*borders[1:], len(text)], strict=True):
        part = _encode(tokenizer, text[start:end], control, joined or start > 0)
        ids += part.ids
        offsets += [(start + a, start + b) for a, b in part.offsets]
    return _Encoded(text, ids, offsets)


def _encode_once(tokenizer: Tokenizer, text: str, joined: bool) -> _Encoded:
    if not text:
        return _Encoded(text, [], [])
    if tokenizer.truncation or tokenizer.padding:  # what some library left in the file; both would spoil a prompt
        tokenizer.no_truncation()
        tokenizer.no_padding()
    if joined and _puts_space_before(tokenizer):
        # As Meta's and Mistral's own code does: behind a character whose tokens are then dropped.
        encoding = tokenizer.encode(_APART + text, add_special_tokens=False)
        first = next((at for at, (start, _) in enumerate(encoding.offsets) if start >= 1), len(encoding.ids))
        if all(end <= 1 for _, end in encoding.offsets[:first]):
            offsets = [(start - 1, end - 1) for start, end in encoding.offsets[first:]]
            return _Encoded(text, encoding.ids[first:], offsets)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    return _Encoded(text, encoding.ids, encoding.offsets)


def _puts_space_before(tokenizer: Tokenizer) -> bool:
    """Whether the first word of a text gets a space of its own, as in SentencePiece."""
    return tokenizer.encode("a", add_special_tokens=False).tokens[0][0] in _PREFIX_SPACES


# --- fitting code into a context


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

    context: tokens of the prompt and the middle together. Code that leaves less than `max_tokens` is cut, far from the
    cursor first: three quarters of the room are the prefix's, and what one side does not need is the other's. The code
    never loses more than half of the context to a large `max_tokens`; the middle gets what is left, at most
    `max_tokens`. Tokenizing costs time in proportion to the context, not to the file.

    Raises InputError where the context has no room for `LEAST_CODE` and `LEAST_MIDDLE` tokens.
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
    control = _control_ids(tokenizer)
    before = _nearest(tokenizer, prefix, room, control, is_prefix=True)
    after = _nearest(tokenizer, suffix, room, control, is_prefix=False)
    # A side that fits is never cut: its limit is then at least its length.
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


def _nearest(tokenizer: Tokenizer, text: str, limit: int, control: frozenset[int], *, is_prefix: bool) -> _Encoded:
    """The end of a prefix or the beginning of a suffix: all of it, or more than `limit` tokens.

    Code has some 3 to 4 characters a token. A text with more (long runs of blanks) is taken in twice the length until
    there are enough, at most until it holds `limit` of the vocabulary's longest token.
    """
    size = 4 * limit
    while True:
        part = text[-size:] if is_prefix else text[:size]
        encoded = _encode(tokenizer, part, control, joined=not is_prefix)
        if len(part) == len(text) or len(encoded.ids) > limit:
            return encoded
        size *= 2


def _cut(tokenizer: Tokenizer, code: _Encoded, limit: int, control: frozenset[int], *, is_prefix: bool) -> _Encoded:
    """At most `limit` tokens of whole characters: a prefix loses its beginning, a suffix its end.

    What is kept is encoded anew, as if the file were no longer, so that it can come out longer than expected and is
    then cut again.
    """
    while len(code.ids) > limit:
        over, text = len(code.ids) - limit, code.text
        # Behind or before the tokens that go; several tokens of one character go together.
        if is_prefix:
            begin = max(1, *(end for _, end in code.offsets[:over]))
            text = text[_line_start(text, begin) :]
        else:
            end = min(len(text) - 1, *(start for start, _ in code.offsets[-over:]))
            text = text[: _line_end(text, end)]
        code = _encode(tokenizer, text, control, joined=not is_prefix)
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


def _dropped(text: str, nearest: _Encoded, kept: _Encoded) -> int:
    if len(kept.text) == len(text):
        return 0
    unseen = (len(text) - len(nearest.text)) * len(nearest.ids) // max(1, len(nearest.text))
    return max(1, len(nearest.ids) - len(kept.ids) + unseen)


# --- prompts that a client has templated

_LEAD = re.compile(r"(?:[\s▁]|<s>|<bos>|<\|begin_of_text\|>|<\|endoftext\|>|<[|｜\[]begin▁of▁sentence[|｜\]]>)*")
_SEPARATOR = re.compile(r"<\|(?:repo_name|file_sep|file_separator)\|>|<(?:repo_?name|file_sep|filename|gh_stars)>")
_QUOTES = frozenset("\"'`")
_NEAR = 200
"""Characters on each side of a marker that are looked at to tell whether code only mentions it."""


def parse_templated(prompt: str) -> Templated | None:
    """The prefix and suffix of a prompt that has a family's markers in their places; None for any other prompt.

    Read are, with P, S and M for the markers, `P prefix S suffix M`, `P S suffix M prefix`, `S suffix P prefix M` and,
    for Codestral, `S suffix P prefix`. The prompt begins with the first marker, except for blanks, a token that begins
    a text, and the repository's and other files' names and texts behind their own markers (`<file_sep>` and the like).
    These become lines of the prefix, each name and file on a line of its own, without their markers.

    Code may mention markers (this file does). The first marker is the one at the beginning, the middle marker the one
    at the end. Of several others it is one that is neither between quotes nor inside a line with another marker; of
    several such, the one that makes the prefix longest, since most code is before the cursor. So code that mentions
    markers unquoted after the cursor is read wrongly, and a prompt with markers that is itself code about markers
    cannot be told from a templated one.
    """
    start = _end_of(_LEAD, prompt)
    has_context = _SEPARATOR.match(prompt, start) is not None
    for family in FAMILIES:
        first: int | None = start
        if has_context:
            first = _first_marker(prompt, start, family) if family.closes else None
        if first is None:
            continue
        found = None
        if prompt.startswith(family.prefix, first):
            found = _read_prefix_first(prompt, first + len(family.prefix), family)
        elif prompt.startswith(family.suffix, first) and not family.spaced:
            found = _read_suffix_first(prompt, first + len(family.suffix), family)
        if found is not None:
            prefix, suffix = found
            return Templated(_as_lines(prompt[start:first]) + prefix, suffix, family.name)
    return None


def _end_of(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0


def _first_marker(prompt: str, start: int, family: Family) -> int | None:
    """Where a prompt with other files before it begins: at a marker at the start of a line or behind a separator."""
    either = f"{re.escape(family.prefix)}|{re.escape(family.suffix)}"
    match = re.compile(rf"(?:\n|{_SEPARATOR.pattern})[ ▁]?({either})").search(prompt, start)
    return match.start(1) if match else None


def _as_lines(context: str) -> str:
    """Names and texts of other files without their markers, each on a line of its own."""
    pieces = (piece.strip("\n") for piece in _SEPARATOR.split(context))
    return "".join(f"{piece}\n" for piece in pieces if piece.strip())


def _closing(prompt: str, begin: int, family: Family) -> int | None:
    """Where the middle marker at the end of the prompt begins."""
    end = len(prompt.rstrip())
    return end - len(family.middle) if prompt.endswith(family.middle, begin, end) else None


def _read_prefix_first(prompt: str, begin: int, family: Family) -> tuple[str, str] | None:
    """`prefix S suffix M`, or `S suffix M prefix`, from `begin` on."""
    closing = _closing(prompt, begin, family)
    at: int | None = prompt.find(family.suffix, begin)
    if at is None or at < 0:
        return None
    is_next = not prompt[begin:at].strip(" ▁") if family.spaced else at == begin
    if is_next and closing is None:
        closing = _choose(prompt, family.middle, at + len(family.suffix), len(prompt), family)
    elif not is_next and closing is not None:
        at = _choose(prompt, family.suffix, begin, closing, family, last=True)
    if at is None or closing is None or at > closing:
        return None
    prefix, suffix = prompt[begin:at], prompt[at + len(family.suffix) : closing]
    rest = prompt[closing + len(family.middle) :]
    if family.spaced:
        prefix, suffix, rest = _without_spaces(prefix, suffix, rest)
    return prefix + rest, suffix


def _without_spaces(prefix: str, suffix: str, rest: str) -> tuple[str, str, str]:
    """CodeLlama's pieces without the spaces of its template, where all of them are there."""
    prefix, suffix = (piece[:-1] + " " if piece.endswith("▁") else piece for piece in (prefix, suffix))
    if not prefix.strip(" "):
        return "", suffix.removesuffix(" "), rest.removeprefix(" ")
    if prefix.startswith(" ") and prefix.endswith(" ") and suffix.endswith(" "):
        return prefix[1:-1], suffix[:-1], rest.removeprefix(" ")
    return prefix, suffix, rest


def _read_suffix_first(prompt: str, begin: int, family: Family) -> tuple[str, str] | None:
    """`suffix P prefix M` from `begin` on, M being optional where the family does not close with it."""
    closing = _closing(prompt, begin, family)
    if closing is None and family.closes:
        return None
    end = len(prompt) if closing is None else closing
    at = _choose(prompt, family.prefix, begin, end, family)
    if at is None:
        return None
    rest = prompt[end + len(family.middle) :]
    return prompt[at + len(family.prefix) : end] + rest, prompt[begin:at]


def _choose(prompt: str, marker: str, begin: int, end: int, family: Family, last: bool = False) -> int | None:
    """The place of `marker` between begin and end, the likeliest of several."""
    places = _places(prompt, marker, begin, end)
    unquoted = [at for at in places if not _is_mention(prompt, at, marker, begin, end, family)]
    chosen = unquoted or places
    return chosen[-1 if last else 0] if chosen else None


def _places(prompt: str, marker: str, begin: int, end: int) -> list[int]:
    return [match.start() for match in re.compile(re.escape(marker)).finditer(prompt, begin, end)]


def _is_mention(prompt: str, at: int, marker: str, begin: int, end: int, family: Family) -> bool:
    """Whether a marker is between quotes, or inside a line with another marker that stands between begin and end."""
    behind = at + len(marker)
    if prompt[at - 1] in _QUOTES and prompt[behind : behind + 1] in _QUOTES:
        return True
    before = prompt[max(begin, at - _NEAR) : at].rpartition("\n")[2]
    after = prompt[behind : min(end, behind + _NEAR)].partition("\n")[0]
    others = {family.prefix, family.suffix, family.middle} - {marker}
    return bool(before) and any(other in before or other in after for other in others)
