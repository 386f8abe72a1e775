"""One engine as a Ray Serve deployment: vLLM's OpenAI layer, asked by the gateway with plain dictionaries.

Built on `ray.serve.llm`'s server, which starts vLLM and knows its protocol. It adds: adapters are loaded at the start,
tokens that arrive close together travel together, and a replica whose engine died exits at once, so Ray Serve replaces
it and the gateway asks again.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from pydantic import ValidationError
from ray.llm._internal.serve.core.configs.llm_config import DiskMultiplexConfig
from ray.llm._internal.serve.core.configs.openai_api_models import ChatCompletionRequest, CompletionRequest
from ray.llm._internal.serve.engines.vllm.vllm_engine import VLLMEngine
from ray.serve.llm import LLMConfig, LLMServer

from rrtf_ray.engines.environment import set_engine_environment
from rrtf_ray.errors import StageError, first_line
from rrtf_ray.serving.gathering import gathered
from rrtf_ray.serving.models import EngineDescription
from rrtf_ray.serving.settings import EngineSettings

log = logging.getLogger("ray.serve")

STREAM_INTERVAL_S = 0.02
MAX_STREAM_INTERVAL_S = 0.25
"""How long tokens are gathered: this long per request in progress, up to the maximum."""
_REQUESTS = {"completions": CompletionRequest, "chat": ChatCompletionRequest}


class _Engine(VLLMEngine):
    """`ray.serve.llm` gives every engine on CPUs a worker process, and the engine's own process then spins on a core
    while it waits for it: our `distributed_executor_backend`, if set, wins. And it looks for mirrored model files in
    another process, which must import vLLM first; the model is a local folder here, or a hub id that vLLM loads."""

    async def start(self) -> None:
        callback = self.llm_config.get_or_create_callback()
        assert callback is not None  # it was just created, if nobody had
        callback.ctx.run_init_node = False
        await super().start()

    def _start_async_llm_engine(self, arguments: Any, config: Any, group: Any) -> Any:
        if asked := self.llm_config.engine_kwargs.get("distributed_executor_backend"):
            config.parallel_config.distributed_executor_backend = asked
        return super()._start_async_llm_engine(arguments, config, group)


class EngineServer(LLMServer):
    """A replica: one vLLM engine."""

    _default_engine_cls = _Engine  # type: ignore[assignment]

    async def __init__(  # type: ignore[misc]  # Ray Serve awaits it
        self, llm_config: LLMConfig, settings: EngineSettings
    ) -> None:
        """settings: what llm_config was made from."""
        set_engine_environment()
        self._settings = settings
        self._ongoing = 0
        self._created = int(time.time())
        await super().__init__(llm_config)

    async def start(self) -> None:
        await super().start()
        for number, (name, folder) in enumerate(self._settings.adapters.items(), start=1):
            await self._running.resolve_lora(
                DiskMultiplexConfig(
                    model_id=name, max_total_tokens=None, local_path=folder, lora_assigned_int_id=number
                )
            )
        # On a CPU the first request that samples compiles for seconds: better ours than a client's.
        body = {"model": self._settings.name, "prompt": [0], "max_tokens": 2, "temperature": 1, "top_p": 0.9}
        async for answer in self.answer("completions", body | {"top_k": 8}):
            if isinstance(answer, dict):
                raise StageError(f"{self._settings.model} does not complete a prompt of one token: {answer}")

    @property
    def _client(self) -> Any:
        return self._running._engine_client

    @property
    def _running(self) -> Any:
        assert self.engine is not None, "start() has returned"
        return self.engine

    async def describe(self) -> EngineDescription:
        """What the gateway must know."""
        client = self._client
        tokenizer = await _maybe_awaited(client.get_tokenizer())
        return EngineDescription(
            adapters=tuple(self._settings.adapters),
            context=client.model_config.max_model_len,
            vocab_size=client.model_config.get_vocab_size(),
            chat=getattr(tokenizer, "chat_template", None) is not None,
            capacity=self._settings.max_ongoing_requests,
            tokenizer=tokenizer.backend_tokenizer.to_str(),
            created=self._created,
        )

    async def settings(self) -> EngineSettings:
        """What the engine was started with, for the next rollout."""
        return self._settings

    async def unfinished(self) -> int:
        """Requests that are in the engine."""
        return self._client.output_processor.get_num_unfinished_requests()

    async def answer(self, call: str, body: dict[str, Any]) -> AsyncGenerator[list[str] | str | dict[str, Any], None]:
        """One request. call: completions or chat.

        Yields lists of server-sent events for a stream, else the answer's JSON; for an error vLLM's error dictionary.
        """
        try:
            request = _REQUESTS[call](**body)
        except ValidationError as error:
            found = error.errors()[0]
            yield {"error": {"message": found["msg"], "param": str((found["loc"] or ("",))[0]), "code": 400}}
            return
        stream = getattr(self._running, call)(request, None)
        self._ongoing += 1
        try:
            if body.get("stream"):
                async with aclosing(gathered(stream, self._interval_s)) as lists:
                    async for items in lists:
                        if any('"error"' in item[:20] for item in items if isinstance(item, str)):
                            self._end_if_dead()
                        errors = [item for item in items if not isinstance(item, str)]
                        yield self._refused(errors[0]) if errors else items
            else:
                async for item in stream:
                    yield self._refused(item) if hasattr(item, "error") else item.model_dump_json()
        except Exception as error:
            log.warning("a request failed", exc_info=True)
            self._end_if_dead()
            yield {"error": {"message": first_line(error), "code": 500}}
        finally:
            self._ongoing -= 1
            await stream.aclose()

    def _refused(self, error: Any) -> dict[str, Any]:
        self._end_if_dead()
        return error.model_dump()

    def _interval_s(self) -> float:
        return min(MAX_STREAM_INTERVAL_S, STREAM_INTERVAL_S * self._ongoing)

    def _end_if_dead(self) -> None:
        """Exit if the engine is dead: Ray Serve then starts another replica, without waiting for a health check."""
        if self._client.errored:
            os._exit(1)


async def _maybe_awaited(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value
