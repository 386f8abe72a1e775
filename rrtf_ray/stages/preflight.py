"""What can be known to fail before an engine or a trainer starts: settings of training, and prompt lengths."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from rrtf_ray.config import Config
from rrtf_ray.errors import ConfigError, DataError, InputError
from rrtf_ray.progress import say
from rrtf_ray.records import Problem
from rrtf_ray.stages.infilling import infilling_of
from rrtf_ray.store.files import join, read_json
from rrtf_ray.store.models import check_model, is_hub_id, tokenizer_of
from rrtf_ray.store.prompting import Prompting, prompting_of
from rrtf_ray.store.rows import RowStore
from rrtf_ray.store.run_dir import RunDir
from rrtf_ray.training.tracking import check as check_tracking


def check_training(config: Config, run: RunDir, model: str) -> None:
    """What training would fail for, reported before hours of sampling: raises InputError (ConfigError) for a context
    that is too short, a tokenizer that cannot end a response, and packages that a setting needs but are missing."""
    train = config.train
    check_model(model, train.max_length, "train.max_length")
    if not is_hub_id(model) and "quantization_config" in read_json(join(model, "config.json")):
        raise InputError(f"model {model!r} is quantized and cannot be trained; give the checkpoint it was made from")
    check_tracking(train.tracking, run.tracking())
    if train.lora and find_spec("peft") is None:
        raise ConfigError("train.lora needs the package peft; pip install 'rrtf-ray[lora]'")
    prompting_for(config, model)
    if tokenizer_of(model).eos_token_id is None:
        raise InputError(
            f"the tokenizer of {model!r} has no EOS token, so no response could be taught to end; set eos_token "
            "in its tokenizer_config.json"
        )


def prompting_for(config: Config, model: str) -> Prompting:
    """How this run puts problems to `model`. Raises InputError for a chat template that cannot be used."""
    sample = config.sample
    prompting, note = prompting_of(
        model,
        chat=config.model.chat,
        template=sample.prompt_template,
        system=sample.system,
        instruction=sample.instruction,
        thinking=sample.thinking,
    )
    if note:
        _say_once(note)
    return prompting


@cache
def _say_once(note: str) -> None:
    say(note)


def check_prompts(problems: RowStore[Problem], model: str, config: Config) -> None:
    """Raise DataError naming the problems whose prompt leaves no room for sample.max_tokens in the context, InputError
    for infilling problems that the model has no markers for."""
    max_tokens = config.sample.max_tokens
    room = config.model.max_model_len - max_tokens
    length_of = _Lengths(config, model, room)
    too_long: list[tuple[str, int]] = []
    for table in problems.columns("id", "prompt", "suffix"):
        # A data set of an earlier version has no column of suffixes.
        for problem_id, prompt, suffix in ((r["id"], r["prompt"], r.get("suffix")) for r in table.to_pylist()):
            length = length_of.middle(prompt, suffix) if suffix else length_of.text(prompt)
            if length > room:
                too_long.append((problem_id, length))
    if too_long:
        worst = max(length for _, length in too_long)
        named = ", ".join(f"{id_} ({length} tokens)" for id_, length in too_long[:5])
        raise DataError(
            f"{len(too_long)} prompts are longer than model.max_model_len - sample.max_tokens = {room} tokens: {named}"
            f"{' ...' if len(too_long) > 5 else ''}; raise model.max_model_len to {worst + max_tokens}, "
            "lower sample.max_tokens, or leave these problems out"
        )


class _Lengths:
    """The tokens of prompts, as far as they may be more than `room`."""

    def __init__(self, config: Config, model: str, room: int) -> None:
        self._config, self._model, self._room = config, model, room
        self._prompting, self._tokenizer = prompting_for(config, model), tokenizer_of(model)

    def text(self, prompt: str) -> int:
        # A token is at least one byte, so only long prompts need counting.
        if len(self._prompting.text(self._tokenizer, prompt).encode()) + 1 <= self._room:
            return 0
        return len(self._prompting.encode(self._tokenizer, prompt))

    def middle(self, prefix: str, suffix: str) -> int:
        fitted = infilling_of(self._model).prompt(
            prefix, suffix, context=self._config.model.max_model_len, max_tokens=self._config.sample.max_tokens
        )
        return len(fitted.prompt_ids) + fitted.dropped_prefix_tokens + fitted.dropped_suffix_tokens
