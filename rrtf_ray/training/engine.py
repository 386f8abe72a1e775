"""DeepSpeed: its settings from ours, the training state on disk, and the whole model's weights."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rrtf_ray.config import LoraConfig, TrainConfig
from rrtf_ray.core.examples import Example
from rrtf_ray.errors import StageError
from rrtf_ray.identity import fingerprint
from rrtf_ray.training.model import load_model
from rrtf_ray.training.objective import Objective

_TAG = "state"
_SHAPE = "shape.json"


def start_engine(config: TrainConfig, folder: str, num_steps: int) -> Any:
    """A DeepSpeed engine around an Objective over the model in `folder`; needs the process group.

    One pass is one call of `backward`; the caller says which of them ends an optimizer step
    (`set_gradient_accumulation_boundary`), as steps differ in their number of passes.
    """
    if not config.use_gpu:
        os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed

    if not config.use_gpu:
        # The shared-memory collective would be compiled with g++ at its first use; gloo needs no compiler.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.utils.logger.setLevel("WARNING")
    settings = deepspeed_settings(config)
    whole = _partitioned_loading(settings) if config.zero_stage == 3 else None  # has an effect while it is referenced
    model = load_model(folder, config)
    del whole
    objective = Objective(model, config.logits_chunk)
    trainable = [p for p in objective.parameters() if p.requires_grad]
    # DeepSpeed's own Adam is compiled at its first use, and a machine may have no compiler; torch has a fused one.
    optimizer = torch.optim.AdamW(
        trainable, lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.95), fused=True
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_scale(step, num_steps, config))
    engine, *_ = deepspeed.initialize(model=objective, optimizer=optimizer, lr_scheduler=scheduler, config=settings)
    return engine


def deepspeed_settings(config: TrainConfig) -> dict[str, Any]:
    """DeepSpeed's configuration file for ours."""
    zero: dict[str, Any] = {"stage": config.zero_stage, "overlap_comm": config.use_gpu}
    if config.offload != "none":
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if config.offload == "parameters":
        zero["offload_param"] = {"device": "cpu", "pin_memory": True}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": config.max_grad_norm,
        "zero_optimization": zero,
        "zero_force_ds_cpu_optimizer": False,
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": config.dtype == "bfloat16"},
        "steps_per_print": 2**31,
    }


def learning_rate_scale(step: int, num_steps: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine down to 0; `step` counts from 0."""
    warmup = max(1, round(config.warmup_ratio * num_steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, num_steps - warmup)))


def gradient_norm(engine: Any) -> float | None:
    """Norm of the step's whole gradient before clipping; None under ZeRO, which reports it only after the step."""
    if engine.zero_optimization():
        return None
    gradients = [p.grad for p in engine.module.parameters() if p.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients))


def save_state(engine: Any, folder: str, step: int, config: TrainConfig, examples: Sequence[Example]) -> None:
    """Every worker writes its part of the training state into `folder`."""
    engine.save_checkpoint(folder, tag=_TAG, client_state={"step": step}, save_latest=False)
    if torch.distributed.get_rank() == 0:
        Path(folder, _SHAPE).write_text(json.dumps(_shape(config, examples)))


def load_state(engine: Any, folder: str, config: TrainConfig, examples: Sequence[Example]) -> int:
    """The number of steps that are done. Raises StageError if the state was written with another number of workers or
    another ZeRO stage (each of DeepSpeed's parts is one worker's), for other examples, or does not exist."""
    again = "remove the round's training-state folder to start this training over"
    file = Path(folder, _SHAPE)
    before = json.loads(file.read_text()) if file.exists() else {}
    shape = _shape(config, examples)
    same_examples = before.pop("examples", None) == shape["examples"]
    changed = {key: value for key, value in before.items() if value != shape[key]}
    if same_examples:  # the length of passes alone changes nothing
        changed.pop("tokens_per_pass", None)
    if changed:
        now = ", ".join(f"train.{key}={shape[key]}" for key in changed)
        then = " ".join(f"train.{key}={value}" for key, value in changed.items())
        raise StageError(
            f"the training state was written with {then}, but now {now}; set {then} to continue, or {again}"
        )
    path, state = engine.load_checkpoint(folder, tag=_TAG) if before and same_examples else (None, {})
    if path is None:  # DeepSpeed does not report that it found nothing
        raise StageError(f"the training state in {folder} cannot be loaded; {again}")
    return int(state["step"])


def _shape(config: TrainConfig, examples: Sequence[Example]) -> dict[str, Any]:
    """What a state depends on: DeepSpeed's parts, and the examples of the steps that are done (tokens_per_pass decides
    which responses of long problems are left out)."""
    return {
        "num_workers": torch.distributed.get_world_size(),
        "zero_stage": config.zero_stage,
        "tokens_per_pass": config.tokens_per_pass,
        "examples": fingerprint([[e.problem_id, *map(len, e.responses)] for e in examples]),
    }


def whole_weights(engine: Any, config: TrainConfig) -> dict[str, torch.Tensor]:
    """The model's weights by Transformers' names, adapters merged; empty on all workers but the first. Under ZeRO 3
    all workers take part in collecting them."""
    if config.zero_stage == 3:
        weights = engine._zero3_consolidated_16bit_state_dict() or {}
    else:
        weights = engine.module.state_dict()
    if torch.distributed.get_rank() != 0:
        return {}
    weights = {name.removeprefix("model."): value for name, value in weights.items() if name.startswith("model.")}
    return _merged(weights, engine.module.model, config.lora) if config.lora else weights


def _merged(weights: dict[str, torch.Tensor], model: Any, lora: LoraConfig) -> dict[str, torch.Tensor]:
    """W + alpha / rank * B A for each adapted layer (LoRA, arXiv 2106.09685), by the base model's names."""
    prefix, found = "base_model.model.", {}
    transposed = {name for name, module in model.named_modules() if getattr(module, "fan_in_fan_out", False)}
    for name, value in weights.items():
        if ".lora_" in name:
            continue
        plain = name.removeprefix(prefix)
        if ".base_layer." in plain:
            stem = name.rsplit(".base_layer.", 1)[0]
            plain = plain.replace(".base_layer.", ".")
            if plain.endswith(".weight"):
                up, down = weights[f"{stem}.lora_B.default.weight"], weights[f"{stem}.lora_A.default.weight"]
                change = up.float() @ down.float() * (lora.alpha / lora.rank)
                value = (value.float() + (change.T if stem in transposed else change)).to(value.dtype)
        found[plain] = value
    return found


def _partitioned_loading(settings: dict[str, Any]) -> Any:
    """While this is referenced, Transformers loads a model straight into ZeRO 3's partitions."""
    from transformers.integrations import HfDeepSpeedConfig

    return HfDeepSpeedConfig(settings)
