"""Model folders and hub ids: what a name means, what a folder must hold, and a hash that changes with its files."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.fs as pafs

from rrtf_ray.errors import ConfigError, InputError, first_line
from rrtf_ray.store.files import MANIFEST, absolute, exists, join, local_copy, read_json, resolve

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
    """Raise InputError if a folder lacks configuration, weights or tokenizer, ConfigError if the context
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


def model_identity(model: str) -> str:
    """A short hash that changes when a model's files do; a hub id stands for itself.

    Weights are known by their name, size, first and last 64 KiB, so large models cost no time.
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


def local_folder(model: str) -> str:
    """What libraries load `model` from, in a process with any working folder: the absolute path of its folder, after a
    download where `model` is a URI. A hub id stays as it is."""
    if "://" in model:
        return local_copy(model)
    return absolute(model) if Path(model).expanduser().is_dir() else model


@cache
def generation_ends(model: str) -> frozenset[int]:
    """The tokens at which the model's own generation stops, by its generation configuration, else its tokenizer's."""
    from transformers import GenerationConfig

    try:
        ends = GenerationConfig.from_pretrained(local_folder(model)).eos_token_id
    except (OSError, ValueError):
        ends = None
    if ends is None:
        ends = tokenizer_of(model).eos_token_id
    return frozenset([] if ends is None else [ends] if isinstance(ends, int) else ends)


@cache
def tokenizer_of(model: str) -> PreTrainedTokenizerBase:
    """The model's tokenizer. Raises InputError where it cannot be loaded."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(local_folder(model))
    except (OSError, ValueError) as error:
        raise InputError(f"the tokenizer of {model!r} cannot be loaded: {first_line(error)}") from None
