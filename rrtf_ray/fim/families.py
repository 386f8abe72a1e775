"""Families of models that fill in the middle: their markers, and the family that a tokenizer belongs to.

Limit: StarCoder's markers are taken to mean StarCoder's order (Mellum has the same markers and wants the suffix
first).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tokenizers import Tokenizer


class Order(StrEnum):
    """The order of a prompt's pieces."""

    PREFIX_FIRST = "prefix first"
    """Prefix marker, prefix, suffix marker, suffix, middle marker."""

    SUFFIX_FIRST = "suffix first"
    """Suffix marker, suffix, prefix marker, prefix, and the middle marker if the family closes with it."""


@dataclass(frozen=True, slots=True)
class Family:
    """Models with the same markers, as texts.

    closes: whether a prompt ends in the middle marker. spaced: CodeLlama's kind, whose tokens begin with `▁` and whose
    template has spaces that are not code: `<PRE> prefix <SUF>suffix <MID>`.
    """

    name: str
    prefix: str
    suffix: str
    middle: str
    order: Order = Order.PREFIX_FIRST
    closes: bool = True
    spaced: bool = False

    def token(self, marker: str) -> str:
        """The marker as the vocabulary has it."""
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

ENDS = (
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
"""Tokens besides the markers that end a middle in some family."""


@dataclass(frozen=True, slots=True)
class Markers:
    """A model's own markers as token ids. middle: None if the family does not close a prompt with one.

    stop_ids: tokens that end a middle: the markers, end of text and file separators.
    """

    family: str
    prefix: int
    suffix: int
    middle: int | None
    order: Order
    stop_ids: frozenset[int]


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
                stop_ids=frozenset(added[name] for name in (*names, *ENDS) if name in added),
            )
    return None
