"""The actors in which teachers work: one for an endpoint, a pool of engines for a model of our own."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pyarrow as pa
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rrtf_ray.config import Config, TeacherConfig
from rrtf_ray.records import Fault
from rrtf_ray.schemas import from_table, to_table
from rrtf_ray.stages.samplers import Engine
from rrtf_ray.stages.stream import LIGHT, Step
from rrtf_ray.store.models import local_folder, tokenizer_of
from rrtf_ray.store.prompting import Prompting, prompting_of
from rrtf_ray.teachers.asking import Question, Reply, Teacher
from rrtf_ray.teachers.endpoint import EndpointTeacher
from rrtf_ray.teachers.keys import key_of
from rrtf_ray.teachers.ledger import Ledger
from rrtf_ray.teachers.preflight import ledger_path
from rrtf_ray.teachers.work import Work, model_of

TASKS_PER_ENGINE = 16


class EngineTeacher:
    """Answers through a vLLM engine of its own. Nothing is remembered between runs: rows that are done stay done."""

    def __init__(self, config: TeacherConfig, prompting: Prompting) -> None:
        self._config = config
        self._model = local_folder(config.model)
        self._prompting = prompting
        self._ends = [prompting.end(tokenizer_of(self._model))] if prompting.chat else []
        self._engine = Engine(self._model, config.engine)

    async def ask(self, question: Question) -> Reply:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        tokenizer = tokenizer_of(self._model)
        ids = self._prompting.encode(tokenizer, question.user if self._prompting.chat else question.text)
        room = self._config.engine.max_model_len - question.max_tokens
        if len(ids) > room:
            detail = f"the prompt has {len(ids)} tokens, and engine.max_model_len - max_tokens leaves {room}"
            return Reply(fault=Fault.REJECTED, detail=detail)
        parameters = SamplingParams(
            temperature=question.temperature,
            top_p=question.top_p,
            max_tokens=question.max_tokens,
            stop_token_ids=self._ends or None,
            seed=question.seed,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        output = (await self._engine.generate({"prompt_token_ids": ids}, parameters)).outputs[0]
        return Reply(output.text, output.finish_reason or "", len(output.token_ids))


class TeacherActor:
    """Rows in, rows out, by one teacher. Several tasks run at once."""

    def __init__(
        self,
        work: Work,
        config: TeacherConfig,
        name: str,
        key: ray.ObjectRef | None = None,
        ledger: str = "",
        prompting: Prompting | None = None,
    ) -> None:
        """key, ledger: of an endpoint. The key is a reference so that no record of the actor's start has it.
        prompting: of an engine."""
        self._work = work
        if prompting:
            self._teacher: Teacher = EngineTeacher(config, prompting)
        else:
            assert key is not None
            self._teacher = EndpointTeacher(name, config, ray.get(key), Ledger(ledger, model_of(name, config)))

    async def __call__(self, table: pa.Table) -> AsyncIterator[pa.Table]:
        rows: list[Any] = from_table(self._work.takes, table)
        done = await asyncio.gather(*(self._work.of(row, self._teacher) for row in rows))
        yield to_table(done, self._work.gives)


def teacher_step(config: Config, name: str, work: Work) -> Step:
    """The part of a plan in which this teacher works.

    An endpoint is asked by one actor, on the driver's node: there its limits hold for the cluster, and its answers lie
    in a file of the run. Engines are a pool that grows with the load.
    """
    teacher = config.teachers[name]
    arguments = {"work": work, "config": teacher, "name": name}
    if teacher.kind == "vllm":
        return Step(
            TeacherActor,
            {
                "fn_constructor_kwargs": arguments | {"prompting": engine_prompting(teacher)},
                "batch_size": None,
                "compute": ray.data.ActorPoolStrategy(
                    min_size=teacher.min_engines,
                    max_size=teacher.max_engines,
                    max_tasks_in_flight_per_actor=2 * TASKS_PER_ENGINE,
                    max_concurrent_calls_per_actor=TASKS_PER_ENGINE,
                ),
                "num_cpus": teacher.cpus_per_engine,
                "num_gpus": teacher.gpus_per_engine,
            },
        )
    tasks = max(2, math.ceil(teacher.concurrency / config.sample.rows_per_task) + 1)
    here = ray.get_runtime_context().get_node_id()
    return Step(
        TeacherActor,
        {
            "fn_constructor_kwargs": arguments
            | {"key": ray.put(key_of(name, teacher)), "ledger": ledger_path(config, name)},
            "batch_size": None,
            "compute": ray.data.ActorPoolStrategy(
                size=1, max_tasks_in_flight_per_actor=2 * tasks, max_concurrent_calls_per_actor=tasks
            ),
            "num_cpus": LIGHT,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(here, soft=False),
        },
    )


def engine_prompting(teacher: TeacherConfig) -> Prompting:
    """How questions are put to a model of our own; one without a chat template continues them."""
    prompting, _ = prompting_of(
        teacher.model,
        chat="auto" if teacher.form == "chat" else "off",
        template="{prompt}",
        system=teacher.system,
        instruction="{prompt}",
        thinking=False,
    )
    return prompting
