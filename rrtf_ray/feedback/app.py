"""The page's server: an ASGI application, under uvicorn or Ray Serve.

Input: a Queue and the keys. Each key is one annotator. An annotator sees nothing of the others; a lead also sees the
status and settles conflicts. Refusals have the gateway's form.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import Field
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rrtf_ray import __version__
from rrtf_ray.errors import RRTFError, StageError
from rrtf_ray.feedback import answers, settling
from rrtf_ray.feedback.answers import Results
from rrtf_ray.feedback.queue import Queue
from rrtf_ray.records import Choice
from rrtf_ray.serving.bodies import Body, parse
from rrtf_ray.serving.keys import KeyFile, Keys
from rrtf_ray.serving.reading import read_body
from rrtf_ray.serving.refusals import Refusal
from rrtf_ray.serving.responses import json_response, refused

MOST_BODY = 64 * 1024
MOST_CODE = 200_000
"""Characters of a program, or of a problem, that are shown."""
_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_THIS_MACHINE = {"127.0.0.1", "localhost", "[::1]"}


class NextBody(Body):
    """settle: of the conflicts, for a lead."""

    settle: bool = False


class VoteBody(Body):
    """id: made by the client, so that it can send a vote again. pair: the assignment. seconds: how long it took."""

    id: str = Field(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")
    pair: str = Field(min_length=1, max_length=64)
    choice: str = Field(pattern="^(left|right|both_good|both_bad|skipped)$")
    seconds: float = Field(0.0, ge=0.0, le=86_400.0)
    reason: str = Field("", max_length=2000)


class UndoBody(Body):
    """vote: which is meant; null is the last."""

    vote: str | None = Field(None, max_length=64)


class TestsBody(Body):
    """pair: the assignment."""

    pair: str = Field(max_length=64)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the page. only: the one annotator where there are no keys. leads: names that also see the status."""

    keys: Keys = Keys()  # noqa: RUF009 (frozen)
    only: str = ""
    leads: frozenset[str] = frozenset()


class _Gate:
    """Knows the annotator of a request."""

    def __init__(self, access: Access, key_file: KeyFile | None) -> None:
        self._access, self._keys, self._file = access, access.keys, key_file

    def annotator(self, request: Request) -> str:
        """Raises Refusal (401) without a key that is known now, or (403) where a page of elsewhere asks."""
        if self._keys.open:
            host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
            if host not in _THIS_MACHINE:
                raise Refusal(403, "without keys, this page answers only as 127.0.0.1 or localhost")
            return self._access.only
        with suppress(RRTFError):  # of a file that became invalid: the keys stay as they were
            self._keys = (self._file.changed() if self._file else None) or self._keys
        found = self._keys.find(request.headers.get("authorization"), request.headers.get("x-api-key"))
        if found is None:
            raise Refusal(401, "the key is missing or not known; `rrtf key NAME` makes one")
        return found.name

    @property
    def has_keys(self) -> bool:
        return not self._keys.open

    def is_lead(self, annotator: str) -> bool:
        return self._keys.open or annotator in self._access.leads


class _Api:
    """The answers of the JSON API, each to one annotator. Called in threads."""

    def __init__(
        self, queue: Queue, gate: _Gate, show_tests: bool, rubric: str, status: Callable[[], dict[str, Any]]
    ) -> None:
        self._queue, self._gate, self._show_tests = queue, gate, show_tests
        self._rubric, self._status = rubric, status

    def next(self, annotator: str, body: NextBody) -> Response:
        if body.settle:
            self._only_leads(annotator)
            given = settling.next_to_settle(self._queue, annotator)
        else:
            given = self._queue.next(annotator)
        pairs = [asdict(pair) | {"cut": _cut(pair)} for pair in answers.shown(self._queue, given)]
        for pair, assignment in zip(pairs, given, strict=True):
            for side in ("problem", "left", "right"):
                pair[side] = pair[side][:MOST_CODE]
            pair["tests"] = self._look_at_tests(annotator, assignment.id) if self._show_tests else None
        return json_response({"pairs": pairs})

    def vote(self, annotator: str, body: VoteBody) -> Response:
        problem_id, tests = answers.vote(
            self._queue,
            annotator,
            vote_id=body.id,
            assignment_id=body.pair,
            choice=Choice(body.choice),
            seconds=body.seconds,
            reason=body.reason,
        )
        made = json_response({"stored": body.id, "tests": tests and _tests(tests)})
        made.background = BackgroundTask(self._queue.reprioritise, problem_id)
        return made

    def undo(self, annotator: str, body: UndoBody) -> Response:
        return json_response({"taken_back": answers.undo(self._queue, annotator, body.vote)})

    def tests(self, annotator: str, body: TestsBody) -> Response:
        return json_response({"tests": self._look_at_tests(annotator, body.pair)})

    def progress(self, annotator: str) -> Response:
        found = asdict(answers.progress(self._queue, annotator))
        is_lead = self._gate.is_lead(annotator)
        found |= {"annotator": annotator, "rubric": self._rubric, "lead": is_lead}
        return json_response(found | ({"conflicts": len(settling.conflicts(self._queue))} if is_lead else {}))

    def status(self, annotator: str) -> Response:
        self._only_leads(annotator)
        return json_response(self._status())

    def _look_at_tests(self, annotator: str, assignment_id: str) -> list[dict[str, Any] | None]:
        return _tests(answers.look_at_tests(self._queue, annotator, assignment_id))

    def _only_leads(self, annotator: str) -> None:
        if not self._gate.is_lead(annotator):
            raise Refusal(403, "this is for leads (`rrtf prefer --lead NAME`)")


