"""Our sides of benchmarks.training.sides: this package's trainer, and the same with a plain supervised loss.

ours: `rrtf_ray.training.trainer.Trainer` with DeepSpeed, one worker; DPO with k = 2, like TRL's side, otherwise RRTF
over all pairs, like the padded side. sft: the same passes over the same tokens, all responses imitated, none compared.
"""

from __future__ import annotations

import os
import random
import socket
from array import array
from collections.abc import Callable
from typing import Any

from benchmarks.training.data import Group, Options, Work
from rrtf_ray.config import LossConfig, TrainConfig
from rrtf_ray.core.examples import Example

# Memory grows with both. On two cores, doubling them is a tenth faster with a quarter more memory.
TOKENS_PER_PASS = 1024
LOGITS_CHUNK = 256


def make(options: Options, groups: list[Group], learning_rate: float, *, supervised: bool) -> Callable[[], list[Work]]:
    """A function that trains on all groups once. groups: prompt and responses as tokens."""
    import torch

    from rrtf_ray.training.engine import start_engine
    from rrtf_ray.training.model import choose_path
    from rrtf_ray.training.trainer import Trainer

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    os.environ["LOCAL_RANK"] = "0"
    torch.distributed.init_process_group("gloo", init_method=place, rank=0, world_size=1)
    longest = max(len(group.prompt) + max(map(len, group.responses)) for group in groups)
    loss = LossConfig(objective="dpo") if options.k == 2 else LossConfig(pairs="all")
    config = TrainConfig(
        loss=loss,
        zero_stage=0,
        max_length=longest,
        tokens_per_pass=max(TOKENS_PER_PASS, longest),
        logits_chunk=LOGITS_CHUNK,
        batch_groups=options.step_groups,
        learning_rate=learning_rate,
    )
    engine = start_engine(config, str(options.folder / "model"), 1_000)
    packed, why = choose_path(engine, engine.module.model, config)
    if not packed:
        raise SystemExit(why)
    trainer = Trainer(engine, config, packed=packed, rank=0, world=1, loss=_imitate if supervised else None)
    examples = [_example(str(number), group, options.k) for number, group in enumerate(groups)]
    if loss.objective == "dpo" and not supervised:
        examples = trainer.references(examples)
    order = random.Random(0)

    def turn() -> list[Work]:
        found = []
        shuffled = order.sample(examples, len(examples))
        for start in range(0, len(shuffled), options.step_groups):
            chosen = shuffled[start : start + options.step_groups]
            metrics = trainer.step(chosen)
            tokens = sum(example.num_tokens for example in chosen)
            responses = sum(len(response) for example in chosen for response in example.responses)
            found.append(Work(responses, tokens, round(tokens / (1 - metrics["padding_share"]))))
        return found

    return turn


def _example(name: str, group: Group, k: int) -> Example:
    return Example(
        problem_id=name,
        prompt=array("i", group.prompt),
        responses=tuple(array("i", response) for response in group.responses),
        scores=tuple(1 - number / k for number in range(k)),
        is_teacher=tuple(number == 0 for number in range(k)),
        imitate=tuple(float(number == 0) for number in range(k)),
        passed=tuple(number == 0 for number in range(k)),
    )


def _imitate(logprobs_BT: Any, responses: Any) -> tuple[Any, dict[str, Any]]:
    """Cross-entropy of all responses, and the metrics that a step reports."""
    from rrtf_ray.core.losses import rrtf_loss

    _, metrics = rrtf_loss(logprobs_BT.detach(), responses, alpha=0.0)
    return -(logprobs_BT.sum(1) * responses.weight_B).sum(), metrics
