"""`rrtf plan`: what the training of a configuration takes. Nothing is started, not even Ray."""

from __future__ import annotations

import inspect
import json
import os
from dataclasses import dataclass
from typing import Any

from rrtf_ray.config import Config, LossConfig, TrainConfig
from rrtf_ray.errors import RRTFError
from rrtf_ray.planning.architecture import read_architecture
from rrtf_ray.planning.memory import GIB, Memory, Model, Training, memory, remedies
from rrtf_ray.problems import read_manifest
from rrtf_ray.progress import say
from rrtf_ray.store.run_dir import RunDir

_WHEN = {"always": "", "pass": "during a pass", "step": "at the optimizer's step, in place of a pass"}
_MOST_REMEDIES = 6


@dataclass(frozen=True, slots=True)
class Plan:
    """limit, needed: bytes; of one GPU, or of all workers in this machine's memory.
    remedies: groups of settings `section.key=value`; any one group makes it fit."""

    config: Config
    model: Model
    memory: Memory
    limit: float
    needed: int
    remedies: tuple[tuple[str, ...], ...]
    problems: int | None
    problems_from: str

    @property
    def fits(self) -> bool:
        return self.needed <= self.limit

    @property
    def group_tokens(self) -> int:
        """The most tokens that one problem adds to a step."""
        train = self.config.train
        return min(train.tokens_per_pass, train.max_candidates * train.max_length)

    @property
    def passes(self) -> int:
        """Passes of a worker in one step, if every problem is as long as it may be."""
        train = self.config.train
        at_once = train.num_workers * (train.tokens_per_pass // self.group_tokens)
        return -(-train.batch_groups // at_once)

    @property
    def steps(self) -> int | None:
        train = self.config.train
        if train.steps is not None:
            return train.steps
        return None if self.problems is None else -(-self.problems // train.batch_groups) * train.epochs


def plan(config: Config, gpu_memory_gib: float = 80.0, as_json: bool = False) -> None:
    """Print the plan of `config`; raises InputError if the model's configuration cannot be loaded."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # it warns of token ids in configurations, which do not matter here
    found = make_plan(config, gpu_memory_gib)
    if as_json:
        print(json.dumps(_plain(found), indent=2))
        return
    for line in _lines(found):
        say(line)


def make_plan(config: Config, gpu_memory_gib: float = 80.0) -> Plan:
    """The arithmetic behind `plan`."""
    train = config.train
    model = read_architecture(config.model.student, config.seed, train.lora)
    training = _training(train)
    limit = gpu_memory_gib * GIB if train.use_gpu else float(_machine_memory())

    def needed(changed: Training) -> int:
        held = memory(model, changed)
        return held.device if train.use_gpu else held.device * changed.num_workers

    wanted = needed(training)
    found = []
    if wanted > limit:
        found = remedies(training, lambda changed: needed(changed) <= limit, shortest_pass=train.max_length)
    problems, origin = _num_problems(config)
    return Plan(
        config=config,
        model=model,
        memory=memory(model, training),
        limit=limit,
        needed=wanted,
        remedies=tuple(tuple(_setting(k, v) for k, v in change.items()) for change in found[:_MOST_REMEDIES]),
        problems=problems,
        problems_from=origin,
    )


def _training(train: TrainConfig) -> Training:
    return Training(
        num_workers=train.num_workers,
        use_gpu=train.use_gpu,
        zero_stage=train.zero_stage,
        offload=train.offload,
        bytes_per_value=4 if train.dtype == "float32" else 2,
        lora_rank=train.lora.rank if train.lora else 0,
        tokens_per_pass=train.tokens_per_pass,
        logits_chunk=train.logits_chunk,
        gradient_checkpointing=train.gradient_checkpointing,
    )


def _setting(field: str, value: Any) -> str:
    """A field of Training as the override that sets it."""
    if field == "bytes_per_value":
        return "train.dtype=bfloat16"
    if field == "lora_rank":
        return f"train.lora={{rank: {value}}}"
    return f"train.{field}={str(value).lower() if isinstance(value, bool) else value}"


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _num_problems(config: Config) -> tuple[int | None, str]:
    """The most problems that are trained on, and where that number is from."""
    rankings = RunDir(config.run_dir).rankings(1)
    try:
        if rankings.is_complete():
            return int(rankings.manifest()["reasons"].get("ranked", 0)), "the rankings of round 1"
    except (RRTFError, OSError):  # a store that cannot be reached from here
        pass
    if config.problems.num_train is not None:
        return config.problems.num_train, "problems.num_train"
    if config.problems.source == "quickstart":
        from rrtf_ray.quickstart import generate_problems

        return inspect.signature(generate_problems).parameters["num_train"].default, "the quickstart"
    try:
        return read_manifest(config.problems.source)["num_problems"], "the manifest of problems.source"
    except (RRTFError, OSError):
        return None, "unknown until problems.source exists"


def _lines(found: Plan) -> list[str]:
    config, train, model = found.config, found.config.train, found.model
    trained = "all weights"
    if train.lora:
        share = found.memory.trainable / model.parameters
        trained = f"{_count(found.memory.trainable)} in adapters of rank {train.lora.rank} ({share:.2%})"
    settings = [f"{train.num_workers} {'GPU' if train.use_gpu else 'CPU worker'}{'s' * (train.num_workers > 1)}"]
    settings += [f"ZeRO {train.zero_stage}", train.dtype]
    settings += [f"offload {train.offload}"] * (train.offload != "none")
    settings += ["gradient checkpointing"] * train.gradient_checkpointing
    lines = [
        f"model     {config.model.student}: {_count(model.parameters)} parameters, {model.layers} layers of "
        f"{model.hidden}, vocabulary {model.vocabulary}",
        f"trained   {trained}",
        f"loss      {describe_loss(train.loss)}",
        f"workers   {', '.join(settings)}",
        "",
    ]
    lines += _memory_lines(found)
    if not found.fits:
        lines += _remedy_lines(found)
    return [*lines, "", *_step_lines(found)]


def _memory_lines(found: Plan) -> list[str]:
    train, held = found.config.train, found.memory
    unit, size = ("GiB", GIB) if held.device >= 4 * GIB else ("MiB", GIB // 1024)

    def row(name: str, number: int, text: str) -> str:
        return f"  {name:<18}{number / size:9.2f}  {text}".rstrip()

    lines = [f"memory per {'GPU' if train.use_gpu else 'worker'}, {unit} (an estimate)"]
    for part in held.parts:
        if part.device or part.host:
            host = f"and {part.host / size:.2f} of the host's memory" if part.host else ""
            lines.append(row(part.name, part.device, _WHEN[part.when] + host))
    verdict = "fits" if found.fits else "does not fit"
    limit = f"{found.limit / GIB:.4g} GiB"
    if train.use_gpu:
        lines.append(row("together", held.device, f"of {limit}: {verdict}"))
    else:
        workers = f"all workers {found.needed / GIB:.2f} GiB of this machine's {limit}"
        lines.append(row("together", held.device, f"{workers}: {verdict}"))
    if held.host:
        lines.append(row("host", held.host, f"per worker, {held.host * train.num_workers / size:.2f} for all workers"))
    return lines


def _remedy_lines(found: Plan) -> list[str]:
    if not found.remedies:
        return ["to fit: no setting suffices; use a smaller model, or more memory"]
    return ["to fit, any one of these:", *(f"  {' '.join(_quoted(s) for s in change)}" for change in found.remedies)]


def _quoted(setting: str) -> str:
    return f"'{setting}'" if " " in setting else setting


def _step_lines(found: Plan) -> list[str]:
    train = found.config.train
    steps = found.problems_from
    if train.steps is not None:
        steps = f"{train.steps} steps (train.steps)"
    elif found.steps is not None and found.problems is not None:
        per_epoch = found.steps // train.epochs
        times = f"{per_epoch} per epoch, {train.epochs} epochs"
        steps = f"at most {found.steps} steps: {found.problems} problems ({found.problems_from}), {times}"
    return [
        f"step      {train.batch_groups} problems, at most {train.batch_groups * found.group_tokens} tokens: at most "
        f"{found.passes} passes of {train.tokens_per_pass} tokens per worker",
        f"training  {steps}",
    ]


def describe_loss(loss: LossConfig) -> str:
    """The loss in a line."""
    target = {
        "teacher": "the best teacher's response",
        "best": "the best response",
        "all": "all distinct responses that pass",
    }[loss.ft_target]
    pairs = {
        "teacher": "pairs of a teacher and a student",
        "passing": "pairs of one that passes and one that fails",
        "all": "all pairs",
    }[loss.pairs]
    imitation = f"L_ft ({'sum' if loss.ft_reduction == 'sum' else 'mean'} over the tokens of {target})"
    if loss.objective == "sft":
        return f"sft: {imitation}"
    if loss.objective == "dpo":
        return f"dpo: {pairs}, beta {loss.beta:g}, against the model before training"
    details = [pairs] + ["weighted by the gap of their scores"] * loss.gap_weight
    details += [f"margin {loss.margin:g}"] * (loss.margin > 0)
    details += [f"shared prefixes weighted {loss.prefix_weight:g}"] * (loss.prefix_weight < 1)
    return f"rrtf: {loss.alpha:g} * L_rank ({', '.join(details)}) + {imitation}"


def _count(number: int) -> str:
    for size, name in ((10**9, "billion"), (10**6, "million")):
        if number >= size:
            return f"{number / size:.2f} {name}"
    return str(number)


def _plain(found: Plan) -> dict[str, Any]:
    """For `--json`: bytes, not GiB."""
    train = found.config.train
    return {
        "model": found.config.model.student,
        "parameters": found.model.parameters,
        "trainable_parameters": found.memory.trainable,
        "loss": describe_loss(train.loss),
        "num_workers": train.num_workers,
        "use_gpu": train.use_gpu,
        "parts": {p.name: {"device": p.device, "host": p.host, "when": p.when} for p in found.memory.parts},
        "device_bytes_per_worker": found.memory.device,
        "host_bytes_per_worker": found.memory.host,
        "needed_bytes": found.needed,
        "limit_bytes": int(found.limit),
        "fits": found.fits,
        "remedies": [list(change) for change in found.remedies],
        "tokens_per_step_at_most": train.batch_groups * found.group_tokens,
        "passes_per_step_at_most": found.passes,
        "problems": found.problems,
        "problems_from": found.problems_from,
        "steps_at_most": found.steps,
    }
