"""Who writes the candidates: vLLM, a file (replay) or a script.

A sampler turns one problem into drafts. All are seeded by run seed, round and problem id alone, so a problem's
candidates depend neither on what else is being sampled nor on a restart.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from rrtf_ray.config import EngineArguments, ModelConfig, SampleConfig
from rrtf_ray.core.groups import Draft
from rrtf_ray.engines.arguments import engine_arguments
from rrtf_ray.engines.environment import set_engine_environment
from rrtf_ray.errors import StageError
from rrtf_ray.fim.middle import trim
from rrtf_ray.identity import stable_seed
from rrtf_ray.records import Problem, Sampling
from rrtf_ray.stages.infilling import infilling_of
from rrtf_ray.store.models import local_folder, tokenizer_of
from rrtf_ray.store.prompting import Prompting

if TYPE_CHECKING:
    from vllm import RequestOutput, SamplingParams
    from vllm.inputs import TokensPrompt
    from vllm.v1.engine.async_llm import AsyncLLM

MAX_ENGINE_DEATHS = 2


class Sampler(Protocol):
    """What the sample stage needs of a sampler."""

    async def sample(self, problem: Problem) -> list[Draft]:
        """The student's responses. Raises ValueError if this problem cannot be sampled."""
        ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an engine continues, and the tokens besides EOS that end it."""

    prompt: str | TokensPrompt
    ends: list[int]


def _cut(draft: Draft, suffix: str) -> Draft:
    """A middle without the repetition of the suffix that may follow it, as the gateway cuts it."""
    middle, ended = trim(draft.response, suffix)
    return replace(draft, response=middle, finish_reason="stop" if ended else draft.finish_reason)


class Engine:
    """One vLLM engine in this process's care, replaced if it dies."""

    def __init__(self, model: str, settings: EngineArguments) -> None:
        """model: a local folder. Takes the time of an engine start, half a minute and more."""
        self._model = model
        self._settings = settings
        self._deaths = 0
        self._replacing = asyncio.Lock()
        self._engine = self._start()

    def _start(self) -> AsyncLLM:
        set_engine_environment()
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        return AsyncLLM.from_engine_args(
            AsyncEngineArgs(model=self._model, disable_log_stats=True, **engine_arguments(self._settings))
        )

    async def generate(self, prompt: str | TokensPrompt, parameters: SamplingParams) -> RequestOutput:
        """The finished request; a dead engine is replaced and asked again."""
        from vllm.v1.engine.exceptions import EngineDeadError

        while True:
            engine = self._engine
            try:
                async for output in engine.generate(prompt, parameters, os.urandom(8).hex()):
                    if output.finished:
                        return output
                raise StageError("the engine ended a request without an answer; see run_dir/logs/ray")
            except EngineDeadError as error:
                await self._replace(engine, error)

    async def _replace(self, dead: AsyncLLM, error: Exception) -> None:
        async with self._replacing:
            if self._engine is not dead:
                return  # another request has done it
            self._deaths += 1
            if self._deaths > MAX_ENGINE_DEATHS:
                raise StageError(
                    f"vLLM's engine died {self._deaths} times; the cause is in run_dir/logs/ray/*/worker-*.out. "
                    "Often it is memory: lower model.kv_cache_memory_bytes or model.engine.max_num_seqs"
                ) from error
            dead.shutdown()
            self._engine = self._start()


class VLLMSampler:
    """Samples with one vLLM engine in this process's care."""

    def __init__(self, model: str, engine: ModelConfig, sample: SampleConfig, prompting: Prompting, seed: int) -> None:
        """model: a local folder, URI or hub id. Takes the time of an engine start, half a minute and more."""
        self._model = local_folder(model)
        self._prompting = prompting
        self._ends = [prompting.end(tokenizer_of(model))] if prompting.chat else []
        self._settings = engine
        self._config = sample
        self._seed = seed
        self._engine = Engine(self._model, engine)

    async def sample(self, problem: Problem) -> list[Draft]:
        asked = self._infilling(problem) if problem.suffix else _Asked(self._prompt(problem.prompt), self._ends)
        draws = await asyncio.gather(*(self._draw(problem.id, asked, i) for i in range(len(self._config.draws))))
        drafts = [draft for draw in draws for draft in draw]
        return [_cut(draft, problem.suffix) for draft in drafts] if problem.suffix else drafts

    def _infilling(self, problem: Problem) -> _Asked:
        """Whatever the model is, a middle is asked for by its markers."""
        infilling = infilling_of(self._model)
        fitted = infilling.prompt(
            problem.prompt,
            problem.suffix,
            context=self._settings.max_model_len,
            max_tokens=self._config.max_tokens,
        )
        return _Asked({"prompt_token_ids": fitted.prompt_ids}, infilling.stop_ids)

    def _prompt(self, prompt: str) -> str | TokensPrompt:
        """A chat's tokens are ours, as its template writes the first one itself; a text's are the engine's."""
        tokenizer = tokenizer_of(self._model)
        if not self._prompting.chat:
            return self._prompting.text(tokenizer, prompt)
        return {"prompt_token_ids": self._prompting.encode(tokenizer, prompt)}

    async def _draw(self, problem_id: str, asked: _Asked, index: int) -> list[Draft]:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        draw = self._config.draws[index]
        seed = stable_seed(self._seed, problem_id, index)
        parameters = SamplingParams(
            n=draw.n,
            temperature=draw.temperature,
            top_p=draw.top_p,
            max_tokens=self._config.max_tokens,
            stop=list(self._config.stop) or None,
            stop_token_ids=asked.ends or None,
            seed=seed,
            logprobs=0 if self._config.logprobs else None,  # 0 is those of the sampled tokens
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        final = await self._engine.generate(asked.prompt, parameters)
        return [
            Draft(
                response=output.text,
                finish_reason=output.finish_reason or "",
                num_tokens=len(output.token_ids),
                logprob=output.cumulative_logprob,
                # vLLM samples child i of a request with the seed `seed + i`.
                sampling=Sampling(draw.temperature, draw.top_p, self._config.max_tokens, seed + i),
            )
            for i, output in enumerate(sorted(final.outputs, key=lambda o: o.index))
        ]


class ReplaySampler:
    """Reads the candidates from a file that was read once by the driver."""

    def __init__(self, drafts: Mapping[str, list[Draft]]) -> None:
        """drafts: what load_replay found, by problem id."""
        self._drafts = drafts

    async def sample(self, problem: Problem) -> list[Draft]:
        return self._drafts.get(problem.id, [])


class ScriptedSampler:
    """A deterministic student for tests and benchmarks of everything around the engine.

    Of the n candidates that the draws ask for, every second is the reference and the others return None.
    """

    def __init__(self, config: SampleConfig) -> None:
        self._count = sum(draw.n for draw in config.draws)

    async def sample(self, problem: Problem) -> list[Draft]:
        return [Draft(problem.reference if i % 2 else "    return None\n", "stop") for i in range(self._count)]