def make_app(
    queue: Queue,
    access: Access,
    *,
    key_file: KeyFile | None = None,
    show_tests: bool = False,
    rubric: str = "",
    status: Callable[[], dict[str, Any]] = dict,
) -> FastAPI:
    """The application. key_file: keys that may change while it runs. show_tests: before the choice too. rubric: the
    instructions that annotators see. status: what a lead sees."""
    gate = _Gate(access, key_file)
    api = _Api(queue, gate, show_tests, rubric, status)
    app = FastAPI(title="rrtf prefer", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)

    def post(path: str, kind: type[Body], answer: Callable[[str, Any], Response]) -> None:
        async def route(request: Request) -> Response:
            if not request.headers.get("content-type", "").startswith("application/json"):
                raise Refusal(415, "send the body as application/json")  # which no form of another site can
            annotator = gate.annotator(request)
            body = parse(kind, await read_body(request, MOST_BODY) or b"{}")
            return await run_in_threadpool(answer, annotator, body)

        app.add_api_route(f"/api/{path}", route, methods=["POST"])

    def get(path: str, answer: Callable[[str], Response]) -> None:
        async def route(request: Request) -> Response:
            return await run_in_threadpool(answer, gate.annotator(request))

        app.add_api_route(f"/api/{path}", route, methods=["GET"])

    @app.get("/api/access")
    async def show_access() -> Response:
        return json_response({"keys": gate.has_keys})

    post("next", NextBody, api.next)
    post("vote", VoteBody, api.vote)
    post("undo", UndoBody, api.undo)
    post("tests", TestsBody, api.tests)
    get("progress", api.progress)
    get("status", api.status)
    _add_page(app)
    _add_errors(app)
    return app


def _add_page(app: FastAPI) -> None:
    """The page's files and nothing else of the disk."""
    for found in files("rrtf_ray.feedback").joinpath("page").iterdir():
        kind = _KINDS.get(found.name.rpartition(".")[2])
        if kind:
            path = "/" if found.name == "index.html" else f"/{found.name}"
            app.add_api_route(path, _file(found.read_bytes(), kind), methods=["GET", "HEAD"])

    @app.get("/health")
    async def health() -> Response:
        return json_response({"status": "ok"})

    app.add_middleware(_Headers)


class _Headers:
    """Puts _HEADERS on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, sent)


def _file(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def show(request: Request) -> Response:
        path = request.url.path
        if kind == _KINDS["html"] and not path.endswith("/"):  # below a prefix, where the page's own links need it
            return RedirectResponse(f"{path}/")
        return Response(content, media_type=kind)

    return show


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def on_refusal(_: Request, refusal: Refusal) -> Response:
        return refused(refusal)

    @app.exception_handler(StageError)
    async def on_database(_: Request, error: StageError) -> Response:
        return refused(Refusal(503, str(error), retry_after_s=5))

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        what = {404: f"there is no {request.url.path}", 405: f"{request.method} is not allowed here"}
        return refused(Refusal(error.status_code, what.get(error.status_code, str(error.detail))))

    @app.exception_handler(Exception)
    async def on_fault(_: Request, error: Exception) -> Response:
        return refused(Refusal(500, f"a fault of this server: {type(error).__name__}; see its log"))


def _cut(pair: answers.Shown) -> int:
    """Characters that are not shown."""
    return sum(max(0, len(text) - MOST_CODE) for text in (pair.problem, pair.left, pair.right))


def _tests(results: Results) -> list[dict[str, Any] | None]:
    return [asdict(result) if result else None for result in results]
