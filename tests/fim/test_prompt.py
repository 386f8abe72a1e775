"""Prompts for the middle: every family's markers, and cutting around the cursor."""

from __future__ import annotations

import json
import random
from functools import cache

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from rrtf_ray.errors import InputError
from rrtf_ray.fim import prompt as fim
from rrtf_ray.fim.encoding import encode, encode_text
from rrtf_ray.fim.families import FAMILIES, Order, find_markers
from rrtf_ray.fim.prompt import fill_in_the_middle

CORPUS = [
    "def add(first, second):\n    return first + second\n\n\nprint(add(1, 2))\n",
    "for index in range(10):\n    if index % 2:\n        print(index)\n    else:\n        continue\n",
    "class Shape:\n    def __init__(self, name):\n        self.name = name\n\n    def area(self):\n        return 0\n",
] * 4
BY_NAME = {family.name: family for family in FAMILIES}
ENDS = {"starcoder": "<|endoftext|>", "qwen": "<|endoftext|>", "deepseek": "<｜end▁of▁sentence｜>"}


def byte_level(special: tuple[str, ...], plain: tuple[AddedToken, ...] = ()) -> Tokenizer:
    """Byte-level BPE. special: flagged special. plain: ordinary added tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens(list(plain))
    return tokenizer


def sentence_piece(special: tuple[str, ...], plain: tuple[AddedToken, ...] = (), legacy: bool = False) -> Tokenizer:
    """Like Llama's and Mistral's: `▁` for spaces, one before every text, and bytes for unknown characters."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    tokenizer.train_from_iterator(
        [line for text in CORPUS for line in text.split("\n")], trainers.BpeTrainer(vocab_size=300, show_progress=False)
    )
    trained = json.loads(tokenizer.to_str())["model"]
    pieces = [f"<0x{byte:02X}>" for byte in range(256)] + list(trained["vocab"])
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: at for at, piece in enumerate(pieces)},
            merges=[tuple(merge) for merge in trained["merges"]],
            byte_fallback=True,
            fuse_unk=True,
        )
    )
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<s>", "</s>", *special])
    tokenizer.add_tokens(list(plain))
    return tokenizer


def names_of(name: str) -> tuple[str, str, str]:
    family = BY_NAME[name]
    return family.token(family.prefix), family.token(family.suffix), family.token(family.middle)


@cache
def tokenizer_of(kind: str) -> Tokenizer:
    """One of the kinds below: a family's name, and how its markers were added."""
    name, _, how = kind.partition(" ")
    make = sentence_piece if name in ("codellama", "codestral") else byte_level
    extra = {"starcoder": "<file_sep>", "qwen": "<|file_sep|>", "codellama": "▁<EOT>"}.get(name, "<pad>")
    names = (ENDS.get(name, "</s>"), *names_of(name), extra)
    if not how:
        return make(names)
    if how == "trimmed":  # RoBERTa's and StarCoder's post-processor: offsets without the space of a word
        tokenizer = make(names)
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
        return tokenizer
    if how == "legacy":
        return sentence_piece(names, legacy=True)
    tokenizer = make((), tuple(AddedToken(n, special=False, normalized=how == "normalized") for n in names))
    if how == "normalized":
        tokenizer.normalizer = normalizers.NFC()
    return tokenizer


KINDS = [
    *BY_NAME,
    *("starcoder unflagged", "starcoder trimmed", "qwen unflagged", "qwen normalized", "deepseek unflagged"),
    "codellama legacy",
]


def filled(kind: str, prefix: str, suffix: str, **settings):
    tokenizer = tokenizer_of(kind)
    markers = find_markers(tokenizer)
    assert markers
    return fill_in_the_middle(tokenizer, markers, prefix, suffix, **{"context": 1000, "max_tokens": 32} | settings)


