"""The door in front of all engines: keys, limits, waiting, streaming, and clients that disconnect.

Input: Starlette's requests. Output: responses. Engines are asked through `Models`, whoever fills them (Ray Serve, or a
script in tests).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rrtf_ray.serving.answers import (
    EVENTS,
    Delta,
    Form,
    LlamaForm,
    MistralForm,
    OpenAIForm,
    Usage,
    collect,
    compact,
    copied,
    copied_deltas,
    engine_error,
    event_of,
    failed_event,
    middles,
)
from rrtf_ray.serving.answers import events as parse_events
from rrtf_ray.serving.bodies import (
    AnyBody,
    AnyLlama,
    ChatBody,
    CompletionBody,
    FimBody,
    InfillBody,
    LlamaBody,
    OllamaBody,
    StreamOptions,
    parse,
)
from rrtf_ray.serving.calls import (
    Bounds,
    Call,
    MiddleWanted,
    chat,
    middle,
    plain,
    wanted,
    wanted_by_fim,
    wanted_by_infill,
    wanted_by_llama,
    wanted_by_ollama,
)
from rrtf_ray.serving.events import Completion, EditorEvents, EventBody
from rrtf_ray.serving.keys import Key, Keys
from rrtf_ray.serving.limits import Admission, RateLimit, Reason, Rejected
from rrtf_ray.serving.metrics import Metrics
from rrtf_ray.serving.models import Answer, Engine, Model, Models
from rrtf_ray.serving.ollama import OllamaForm, tags
from rrtf_ray.serving.reading import read_body
from rrtf_ray.serving.refusals import Refusal
from rrtf_ray.serving.responses import EventStream, json_response
from rrtf_ray.serving.settings import GatewaySettings

MODEL = "rrtf_model"
PROBE_TIMEOUT_S = 5.0
ROUTES = (
    "/",
    "/health",
    "/metrics",
    "/v1/models",
    "/v1/models/{name}",
    "/v1/completions",
    "/v1/chat/completions",
    "/v1/fim/completions",
    "/fim/completions",
    "/infill",
    "/api/generate",
    "/api/tags",
    "/completion",
    "/v1/events",
)
FRESH_S = 5.0
"""A model that answered this recently is healthy."""


class Gateway:
    """All state of the service; one instance in one event loop."""

    def __init__(self, settings: GatewaySettings, keys: Keys) -> None:
        self.settings = settings
        self.keys = keys
        self.models = Models(
            # Resized as engines are found.
            lambda: Admission(0, settings.max_queued, settings.queue_timeout_s)
        )
        self.metrics = Metrics(
            ROUTES,
            self.models,
            ongoing=lambda: sum(m.admission.ongoing for m in self.models),
            queued=lambda: sum(m.admission.queued for m in self.models),
        )
        self.bounds = Bounds(settings.max_tokens, settings.max_choices, settings.rewrite_templates)
        self._events = EditorEvents(settings)
        self._rates: dict[str, RateLimit] = {}
        self._stopping = self._ended = False
        self._waits: set[asyncio.Timeout] = set()
        self._probes: dict[str, asyncio.Task[bool]] = {}

    def authenticate(self, request: Request) -> Key | None:
        """The key of a request, None if the endpoint is open. Raises Refusal: 401."""
        if self.keys.open:
            return None
        key = self.keys.find(request.headers.get("authorization"), request.headers.get("x-api-key"))
        if key is None:
            raise Refusal(401, "no valid key; send one as 'Authorization: Bearer KEY'", code="invalid_api_key")
        return key

    async def completions(self, request: Request) -> Response:
        body, key = await self._open(request, CompletionBody)
        model, name = self._find(request, body.model)
        options = body.stream_options or StreamOptions()
        if middle_wanted := wanted(body, self.bounds):
            form = OpenAIForm(_new_id("cmpl"), name, options.include_usage, options.continuous_usage_stats)
            return await self._middle(model, name, key, middle_wanted, form, bool(body.stream))
        return await self._passed_on(
            model,
            name,
            key,
            "completions",
            lambda engine: plain(body, name, engine, self.bounds),
            bool(body.stream),
            options,
            self._noted(body.prompt, "", name, key) if isinstance(body.prompt, str) else None,
        )

    async def chat(self, request: Request) -> Response:
        body, key = await self._open(request, ChatBody)
        model, name = self._find(request, body.model)
        return await self._passed_on(
            model,
            name,
            key,
            "chat",
            lambda engine: chat(body, name, engine, self.bounds),
            bool(body.stream),
            body.stream_options or StreamOptions(),
        )

    async def fim(self, request: Request) -> Response:
        body, key = await self._open(request, FimBody)
        model, name = self._find(request, body.model)
        form = MistralForm(_new_id("fim"), name)
        return await self._middle(model, name, key, wanted_by_fim(body, self.bounds), form, bool(body.stream))

    async def infill(self, request: Request) -> Response:
        return await self._llama(request, InfillBody, wanted_by_infill)

    async def llama(self, request: Request) -> Response:
        return await self._llama(request, LlamaBody, wanted_by_llama)

    async def ollama(self, request: Request) -> Response:
        body, key = await self._open(request, OllamaBody)
        model, name = self._find(request, body.model)
        asked = wanted_by_ollama(body, self.bounds)
        return await self._middle(model, name, key, asked, OllamaForm(name), body.stream is not False)

    async def event(self, request: Request) -> Response:
        """What became of a completion."""
        body, key = await self._open(request, EventBody)
        self._events.record(body, key.name if key else "")
        return json_response({"status": "ok"})

    async def list_tags(self, request: Request) -> Response:
        self.authenticate(request)
        return json_response(tags(self._cards()))

    async def _llama(
        self, request: Request, kind: type[AnyLlama], wanted_by: Callable[[AnyLlama, Bounds], MiddleWanted]
    ) -> Response:
        """Either of llama.cpp's forms."""
        body, key = await self._open(request, kind)
        model, name = self._find(request, body.model)
        form = LlamaForm(name, warm_up=body.n_predict == 0, fields=body.response_fields)
        return await self._middle(model, name, key, wanted_by(body, self.bounds), form, bool(body.stream))

    async def list_models(self, request: Request) -> Response:
        self.authenticate(request)
        return json_response({"object": "list", "data": list(self._cards().values())})

    async def show_model(self, request: Request, name: str) -> Response:
        self.authenticate(request)
        _, name = self.models.find(name)
        return json_response(self._cards()[name])

    def _cards(self) -> dict[str, dict[str, Any]]:
        return {
            name: {
                "id": name,
                "object": "model",
                "created": engine.created,
                "owned_by": "rrtf_ray",
                "max_model_len": engine.context,
                "fim": engine.markers is not None,
                "chat": engine.chat,
            }
            for model in self.models
            if (engine := model.engine)
            for name in (model.name, *engine.adapters)
        }

    async def health(self) -> Response:
        """200 only if every model answered a moment ago, or answers now."""
        well = {model.name: await self._well(model) for model in self.models}
        fine = bool(well) and all(well.values())
        status = {name: "ok" if ok else "does not answer" for name, ok in well.items()}
        return json_response({"status": "ok" if fine else "unavailable", "models": status}, 200 if fine else 503)

    async def drain(self, limit_s: float) -> int:
        """Take no more requests, and wait for those in progress; after `limit_s` they end with an error, a stream with
        an error event. Returns how many that were."""
        self._stopping = True
        deadline = time.monotonic() + limit_s
        while (left := self._in_progress()) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        self._ended = True
        for wait in list(self._waits):
            wait.reschedule(asyncio.get_running_loop().time())
        if left:
            await asyncio.sleep(0.2)  # for their last events to be sent
        return left

    def _in_progress(self) -> int:
        return sum(m.admission.ongoing + m.admission.queued for m in self.models)

    async def _well(self, model: Model) -> bool:
        if model.engine is None:
            return False
        if time.monotonic() - model.answered_at < FRESH_S:
            return True
        # Simultaneous checks share one probe.
        probe = self._probes.get(model.name)
        if probe is None or probe.done():
            probe = self._probes[model.name] = asyncio.create_task(self._probe(model, model.engine))
        return await asyncio.shield(probe)

    async def _probe(self, model: Model, engine: Engine) -> bool:
        asked = {"model": model.name, "prompt": [0], "max_tokens": 1, "temperature": 0}
        with contextlib.suppress(Refusal, TimeoutError):
            async with asyncio.timeout(PROBE_TIMEOUT_S), aclosing(engine.ask("completions", asked)) as stream:
                answer = await anext(stream)
                if isinstance(answer, str):
                    model.answered_at = time.monotonic()
                    return True
        return False

    async def _open(self, request: Request, kind: type[AnyBody]) -> tuple[AnyBody, Key | None]:
        """The body and the key of a request: key, rate and body are checked in this order."""
        key = self.authenticate(request)
        self._take_rate(key)
        if self._stopping:
            raise _stopping()
        return parse(kind, await read_body(request, self.settings.max_body_bytes)), key

    def _find(self, request: Request, asked: str | None) -> tuple[Model, str]:
        model, name = self.models.find(asked)
        request.scope[MODEL] = name  # for the metrics
        return model, name

    def _take_rate(self, key: Key | None) -> None:
        rate = (key.rate if key else None) or self.settings.rate
        if rate is None:
            return
        name = key.name if key else ""
        limit = self._rates.setdefault(name, RateLimit(rate))
        if wait_s := limit.take(time.monotonic()):
            self.metrics.rejected(Reason.RATE)
            raise Refusal(429, f"more than {rate:g} requests per minute; wait {wait_s:.1f} s", retry_after_s=wait_s)

    async def _middle(
        self, model: Model, name: str, key: Key | None, asked: MiddleWanted, form: Form, stream: bool
    ) -> Response:
        """Fill-in-the-middle in the format of `form`."""

        async def pieces(engine: Engine) -> AsyncGenerator[str, None]:
            call = middle(asked, name, engine)
            form.cut = call.cut
            usage = Usage(copies=call.copies)
            answers = self._asked(model, engine, "completions", call.body)
            found = middles(answers, asked.suffix, call.body["n"], usage, asked.limit_s)
            if call.copies > 1:
                found = copied_deltas(found, call.copies)
            try:
                async with aclosing(found) as deltas:
                    if not stream:
                        yield compact(form.whole(*await collect(self._timed(deltas, name, form), asked.n), usage))
                        return
                    async for delta in deltas:
                        if chunk := form.chunk(delta, usage):
                            yield chunk
                    yield form.last(usage)
            finally:
                self._count(name, key, usage.prompt_tokens, usage.generated)

        noted = self._noted(asked.prefix, asked.suffix, name, key) if isinstance(form, OpenAIForm) else None
        return await self._respond(model, name, key, pieces, stream, form, noted)

    def _noted(self, prompt: str, suffix: str, name: str, key: Key | None) -> Completion | None:
        """A completion that editors may speak of."""
        return self._events.completion(prompt, suffix, name, key.name if key else "") if self._events.on else None

    async def _timed(self, deltas: AsyncGenerator[Delta, None], name: str, form: Form) -> AsyncGenerator[Delta, None]:
        """The deltas of an answer that is not streamed; the first is when a stream would have begun."""
        began: float | None = time.monotonic()
        async for delta in deltas:
            if began is not None:
                self.metrics.first_token(name, time.monotonic() - began)
                form.first_token()
                began = None
            yield delta

    async def _passed_on(
        self,
        model: Model,
        name: str,
        key: Key | None,
        call: str,
        build: Callable[[Engine], Call],
        stream: bool,
        options: StreamOptions,
        noted: Completion | None = None,
    ) -> Response:
        """The engine's answer goes to the client unchanged, but for copies of greedy choices."""

        async def pieces(engine: Engine) -> AsyncGenerator[str, None]:
            built = build(engine)
            body = built.body | {"stream": stream}
            if stream:  # always with usage, for the metrics
                body["stream_options"] = {
                    "include_usage": True,
                    "continuous_usage_stats": options.continuous_usage_stats,
                }
            async with aclosing(self._asked(model, engine, call, body)) as answers:
                async for answer in answers:
                    if isinstance(answer, str):
                        whole = json.loads(answer)
                        self._count_reported(name, key, whole.get("usage"))
                        yield answer if built.copies == 1 else compact(copied(whole, built.copies))
                        return
                    shown = [line for line in answer if not self._is_usage(name, key, line) or options.include_usage]
                    if built.copies > 1:
                        shown = [_copied_line(line, built.copies) for line in shown]
                    if shown:
                        yield "".join(shown)

        return await self._respond(model, name, key, pieces, stream, noted=noted)

    def _is_usage(self, name: str, key: Key | None, line: str) -> bool:
        """Whether this event only reports the usage, which is then counted. Raises Refusal for an error."""
        if '"choices":[]' not in line and '"error"' not in line[:20]:
            return False
        for event in parse_events([line]):
            if not event["choices"]:
                self._count_reported(name, key, event.get("usage"))
                return True
        return False

    def _count_reported(self, name: str, key: Key | None, usage: dict[str, Any] | None) -> None:
        if usage:
            self._count(name, key, usage["prompt_tokens"], usage.get("completion_tokens") or 0)

    def _count(self, name: str, key: Key | None, prompt: int, generated: int) -> None:
        self.metrics.tokens(name, key.name if key else "", prompt=prompt, generated=generated)

    async def _asked(self, model: Model, engine: Engine, call: str, body: dict[str, Any]) -> AsyncGenerator[Any, None]:
        """The engine's answers. Raises Refusal for its errors, and if it is silent for answer_timeout_s."""
        async with aclosing(engine.ask(call, body)) as stream:
            while True:
                if self._ended:
                    raise _stopping()
                try:
                    async with asyncio.timeout(self.settings.answer_timeout_s) as wait:
                        self._waits.add(wait)
                        try:
                            answer: Answer = await anext(stream)
                        finally:
                            self._waits.discard(wait)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    if self._ended:
                        raise _stopping() from None
                    raise Refusal(
                        503,
                        f"the engine did not answer within {self.settings.answer_timeout_s:g} s; try again",
                        retry_after_s=5,
                    ) from None
                if isinstance(answer, dict):
                    raise engine_error(answer)
                model.answered_at = time.monotonic()
                yield answer

    async def _respond(
        self,
        model: Model,
        name: str,
        key: Key | None,
        pieces: Callable[[Engine], AsyncGenerator[str, None]],
        stream: bool,
        form: Form | None = None,
        noted: Completion | None = None,
    ) -> Response:
        """Wait for a slot, then answer. The slot is held until the last piece is sent or the client has left. form:
        of a stream; None for server-sent events. noted: what editors may speak of afterwards."""

        async def held() -> AsyncGenerator[str, None]:
            async with self._slot(model, key) as engine, aclosing(pieces(engine)) as found:
                async for piece in found:
                    yield piece

        began = time.monotonic()
        source = self._events.watched(held(), noted) if noted else held()
        try:
            # Only this shows whether it is an answer or a refusal.
            first = await anext(source)
        except asyncio.CancelledError:
            self.metrics.disconnected()
            raise
        if not stream:
            await source.aclose()
            return Response(first, media_type="application/json")
        self.metrics.first_token(name, time.monotonic() - began)
        failed, media_type = (form.failed, form.media_type) if form else (failed_event, EVENTS)
        return EventStream(first, source, self.metrics.disconnected, failed, media_type)

    @asynccontextmanager
    async def _slot(self, model: Model, key: Key | None) -> AsyncIterator[Engine]:
        concurrency = (key.concurrency if key else None) or self.settings.concurrency
        try:
            async with model.admission.slot(key.name if key else "", concurrency):
                if model.engine is None:
                    raise Refusal(503, f"the model {model.name!r} is not running now; try again", retry_after_s=5)
                yield model.engine
        except Rejected as error:
            self.metrics.rejected(error.reason)
            raise Refusal(429, str(error), retry_after_s=error.retry_after_s) from None


def _stopping() -> Refusal:
    return Refusal(503, "the service is stopping", retry_after_s=5)


def _copied_line(line: str, copies: int) -> str:
    data = line.removeprefix("data:").strip()
    return event_of(copied(json.loads(data), copies)) if data and data != "[DONE]" else line


def _new_id(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(12)}"
