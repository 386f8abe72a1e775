"""What each training worker runs: DeepSpeed ZeRO over the RRTF loss.

All workers lay out the same schedule from the same seed and take their share of each step, so that they make the
same number of passes (a collective operation would hang otherwise). Losses are summed over a step's groups and
divided by their number over all workers, not by micro-batch, so that accumulation equals one large batch.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from rrtf_ray.artifacts import RowStore, local_copy, upload_dir
from rrtf_ray.config import TrainConfig
from rrtf_ray.core.batching import Example, choose, collate, schedule, tokenize
from rrtf_ray.core.losses import rrtf_loss, token_logprobs
from rrtf_ray.errors import StageError
from rrtf_ray.records import Ranking, Reason

_STATE_TAG = "state"


def train_worker(settings: dict[str, Any]) -> None:
    """Entry point of Ray Train. settings: see stages.train."""
    import ray.train

    config: TrainConfig = settings["train"]
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    folder = local_copy(settings["model"]) if "://" in settings["model"] else settings["model"]
    examples, left_out, tokenizer = _load_examples(settings, folder)
    if not examples:
        raise StageError(
            f"no ranking can be trained on (left out: {dict(left_out)}); see train.loss and sample.teacher"
        )
    steps = schedule(len(examples), config.epochs, config.batch_groups, settings["seed"])
    engine = _engine(config, folder, len(steps), world)
    first = _restore(engine, ray.train.get_checkpoint())
    if rank == 0:
        settings["queue"].put({"total_steps": len(steps)})
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    for number in range(first, len(steps)):
        metrics = _step(engine, config, examples, steps[number], rank, world, pad)
        metrics |= {
            "step": number + 1,
            "steps": len(steps),
            "epoch": (number + 1) * config.epochs / len(steps),
        }
        if rank == 0:
            settings["queue"].put(metrics)
        if (number + 1) % config.checkpoint_every_steps == 0 and number + 1 < len(steps):
            _save(engine, number + 1)
    _export(engine, config, folder, tokenizer, settings, len(steps), len(examples), left_out, rank)


def _load_examples(settings: dict[str, Any], folder: str) -> tuple[list[Example], Counter[str], Any]:
    """All trainable examples in the order of their ids, and why the others were left out."""
    from transformers import AutoTokenizer

    config: TrainConfig = settings["train"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    left_out: Counter[str] = Counter()
    examples = []
    for ranking in RowStore(settings["rankings"], Ranking, "problem_id").read():
        if ranking.reason is not None:
            left_out[ranking.reason.value] += 1
            continue
        chosen = choose(
            ranking,
            max_candidates=config.max_candidates,
            ft_target=config.loss.ft_target,
            require_passing_target=config.loss.require_passing_target,
        )
        if chosen is None:
            left_out[Reason.NO_PASSING_TARGET.value] += 1
            continue
        example = tokenize(
            ranking,
            *chosen,
            encode_prompt=tokenizer.encode,
            encode_completion=lambda text: tokenizer.encode(text, add_special_tokens=False),
            eos=tokenizer.eos_token_id,
            template=settings["template"],
            max_length=config.max_length,
        )
        if example is None:
            left_out[Reason.TOO_LONG.value] += 1
        else:
            examples.append(example)
    examples.sort(key=lambda e: e.problem_id)
    return examples, left_out, tokenizer


def _engine(config: TrainConfig, folder: str, num_steps: int, world: int) -> Any:
    if not config.use_gpu:
        os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed
    from transformers import AutoModelForCausalLM

    if not config.use_gpu:
        # The shared-memory collective would be compiled with g++ at the first use; gloo needs no compiler.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.utils.logger.setLevel("WARNING")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, config.dtype))
    model.config.use_cache = False
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    accumulation = config.batch_groups // (world * config.groups_per_device)
    warmup = max(1, round(config.warmup_ratio * num_steps))

    def scale(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, num_steps - warmup)))

    engine, _, _, _ = deepspeed.initialize(
        model=model,
        model_parameters=model.parameters(),
        lr_scheduler=lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, scale),
        config={
            "train_micro_batch_size_per_gpu": config.groups_per_device,
            "gradient_accumulation_steps": accumulation,
            "gradient_clipping": config.max_grad_norm,
            "optimizer": {
                "type": "AdamW",
                "params": {
                    "lr": config.learning_rate,
                    "weight_decay": config.weight_decay,
                    "betas": [0.9, 0.95],
                    # DeepSpeed's own optimizers are compiled at first use; a machine may have no compiler.
                    "torch_adam": True,
                },
            },
            "zero_optimization": {"stage": config.zero_stage},
            "bf16": {"enabled": config.dtype == "bfloat16"},
            "steps_per_print": 2**31,
        },
    )
    return engine


def _step(
    engine: Any,
    config: TrainConfig,
    examples: list[Example],
    places: list[int | None],
    rank: int,
    world: int,
    pad: int,
) -> dict[str, float]:
    """One optimizer step on this worker's share of `places`; the metrics are over all workers."""
    mine = places[rank::world]
    real = sum(place is not None for place in places)
    passes = len(mine) // config.groups_per_device
    sums: dict[str, torch.Tensor] = {}
    for index in range(passes):
        chosen = mine[index * config.groups_per_device : (index + 1) * config.groups_per_device]
        # A place without an example repeats one with weight 0: the pass must happen for the collectives' sake.
        batch = collate(
            [examples[place if place is not None else 0] for place in chosen],
            [float(place is not None) for place in chosen],
            pad,
        )
        loss, metrics = _forward(engine, batch, config)
        if not torch.isfinite(loss):
            raise StageError(
                f"the loss is {loss.item()} on the problems {', '.join(batch.problem_ids)}; "
                "lower train.learning_rate, or look at these problems' responses"
            )
        # DeepSpeed takes the mean over passes and workers; what we want is the mean over the step's real groups.
        engine.backward(loss * (passes * world / real))
        engine.step()
        for key, value in metrics.items():
            sums[key] = sums.get(key, torch.zeros_like(value)) + value
    keys = sorted(sums)
    total = torch.stack([sums[key].float() for key in keys])
    torch.distributed.all_reduce(total)
    return _means(dict(zip(keys, total.tolist(), strict=True)), config) | {
        "learning_rate": engine.get_lr()[0],
        "grad_norm": float(engine.get_global_grad_norm() or 0.0),
    }


