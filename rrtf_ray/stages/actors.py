"""The actors of the streaming plan: sampling (one engine each) and execution (one sandbox each)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import ray

from rrtf_ray.behaviour.probing import behaviours
from rrtf_ray.config import Config, ExecuteConfig, ModelConfig, RankConfig, SampleConfig
from rrtf_ray.core.groups import build_group
from rrtf_ray.core.ranking import rank
from rrtf_ray.errors import SandboxError
from rrtf_ray.execution import run_problem
from rrtf_ray.records import Candidate, Group, Outcome, Problem, Ranking, Verdict
from rrtf_ray.sandbox import Limits, Sandbox, VerdictCache
from rrtf_ray.schemas import from_table, to_table
from rrtf_ray.stages.samplers import ReplaySampler, Sampler, ScriptedSampler, VLLMSampler
from rrtf_ray.stages.stream import RANKING, Step
from rrtf_ray.store.prompting import Prompting
from rrtf_ray.store.run_dir import model_name

_log = logging.getLogger(__name__)


class SampleActor:
    """Problems in, groups out. Several tasks run at once to keep the engine busy."""

    def __init__(
        self,
        sample: SampleConfig,
        engine: ModelConfig,
        model: str,
        prompting: Prompting,
        name: str,
        seed: int,
        teacher_seed: int,
        replay: Any = None,
    ) -> None:
        """prompting: how an engine is given a problem. name: the model's name in the candidates. seed: of the round.
        teacher_seed: chooses which problems use their teacher (sample.teacher_fraction). replay: object reference of
        the responses by problem id."""
        self._sample = sample
        self._name = name
        self._teacher_seed = teacher_seed
        self._sampler: Sampler
        match sample.engine:
            case "vllm":
                self._sampler = VLLMSampler(model, engine, sample, prompting, seed)
            case "replay":
                self._sampler = ReplaySampler(ray.get(replay))
            case "scripted":
                self._sampler = ScriptedSampler(sample)

    async def __call__(self, table: pa.Table) -> AsyncIterator[pa.Table]:
        problems = from_table(Problem, table)
        groups = await asyncio.gather(*(self._group(p) for p in problems))
        yield to_table(groups, Group)

    async def _group(self, problem: Problem) -> Group:
        error = ""
        try:
            drafts = await self._sampler.sample(problem)
        except ValueError as fault:  # this prompt cannot be sampled; the others can
            drafts, error = [], f"sampling failed: {fault}"
        return build_group(
            problem,
            drafts,
            model=self._name,
            teacher=self._sample.teacher,
            teacher_fraction=self._sample.teacher_fraction,
            seed=self._teacher_seed,
            error=error,
        )


class ExecuteActor:
    """Groups in, groups with verdicts out, and their rankings beside them if asked for: the record is at hand here, and
    ranking it costs microseconds. Programs run one after the other, each in a process of its own."""

    def __init__(self, config: ExecuteConfig, cache: str = "", ranked_by: RankConfig | None = None) -> None:
        """cache: file of the verdicts that are known already; empty for none. ranked_by: None for no rankings."""
        self._config = config
        self._ranked_by = ranked_by
        self._sandbox = Sandbox(
            Limits(wall_s=config.wall_s, cpu_s=config.cpu_s, memory_mb=config.memory_mb),
            isolation=config.isolation,
            preload=config.preload,
            cache=VerdictCache(cache) if cache else None,
        )

    def __call__(self, table: pa.Table) -> pa.Table:
        judged = [self._judge(group) for group in from_table(Group, table)]
        groups = to_table(judged, Group)
        if self._ranked_by is None:
            return groups
        rankings = to_table([rank(group, self._ranked_by) for group in judged], Ranking).to_struct_array()
        return groups.append_column(RANKING, rankings)

    def _judge(self, group: Group) -> Group:
        waiting = [c for c in group.candidates if c.verdict is None]
        verdicts = dict(zip((c.id for c in waiting), self._run(group.problem, waiting), strict=True))
        judged = [replace(c, verdict=verdicts.get(c.id, c.verdict)) for c in group.candidates]
        broken = [c for c in judged if c.verdict and c.verdict.outcome is Outcome.SANDBOX_ERROR]
        if broken:  # a fault of the machinery is tried again before it counts
            again = dict(zip((c.id for c in broken), self._run(group.problem, broken), strict=True))
            judged = [replace(c, verdict=again.get(c.id, c.verdict)) for c in judged]
        return replace(group, candidates=tuple(self._probed(group.problem, judged)))

    def _probed(self, problem: Problem, candidates: list[Candidate]) -> list[Candidate]:
        """The candidates, of those that pass with what they do on other calls; unknown where the machine fails."""
        passing = [c for c in candidates if c.verdict and c.verdict.outcome is Outcome.PASSED]
        if not self._config.probe_calls or len(passing) < 2:
            return candidates
        try:
            found = behaviours(problem, [c.program for c in passing], self._sandbox, self._config.probe_calls)
        except SandboxError as error:
            _log.warning("problem %s: its programs could not be compared: %s", problem.id, error)
            return candidates
        known = dict(zip((c.id for c in passing), found, strict=True))
        return [replace(c, behaviour=known.get(c.id, "")) for c in candidates]

    def _run(self, problem: Problem, candidates: Sequence[Candidate]) -> list[Verdict]:
        programs = [c.program for c in candidates]
        config = self._config
        return run_problem(self._sandbox, problem, programs, fail_fast=config.fail_fast, calibrate=config.calibrate)


def sample_step(config: Config, model: str, prompting: Prompting, seed: int, replay: Any = None) -> Step:
    """The sampling part of a plan. prompting, seed, replay: see SampleActor."""
    sample = config.sample
    tasks = sample.tasks_per_engine
    return Step(
        SampleActor,
        {
            "fn_constructor_kwargs": {
                "sample": sample,
                "engine": config.model,
                "model": model,
                "prompting": prompting,
                "name": model_name(config.run_dir, model),
                "seed": seed,
                "teacher_seed": config.seed,
                "replay": replay,
            },
            "batch_size": None,
            "compute": ray.data.ActorPoolStrategy(
                min_size=sample.min_engines,
                max_size=sample.max_engines,
                # A pool grows only while more tasks wait than may run at once.
                max_tasks_in_flight_per_actor=2 * tasks,
                max_concurrent_calls_per_actor=tasks,
            ),
            "num_cpus": sample.cpus_per_engine,
            "num_gpus": sample.gpus_per_engine,
        },
    )


def execute_step(config: ExecuteConfig, cache: str = "", ranked_by: RankConfig | None = None) -> Step:
    """The executing part of a plan. cache, ranked_by: see ExecuteActor."""
    return Step(
        ExecuteActor,
        {
            "fn_constructor_kwargs": {"config": config, "cache": cache, "ranked_by": ranked_by},
            "batch_size": None,
            "compute": ray.data.ActorPoolStrategy(
                min_size=config.min_workers, max_size=config.max_workers, max_tasks_in_flight_per_actor=4
            ),
            "num_cpus": 1,
        },
    )