def pieces_of(kind: str, prompt_ids: list[int]) -> tuple[list[int], list[int]]:
    """The prefix's and the suffix's tokens, after a check that each marker is in its place, once."""
    markers = find_markers(tokenizer_of(kind))
    assert markers
    ids = list(prompt_ids)
    if markers.middle is not None:
        assert ids.pop() == markers.middle
    first, second = markers.prefix, markers.suffix
    if markers.order is Order.SUFFIX_FIRST:
        first, second = second, first
    assert ids[0] == first
    at = ids.index(second)
    inside = ids[1:at] + ids[at + 1 :]
    assert not markers.stop_ids & set(inside)
    parts = (ids[1:at], ids[at + 1 :])
    return parts if markers.order is Order.PREFIX_FIRST else parts[::-1]


def texts_of(kind: str, prompt_ids: list[int], original: str) -> tuple[str, str]:
    """Prefix and suffix of a prompt as texts. original: the whole prefix, to tell its space from an added one."""
    prefix, suffix = pieces_of(kind, prompt_ids)
    tokenizer = tokenizer_of(kind)
    if not is_sentence_piece(kind):
        return tokenizer.decode(prefix, skip_special_tokens=False), tokenizer.decode(suffix, skip_special_tokens=False)
    raw = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    text, after = (raw.decode([tokenizer.id_to_token(i) for i in ids]) for ids in (prefix, suffix))
    return text if original.endswith(text) else text.removeprefix(" "), after


def is_sentence_piece(kind: str) -> bool:
    return kind.startswith(("codellama", "codestral"))


# --- the model's own markers


@pytest.mark.parametrize("kind", KINDS)
def test_markers_of_a_model(kind):
    tokenizer, name = tokenizer_of(kind), kind.split()[0]
    markers = find_markers(tokenizer)
    prefix, suffix, middle = (tokenizer.token_to_id(n) for n in names_of(name))
    assert (markers.family, markers.prefix, markers.suffix) == (name, prefix, suffix)
    assert markers.middle == (None if name == "codestral" else middle)
    assert markers.stop_ids >= {prefix, suffix, middle, tokenizer.token_to_id(ENDS.get(name, "</s>"))}


def test_what_separates_files_ends_a_middle():
    for kind, name in (("starcoder", "<file_sep>"), ("qwen", "<|file_sep|>"), ("codellama", "▁<EOT>")):
        assert tokenizer_of(kind).token_to_id(name) in find_markers(tokenizer_of(kind)).stop_ids


def test_a_tokenizer_without_all_markers_has_none():
    assert find_markers(byte_level(("<|endoftext|>",))) is None
    assert find_markers(byte_level(("<fim_prefix>", "<fim_suffix>"))) is None
    assert find_markers(byte_level(("<fim_prefix>", "<|fim_suffix|>", "<fim_middle>"))) is None


# --- text to tokens


SMUGGLED = [
    "<fim_prefix><fim_suffix><fim_middle>",
    "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|><|endoftext|>",
    "<｜fim▁begin｜>a<｜fim▁hole｜>b<｜fim▁end｜><｜end▁of▁sentence｜>",
    "<PRE> a <SUF>b <MID> <EOT> ▁<PRE>a▁<SUF>b▁<MID>▁<EOT>",
    "[SUFFIX]a[PREFIX]b[MIDDLE]",
    "<[fim-suffix]>a<[fim-prefix]>b<[fim-middle]>",
    "<|code_suffix|><fim-prefix></s><s><pad><file_sep><|file_sep|>",
    '    MARKERS = ("<fim_prefix>",  "<|fim_suffix|>", "[PREFIX]", "▁<MID>")\n',
    "<fim_<fim_prefix>prefix> <|<|fim_prefix|>fim_prefix|>",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", SMUGGLED)
def test_markers_in_code_are_plain_text(kind, text):
    tokenizer = tokenizer_of(kind)
    control = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.content != "<pad>"}
    ids = encode_text(tokenizer, text)
    assert not control & set(ids)
    if is_sentence_piece(kind):
        text = text.replace("▁", " ")  # to SentencePiece they are the same
    fitted = filled(kind, text + "x", "y" + text)
    assert texts_of(kind, fitted.prompt_ids, text + "x") == (text + "x", "y" + text)


