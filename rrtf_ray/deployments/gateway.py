"""The gateway as a Ray Serve deployment: it finds the engines that Ray Serve runs and asks them through handles.

An engine is an application named `engine-NAME-NUMBER` (`engine_name`); NUMBER rises with each rollout. The gateway
looks for them, and for a change of the key file, every second, so it needs no list and survives restarts: of two
numbers the lower answers, until the other is promoted or the lower is gone.

Limit: one replica, as rates, queues and promotions are state of its process. Ray Serve restarts it in seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ReplicaState

from rrtf_ray.errors import RRTFError
from rrtf_ray.serving.app import make_app
from rrtf_ray.serving.gateway import Gateway
from rrtf_ray.serving.keys import KeyFile, Keys
from rrtf_ray.serving.models import Answer, engine_from
from rrtf_ray.serving.refusals import Refusal
from rrtf_ray.serving.settings import NAME, GatewaySettings

log = logging.getLogger("ray.serve")

GATEWAY = "gateway"
POLL_S = 1.0
DESCRIBE_TIMEOUT_S = 30.0
_ENGINE = re.compile(rf"engine-({NAME})-(\d+)")


def engine_name(model: str, number: int) -> str:
    """The name of an engine's application."""
    return f"engine-{model}-{number}"


def engine_of(application: str) -> tuple[str, int] | None:
    """Model and number of an engine's application; None for other applications."""
    found = _ENGINE.fullmatch(application)
    return (found[1], int(found[2])) if found else None


@serve.ingress()
class GatewayServer:
    """The one replica of the gateway."""

    def __init__(self, settings: GatewaySettings, keys: Keys, fixed: Keys) -> None:
        """keys: all, as the driver read them. fixed: those of them that are not in the file."""
        self._gateway = Gateway(settings, keys)
        self._key_file = KeyFile(settings.keys_file, fixed) if settings.keys_file else None
        self._look_at_keys()  # a replica that replaces another one would know the keys of its deployment
        # An earlier look must not undo what a later one did.
        self._looking = asyncio.Lock()

    async def __serve_build_asgi_app__(self) -> FastAPI:
        return make_app(self._gateway, self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        watch = asyncio.create_task(self._watch())
        yield
        watch.cancel()

    async def promote(self, model: str, number: int) -> bool:
        """Let this engine answer from now on. False if it is not running."""
        async with self._looking:
            await self._look()
        found = self._gateway.models.get(model)
        if found is None or number not in found.engines:
            return False
        found.promoted = number
        return True

    async def drain(self, limit_s: float) -> int:
        """See Gateway.drain."""
        return await self._gateway.drain(limit_s)

    async def answering(self, model: str) -> int | None:
        """The number of the engine that answers for a model."""
        found = self._gateway.models.get(model)
        return found.engine.number if found and found.engine else None

    async def _watch(self) -> None:
        while True:
            try:
                async with self._looking:
                    await self._look()
            except Exception:  # the controller may be restarting; what is known remains
                log.warning("could not look for engines", exc_info=True)
            self._look_at_keys()
            await asyncio.sleep(POLL_S)

    def _look_at_keys(self) -> None:
        try:
            keys = self._key_file.changed() if self._key_file else None
        except RRTFError as error:
            log.error("the keys stay as they were: %s", error)
            return
        if keys is not None:
            self._gateway.keys = keys
            log.info("the key file has changed: %d keys", len(keys.keys))

    async def _look(self) -> None:
        """Update the known engines, and how many requests they take, to what Ray Serve reports."""
        applications = await asyncio.to_thread(_applications)
        replicas = {}
        for application, details in applications.items():
            place = engine_of(application)
            if place and details["status"] in ("RUNNING", "UNHEALTHY", "DEPLOYING"):
                states = [r["state"] for d in details["deployments"].values() for r in d["replicas"]]
                replicas[place] = states.count(ReplicaState.RUNNING)
        models = self._gateway.models
        known = {(model.name, number) for model in models for number in model.engines}
        for name, number in known - replicas.keys():
            models.remove(name, number)
        deployed = {place[0] for place in map(engine_of, applications) if place}
        for name in [model.name for model in models if model.name not in deployed]:
            models.forget(name)
        for name, number in replicas.keys() - known:
            if replicas[name, number]:
                await self._add(name, number)
        for model in models:
            if engine := model.engine:
                # An engine that is being replaced keeps one replica's slots: requests in them wait for the new one.
                model.admission.resize(max(1, replicas.get((model.name, engine.number), 0)) * engine.capacity)

    async def _add(self, name: str, number: int) -> None:
        """Ask a new engine for its description. One that gives none is retried at the next look."""
        application = engine_name(name, number)
        try:
            handle = serve.get_app_handle(application)
            async with asyncio.timeout(DESCRIBE_TIMEOUT_S):
                description = await handle.describe.remote()
            self._gateway.models.add(name, engine_from(description, number, _Asking(handle)))
        except Exception:
            log.warning("%s does not describe itself", application, exc_info=True)
        else:
            log.info("%s answers for model %s", application, name)


def _applications() -> dict[str, dict[str, Any]]:
    """What Ray Serve's controller knows of each application, by name.

    `serve.status()` asks the same and then takes tens of milliseconds to build objects from it, while this process
    answers nobody: one request in a hundred would wait for that.
    """
    client = _get_global_client()
    assert client is not None  # this is a replica, so a controller runs
    applications: dict[str, dict[str, Any]] = client.get_serve_details()["applications"]
    return applications


class _Asking:
    """Asks one engine's replicas. A request whose replica died before it began to answer is sent once more; only once,
    as it may be what killed the replica."""

    def __init__(self, handle: DeploymentHandle) -> None:
        self._answer = handle.options(stream=True, method_name="answer")

    async def __call__(self, call: str, body: dict[str, Any]) -> AsyncGenerator[Answer, None]:
        for deaths in range(2):
            began = False
            response: Any = self._answer.remote(call, body)
            try:
                async for item in response:
                    began = True
                    yield item
                return
            except (RayActorError, RayServeException) as error:
                if began or deaths:
                    log.warning("an engine's replica died: %s", error)
                    raise Refusal(503, "the engine was lost while it answered; try again", retry_after_s=1) from None
            except RayError as error:
                log.error("an engine failed to answer", exc_info=error)
                raise Refusal(503, "the engine failed to answer; try again", retry_after_s=1) from None
            except BaseException:  # the client disconnected, or has enough
                response.cancel()
                raise
