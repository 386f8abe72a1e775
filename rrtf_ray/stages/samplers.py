"""Who writes the candidates: vLLM, a file (replay) or a script.

A sampler turns one problem into drafts. All are seeded by run seed, round and problem id alone, so that a
problem's candidates do not depend on what else is being sampled, nor on a restart.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any, Protocol

from rrtf_ray.artifacts import local_copy
from rrtf_ray.config import ModelConfig, SampleConfig
from rrtf_ray.core.groups import Draft, stable_seed
from rrtf_ray.records import Problem, Sampling
from rrtf_ray.stages.engine_watch import ACTOR_PID


class Sampler(Protocol):
    """What the sample stage needs of a sampler."""

    async def sample(self, problem: Problem) -> list[Draft]:
        """The student's responses. Raises ValueError where this problem cannot be sampled."""
        ...


class VLLMSampler:
    """Samples with one vLLM engine in this process's care."""

    def __init__(self, model: str, engine: ModelConfig, sample: SampleConfig, seed: int) -> None:
        """model: a local folder, URI or hub id. Takes the time of an engine start, half a minute and more."""
        os.environ[ACTOR_PID] = str(os.getpid())
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        # Bound to cores, every engine of a machine would take the same ones.
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        self._config = sample
        self._seed = seed
        arguments: dict[str, Any] = {
            "model": local_copy(model) if "://" in model else model,
            "dtype": engine.dtype,
            "max_model_len": engine.max_model_len,
            "tensor_parallel_size": engine.tensor_parallel_size,
            "worker_extension_cls": "rrtf_ray.stages.engine_watch.WatchActor",
            "disable_log_stats": True,
        }
        if engine.kv_cache_memory_bytes:
            arguments["kv_cache_memory_bytes"] = engine.kv_cache_memory_bytes
        self._engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments | engine.engine))

    async def sample(self, problem: Problem) -> list[Draft]:
        prompt = self._config.prompt_template.replace("{prompt}", problem.prompt)
        draws = await asyncio.gather(*(self._draw(problem.id, prompt, i) for i in range(len(self._config.draws))))
        return [draft for draw in draws for draft in draw]

    async def _draw(self, problem_id: str, prompt: str, index: int) -> list[Draft]:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind
        from vllm.v1.engine.exceptions import EngineDeadError

        draw = self._config.draws[index]
        seed = stable_seed(self._seed, problem_id, index)
        parameters = SamplingParams(
            n=draw.n,
            temperature=draw.temperature,
            top_p=draw.top_p,
            max_tokens=self._config.max_tokens,
            stop=list(self._config.stop) or None,
            seed=seed,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        try:
            final = None
            async for final in self._engine.generate(prompt, parameters, f"{problem_id}/{index}/{os.urandom(4).hex()}"):
                pass
        except EngineDeadError:
            # No request can be served any more. Ending the process makes Ray start a new actor and try again.
            os._exit(1)
        assert final is not None
        return [
            Draft(
                response=output.text,
                finish_reason=output.finish_reason or "",
                num_tokens=len(output.token_ids),
                # vLLM samples child i of a request with the seed `seed + i`.
                sampling=Sampling(draw.temperature, draw.top_p, self._config.max_tokens, seed + i),
            )
            for i, output in enumerate(sorted(final.outputs, key=lambda o: o.index))
        ]


class ReplaySampler:
    """Reads the candidates from a file that was read once by the driver."""

    def __init__(self, samples: Mapping[str, list[str]]) -> None:
        """samples: responses by problem id."""
        self._samples = samples

    async def sample(self, problem: Problem) -> list[Draft]:
        return [Draft(text, "given") for text in self._samples.get(problem.id, [])]


class ScriptedSampler:
    """A deterministic student for tests and benchmarks of everything around the engine.

    Of the n candidates that the draws ask for, every second is the reference and the others return None.
    """

    def __init__(self, config: SampleConfig) -> None:
        self._count = sum(draw.n for draw in config.draws)

    async def sample(self, problem: Problem) -> list[Draft]:
        return [Draft(problem.reference if i % 2 else "    return None\n", "stop") for i in range(self._count)]
