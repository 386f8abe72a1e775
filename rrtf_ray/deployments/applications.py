"""Host checkpoints with Ray Serve and vLLM behind the gateway: the applications, and a service for a `with` block.

Every engine is an application of its own, so a rollout can start a new one and end the old one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from rrtf_ray.config import EngineArguments, ModelConfig
from rrtf_ray.config_file import validate
from rrtf_ray.deployments.gateway import GATEWAY, GatewayServer, engine_name
from rrtf_ray.engines.arguments import engine_arguments
from rrtf_ray.engines.environment import served_engine_environment
from rrtf_ray.errors import InputError, StageError
from rrtf_ray.serving.bodies import MOST_STOPS
from rrtf_ray.serving.keys import ENVIRONMENT as KEYS_VARIABLE
from rrtf_ray.serving.keys import load_keys
from rrtf_ray.serving.settings import EngineSettings, GatewaySettings, ServeSettings
from rrtf_ray.store.files import exists, join, read_json
from rrtf_ray.store.models import check_model, local_folder

START_LIMIT_S = 300.0
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_LOGGING = {"enable_access_log": False}
"""The gateway's metrics count requests; a log line for each costs as much as a small model's token."""


def engine_app(settings: EngineSettings) -> Any:
    """A Ray Serve application of one checkpoint's engines. Raises InputError if it cannot be served."""
    from ray.serve.llm import LLMConfig, build_llm_deployment

    from rrtf_ray.deployments.engine import EngineServer

    check_model(settings.model, settings.max_model_len, "max_model_len")
    adapters = {name: local_folder(folder) for name, folder in settings.adapters.items()}
    resolved = settings.model_copy(update={"adapters": adapters})
    bundle = {"CPU": settings.cpus} | ({"GPU": settings.gpus} if settings.gpus else {})
    scaling: dict[str, Any] = {"num_replicas": settings.min_replicas}
    if settings.max_replicas > settings.min_replicas:
        scaling = {
            "autoscaling_config": {
                "min_replicas": settings.min_replicas,
                "max_replicas": settings.max_replicas,
                "target_ongoing_requests": settings.target_ongoing_requests,
                "upscale_delay_s": settings.upscale_delay_s,
                "downscale_delay_s": settings.downscale_delay_s,
                "look_back_period_s": 5.0,
            }
        }
    config = LLMConfig(
        model_loading_config={
            "model_id": settings.name,
            "model_source": local_folder(settings.model),
        },
        engine_kwargs=_lora_arguments(adapters) | engine_arguments(settings),
        placement_group_config={"bundles": [bundle]},
        runtime_env={
            "env_vars": served_engine_environment(
                threads=max(1, int(settings.cpus)), on_cpu=not settings.gpus, max_stop_strings=MOST_STOPS
            )
        },
        deployment_config=scaling
        | {
            # One more than the gateway sends, for its health probe.
            "max_ongoing_requests": settings.max_ongoing_requests + 1,
            "ray_actor_options": {"num_cpus": 0},
            "health_check_period_s": 2.0,
            "graceful_shutdown_timeout_s": 120.0,
        },
        log_engine_metrics=False,
    )
    return build_llm_deployment(config, deployment_cls=EngineServer, bind_kwargs={"settings": resolved})


def _lora_arguments(adapters: dict[str, str]) -> dict[str, Any]:
    """vLLM's arguments for these adapters. Raises InputError for a folder without one."""
    ranks = []
    for name, folder in adapters.items():
        place = join(folder, "adapter_config.json")
        if not exists(place):
            raise InputError(
                f"adapter {name!r}: {place} does not exist; give the folder that peft's save_pretrained wrote"
            )
        ranks.append(read_json(place)["r"])
    if not ranks:
        return {}
    # vLLM accepts only these ranks.
    rank = next((allowed for allowed in _LORA_RANKS if allowed >= max(ranks)), None)
    if rank is None:
        raise InputError(f"an adapter has rank {max(ranks)}, but vLLM takes at most {_LORA_RANKS[-1]}")
    return {"enable_lora": True, "max_loras": len(adapters), "max_lora_rank": rank}


def gateway_app(settings: GatewaySettings) -> Any:
    """The Ray Serve application in front of all engines. Raises InputError for a wrong key file."""
    from ray import serve

    # A replica has another working directory.
    places = {"keys_file": settings.keys_file, "events": settings.events}
    settings = settings.model_copy(update={name: str(Path(at).absolute()) for name, at in places.items() if at})
    environment = os.environ.get(KEYS_VARIABLE)
    keys = load_keys(settings.keys_file, environment)
    fixed = load_keys(None, environment)
    deployment: Any = serve.deployment(
        GatewayServer,
        name="Gateway",
        num_replicas=1,
        max_ongoing_requests=100_000,  # the gateway itself rejects what is too much
        ray_actor_options={"num_cpus": 0},
        health_check_period_s=2.0,
        graceful_shutdown_timeout_s=30.0,
        logging_config=_LOGGING,
    )
    return deployment.bind(settings, keys, fixed)


