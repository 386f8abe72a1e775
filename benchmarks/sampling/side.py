"""One side of benchmarks.sampling: keeps an engine and samples the same problems whenever it is asked."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable

from benchmarks.sampling.__main__ import DRAWS, MAX_TOKENS
from benchmarks.timed import run_timed
from rrtf_ray.config import Config
from rrtf_ray.config_file import load_config, validate
from rrtf_ray.identity import stable_seed
from rrtf_ray.quickstart import generate_problems
from rrtf_ray.records import Group, Problem
from rrtf_ray.stages.actors import sample_step
from rrtf_ray.store.prompting import Prompting
from rrtf_ray.store.rows import RowStore


def config() -> Config:
    demo = load_config("jobs/configs/demo.yaml")
    return validate(
        Config,
        {
            "model": demo.model.model_dump(exclude={"student"}),
            "sample": {"draws": DRAWS, "max_tokens": MAX_TOKENS, "teacher": "none", "tasks_per_engine": 32},
        },
    )


def plain(model: str, problems: list[Problem]) -> Callable[[], tuple[int, float]]:
    """`vllm.LLM.generate` on all prompts at once."""
    from rrtf_ray.engines.environment import ENVIRONMENT

    os.environ |= ENVIRONMENT | {"OMP_NUM_THREADS": "1"}  # what Ray gives the stage's engine
    from vllm import LLM, SamplingParams

    from rrtf_ray.engines.arguments import engine_arguments

    arguments = {k: v for k, v in engine_arguments(config().model).items() if k != "worker_extension_cls"}
    engine = LLM(model=model, disable_log_stats=True, **arguments)
    draw = DRAWS[0]
    parameters = [
        SamplingParams(
            n=int(draw["n"]),
            temperature=draw["temperature"],
            top_p=draw["top_p"],
            max_tokens=MAX_TOKENS,
            seed=stable_seed(0, p.id, 0),
        )
        for p in problems
    ]

    def run() -> tuple[int, float]:
        started = time.time()
        outputs = engine.generate([p.prompt for p in problems], parameters, use_tqdm=False)
        return sum(len(o.token_ids) for output in outputs for o in output.outputs), time.time() - started

    return run


def stage(model: str, problems: list[Problem]) -> Callable[[], tuple[int, float]]:
    """The sample stage as in a run: Parquet in, Ray Data, engine, extraction, Parquet out."""
    from rrtf_ray.cluster.connecting import connected

    settings = config()
    connected(settings).__enter__()
    source = RowStore(tempfile.mkdtemp(prefix="rrtf-bench-"), Problem, "id")
    source.write(problems)
    source.finish({"rows": len(problems), "fingerprint": ""})

    def run() -> tuple[int, float]:
        sink = RowStore(tempfile.mkdtemp(prefix="rrtf-bench-"), Group, "problem.id")
        return run_timed(source, sink, [sample_step(settings, model, Prompting(), 0)], settings.sample.rows_per_task)

    return run


def main() -> None:
    side, model, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    problems, _ = generate_problems(number, 1)
    run = {"plain": plain, "stage": stage}[side](model, problems)
    print("answer ready", flush=True)
    for _ in sys.stdin:
        tokens, seconds = run()
        print(f"answer {tokens} {seconds}", flush=True)


if __name__ == "__main__":
    main()