def test_the_smuggling_tests_can_fail():
    """What a tokenizer makes of the same texts by itself, also when it is set to encode special tokens."""
    tokenizer = byte_level((), (AddedToken("<|fim_prefix|>", special=False, normalized=False),))
    tokenizer.encode_special_tokens = True
    marker = tokenizer.token_to_id("<|fim_prefix|>")
    assert marker in tokenizer.encode("a<|fim_prefix|>b").ids
    assert marker not in encode_text(tokenizer, "a<|fim_prefix|>b")


def test_markers_that_swallow_blanks_are_plain_text_with_their_blanks():
    tokenizer = byte_level((), (AddedToken("<fim_prefix>", special=True, lstrip=True, rstrip=True),))
    text = "a" + " " * 3000 + "<fim_prefix>\n\n b"
    ids = encode_text(tokenizer, text)
    assert tokenizer.token_to_id("<fim_prefix>") not in ids
    assert tokenizer.decode(ids) == text


def test_long_runs_of_unknown_characters_are_left_out():
    tokenizer = Tokenizer(models.BPE(vocab={"<unk>": 0, "a": 1}, merges=[], unk_token="<unk>", fuse_unk=True))
    tokenizer.add_special_tokens(["<unk>"])
    assert encode_text(tokenizer, "a" + "é" * 5000 + "a") == [1, 1]


def test_tokens_with_the_form_of_control_tokens_are_kept_out_by_any_name():
    tokenizer = byte_level((), (AddedToken("<|made_up|>", special=False),))
    assert tokenizer.token_to_id("<|made_up|>") not in encode_text(tokenizer, "x <|made_up|>")


def test_added_tokens_that_are_text_stay_tokens():
    tokenizer = byte_level(("<fim_prefix>",), (AddedToken("        ", special=False), AddedToken("<table>")))
    found = encode_text(tokenizer, "<table>\n        x")
    assert tokenizer.token_to_id("<table>") in found
    assert tokenizer.token_to_id("        ") in found


def test_the_tokenizer_is_left_as_it_was_and_what_spoils_a_prompt_is_taken_off():
    tokenizer = byte_level(("<fim_prefix>",))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=500)
    text = "def add(first, second):\n" * 10
    assert tokenizer.decode(encode_text(tokenizer, text)) == text
    assert tokenizer.encode_special_tokens is False


def test_nothing_begins_a_text():
    tokenizer = tokenizer_of("starcoder")
    assert encode_text(tokenizer, "") == []
    assert encode_text(tokenizer, "x") == tokenizer.encode("x", add_special_tokens=False).ids


# --- prompts


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [
        ("def add(first, second):\n    return ", "\n\nprint(add(1, 2))\n"),
        ("", "print(1)\n"),
        ("print(", ""),
        ("", ""),
        ("    ret", "urn first\n"),
        ("if a:\r\n    b\r\n", "\r\nelse:\r\n    c"),
        ("# naïve 😀 日本", "語 ☺ é\n"),
        (" ", " "),
    ],
)
def test_short_code_is_there_whole(kind, prefix, suffix):
    fitted = filled(kind, prefix, suffix, max_tokens=20)
    assert texts_of(kind, fitted.prompt_ids, prefix) == (prefix, suffix)
    assert (fitted.max_tokens, fitted.dropped_prefix_tokens, fitted.dropped_suffix_tokens) == (20, 0, 0)


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("starcoder", "<fim_prefix> a <fim_suffix> r <fim_middle>"),
        ("deepseek", "<｜fim▁begin｜> a <｜fim▁hole｜> r <｜fim▁end｜>"),
        ("seedcoder", "<[fim-suffix]> r <[fim-prefix]> a <[fim-middle]>"),
        # SentencePiece puts a space before the prefix, which begins a text, and none before the suffix, which goes on.
        ("codellama", "▁<PRE> ▁ a ▁<SUF> r ▁<MID>"),
        ("codellama legacy", "▁<PRE> ▁ a ▁<SUF> r ▁<MID>"),
        ("codestral", "[SUFFIX] r [PREFIX] ▁ a"),
    ],
)
def test_orders_by_hand(kind, form):
    fitted = filled(kind, "a", "r", bos=77)
    assert fitted.prompt_ids[0] == 77
    assert [tokenizer_of(kind).id_to_token(i) for i in fitted.prompt_ids[1:]] == form.split()


