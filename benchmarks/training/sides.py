"""One way to train, in a process of its own.

    python -m benchmarks.training.sides SIDE FOLDER --k K [--groups N] [--step-groups N] [--pass-groups N]

It prints `ready`, and for each line `go` on its standard input trains once on the first N groups of FOLDER, with K
responses each, and prints

    answer RESPONSE_TOKENS SECONDS PEAK_BYTES BASELINE_BYTES PADDING_SHARE

Response tokens include EOS; prompts, padding and repeated computation do not count. The time is that of whole optimizer
steps, from tokens to the new weights. The baseline is taken before the model is loaded, when libraries are imported and
have made a first step with a toy model: what comes on top is weights, gradients, optimizer states, activations and
logits. All sides: fp32, the same groups, as many per optimizer step, AdamW (fused), gradients clipped at 1, two
threads, the default allocator.

trl: TRL's DPOTrainer (k = 2) with its defaults, except for what does not exist on a CPU and for gradient checkpointing,
which would cost it time; the reference's log-probabilities are computed beforehand and not timed.
padded: RRHF as it is usually written: a group is k rows of prompt and response, padded to the longest; logits and
log-probabilities of all positions.
ours, sft: see benchmarks.training.ours.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.memory import Peak, resident_bytes
from benchmarks.training import ours as training_ours
from benchmarks.training.data import Group, Options, Work

THREADS = 2
LEARNING_RATE = 1e-6  # TRL's default
TRL_REMEDY = (
    "TRL is not installed in this interpreter; make a venv and name it with --trl-python:\n"
    "    python -m venv trl-venv && trl-venv/bin/pip install trl==1.16.0 transformers torch datasets"
)


class Turns:
    """The side's half of the conversation."""

    def __init__(self, baseline: int) -> None:
        self._baseline = baseline
        self._peak = Peak()
        self._started = 0.0

    def begin(self) -> None:
        """Wait for `go`; the process ends at the end of the input."""
        if not sys.stdin.readline():
            raise SystemExit(0)
        self._peak = Peak()
        self._peak.__enter__()
        self._started = time.perf_counter()

    def end(self, work: Work) -> None:
        seconds = time.perf_counter() - self._started
        self._peak.__exit__()
        padding = 1 - work.tokens / work.positions
        print("answer", work.response_tokens, seconds, self._peak.bytes, self._baseline, padding, flush=True)

    def serve(self, step: Callable[[], Work]) -> None:
        """Answer each `go` with a turn of `step`."""
        _say_ready()
        while True:
            self.begin()
            self.end(step())


def ours(options: Options, turns: Turns, supervised: bool = False) -> None:
    turn = training_ours.make(options, load_groups(options), LEARNING_RATE, supervised=supervised)
    turns.serve(lambda: _total(turn()))


def sft(options: Options, turns: Turns) -> None:
    ours(options, turns, supervised=True)


def padded(options: Options, turns: Turns) -> None:
    import torch
    from transformers import AutoTokenizer

    groups, model = load_groups(options), load_model(options)
    pad = AutoTokenizer.from_pretrained(options.folder / "tokenizer").pad_token_id
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)
    order = random.Random(0)

    def step() -> Work:
        work = []
        for chosen in _parts(order.sample(groups, len(groups)), options.step_groups):
            for batch in _parts(chosen, options.pass_groups or 1):
                rows = [group.prompt + response for group in batch for response in group.responses]
                ids, mask, response_mask = _padded_rows(batch, pad)
                logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
                loss = _rrhf_loss(logits, ids, response_mask, options.k) / len(chosen)
                loss.backward()
                responses = sum(len(response) for group in batch for response in group.responses)
                work.append(Work(responses, sum(map(len, rows)), ids.numel()))
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        return _total(work)

    turns.serve(step)


def _padded_rows(groups: Sequence[Group], pad: int) -> tuple[Any, Any, Any]:
    """Tokens, attention mask and mask of the responses, each (rows, length)."""
    import torch

    rows = [(group.prompt, response) for group in groups for response in group.responses]
    length = max(len(prompt) + len(response) for prompt, response in rows)
    ids = torch.full((len(rows), length), pad)
    mask, response_mask = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, (prompt, response) in enumerate(rows):
        end = len(prompt) + len(response)
        ids[row, :end] = torch.tensor(prompt + response)
        mask[row, :end] = 1
        response_mask[row, len(prompt) : end] = 1
    return ids, mask, response_mask


def _rrhf_loss(logits: Any, ids: Any, response_mask: Any, k: int) -> Any:
    """L_rank over all pairs, weighted by the gap of their scores, and L_ft of the teacher; a sum over groups."""
    import torch

    all_logprobs = torch.nn.functional.log_softmax(logits[:, :-1].float(), dim=-1)
    logprobs = all_logprobs.gather(-1, ids[:, 1:, None])[..., 0] * response_mask[:, 1:]
    total = logprobs.sum(1)
    p = (total / response_mask[:, 1:].sum(1)).view(-1, k)
    scores = 1 - torch.arange(k) / k
    gap = scores[:, None] - scores[None, :]
    rank_loss = -(gap.clamp(min=0) * (p[:, :, None] - p[:, None, :]).clamp(max=0)).sum()
    return rank_loss - total.view(-1, k)[:, 0].sum()