def engine_from_arguments(args: dict[str, Any]) -> Any:
    """The engine's builder that `serve/config.yaml` names. Raises ConfigError for invalid arguments."""
    return engine_app(validate(EngineSettings, args))


def gateway_from_arguments(args: dict[str, Any]) -> Any:
    """The gateway's builder that `serve/config.yaml` names. Raises ConfigError for invalid arguments."""
    return gateway_app(validate(GatewaySettings, args))


@contextlib.contextmanager
def served(
    settings: ServeSettings, host: str = "127.0.0.1", port: int = 0, *, ends_with_cluster: bool = False
) -> Iterator[str]:
    """Serve a checkpoint for the duration of the block; yields the service's URL once it answers.

    port: 0 takes a free one. ends_with_cluster: the caller ends the cluster next, so a service that did not come to
    answer is not ended by itself: Ray Serve would wait for its replicas to be ready first.

    Raises StageError if it does not start within START_LIMIT_S.
    """
    from ray import serve

    for name in ("ray.serve", "ray", "httpx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if there := serve.status().applications:
        raise StageError(
            f"this cluster already serves {', '.join(sorted(there))}; add models with `serve deploy "
            "serve/config.yaml`, replace one with `rrtf rollout`, or stop everything with `serve shutdown`"
        )
    engine, gateway = engine_app(settings.engine), gateway_app(settings.gateway)
    port = port or free_port()
    serve.start(http_options={"host": host, "port": port})
    answers = False
    try:
        # Not serve.run: it waits without limit for replicas that may never be placed.
        serve.run_many(
            [
                serve.RunTarget(engine, name=engine_name(settings.engine.name, 1), route_prefix=None),
                serve.RunTarget(gateway, name=GATEWAY, route_prefix="/"),
            ],
            wait_for_applications_running=False,
        )
        deadline = time.monotonic() + START_LIMIT_S
        wait_until_running([engine_name(settings.engine.name, 1), GATEWAY], deadline)
        url = f"http://{host}:{port}"
        _wait_until_well(url, deadline)
        answers = True
        yield url
    finally:
        if answers or not ends_with_cluster:
            serve.shutdown()


def drain(limit_s: float) -> int:
    """Let the gateway finish its requests, for at most `limit_s`; returns how many it had to end."""
    from ray import serve

    answer = serve.get_app_handle(GATEWAY).drain.remote(limit_s)
    left: int = answer.result(timeout_s=limit_s + 5)
    return left


def wait_until_running(applications: list[str], deadline: float) -> None:
    """Raises StageError if one of the applications fails to start, or has not started by `deadline` (monotonic)."""
    from ray import serve

    while True:
        states = {name: state for name, state in serve.status().applications.items() if name in applications}
        if len(states) == len(applications) and all(s.status == "RUNNING" for s in states.values()):
            return
        failed = [s for s in states.values() if s.status in ("DEPLOY_FAILED", "UNHEALTHY")]
        if failed:
            raise StageError(f"the served model did not start: {failed[0].message.strip().splitlines()[-1]}")
        if time.monotonic() > deadline:
            what = "; ".join(s.message or s.status for s in states.values()) or "nothing was deployed"
            raise StageError(f"the served model did not start in time: {what}")
        time.sleep(0.2)


def _wait_until_well(url: str, deadline: float) -> None:
    reason = "no answer"
    with httpx.Client(timeout=30) as client:
        while time.monotonic() < deadline:
            try:
                answer = client.get(f"{url}/health")
                if answer.status_code == 200:
                    return
                reason = answer.text
            except httpx.TransportError as error:
                reason = str(error)
            time.sleep(0.2)
    raise StageError(f"the served model did not answer in time: {reason}")


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def settings_of(model: str, engine: ModelConfig, *, max_tokens: int, gpus: float = 0.0) -> ServeSettings:
    """How a run serves its `model`: with the engine that samples from it."""
    arguments = engine.model_dump(include=set(EngineArguments.model_fields)) | {"model": model, "gpus": gpus}
    return validate(ServeSettings, {"engine": arguments, "gateway": {"max_tokens": max(1024, max_tokens)}})


def ask_once(model: str, prompt: str, *, engine: ModelConfig, max_tokens: int, gpus: float = 0.0) -> tuple[str, float]:
    """Serve `model`, ask it for one greedy completion, end the service; returns the text and the seconds it took.

    Raises StageError if the service does not start, or gives no completion.
    """
    settings = settings_of(model, engine, max_tokens=max_tokens, gpus=gpus)
    with served(settings) as url, httpx.Client(timeout=60) as client:
        body = {"model": settings.engine.name, "prompt": prompt, "max_tokens": max_tokens, "temperature": 0}
        started = time.monotonic()
        answer = client.post(f"{url}/v1/completions", json=body)
        if answer.status_code != 200:
            raise StageError(f"the served model gave no completion: {answer.status_code} {answer.text[:200]}")
        return answer.json()["choices"][0]["text"], time.monotonic() - started
