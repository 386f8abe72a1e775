"""Host a checkpoint by Ray Serve and vLLM with an OpenAI-compatible endpoint."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx

from rrtf_ray.artifacts import local_copy
from rrtf_ray.config import ModelConfig
from rrtf_ray.config_file import validate
from rrtf_ray.errors import ConfigError, StageError
from rrtf_ray.stages.preflight import check_model
from rrtf_ray.stages.samplers import engine_arguments

START_LIMIT_S = 300.0


def build_app(model: str, *, name: str = "rrtf", engine: ModelConfig | None = None, gpus: float = 0.0) -> Any:
    """A Ray Serve application with /v1/models, /v1/completions and /v1/chat/completions for one checkpoint.

    Raises InputError where `model` cannot be served.
    """
    from ray.serve.llm import LLMConfig, build_openai_app

    engine = engine or ModelConfig()
    check_model(model, engine.max_model_len)
    bundle = {"CPU": 1.0} | ({"GPU": gpus} if gpus else {})
    config = LLMConfig(
        model_loading_config={
            "model_id": name,
            "model_source": local_copy(model) if "://" in model else model,
        },
        engine_kwargs=engine_arguments(engine),
        placement_group_config={"bundles": [bundle]},
        deployment_config={"num_replicas": 1},
        log_engine_metrics=False,
    )
    return build_openai_app({"llm_configs": [config], "ingress_deployment_config": {"num_replicas": 1}})


def app_from_arguments(args: dict[str, Any]) -> Any:
    """The builder that `serve/config.yaml` names. args: model, and optionally name, max_model_len, dtype, gpus
    and engine (further arguments of vLLM's).

    Raises ConfigError for an unknown argument or a wrong value.
    """
    known = {"model", "name", "max_model_len", "dtype", "gpus", "engine"}
    unknown = sorted(args.keys() - known)
    if unknown or "model" not in args:
        what = f"unknown argument {unknown[0]!r}" if unknown else "the argument 'model' is missing"
        raise ConfigError(f"serve.app:app: {what}; known are {', '.join(sorted(known))}")
    engine = {k: args[k] for k in ("max_model_len", "dtype", "engine") if k in args}
    config = validate({"model": engine, "sample": {"max_tokens": 1}}).model
    return build_app(args["model"], name=args.get("name", "rrtf"), engine=config, gpus=float(args.get("gpus", 0)))


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application on a free port of this machine for the time of the block; gives its base URL."""
    from ray import serve

    for name in ("ray.serve", "ray", "httpx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    try:
        # Not serve.run: it waits without a limit for replicas that may never be placed.
        serve.run_many([serve.RunTarget(app)], wait_for_applications_running=False)
        _wait_until_running(serve)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        serve.shutdown()


def _wait_until_running(serve: Any) -> None:
    """Raise StageError where the application fails to start, or does not within START_LIMIT_S."""
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        states = serve.status().applications.values()
        if states and all(s.status == "RUNNING" for s in states):
            return
        failed = [s for s in states if s.status in ("DEPLOY_FAILED", "UNHEALTHY")]
        if failed:
            raise StageError(f"the served model did not start: {failed[0].message.strip().splitlines()[-1]}")
        if time.monotonic() > deadline:
            what = "; ".join(s.message or s.status for s in states) or "nothing was deployed"
            raise StageError(f"the served model did not start within {START_LIMIT_S:g} s: {what}")
        time.sleep(0.2)


def ask_once(model: str, prompt: str, *, engine: ModelConfig, max_tokens: int, gpus: float = 0.0) -> tuple[str, float]:
    """Serve `model`, ask it for one greedy completion, end the service; returns the text and seconds to answer.

    Raises StageError where no answer comes within START_LIMIT_S.
    """
    with served(build_app(model, engine=engine, gpus=gpus)) as url, httpx.Client(timeout=60) as client:
        body = {"model": "rrtf", "prompt": prompt, "max_tokens": max_tokens, "temperature": 0}
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            started = time.monotonic()
            try:
                answer = client.post(f"{url}/completions", json=body)
                if answer.status_code == 200:
                    return answer.json()["choices"][0]["text"], time.monotonic() - started
                reason = f"status {answer.status_code}: {answer.text[:200]}"
            except httpx.TransportError as error:
                reason = str(error)
            if time.monotonic() > deadline:
                raise StageError(f"the served model gave no completion within {START_LIMIT_S:g} s: {reason}")
            time.sleep(0.5)
