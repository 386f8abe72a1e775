"""A benchmark by sampling a model: the evaluate stage's plan, then a line for each candidate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from rrtf_ray.benchmark.directory import Directory
from rrtf_ray.benchmark.figures import DrawFigures
from rrtf_ray.benchmark.protocols import Protocol
from rrtf_ray.cluster.connecting import connected
from rrtf_ray.config import Config, SampleConfig, resolved
from rrtf_ray.config_file import validate
from rrtf_ray.errors import ConfigError, InputError, StageError
from rrtf_ray.problems.samples import ProblemIndex, SampleRow
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Candidate, Group, Outcome, Verdict
from rrtf_ray.stages.inputs import recorded
from rrtf_ray.stages.preflight import prompting_for
from rrtf_ray.stages.produce import sample_and_execute, settings_of
from rrtf_ray.stages.tally import judged_of
from rrtf_ray.store.files import absolute, writing
from rrtf_ray.store.models import check_model, is_hub_id
from rrtf_ray.store.run_dir import RunDir
from rrtf_ray.verify.rows import Tally, row_of, samples_of

_BY_OPTION = {"run_dir": "--output", "model.student": "--model", "sample.replay_path": "--samples"}
_BY_PROTOCOL = {
    *("seed", "model.chat", "sample.draws", "sample.max_tokens", "sample.stop", "sample.prompt_template"),
    *("sample.system", "sample.instruction", "sample.thinking", "execute.cpu_s", "execute.wall_s"),
    *("execute.memory_mb", "execute.preload", "execute.fail_fast", "execute.calibrate", "execute.probe_calls"),
}
_SECTIONS = ("model", "sample", "execute", "cluster")


def check_overrides(overrides: list[str]) -> None:
    """Raise ConfigError for an override that would be without effect: the protocol or an option decides it."""
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key in _BY_OPTION:
            raise ConfigError(f"override {override!r}: {key} of a benchmark is given by {_BY_OPTION[key]}")
        if key in _BY_PROTOCOL:
            raise ConfigError(f"override {override!r}: the protocol decides {key}; give a --protocol FILE.yaml with it")
        if key.partition(".")[0] not in _SECTIONS:
            raise ConfigError(f"override {override!r} has no effect on a benchmark; it takes {', '.join(_SECTIONS)}")


def sampling_config(config: Config, protocol: Protocol, model: str, output: str) -> Config:
    """The settings of the run that samples: the protocol's, and how to run it from `config`.

    Raises ConfigError where the two do not go together (a context that is too short), or for a replayed student.
    """
    if config.sample.engine == "replay":
        raise ConfigError("sample.engine=replay: samples that are there already are given to a benchmark by --samples")
    raw = resolved(config)
    draws = [draw.model_dump(mode="json", exclude={"k"}) for draw in protocol.draws]
    raw |= {"run_dir": output, "seed": protocol.seed}
    raw["model"] |= {"student": model, "chat": "on" if protocol.prompt == "chat" else "off"}
    raw["sample"] |= {"draws": draws, "teacher": "none", "prompt_template": "{prompt}"}
    raw["sample"]["instruction"] = protocol.instruction or SampleConfig().instruction
    for name in ("max_tokens", "stop", "system", "thinking"):
        raw["sample"][name] = getattr(protocol, name)
    for name in ("cpu_s", "wall_s", "memory_mb", "preload"):
        raw["execute"][name] = getattr(protocol, name)
    raw["execute"] |= {"fail_fast": False, "calibrate": False, "probe_calls": 0}  # nothing is ranked
    try:
        return validate(Config, raw)
    except ConfigError as error:
        raise ConfigError(f"with the protocol {protocol.name!r}: {error}") from None


def model_place(model: str, config: Config) -> str:
    """A hub id, or a place that every process can open. Raises InputError for a folder that is no model."""
    place = model if is_hub_id(model) else absolute(model)
    if config.sample.engine == "vllm":
        check_model(place, config.model.max_model_len)
    return place


def check_chat(config: Config, protocol: Protocol, model: str) -> None:
    """Raise InputError where the protocol is a chat and the model has no chat template that works."""
    if protocol.prompt != "chat" or config.sample.engine != "vllm":
        return
    try:
        prompting_for(config, model)
    except InputError as error:
        raise InputError(
            f"the protocol {protocol.name!r} needs a chat template; choose one with prompt: completion, such as "
            f"greedy, or another model ({error})"
        ) from None


def measured_by(config: Config, model: str) -> dict[str, Any]:
    """What the candidates depend on besides problems and protocol."""
    return settings_of(config, model, 0)


def sample(config: Config, model: str, protocol: Protocol, directory: Directory, judged_by: str) -> list[DrawFigures]:
    """Sample and judge what is missing, and write the draws' files.

    Raises InputError for what cannot be sampled at all, StageError where single problems could not be.
    """
    with recorded(config, RunDir(directory.uri)), connected(config):
        sample_and_execute(config, directory.problems, directory.groups, model, 0, "benchmark")
    check_complete(directory, protocol)
    return write_draws(directory, protocol, judged_by)


def check_complete(directory: Directory, protocol: Protocol) -> None:
    """Raise StageError where a problem has fewer candidates than the protocol draws."""
    wanted = sum(draw.n for draw in protocol.draws)
    short = [group.problem_id for group in judged_of(directory.groups) if len(group.outcomes) != wanted]
    if short:
        first = next(group for group in directory.groups.read() if group.problem.id == short[0])
        raise StageError(
            f"{len(short)} problems could not be sampled, so the figures would not be this suite's: {short[0]} "
            f"({first.error}) ...; remove {directory.groups.uri} to sample again"
        )


def write_draws(directory: Directory, protocol: Protocol, judged_by: str) -> list[DrawFigures]:
    """A line for each candidate in the files of its draw, problem by problem. Memory: one part of the groups."""
    figures = [DrawFigures(draw, Tally(), 0) for draw in protocol.draws]
    with ExitStack() as stack:
        files = [
            [stack.enter_context(writing(directory.at(name))) for name in (directory.samples(n), directory.results(n))]
            for n in (draw.name for draw in protocol.draws)
        ]
        for group in directory.groups.read():
            for figure, (samples, results), candidates in zip(figures, files, _parts(group, protocol), strict=True):
                for candidate, row in zip(candidates, _rows(group, candidates, judged_by), strict=True):
                    samples.write(_line(_sample(group.problem.id, row["index"], candidate)))
                    results.write(_line(row))
                    figure.add(group.problem.id, row, truncated=candidate.truncated)
    return figures


def _parts(group: Group, protocol: Protocol) -> Iterator[tuple[Candidate, ...]]:
    start = 0
    for draw in protocol.draws:
        yield group.candidates[start : start + draw.n]
        start += draw.n


def _rows(group: Group, candidates: tuple[Candidate, ...], judged_by: str) -> list[dict[str, Any]]:
    texts = tuple(candidate.response for candidate in candidates)
    row = SampleRow(Row(group.problem.id, {}), group.problem.id, "", texts, whole=False)
    samples = samples_of([row], ProblemIndex([group.problem]), judged_by)
    none = Verdict(Outcome.SANDBOX_ERROR, detail="was not run")
    return [row_of(sample, c.verdict or none) for sample, c in zip(samples, candidates, strict=True)]


def _sample(problem_id: str, index: int, candidate: Candidate) -> dict[str, Any]:
    return {
        "task_id": problem_id,
        "index": index,
        "completion": candidate.response,
        "finish_reason": candidate.finish_reason,
        "num_tokens": candidate.num_tokens,
        "seed": candidate.sampling.seed if candidate.sampling else None,
    }


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
