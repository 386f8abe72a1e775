"""Make the demo's student: a tiny StarCoder (GPTBigCode) model, trained from scratch on the spot.

Output: a Hugging Face directory (safetensors, tokenizer, generation config) that Transformers and vLLM load.
The student writes valid Python and ends it, and is right on about a third of the problems (see `corpus`).

Same seed, machine and versions: same weights. For that the number of steps is fixed, not the time, and so is the number
of threads, because the order of floating-point sums depends on it.

Limits: it knows the generated problems only; positions beyond about 200 tokens are accepted but never trained.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from rrtf_ray.quickstart.corpus import Document, draw_documents
from rrtf_ray.quickstart.tokenizer import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, train_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM, PreTrainedTokenizerFast

NUM_STEPS = 900
BATCH_SIZE = 16
LEARNING_RATE = 3e-3
WARMUP_STEPS = 40
NUM_THREADS = 2
VOCAB_SIZE = 1024
NUM_POSITIONS = 1024
HIDDEN_SIZE = 128
NUM_LAYERS = 4
HEAD_SIZE = 32
INIT_SCALE = 0.08
"""Standard deviation of the initial weights: about 1 / sqrt(HIDDEN_SIZE); the usual 0.02 is for wide models."""
_TOKENIZER_DOCUMENTS = 2000
_BATCHES_PER_SORT = 8
_IGNORED = -100

Example = tuple[list[int], list[int]]
"""Token ids and labels of one document, of one length; a label of -100 is not trained on."""


def make_student(
    output_dir: Path,
    *,
    seed: int = 0,
    steps: int = NUM_STEPS,
    documents: Callable[[int], Iterator[Document]] = draw_documents,
    on_step: Callable[[int, int, float], None] | None = None,
) -> dict[str, float]:
    """Train a student and save it to `output_dir`.

    documents: the endless corpus of a seed, the same at each call.
    on_step: called after each step with its number (from 1), the number of steps, its loss (nats per token).
    Returns the last loss, parameters, tokens trained on, and the seconds it took (wall and CPU).
    """
    import torch

    started, started_cpu = perf_counter(), process_time()
    tokenizer = _new_tokenizer(documents(seed))
    with _fixed_threads(NUM_THREADS), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _new_model(tokenizer)
        batches = _batches(tokenizer, documents(seed), seed)
        loss, num_tokens = _train(model, batches, tokenizer.pad_token_id, steps, on_step)
    _save(model, tokenizer, output_dir)
    return {
        "loss": loss,
        "num_parameters": model.num_parameters(),
        "num_tokens": num_tokens,
        "elapsed_s": perf_counter() - started,
        "cpu_s": process_time() - started_cpu,
    }


def student_config(seed: int = 0) -> GPTBigCodeConfig:
    """The student's architecture; its vocabulary depends on the seed."""
    return _config(_new_tokenizer(draw_documents(seed)))


def _new_tokenizer(documents: Iterator[Document]) -> PreTrainedTokenizerFast:
    texts = [d.given + d.written + (d.suffix or "") for d in islice(documents, _TOKENIZER_DOCUMENTS)]
    return train_tokenizer(texts, vocab_size=VOCAB_SIZE, max_length=NUM_POSITIONS)


