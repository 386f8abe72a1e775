"""The gateway's routes and their OpenAPI description; nothing else is reachable.

Input: a Gateway. Output: an ASGI application. Each route checks the key; `/` (the page) and `/health` need none.
A page from another origin can use the endpoint only where gateway.allowed_origins names it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from rrtf_ray import __version__
from rrtf_ray.serving.bodies import Body, ChatBody, CompletionBody, FimBody, InfillBody, LlamaBody, OllamaBody
from rrtf_ray.serving.events import EventBody
from rrtf_ray.serving.gateway import MODEL, Gateway
from rrtf_ray.serving.metrics import Metrics
from rrtf_ray.serving.refusals import Refusal
from rrtf_ray.serving.responses import refused

_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_REFUSALS = {
    "400": "the request is invalid",
    "401": "the key is missing or invalid",
    "404": "no such model",
    "408": "the body did not arrive in time",
    "413": "the body is too large",
    "415": "the body is compressed in a way that is not read",
    "429": "too many requests",
    "503": "no engine answers",
}


def make_app(gateway: Gateway, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The ASGI application. `app.openapi()` describes it, but no route serves that. lifespan: FastAPI's."""
    page = files("rrtf_ray.serving").joinpath("page.html").read_text(encoding="utf-8")
    app = FastAPI(
        title="rrtf_ray", version=__version__, lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None
    )
    app.router.redirect_slashes = False

    def post(path: str, kind: type[Body], answer: Callable[[Request], Awaitable[Response]]) -> None:
        app.add_api_route(path, _only_request(answer), methods=["POST"], openapi_extra=_described(kind))

    post("/v1/completions", CompletionBody, gateway.completions)
    post("/v1/chat/completions", ChatBody, gateway.chat)
    post("/v1/fim/completions", FimBody, gateway.fim)
    post("/fim/completions", FimBody, gateway.fim)
    post("/infill", InfillBody, gateway.infill)
    post("/completion", LlamaBody, gateway.llama)
    post("/api/generate", OllamaBody, gateway.ollama)
    post("/v1/events", EventBody, gateway.event)

    def get(path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def add(answer: Callable[..., Any]) -> Callable[..., Any]:
            app.head(path, include_in_schema=False)(answer)
            return app.get(path, **options)(answer)

        return add

    @get("/v1/models", openapi_extra=_described(None))
    async def models(request: Request) -> Response:
        return await gateway.list_models(request)

    @get("/api/tags", openapi_extra=_described(None))
    async def list_tags(request: Request) -> Response:
        return await gateway.list_tags(request)

    @get("/v1/models/{name}", openapi_extra=_described(None))
    async def model(request: Request, name: str) -> Response:
        return await gateway.show_model(request, name)

    @get("/health")
    async def health() -> Response:
        return await gateway.health()

    @get("/metrics", openapi_extra=_described(None))
    async def metrics(request: Request) -> Response:
        gateway.authenticate(request)
        text, kind = gateway.metrics.render()
        return Response(text, media_type=kind)

    @get("/")
    async def show_page() -> Response:
        shown = page.replace("<body>", "<body data-open>") if gateway.keys.open else page  # it needs no key then
        return Response(shown, media_type="text/html", headers=_PAGE_HEADERS)

    @app.exception_handler(Refusal)
    async def on_refusal(_: Request, refusal: Refusal) -> Response:
        return refused(refusal)

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        what = {404: f"there is no {request.url.path}", 405: f"{request.method} is not allowed here"}
        answer = refused(Refusal(error.status_code, what.get(error.status_code, str(error.detail))))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def on_fault(_: Request, error: Exception) -> Response:
        return refused(Refusal(500, f"a fault of this service: {type(error).__name__}; see its log"))

    if gateway.settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=gateway.settings.allowed_origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["*"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(_Measured, metrics=gateway.metrics)
    return app


def _only_request(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def route(request: Request) -> Response:
        return await answer(request)

    route.__name__ = answer.__name__
    return route


def _described(kind: type[Body] | None) -> dict[str, Any]:
    """OpenAPI's description of a route that needs a key, and of its body if it has one."""
    said: dict[str, Any] = {
        "security": [{"bearer": []}],
        "responses": {
            status: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
            for status, text in _REFUSALS.items()
        },
    }
    if kind:
        said["requestBody"] = {"required": True, "content": {"application/json": {"schema": _inlined(kind)}}}
    return said


def _inlined(kind: type[Body]) -> dict[str, Any]:
    """The JSON schema of a body without references."""
    schema = kind.model_json_schema()
    parts = schema.pop("$defs", {})

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolve(parts[node["$ref"].rsplit("/", 1)[1]])
            return {key: resolve(value) for key, value in node.items()}
        return [resolve(item) for item in node] if isinstance(node, list) else node

    return resolve(schema)


class _Measured:
    """Counts requests by route and status, and times them to their last byte."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 499  # a client that left before it had an answer

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            self._metrics.answered(route, scope.get(MODEL), status, time.monotonic() - began)
