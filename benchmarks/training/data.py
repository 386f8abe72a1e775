"""What the sides of the training benchmark train on: a tokenizer, a model and groups of responses.

The model is a random GPTBigCode (StarCoder's architecture) of 48 million parameters with StarCoder's vocabulary size,
so its logits weigh as much as in a real code model. The groups are HumanEval's prompts with the canonical solution as
teacher and real completions of CodeGen-16B.
"""

from __future__ import annotations

import json
import random
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

EOS, PAD = "<|endoftext|>", "<|pad|>"
VOCABULARY = 49_152
MOST_RESPONSES = 8
_TOP_LEVEL = re.compile(r"^(?=\S)", re.MULTILINE)


@dataclass(frozen=True)
class Options:
    """k: responses per group. groups: per turn. step_groups: groups per optimizer step. pass_groups: groups per forward
    pass (0: the side's default)."""

    folder: Path
    k: int
    groups: int
    step_groups: int
    pass_groups: int


class Work(NamedTuple):
    """What a turn processed: response tokens, all text tokens (each as often as it is computed), and positions of the
    passes, padding included."""

    response_tokens: int
    tokens: int
    positions: int


class Group(NamedTuple):
    """A problem as tokens; each response ends with EOS, the first is the teacher's."""

    prompt: list[int]
    responses: list[list[int]]


def prepare(folder: Path, problems: str, samples: str, seed: int = 0) -> None:
    """Make `folder/tokenizer`, `folder/model` and `folder/groups.jsonl` if they do not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "tokenizer/tokenizer.json").exists():
        make_tokenizer(folder / "tokenizer")
    if not (folder / "model/config.json").exists():
        make_model(folder / "model", seed)
    if not (folder / "groups.jsonl").exists():
        lines = [json.dumps(group) for group in _groups(problems, samples, seed)]
        (folder / "groups.jsonl").write_text("".join(f"{line}\n" for line in lines))


def make_tokenizer(folder: Path) -> None:
    """Byte-level BPE like StarCoder's, trained on the standard library."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sources(), trainer)
    if (size := tokenizer.get_vocab_size()) != VOCABULARY:
        raise SystemExit(f"the standard library's sources gave {size} tokens instead of {VOCABULARY}")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=EOS, pad_token=PAD).save_pretrained(folder)


def _sources() -> Iterator[str]:
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" not in path.parts:
            yield path.read_text(encoding="utf-8", errors="replace")


def make_model(folder: Path, seed: int) -> None:
    import torch
    from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM

    torch.manual_seed(seed)
    config = GPTBigCodeConfig(
        vocab_size=VOCABULARY,
        n_positions=2048,
        n_embd=512,
        n_layer=8,
        n_head=8,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    GPTBigCodeForCausalLM(config).save_pretrained(folder)


def _groups(problems: str, samples: str, seed: int) -> Iterator[dict[str, Any]]:
    """id, prompt, responses (the teacher's first, all distinct), in a random order; problems with fewer than
    MOST_RESPONSES distinct responses are left out."""
    from rrtf_ray.problems import load
    from rrtf_ray.problems.samples import ProblemIndex, read_samples

    index = ProblemIndex(load("humaneval", problems))
    texts = {index.find(row): row.texts for row in read_samples(samples)}
    rows = [json.loads(line) for line in Path(problems).read_text().splitlines()]
    random.Random(seed).shuffle(rows)
    for row in rows:
        found = [row["canonical_solution"], *map(_cut, texts.get(row["task_id"], ()))]
        distinct = [text for text in dict.fromkeys(found) if text.strip()]
        if len(distinct) >= MOST_RESPONSES:
            yield {"id": row["task_id"], "prompt": row["prompt"], "responses": distinct[:MOST_RESPONSES]}


def _cut(completion: str) -> str:
    """The function's body: what precedes the first line at column 0."""
    return _TOP_LEVEL.split(completion, maxsplit=1)[0].rstrip() + "\n"