def _config(tokenizer: PreTrainedTokenizerFast) -> GPTBigCodeConfig:
    from transformers import GPTBigCodeConfig

    return GPTBigCodeConfig(
        vocab_size=len(tokenizer),
        n_positions=NUM_POSITIONS,
        n_embd=HIDDEN_SIZE,
        n_layer=NUM_LAYERS,
        n_head=HIDDEN_SIZE // HEAD_SIZE,
        multi_query=True,
        initializer_range=INIT_SCALE,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _new_model(tokenizer: PreTrainedTokenizerFast) -> GPTBigCodeForCausalLM:
    from transformers import GenerationConfig, GPTBigCodeForCausalLM

    model = GPTBigCodeForCausalLM(_config(tokenizer))
    model.transformer.wpe.weight.data.copy_(_sinusoids_PD())
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return model


def _sinusoids_PD() -> torch.Tensor:
    """The initial values of the learned position table: (positions, hidden).

    With sinusoids, looking back by a distance is the same rotation at every position, so the student learns sooner to
    copy a constant from the docstring.
    """
    import torch

    frequencies = 1000.0 ** (-torch.arange(0, HIDDEN_SIZE, 2) / HIDDEN_SIZE)
    angles = torch.arange(NUM_POSITIONS)[:, None] * frequencies
    return INIT_SCALE * torch.cat([angles.sin(), angles.cos()], dim=1)


def _train(
    model: GPTBigCodeForCausalLM,
    batches: Iterator[list[Example]],
    pad_id: int,
    steps: int,
    on_step: Callable[[int, int, float], None] | None,
) -> tuple[float, int]:
    """Train in place; returns the last loss and the number of tokens seen, without padding."""
    import torch

    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=LEARNING_RATE,
        betas=(0.9, 0.98),
        foreach=True,
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / WARMUP_STEPS, max(1 - step / steps, 0.02))
    )
    model.train()
    loss, num_tokens = 0.0, 0
    for step, batch in enumerate(islice(batches, steps), start=1):
        ids_BT, mask_BT, labels_BT = _pad(batch, pad_id)
        output = model(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False)
        # Position t predicts token t + 1.
        loss_tensor = torch.nn.functional.cross_entropy(
            output.logits[:, :-1].flatten(0, 1), labels_BT[:, 1:].flatten(), ignore_index=_IGNORED
        )
        loss_tensor.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        loss, num_tokens = loss_tensor.item(), num_tokens + int(mask_BT.sum())
        if on_step is not None:
            on_step(step, steps, loss)
    model.eval()
    return loss, num_tokens


def _batches(tokenizer: PreTrainedTokenizerFast, documents: Iterator[Document], seed: int) -> Iterator[list[Example]]:
    """Endless batches of documents of similar length, as padding costs as much as text."""
    rng = random.Random(f"batches/{seed}")
    while True:
        examples = [_encode(d, tokenizer) for d in islice(documents, BATCH_SIZE * _BATCHES_PER_SORT)]
        examples.sort(key=lambda example: len(example[0]))
        batches = [examples[i : i + BATCH_SIZE] for i in range(0, len(examples), BATCH_SIZE)]
        rng.shuffle(batches)
        yield from batches


def _encode(document: Document, tokenizer: PreTrainedTokenizerFast) -> Example:
    """Ids and labels; only what is written, and its end, is trained on, as users give the rest."""
    given = tokenizer.encode(document.given, add_special_tokens=False)
    if document.suffix is not None:
        suffix = tokenizer.encode(document.suffix, add_special_tokens=False)
        before, between, after = (tokenizer.convert_tokens_to_ids(t) for t in (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE))
        given = [before, *given, between, *suffix, after]
    written = [*tokenizer.encode(document.written, add_special_tokens=False), tokenizer.eos_token_id]
    return given + written, [_IGNORED] * len(given) + written


def _pad(batch: list[Example], pad_id: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, attention mask and labels, each (B, T), padded on the right."""
    import torch

    width = max(len(ids) for ids, _ in batch)
    ids_BT = torch.tensor([ids + [pad_id] * (width - len(ids)) for ids, _ in batch])
    mask_BT = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in batch])
    labels_BT = torch.tensor([labels + [_IGNORED] * (width - len(labels)) for _, labels in batch])
    return ids_BT, mask_BT, labels_BT


def _save(model: GPTBigCodeForCausalLM, tokenizer: PreTrainedTokenizerFast, output_dir: Path) -> None:
    from transformers.utils import logging

    output_dir.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(output_dir)
    # Transformers shows a bar even for one small file, in the middle of the caller's own.
    shows_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model.save_pretrained(output_dir)
    finally:
        if shows_bars:
            logging.enable_progress_bar()


@contextmanager
def _fixed_threads(num_threads: int) -> Iterator[None]:
    """Run with this many torch threads, then restore the caller's setting."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
