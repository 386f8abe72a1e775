"""Loading the model to train, adding adapters, and finding out whether it can be packed."""

from __future__ import annotations

import logging
import math
from array import array
from dataclasses import replace
from typing import Any

import torch

from rrtf_ray.config import LoraConfig, TrainConfig
from rrtf_ray.core.examples import Example
from rrtf_ray.core.packing import pack, pad_rows
from rrtf_ray.errors import ConfigError, InputError, first_line
from rrtf_ray.training.attention import BLOCK, CPU_ATTENTION, GPU_ATTENTION, register
from rrtf_ray.training.objective import plain_model, response_logprobs

log = logging.getLogger(__name__)


def load_model(folder: str, config: TrainConfig) -> Any:
    """The causal language model in `folder`, for training: without dropout and without a cache.

    Dropout is off because it would blur the log-probabilities of responses that the loss compares (TRL does the same).
    Raises InputError if the folder's weights are not those of its architecture, or its output layer is not linear or
    caps its logits.
    """
    from transformers import AutoModelForCausalLM

    register()
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, config.dtype), output_loading_info=True
        )
        model, found = loaded
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise InputError(f"model {folder!r} cannot be loaded: {first_line(error)}") from None
    missing = sorted(found["missing_keys"]) + sorted(key for key, *_ in found.get("mismatched_keys", ()))
    if missing:
        raise InputError(
            f"model {folder!r}: its weights are not those of a {type(model).__name__} ({len(missing)} are missing or "
            f"of another shape, e.g. {missing[0]}); use the folder of one model, as save_pretrained writes it"
        )
    if not isinstance(model.get_output_embeddings(), torch.nn.Linear):
        raise InputError(
            f"model {folder!r} ({type(model).__name__}) has no linear output layer over its vocabulary, which this "
            "trainer needs; use a decoder-only causal language model"
        )
    if getattr(model.config.get_text_config(), "final_logit_softcapping", None):
        # With small logits the cap is too weak for choose_path to notice it.
        raise InputError(f"model {folder!r} ({type(model).__name__}) caps its logits: not supported here")
    model.config.use_cache = False
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name, value in list(vars(module).items()):  # e.g. StarCoder2's residual_dropout, GPTBigCode's attn_pdrop
            if isinstance(value, float) and ("dropout" in name or name.endswith("pdrop")):
                setattr(module, name, 0.0)
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model = add_adapters(model, config.lora) if config.lora else model
    # from_pretrained leaves it in evaluation mode, where Transformers silently ignores gradient checkpointing.
    return model.train()


def add_adapters(model: Any, lora: LoraConfig) -> Any:
    """The model with frozen weights and trainable low-rank adapters. Raises ConfigError if no layer has one of the
    target names."""
    import peft

    modules = lora.target_modules if lora.target_modules == "all-linear" else list(lora.target_modules)
    settings = peft.LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=modules, task_type="CAUSAL_LM"
    )
    try:
        adapted = peft.get_peft_model(model, settings)
    except ValueError as error:
        raise ConfigError(f"train.lora.target_modules={modules!r}: {first_line(error)}") from None
    adapted.enable_input_require_grads()
    return adapted


