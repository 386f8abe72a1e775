"""A checkpoint's linear layers as 8-bit integers, in the form that vLLM loads (compressed-tensors, W8A8).

Vector-wise quantization (Dettmers et al. 2022, "LLM.int8()", section 3.1, without separate outliers): per-channel
scales and rounding to nearest for weights; per-token scales, which the engine computes on the fly, for activations.
Nothing is calibrated, so no data is needed. Embeddings, norms and the output layer keep 16 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config, preset_name_to_scheme
from compressed_tensors.quantization.utils import calculate_qparams, is_model_quantized
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM

from rrtf_ray.errors import InputError, StageError, first_line

SCHEME = "W8A8"


@dataclass(frozen=True, slots=True)
class Int8Counts:
    """parameters: of the model. quantized: how many of them became 8-bit integers. layers: in how many layers."""

    layers: int
    quantized: int
    parameters: int


def write_int8(model: str, folder: Path) -> Int8Counts:
    """Load `model` (a local folder) and write its weights and configuration into `folder`.

    Takes the memory of the checkpoint. Raises InputError if it cannot be loaded, is already quantized, has no linear
    layers, has experts, or holds values that are not finite; StageError if `folder` cannot be written.
    """
    loaded = _load(model)
    linear = _linear_layers(loaded, model)
    parameters = sum(p.numel() for p in loaded.parameters())
    config = QuantizationConfig(config_groups={"group_0": preset_name_to_scheme(SCHEME, ["Linear"])})
    config.ignore = [n for n, m in loaded.named_modules() if m is loaded.get_output_embeddings()]
    for name, weight in loaded.named_parameters():
        if not torch.isfinite(weight).all():
            raise InputError(f"model {model!r}: {name} has values that are not finite; the training diverged")
    if loaded.dtype == torch.float32:
        _halve(loaded, linear)
    apply_quantization_config(loaded, config)
    for layer in linear.values():
        _set_scales(layer)
    compressor = ModelCompressor.from_pretrained_model(loaded)
    assert compressor is not None  # there are quantized layers
    compressor.compress_model(loaded)
    try:
        loaded.save_pretrained(folder)
    except (OSError, SafetensorError) as error:
        raise StageError(
            f"{folder} cannot be written: {first_line(error)}; free space there, or set TMPDIR to another folder"
        ) from error
    compressor.update_config(str(folder))
    quantized = sum(layer.in_features * layer.out_features for layer in linear.values())
    return Int8Counts(len(linear), quantized, parameters)


def _load(model: str) -> Any:
    try:
        loaded = AutoModelForCausalLM.from_pretrained(model, dtype="auto")
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise InputError(f"model {model!r} cannot be loaded: {first_line(error)}") from None
    if getattr(loaded.config, "quantization_config", None) or is_model_quantized(loaded):
        raise InputError(f"model {model!r} is already quantized; give the checkpoint that it was made from")
    return loaded


def _linear_layers(loaded: Any, model: str) -> dict[str, torch.nn.Linear]:
    """By name, without the output layer."""
    output = loaded.get_output_embeddings()
    linear = {n: m for n, m in loaded.named_modules() if isinstance(m, torch.nn.Linear) and m is not output}
    experts = next((n for n, p in loaded.named_parameters() if p.dim() > 2 and "conv" not in n), None)
    if experts:
        raise InputError(
            f"model {model!r} is a mixture of experts ({experts}), which is not supported here; serve it as it is"
        )
    if not linear:
        raise InputError(
            f"model {model!r} ({type(loaded).__name__}) has no linear layers that could be quantized; "
            "GPT-BigCode, Llama, Qwen, StarCoder2 and others have them"
        )
    return linear


def _halve(loaded: Any, linear: dict[str, torch.nn.Linear]) -> None:
    """What is not quantized becomes bfloat16; the linear layers' weights are not, so they are rounded only once."""
    kept = {id(layer.weight) for layer in linear.values()}
    for parameter in loaded.parameters():
        if id(parameter) not in kept:
            parameter.data = parameter.data.bfloat16()


def _set_scales(layer: Any) -> None:
    """Scales from the smallest and largest value of each output channel (compressed-tensors' own formula)."""
    weight = layer.weight.detach().float()
    scale, zero_point = calculate_qparams(
        weight.amin(dim=1, keepdim=True), weight.amax(dim=1, keepdim=True), layer.quantization_scheme.weights
    )
    layer.weight_scale.data = scale.to(torch.float32)
    if hasattr(layer, "weight_zero_point"):  # absent for symmetric schemes
        layer.weight_zero_point.data = zero_point