def trl(options: Options, turns: Turns) -> None:
    from datasets import Dataset
    from transformers import AutoTokenizer, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    if options.k != 2:
        raise SystemExit("DPO compares two responses: --k 2")
    pairs = options.pass_groups or min(8, options.step_groups)
    if options.step_groups % pairs:
        raise SystemExit(f"--step-groups must be a multiple of {pairs}, the pairs per pass")
    seen: list[Work] = []

    class Answering(TrainerCallback):
        """An epoch is a turn."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            _say_ready()

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            seen.clear()
            turns.begin()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            turns.end(_total(seen))

    with tempfile.TemporaryDirectory(prefix="rrtf-bench-") as folder:
        config = DPOConfig(
            output_dir=folder,
            precompute_ref_log_probs=True,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            per_device_train_batch_size=pairs,
            gradient_accumulation_steps=options.step_groups // pairs,
            num_train_epochs=1_000,
            max_length=None,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
        )
        texts = read_groups(options)
        trainer = DPOTrainer(
            model=load_model(options),
            args=config,
            train_dataset=Dataset.from_list(
                [{"prompt": t["prompt"], "chosen": t["responses"][0], "rejected": t["responses"][1]} for t in texts]
            ),
            processing_class=AutoTokenizer.from_pretrained(options.folder / "tokenizer"),
            callbacks=[Answering()],
        )
        _compare_tokens(trainer.train_dataset, load_groups(options))
        collate = trainer.data_collator

        def counted(examples: list[dict[str, Any]]) -> Any:
            batch = collate(examples)
            responses, tokens = int(batch["completion_mask"].sum()), int(batch["attention_mask"].sum())
            seen.append(Work(responses, tokens, batch["input_ids"].numel()))
            return batch

        trainer.data_collator = counted
        trainer.train()


def _compare_tokens(theirs: Any, groups: Sequence[Group]) -> None:
    """Print how many response tokens TRL makes of the same texts (it encodes prompt and response together)."""
    found = sum(len(row["chosen_ids"]) + len(row["rejected_ids"]) for row in theirs)
    expected = sum(len(response) for group in groups for response in group.responses)
    print(f"response tokens: {found} by TRL, {expected} encoded separately from the prompt", file=sys.stderr)


SIDES: dict[str, Callable[[Options, Turns], None]] = {"ours": ours, "sft": sft, "padded": padded, "trl": trl}


def read_groups(options: Options) -> list[dict[str, Any]]:
    """The first groups as texts, the first k responses of each."""
    lines = (options.folder / "groups.jsonl").read_text().splitlines()
    if len(lines) < options.groups:
        raise SystemExit(f"there are {len(lines)} groups; --groups {options.groups} is too many")
    found = [json.loads(line) for line in lines[: options.groups]]
    return [{**group, "responses": group["responses"][: options.k]} for group in found]


def load_groups(options: Options) -> list[Group]:
    """The same groups as tokens."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(options.folder / "tokenizer")

    def encode(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False))

    return [
        Group(encode(group["prompt"]), [[*encode(text), tokenizer.eos_token_id] for text in group["responses"]])
        for group in read_groups(options)
    ]


def load_model(options: Options) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(options.folder / "model", dtype=torch.float32)


def _toy_step() -> None:
    """One step of a tiny model, so the baseline includes what libraries load at first use."""
    import torch
    from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM

    config = GPTBigCodeConfig(
        vocab_size=8, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    )
    model = GPTBigCodeForCausalLM(config)
    ids = torch.ones(2, 8, dtype=torch.long)
    model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids).loss.backward()
    torch.optim.AdamW(model.parameters(), fused=True).step()


def _parts(items: Sequence[Group], size: int) -> list[Sequence[Group]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _total(work: Sequence[Work]) -> Work:
    return Work(*map(sum, zip(*work, strict=True)))


def _say_ready() -> None:
    print("ready", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--k", type=int, required=True)
    parser.add_argument("--groups", type=int, default=32)
    parser.add_argument("--step-groups", type=int, default=16)
    parser.add_argument("--pass-groups", type=int, default=0)
    args = parser.parse_args()
    side = args.side
    options = Options(args.folder, args.k, args.groups, args.step_groups, args.pass_groups)
    if options.groups % options.step_groups or options.step_groups % (options.pass_groups or 1):
        parser.error("--groups must be a multiple of --step-groups, and that one of --pass-groups")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(THREADS)
    os.environ["TQDM_DISABLE"] = "1"
    if side == "trl":
        try:
            import datasets
            from trl import DPOTrainer  # noqa: F401
        except ImportError as error:
            raise SystemExit(f"{error}\n{TRL_REMEDY}") from error
        datasets.disable_progress_bars()
    import torch

    torch.set_num_threads(THREADS)
    _toy_step()
    SIDES[side](options, Turns(resident_bytes()))


if __name__ == "__main__":
    main()