def choose_path(run: Any, model: Any, config: TrainConfig) -> tuple[bool, str]:
    """Whether to pack, and why not otherwise.

    Tried on the model itself: the log-probabilities of a tiny group, packed, padded, and from the model's own logits,
    must agree. run: the engine (or Objective) around `model`. Raises InputError if the padded path differs from the
    model's logits, and ConfigError if packing is required but impossible.
    """
    device = next(model.parameters()).device
    example = _tiny_example(model.config.get_text_config().vocab_size)
    padded = pad_rows([example], [1.0], chunk=config.logits_chunk).to(device)
    tolerance = 1e-4 if config.dtype == "float32" else 0.05
    was_training = model.training
    model.eval()
    try:
        expected = _plain_logprobs(model, padded)
        if not all(map(math.isfinite, expected)):
            raise InputError(f"{type(model).__name__} gives the log-probabilities {expected}: its weights are damaged")
        model.set_attn_implementation("sdpa" if _takes_sdpa(model) else "eager")
        by_rows = response_logprobs(run, padded)
        if not _close(by_rows, expected, tolerance):
            raise InputError(
                f"{type(model).__name__} changes its logits after the output layer (log-probabilities {by_rows} "
                f"instead of {expected}); this trainer cannot compute them in chunks"
            )
        if config.packing == "padded":
            return False, "train.packing is padded"
        reason = _try_packing(run, model, example, by_rows, tolerance, config)
        if reason is None:
            return True, ""
        if config.packing == "packed":
            raise ConfigError(f"train.packing='packed': {reason}; use train.packing: auto or padded")
        model.set_attn_implementation("sdpa" if _takes_sdpa(model) else "eager")
        return False, reason
    finally:
        model.train(was_training)


def _try_packing(
    run: Any, model: Any, example: Example, expected: list[float], tolerance: float, config: TrainConfig
) -> str | None:
    """Why the model cannot be packed, or None; sets the attention that packing needs."""
    device = next(model.parameters()).device
    cpu = device.type == "cpu"
    # The tiny group is shorter than any window, and on a GPU nothing else would detect one.
    window = getattr(model.config.get_text_config(), "sliding_window", None)
    if window is not None and window < config.max_length:
        return f"{type(model).__name__} has a sliding window of {window} tokens, less than train.max_length"
    # The same group with another first response: the others must not change at all. With small or coarse numbers a
    # leak from one response into the next can stay within the tolerance.
    other = replace(example, responses=(array("i", reversed(example.responses[0])), *example.responses[1:]))
    batch, changed = (
        pack([e], [1.0], chunk=config.logits_chunk, multiple=1 if cpu else BLOCK).to(device) for e in (example, other)
    )
    try:
        model.set_attn_implementation(CPU_ATTENTION if cpu else GPU_ATTENTION)
        found = response_logprobs(run, batch)
        others = response_logprobs(run, changed)
    except (ValueError, TypeError, RuntimeError, NotImplementedError, AttributeError) as error:
        return f"{type(model).__name__} does not take a packed row ({first_line(error)})"
    if not _close(found, expected, tolerance):
        return f"{type(model).__name__} computes other log-probabilities for a packed row ({found}, not {expected})"
    if not _close(others[1:], found[1:], 1e-6):
        return f"{type(model).__name__} lets one response of a packed row see another ({others[1:]}, not {found[1:]})"
    return None


def _plain_logprobs(model: Any, batch: Any) -> list[float]:
    """Summed log-probability of each response, from the model's own logits of all tokens."""
    with torch.no_grad():
        logits_RTV = model(input_ids=batch.tokens_RT, attention_mask=batch.mask_RT, use_cache=False).logits
    logprobs_NV = logits_RTV.flatten(0, 1)[batch.predict_N].float().log_softmax(-1)
    logprobs_N = logprobs_NV.gather(1, batch.targets_N[:, None])[:, 0]
    chunk = batch.chunks[0]
    return chunk.spread(logprobs_N).sum(1).tolist()


def _tiny_example(vocab: int) -> Example:
    def tokens(*numbers: int) -> array[int]:
        return array("i", [number % vocab for number in numbers])

    return Example(
        problem_id="probe",
        prompt=tokens(11, 7, 5, 3),
        responses=(tokens(2, 9, 4, 6, 1), tokens(8, 2, 13), tokens(2, 9, 12, 10)),
        scores=(1.0, 0.0, -1.0),
        is_teacher=(True, False, False),
        imitate=(1.0, 0.0, 0.0),
        passed=(True, False, False),
    )


def _takes_sdpa(model: Any) -> bool:
    return bool(getattr(plain_model(model), "_supports_sdpa", False))


def _close(found: list[float], expected: list[float], tolerance: float) -> bool:
    return all(abs(a - b) <= tolerance * max(1.0, abs(b)) for a, b in zip(found, expected, strict=True))
