"""What can be known to fail before an engine or a trainer starts: model folders and prompt lengths."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.fs as pafs

from rrtf_ray.artifacts import MANIFEST, RowStore, exists, join, local_copy, read_json, resolve
from rrtf_ray.config import Config
from rrtf_ray.errors import ConfigError, DataError, InputError, first_line
from rrtf_ray.records import Problem
from rrtf_ray.run_dir import RunDir
from rrtf_ray.stages.tracking import check as check_tracking

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")
_SAMPLE = 64 * 2**10
_POSITIONS = ("n_positions", "max_position_embeddings", "n_ctx")


def is_hub_id(model: str) -> bool:
    """Whether `model` names a model of a hub (`org/name`), rather than a folder or URI."""
    looks_like_path = model.startswith((".", "/", "~")) or "://" in model or model.count("/") != 1
    return not looks_like_path and not Path(model).exists() and not Path(model).parent.is_dir()


def check_model(model: str, max_model_len: int | None = None, key: str = "model.max_model_len") -> None:
    """Raise InputError where a folder lacks configuration, weights or tokenizer, ConfigError where the context
    that is asked for (by the setting `key`) is longer than the model's. A hub id is left to the libraries that
    download it."""
    if is_hub_id(model):
        return
    if not exists(model):
        raise InputError(f"model {model!r} does not exist; give a folder, a URI or a hub id (org/name)")
    missing = [
        what
        for what, names in (
            ("config.json", ("config.json",)),
            ("weights", _WEIGHTS),
            ("a tokenizer", _TOKENIZERS),
        )
        if not any(exists(join(model, name)) for name in names)
    ]
    if missing:
        raise InputError(
            f"model {model!r} has no {' and no '.join(missing)}; point to a folder that `save_pretrained` wrote "
            "for both the model and its tokenizer"
        )
    settings: dict[str, Any] = read_json(join(model, "config.json"))
    limit = next((settings[key] for key in _POSITIONS if isinstance(settings.get(key), int)), None)
    if limit and max_model_len and max_model_len > limit:
        raise ConfigError(f"{key}={max_model_len} is more than the {limit} positions of {model!r}; lower it to {limit}")


def check_training(config: Config, run: RunDir, model: str) -> None:
    """What training would fail for, told before hours of sampling: raises InputError (ConfigError) for a context that
    is too short, a tokenizer that cannot end a response, and packages that a setting needs and nobody installed."""
    train = config.train
    check_model(model, train.max_length, "train.max_length")
    if not is_hub_id(model) and "quantization_config" in read_json(join(model, "config.json")):
        raise InputError(f"model {model!r} is quantized and cannot be trained; give the checkpoint it was made from")
    check_tracking(train.tracking, run.tracking())
    if train.lora and find_spec("peft") is None:
        raise ConfigError("train.lora needs the package peft; pip install 'rrtf-ray[lora]'")
    if tokenizer_of(model).eos_token_id is None:
        raise InputError(
            f"the tokenizer of {model!r} has no EOS token, so that no response could be taught to end; set eos_token "
            "in its tokenizer_config.json"
        )


def model_identity(model: str) -> str:
    """A short hash that changes when a model's files do; a hub id stands for itself.

    Weights are known by their name, size, first and last 64 KiB, so that large models cost no time.
    """
    if is_hub_id(model) or not exists(model):
        return model
    filesystem, path = resolve(model)
    digest = hashlib.sha256()
    for info in sorted(filesystem.get_file_info(pafs.FileSelector(path)), key=lambda i: i.base_name):
        if not info.is_file or not info.base_name.endswith((".safetensors", ".bin", "config.json", MANIFEST)):
            continue
        digest.update(f"{info.base_name} {info.size}\n".encode())
        with filesystem.open_input_file(info.path) as file:
            digest.update(file.read(_SAMPLE))
            file.seek(max(0, info.size - _SAMPLE))
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:16]


def check_prompts(problems: RowStore[Problem], model: str, config: Config) -> None:
    """Raise DataError naming the problems whose prompt leaves no room for sample.max_tokens in the context."""
    room = config.model.max_model_len - config.sample.max_tokens
    template = config.sample.prompt_template
    too_long: list[tuple[str, int]] = []
    for problem in problems.read():
        prompt = template.replace("{prompt}", problem.prompt)
        # A token is at least one byte, so that only long prompts need counting.
        if len(prompt.encode()) + 1 > room:
            length = len(tokenizer_of(model)(prompt)["input_ids"])
            if length > room:
                too_long.append((problem.id, length))
    if too_long:
        worst = max(length for _, length in too_long)
        named = ", ".join(f"{id_} ({length} tokens)" for id_, length in too_long[:5])
        raise DataError(
            f"{len(too_long)} prompts are longer than model.max_model_len - sample.max_tokens = {room} tokens: {named}"
            f"{' ...' if len(too_long) > 5 else ''}; raise model.max_model_len to {worst + config.sample.max_tokens}, "
            "lower sample.max_tokens, or leave these problems out"
        )


@cache
def tokenizer_of(model: str) -> PreTrainedTokenizerBase:
    """The model's tokenizer. Raises InputError where it cannot be loaded."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(local_copy(model) if "://" in model else model)
    except (OSError, ValueError) as error:
        raise InputError(f"the tokenizer of {model!r} cannot be loaded: {first_line(error)}") from None
