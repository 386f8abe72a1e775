"""Bring a new checkpoint into a running service without a failed request, or roll it back.

Input: a model folder and the name that clients use. The new engine starts next to the old one and gets requests only
after it has passed a smoke test; then the old one finishes its requests and ends. If the new one does not start or
fails the test, it is removed; the old one never stopped.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from rrtf_ray.config_file import validate
from rrtf_ray.deployments.applications import START_LIMIT_S, engine_app, wait_until_running
from rrtf_ray.deployments.gateway import GATEWAY, engine_name, engine_of
from rrtf_ray.errors import ConfigError, InputError, StageError, first_line
from rrtf_ray.progress import only_our_lines, say
from rrtf_ray.serving.calls import MiddleWanted, middle
from rrtf_ray.serving.models import engine_from
from rrtf_ray.serving.settings import EngineSettings

SMOKE_TIMEOUT_S = 60.0
SMOKE_PREFIX = "def add(a, b):\n"
SMOKE_SUFFIX = "\n\nprint(add(1, 2))\n"


def rollout(model: str, name: str) -> None:
    """Roll `model` out as `name`, with the running engine's settings, on the cluster at RAY_ADDRESS or of this machine.

    Raises InputError if no service or model of that name runs, StageError if the new checkpoint was rolled back.
    """
    log = Path(tempfile.gettempdir()) / f"rrtf-rollout-{os.getpid()}.log"
    with only_our_lines(str(log)):
        connect()
        _rollout(model, name)


def _rollout(model: str, name: str) -> None:
    applications = serve.status().applications
    numbers = [number for found in map(engine_of, applications) if found and found[0] == name for number in [found[1]]]
    if GATEWAY not in applications or not numbers:
        known = sorted({found[0] for found in map(engine_of, applications) if found})
        raise InputError(
            f"no model {name!r} is served here; {'available: ' + ', '.join(known) if known else 'no engine runs'}; "
            "start one with `rrtf serve` or `serve deploy serve/config.yaml`"
        )
    gateway = serve.get_app_handle(GATEWAY)
    old = _call(gateway.answering.remote(name), "the gateway")
    if old is None:
        raise InputError(f"the gateway has not found a running engine of {name!r} yet; try again in a few seconds")
    settings = _call(serve.get_app_handle(engine_name(name, old)).settings.remote(), "the running engine")
    engine = validate(EngineSettings, settings.model_dump() | {"model": model, "name": name})
    new = max(numbers) + 1
    app = engine_app(engine)
    say(f"rollout: starting {model} as number {new} next to number {old}")
    try:
        serve.run_many(
            [serve.RunTarget(app, name=engine_name(name, new), route_prefix=None)],
            wait_for_applications_running=False,
        )
        wait_until_running([engine_name(name, new)], time.monotonic() + START_LIMIT_S)
        text = asyncio.run(_smoke(name, new))
        _promote(gateway, name, new)
    except BaseException as error:
        serve.delete(engine_name(name, new), _blocking=True)
        if isinstance(error, StageError | RayError | RayServeException | TimeoutError):
            raise StageError(f"{model} was rolled back, number {old} answers as before: {first_line(error)}") from error
        raise
    say(f"rollout: number {new} answers for {name!r}; its smoke completion: {text!r}")
    serve.delete(engine_name(name, old), _blocking=True)  # after its last request
    say(f"rollout: number {old} has ended")


def connect() -> None:
    """Join the cluster at RAY_ADDRESS or of this machine. Raises ConfigError where none runs."""
    if ray.is_initialized():
        return
    try:
        ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"no Ray cluster was found ({first_line(error)}); run this on its head node, or set RAY_ADDRESS"
        ) from None


def _call(response: Any, what: str) -> Any:
    try:
        return response.result(timeout_s=SMOKE_TIMEOUT_S)
    except TimeoutError:
        raise StageError(f"{what} did not answer within {SMOKE_TIMEOUT_S:g} s") from None


async def _smoke(name: str, number: int) -> str:
    """Ask the new engine as clients would. Raises StageError with what is wrong."""
    handle = serve.get_app_handle(engine_name(name, number))
    async with asyncio.timeout(SMOKE_TIMEOUT_S):
        engine = engine_from(await handle.describe.remote(), number, None)  # type: ignore[arg-type]
        plain = {"model": name, "prompt": SMOKE_PREFIX, "max_tokens": 16, "temperature": 0, "logprobs": 0}
        bodies = [plain]
        if engine.markers:
            wanted = MiddleWanted(SMOKE_PREFIX, SMOKE_SUFFIX, 16, {"temperature": 0})
            call = middle(wanted, name, engine).body
            bodies.append({k: v for k, v in call.items() if k != "stream_options"} | {"stream": False, "logprobs": 0})
        answers = [await _answer(handle, body) for body in bodies]
    return answers[0]


async def _answer(handle: Any, body: dict[str, Any]) -> str:
    async for answer in handle.options(stream=True).answer.remote("completions", body):
        if isinstance(answer, dict):
            raise StageError(f"its smoke completion failed: {answer.get('error')}")
        choice = json.loads(answer)["choices"][0]
        probabilities = choice["logprobs"]["token_logprobs"]
        if not probabilities or any(p is None or not math.isfinite(p) for p in probabilities):
            raise StageError(
                f"its smoke completion has log-probabilities {probabilities[:4]}, so its weights are broken"
            )
        return choice["text"]
    raise StageError("its smoke completion gave no answer")


def _promote(gateway: Any, name: str, number: int) -> None:
    """Wait until the gateway has found the new engine, and let it answer."""
    deadline = time.monotonic() + SMOKE_TIMEOUT_S
    while not _call(gateway.promote.remote(name, number), "the gateway"):
        if time.monotonic() > deadline:
            raise StageError(f"the gateway did not find number {number} within {SMOKE_TIMEOUT_S:g} s")
        time.sleep(0.2)
