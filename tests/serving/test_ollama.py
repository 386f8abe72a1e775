"""Ollama's forms, asked for by its own client."""

import asyncio
import json

import httpx
import ollama
import pytest
from tokenizers import Tokenizer

from rrtf_ray.serving.keys import load_keys
from tests.serving.scripted import ScriptedEngine, scripted_gateway, tokenizer_json

MIDDLE = ["    ", "return", " a", "\n"]
KEY = "k" * 32


@pytest.fixture
def engine():
    return ScriptedEngine(lambda body: MIDDLE)


@pytest.fixture
def ask(engine):
    """Let Ollama's client make one call; returns its answer, of a stream all parts."""

    def _ask(call, **options):
        _, app = scripted_gateway(engine, tokenizer=tokenizer_json(), **options)

        async def run():
            client = ollama.AsyncClient(host="http://gateway", transport=httpx.ASGITransport(app))
            answer = await call(client)
            return [part async for part in answer] if hasattr(answer, "__aiter__") else answer

        return asyncio.run(run())

    return _ask


def test_a_middle_in_one_piece_and_as_a_stream(ask, engine):
    options = {"temperature": 0.2, "num_predict": 50, "repeat_penalty": 1.1, "num_ctx": 4096, "stop": ["\n\n"]}
    asked = {"model": "rrtf", "prompt": "def f(a):\n", "suffix": "\nf(1)", "options": options}
    whole = ask(lambda client: client.generate(**asked))
    assert (whole.response, whole.done, whole.done_reason) == ("".join(MIDDLE), True, "stop")
    assert (whole.eval_count, whole.model) == (len(MIDDLE), "rrtf")
    assert whole.total_duration >= whole.eval_duration >= 0
    parts = ask(lambda client: client.generate(**asked, stream=True))
    assert "".join(part.response for part in parts) == "".join(MIDDLE)
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].eval_count == len(MIDDLE)
    sent = engine.asked[0]
    assert (sent["temperature"], sent["repetition_penalty"], sent["stop"]) == (0.2, 1.1, ["\n\n"])
    assert Tokenizer.from_str(tokenizer_json()).decode(sent["prompt"]) == "def f(a):\n\nf(1)"


def test_a_prompt_without_a_suffix_is_continued(ask, engine):
    ask(lambda client: client.generate(model="rrtf", prompt="def f(a):\n", raw=True))
    assert engine.asked[0]["prompt"] == "def f(a):\n"


def test_the_models(ask):
    (model,) = ask(lambda client: client.list()).models
    assert model.model == "rrtf"


def test_refusals(ask):
    with pytest.raises(ollama.ResponseError, match="no valid key") as refused:
        ask(lambda client: client.list(), keys=load_keys(None, f"me={KEY}"))
    assert refused.value.status_code == 401
    for field, value in (("format", "json"), ("images", [b"png"])):
        with pytest.raises(ollama.ResponseError, match=f"{field} is not supported"):
            ask(lambda client, given={field: value}: client.generate(model="rrtf", prompt="a", **given))
    with pytest.raises(ollama.ResponseError, match="mirostat is not supported"):
        ask(lambda client: client.generate(model="rrtf", prompt="a", options={"mirostat": 2}))
    with pytest.raises(ollama.ResponseError, match=r"options\.temperature: .* \(got 9\)"):
        ask(lambda client: client.generate(model="rrtf", prompt="a", options={"temperature": 9}))


def test_a_stream_that_fails_ends_with_a_line_that_says_so(engine):
    async def run():
        engine.gate = asyncio.Event()
        gateway, app = scripted_gateway(engine, tokenizer=tokenizer_json())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            asked = asyncio.create_task(client.post("/api/generate", json={"prompt": "a", "suffix": "b"}))
            engine.gate.set()
            while not engine.asked or gateway.models.get("rrtf").admission.ongoing == 0:
                await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0)
            await gateway.drain(0)
            return await asked

    answer = asyncio.run(run())
    assert answer.headers["content-type"] == "application/x-ndjson"
    *_, last = [json.loads(line) for line in answer.text.splitlines()]
    assert last == {"error": "the service is stopping"}
