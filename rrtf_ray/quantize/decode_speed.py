"""How fast two models decode, measured on one worker of the cluster: both engines run in it and take turns, so drift
of the machine affects both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import ray

from rrtf_ray.cluster.failures import unwrapped
from rrtf_ray.cluster.resources import require
from rrtf_ray.config import Config, EngineArguments
from rrtf_ray.errors import StageError, first_line
from rrtf_ray.store.models import local_folder

REQUESTS_AT_ONCE = (1, 8)
PAIRS = 7
LIMIT_S = 3600.0
_TOKENS = 64
_KEY_VALUES = 512 * 2**20
_PROMPTS = tuple(
    f'def shift_{i}(values, by):\n    """Add {i} times `by` to each."""\n' for i in range(max(REQUESTS_AT_ONCE))
)


@dataclass(frozen=True, slots=True)
class Speed:
    """Milliseconds per token of one request, prompts included, with `requests` at once; medians over PAIRS runs of each
    model. ratio, ratio_min, ratio_max: median, minimum and maximum of second / first over the pairs."""

    requests: int
    first_ms: float
    second_ms: float
    ratio: float
    ratio_min: float
    ratio_max: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def compare_speed(config: Config, first: str, second: str) -> list[Speed]:
    """Greedy decoding by both models with the engine of `config.model`, for each of REQUESTS_AT_ONCE.

    Takes the resources of one of `config.sample`'s engines. Raises StageError if an engine does not start, or after
    LIMIT_S.
    """
    cpus, gpus = config.sample.cpus_per_engine, config.sample.gpus_per_engine
    require("sample.cpus_per_engine", cpus=cpus, gpus=gpus, largest_cpus=cpus, largest_gpus=gpus)
    # Whatever memory the configuration gives an engine, two must fit.
    engine = config.model.model_copy(update={"kv_cache_memory_bytes": _KEY_VALUES})
    # The worker ends after its one call, and its engines with it.
    measure = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0, max_calls=1)(_in_turn)
    with unwrapped("quantize"):
        task = measure.remote(engine, first, second)
        try:
            return ray.get(task, timeout=LIMIT_S)
        except ray.exceptions.GetTimeoutError:
            ray.cancel(task, force=True)
            raise StageError(f"the two engines did not finish within {LIMIT_S:.0f} s; see Ray's logs") from None


def _in_turn(engine: EngineArguments, first: str, second: str) -> list[Speed]:
    engines = [_start(model, engine) for model in (first, second)]
    return [_speed(engines, requests, min(_TOKENS, engine.max_model_len // 2)) for requests in REQUESTS_AT_ONCE]


def _start(model: str, engine: EngineArguments) -> Any:
    from rrtf_ray.engines.arguments import engine_arguments
    from rrtf_ray.engines.environment import set_engine_environment

    set_engine_environment()
    from vllm import LLM

    try:
        return LLM(model=local_folder(model), disable_log_stats=True, **engine_arguments(engine))
    except (RuntimeError, ValueError, OSError) as error:
        raise StageError(f"vLLM cannot load {model}: {first_line(error)}; its log is in Ray's logs") from error


def _speed(engines: Sequence[Any], requests: int, tokens: int) -> Speed:
    pairs = []
    for number in range(PAIRS + 1):
        order = (0, 1) if number % 2 else (1, 0)
        seconds = {side: _seconds(engines[side], requests, tokens) for side in order}
        pairs.append((seconds[0] / tokens * 1000, seconds[1] / tokens * 1000))
    pairs = pairs[1:]  # the first run of each is a warm-up
    ratios = [second / first for first, second in pairs]
    return Speed(
        requests,
        statistics.median(p[0] for p in pairs),
        statistics.median(p[1] for p in pairs),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
    )


def _seconds(engine: Any, requests: int, tokens: int) -> float:
    from vllm import SamplingParams

    started = time.perf_counter()
    engine.generate(
        _PROMPTS[:requests],
        SamplingParams(temperature=0.0, max_tokens=tokens, ignore_eos=True),
        use_tqdm=False,
    )
    return time.perf_counter() - started