def _forward(engine: Any, batch: Any, config: TrainConfig) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    device = engine.device
    tokens_BT = batch.tokens_BT.to(device)
    mask_BT = batch.response_mask_BT.to(device)
    logits_BTV = engine(input_ids=tokens_BT, attention_mask=batch.attention_mask_BT.to(device)).logits
    logprobs_BT = token_logprobs(logits_BTV, tokens_BT, mask_BT)
    lengths_B = mask_BT.sum(1)
    loss_config = config.loss
    loss, metrics = rrtf_loss(
        logprobs_BT.sum(1),
        lengths_B,
        batch.scores_B.to(device),
        batch.group_B.to(device),
        batch.is_teacher_B.to(device),
        batch.is_target_B.to(device),
        batch.weight_B.to(device),
        pairs=loss_config.pairs,
        gap_weight=loss_config.gap_weight,
        margin=loss_config.margin,
        alpha=loss_config.alpha,
        ft_reduction=loss_config.ft_reduction,
        length_normalize=loss_config.length_normalize,
    )
    real_B = batch.weight_B.to(device)
    metrics["tokens"] = (lengths_B * real_B).sum()
    metrics["padding"] = (tokens_BT.numel() - batch.attention_mask_BT.sum()).float().to(device)
    metrics["positions"] = torch.tensor(float(tokens_BT.numel()), device=device)
    return loss, metrics


def _means(total: dict[str, float], config: TrainConfig) -> dict[str, float]:
    groups, pairs = max(1.0, total["num_groups"]), max(1.0, total["num_pairs"])
    rank_loss, ft_loss = total["rank_loss"] / groups, total["ft_loss"] / groups
    return {
        "loss": config.loss.alpha * rank_loss + ft_loss,
        "rank_loss": rank_loss,
        "ft_loss": ft_loss,
        "ranking_accuracy": total["ordered_pairs"] / pairs,
        "active_pairs": total["active_pairs"] / pairs,
        "response_tokens": total["tokens"],
        "padding_share": total["padding"] / total["positions"],
    }


def _restore(engine: Any, checkpoint: Any) -> int:
    """The number of steps that are done already."""
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        path, state = engine.load_checkpoint(folder, tag=_STATE_TAG)
        if path is None:  # DeepSpeed finds nothing without saying so
            raise StageError(f"the training state in {folder} cannot be loaded; remove round-*/training-state")
        return int(state["step"])


def _save(engine: Any, step: int) -> None:
    """Publish the training state; every worker holds a part of it."""
    import ray.train

    with tempfile.TemporaryDirectory(prefix="rrtf-state-") as folder:
        engine.save_checkpoint(folder, tag=_STATE_TAG, client_state={"step": step}, save_latest=False)
        ray.train.report({"step": step}, checkpoint=ray.train.Checkpoint.from_directory(folder))


def _weights(engine: Any, config: TrainConfig) -> Iterator[tuple[str, torch.Tensor]]:
    """The whole model's weights; under ZeRO 3 all workers take part in collecting them."""
    whole = engine._zero3_consolidated_16bit_state_dict() if config.zero_stage == 3 else engine.module.state_dict()
    yield from (whole or {}).items()


def _export(
    engine: Any,
    config: TrainConfig,
    folder: str,
    tokenizer: Any,
    settings: dict[str, Any],
    num_steps: int,
    num_examples: int,
    left_out: Counter[str],
    rank: int,
) -> None:
    """Publish the checkpoint from rank 0: safetensors, tokenizer, generation config, and the manifest last."""
    weights = dict(_weights(engine, config))
    if rank == 0:
        with tempfile.TemporaryDirectory(prefix="rrtf-checkpoint-") as local:
            engine.module.config.use_cache = True
            engine.module.save_pretrained(local, state_dict=weights)
            tokenizer.save_pretrained(local)
            manifest = {
                "fingerprint": settings["identity"],
                "steps": num_steps,
                "examples": num_examples,
                "left_out": dict(left_out),
                "base": settings["model_name"],
            }
            upload_dir(Path(local), settings["target"], manifest)
    torch.distributed.barrier()
