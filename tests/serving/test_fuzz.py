"""Requests that nobody would write: valid and invalid ones, made by schemathesis from the routes' description."""

import asyncio
import json
import warnings

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.serving.scripted import ScriptedEngine, scripted_gateway

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own deprecations
    import schemathesis
    from schemathesis import GenerationMode

POSTS = ["/v1/completions", "/v1/chat/completions", "/v1/fim/completions", "/fim/completions", "/infill"]


@pytest.fixture(scope="module")
def app():
    return scripted_gateway(ScriptedEngine(lambda body: ["a", "b"]), chat=True, max_body_bytes=20_000)[1]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize("path", POSTS)
def test_every_answer_is_one_that_the_description_lists(app, path, mode):
    operation = schemathesis.openapi.from_dict(app.openapi())[path]["POST"]
    described = operation.definition.raw["responses"]
    statuses = set()

    @settings(
        max_examples=60,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        answer = asyncio.run(send(app, path, case))
        statuses.add(answer.status_code)
        assert str(answer.status_code) in described, answer.text
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.json()["error"].keys() == {"message", "type", "param", "code"}

    check()
    assert statuses & ({200} if mode is GenerationMode.POSITIVE else {400})


async def send(app, path, case):
    body = case.body if isinstance(case.body, bytes) else json.dumps(case.body, default=str).encode()
    headers = {name: value for name, value in (case.headers or {}).items() if name.isascii() and str(value).isascii()}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.post(path, content=body, headers={k: str(v) for k, v in headers.items()})