def program(lines: int, seed: int = 0) -> str:
    rng = random.Random(seed)
    words = [
        "return",
        "index",
        "é",
        "😀",
        "print(",
        ")",
        " ",
        "    ",
        "def",
        "self.name",
        "+",
        "<fim_prefix>",
        "\t",
        "1",
    ]
    ends = ["\n", "\n", "\n", "\r\n", "\n\n", ""]
    return "".join("".join(rng.choices(words, k=rng.randrange(9))) + rng.choice(ends) for _ in range(lines))


@pytest.mark.parametrize("kind", KINDS)
def test_random_code_is_cut_around_the_cursor(kind):
    rng = random.Random(1)
    cut = whole = 0
    for seed in range(60):
        prefix, suffix = (program(rng.choice([0, 1, 3, 9, 60]), number) for number in (seed, seed + 1000))
        context, max_tokens = rng.randrange(40, 400), rng.randrange(1, 400)
        bos = rng.choice([None, 3])
        fitted = filled(kind, prefix, suffix, context=context, max_tokens=max_tokens, bos=bos)
        assert len(fitted.prompt_ids) + fitted.max_tokens <= context
        assert 1 <= fitted.max_tokens <= max_tokens
        assert fitted.max_tokens >= min(max_tokens, (context - 4) // 2)
        if bos is not None:
            assert fitted.prompt_ids[0] == bos
        ids = fitted.prompt_ids[bos is not None :]
        kept_prefix, kept_suffix = texts_of(kind, ids, prefix)
        assert prefix.endswith(kept_prefix)
        assert suffix.startswith(kept_suffix)
        for text, kept, dropped in (
            (prefix, kept_prefix, fitted.dropped_prefix_tokens),
            (suffix, kept_suffix, fitted.dropped_suffix_tokens),
        ):
            assert (dropped > 0) == (kept != text)
        if fitted.dropped_prefix_tokens or fitted.dropped_suffix_tokens:
            cut += 1
            # What is left unused: up to a tenth of each side at line ends, and what re-encoding saves.
            room = min(max_tokens, (context - 4) // 2)
            assert len(fitted.prompt_ids) >= 0.75 * (context - room) - 12
        else:
            whole += 1
    assert cut > 10
    assert whole > 3


def lines_of(count: int, name: str) -> str:
    return "".join(f"{name}{index % 10}\n" for index in range(count))


def test_three_quarters_are_the_prefix_s():
    fitted = filled("starcoder", lines_of(5000, "p"), lines_of(5000, "s"), context=1003, max_tokens=200)
    prefix, suffix = pieces_of("starcoder", fitted.prompt_ids)
    assert 580 <= len(prefix) <= 600
    assert 190 <= len(suffix) <= 220
    assert fitted.max_tokens >= 200 - 1
    # 5,000 lines of 3 tokens (letter, digit, line end), of which the far end was never tokenized.
    assert 14_000 <= fitted.dropped_prefix_tokens + len(prefix) <= 16_000
    assert 14_000 <= fitted.dropped_suffix_tokens + len(suffix) <= 16_000


def test_what_one_side_does_not_need_is_the_other_s():
    short = lines_of(10, "s")
    few_after = filled("starcoder", lines_of(5000, "p"), short, context=1003, max_tokens=200)
    prefix, suffix = pieces_of("starcoder", few_after.prompt_ids)
    assert len(suffix) == 30
    assert few_after.dropped_suffix_tokens == 0
    assert 755 <= len(prefix) <= 770
    few_before = filled("starcoder", short, lines_of(5000, "p"), context=1003, max_tokens=200)
    prefix, suffix = pieces_of("starcoder", few_before.prompt_ids)
    assert len(prefix) == 30
    assert few_before.dropped_prefix_tokens == 0
    assert 755 <= len(suffix) <= 770


def test_a_cut_prefix_begins_and_a_cut_suffix_ends_with_a_line():
    line = "    return first + second\n"
    fitted = filled("starcoder", line * 400, line * 400, context=600, max_tokens=50)
    prefix, suffix = texts_of("starcoder", fitted.prompt_ids, line * 400)
    assert prefix == line * (len(prefix) // len(line))
    assert suffix == line * (len(suffix) // len(line))
    assert len(prefix) > len(suffix) > 0


def test_one_long_line_is_cut_inside():
    fitted = filled("starcoder", "x=1;" * 4000, "y=2;" * 4000, context=600, max_tokens=50)
    assert len(fitted.prompt_ids) >= 600 - 50 - 2


@pytest.mark.parametrize("is_prefix", [True, False])
@pytest.mark.parametrize("kind", ["starcoder trimmed", "codellama", "codellama legacy"])
def test_a_cut_that_is_encoded_anew_is_never_longer_than_its_limit(kind, is_prefix):
    """Inside words the rest has other tokens than before, and more."""
    tokenizer = tokenizer_of(kind)
    code = encode(tokenizer, "returnselfprintindexcontinue" * 3, frozenset(), joined=not is_prefix)
    for limit in range(len(code.ids) + 1):
        assert len(fim._cut(tokenizer, code, limit, frozenset(), is_prefix=is_prefix).ids) <= limit


def test_a_large_max_tokens_costs_the_code_at_most_half_of_the_context():
    short = filled("starcoder", "a", "b", context=203, max_tokens=10_000)
    assert short.max_tokens == 203 - 5  # all that the short code leaves
    long = filled("starcoder", lines_of(500, "p"), lines_of(500, "s"), context=203, max_tokens=10_000)
    assert 100 <= long.max_tokens <= 125
    assert 78 <= len(long.prompt_ids) <= 103


class CountingTokenizer:
    """A tokenizer that counts the characters it is given."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self.seen = 0

    def __getattr__(self, name):
        return getattr(self._tokenizer, name)

    def encode(self, text, **options):
        self.seen += len(text)
        return self._tokenizer.encode(text, **options)


@pytest.mark.parametrize("kind", ["starcoder", "codellama", "codestral"])
@pytest.mark.parametrize("text", [program(100_000), "x" * 1_000_000, " " * 1_000_000, "\n" * 1_000_000, "😀" * 250_000])
def test_cost_follows_the_context_and_not_the_file(kind, text):
    """Characters that the tokenizer sees: at most a few dozen per token of the context."""
    tokenizer = CountingTokenizer(tokenizer_of(kind))
    markers = find_markers(tokenizer)
    fitted = fill_in_the_middle(tokenizer, markers, text, text, context=500, max_tokens=100)
    assert 0 < tokenizer.seen <= 500 * 100
    assert fitted.dropped_prefix_tokens > 0
    assert fitted.dropped_suffix_tokens > 0
    assert len(fitted.prompt_ids) + fitted.max_tokens <= 500


def test_a_context_that_is_too_short_says_so():
    assert filled("starcoder", "a" * 99, "b" * 99, context=35, max_tokens=99).max_tokens >= 16
    with pytest.raises(InputError, match=r"context of 34 tokens .* 3 markers, 16 tokens of code .* need 35"):
        filled("starcoder", "a", "b", context=34, max_tokens=1)
    with pytest.raises(ValueError, match="max_tokens=0"):
        filled("starcoder", "a", "b", max_tokens=0)
