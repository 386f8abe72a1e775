"""A model's shape and size from its configuration alone: only config.json is downloaded, no weight is created."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rrtf_ray.config import LoraConfig
from rrtf_ray.errors import ConfigError, InputError, first_line
from rrtf_ray.planning.memory import Model
from rrtf_ray.store.files import exists, is_local, join, read_bytes
from rrtf_ray.store.models import is_hub_id, local_folder

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def read_architecture(student: str, seed: int, lora: LoraConfig | None) -> Model:
    """The numbers of `model.student`. Raises InputError if they cannot be found, ConfigError if `lora.target_modules`
    matches no layer."""
    import torch
    from transformers import AutoModelForCausalLM

    config = _config_of(student, seed)
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (ValueError, KeyError, TypeError, ImportError) as error:
        raise InputError(
            f"model.student={student!r} is not a causal language model that Transformers can build: {first_line(error)}"
        ) from None
    text = config.get_text_config()
    hidden = int(text.hidden_size)
    heads = int(getattr(text, "num_attention_heads", 0) or 1)
    head_size = int(getattr(text, "head_dim", 0) or hidden // heads)
    one_key = getattr(text, "multi_query", False)
    keys = 1 if one_key else int(getattr(text, "num_key_value_heads", 0) or heads)
    names = [name for name, _ in _linear_layers(model)]
    inner = _first(text, "intermediate_size", "n_inner", "ffn_dim") or 4 * hidden
    active = _first(text, "num_experts_per_tok") or 1
    return Model(
        parameters=sum(p.numel() for p in model.parameters()),
        layers=int(text.num_hidden_layers),
        hidden=hidden,
        query_width=heads * head_size,
        key_width=keys * head_size,
        mlp_values=(4 if any("gate" in name for name in names) else 2) * inner * active,
        vocabulary=int(text.vocab_size),
        adapter_width=_adapter_width(model, student, lora or LoraConfig()),
    )


def _config_of(student: str, seed: int) -> PretrainedConfig:
    from transformers import AutoConfig

    if student == "quickstart":
        from rrtf_ray.quickstart.student import student_config

        return student_config(seed)
    if not is_hub_id(student) and not exists(join(student, "config.json")):
        raise InputError(
            f"model.student={student!r} has no config.json; give a folder or URI that has one, or a hub id (org/name)"
        )
    try:
        if is_local(student):
            return AutoConfig.from_pretrained(local_folder(student))
        with tempfile.TemporaryDirectory(prefix="rrtf-config-") as folder:
            Path(folder, "config.json").write_bytes(read_bytes(join(student, "config.json")))
            return AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, InputError):  # ours, which is a ValueError too
            raise
        raise InputError(
            f"the configuration of model.student={student!r} cannot be loaded: {first_line(error)}; for a hub "
            "model this machine must reach the hub (HF_TOKEN may be needed); else give a folder with its config.json"
        ) from None


def _linear_layers(model: Any) -> list[tuple[str, tuple[int, int]]]:
    """Name and widths of each layer that can have an adapter: all linear ones but the output layer."""
    import torch
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    return [
        (name, (int(module.weight.shape[0]), int(module.weight.shape[1])))
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    ]


def _adapter_width(model: Any, student: str, lora: LoraConfig) -> int:
    wanted = lora.target_modules
    found = [
        sum(widths)
        for name, widths in _linear_layers(model)
        if wanted == "all-linear" or any(name == w or name.endswith(f".{w}") for w in wanted)
    ]
    if not found:
        raise ConfigError(
            f"train.lora.target_modules={list(wanted)} matches no linear layer of model.student={student!r}; "
            "use all-linear, or names such as "
            + ", ".join(sorted({name.rsplit(".", 1)[-1] for name, _ in _linear_layers(model)}))
        )
    return sum(found)


def _first(config: Any, *names: str) -> int:
    """The first of these settings that exists and is not empty, or 0."""
    return next((int(value) for name in names if (value := getattr(config, name, None))), 0)
