"""Editors say what became of a completion."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx
import openai
import pytest

from rrtf_ray.serving.keys import load_keys
from tests.serving.scripted import ScriptedEngine, scripted_gateway, tokenizer_json

MIDDLE = ["    ", "return", " a", "\n"]
TEXT = "".join(MIDDLE)
KEYS = {"ann": "a" * 32, "ben": "b" * 32}


@pytest.fixture
def talk(tmp_path):
    """Run a conversation with a gateway: talk(function of a client by key name, its settings)."""

    def _talk(conversation, **settings):
        engine = ScriptedEngine(lambda body: MIDDLE)
        environment = ",".join(f"{name}={key}" for name, key in KEYS.items())
        settings = {"events": str(tmp_path / "events")} | settings
        _, app = scripted_gateway(
            engine,
            tokenizer=tokenizer_json(),
            keys=load_keys(None, environment),
            **settings,
        )

        async def run():
            def client(name):
                http = httpx.AsyncClient(transport=httpx.ASGITransport(app))
                return openai.AsyncOpenAI(
                    base_url="http://gateway/v1", api_key=KEYS[name], http_client=http, max_retries=0
                )

            return await conversation(client)

        return asyncio.run(run())

    return _talk


def lines_in(folder):
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


async def send(client, **body):
    await client.post("/events", body=body, cast_to=object)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("suffix", ["\nf(1)", None])
def test_what_became_of_a_completion_is_written_down_without_its_code(talk, tmp_path, stream, suffix):
    async def conversation(client):
        ann = client("ann")
        answer = await ann.completions.create(
            model="rrtf", prompt="def f(a):\n", suffix=suffix, max_tokens=9, stream=stream
        )
        parts = [part async for part in answer] if stream else [answer]
        found = parts[-1]
        await send(ann, type="view", completion_id=found.id, choice_index=0)
        await send(ann, type="select", completion_id=found.id, choice_index=0, elapsed=120)
        return found.id

    completion_id = talk(conversation)
    shown, accepted = lines_in(tmp_path / "events")
    assert (shown["event"], accepted["event"], accepted["elapsed_ms"]) == ("shown", "accepted", 120)
    assert accepted["completion_id"] == completion_id
    assert (accepted["key"], accepted["model"], accepted["text_chars"]) == ("ann", "rrtf", len(TEXT))
    assert "return" not in json.dumps([shown, accepted])
    assert not {"prompt", "text", "suffix"} & set(accepted)


def test_with_the_second_switch_the_code_is_kept(talk, tmp_path):
    async def conversation(client):
        ann = client("ann")
        answer = await ann.completions.create(model="rrtf", prompt="def f(a):\n", suffix="\nf(1)", n=2, max_tokens=9)
        await send(ann, type="edited", completion_id=answer.id, choice_index=1, text="    return 2 * a\n")

    talk(conversation, events_code=True)
    (line,) = lines_in(tmp_path / "events")
    assert (line["prompt"], line["suffix"], line["text"]) == ("def f(a):\n", "\nf(1)", TEXT)
    assert (line["edited"], line["choice_index"]) == ("    return 2 * a\n", 1)


def test_events_that_are_not_taken(talk, tmp_path):
    async def conversation(client):
        ann, ben = client("ann"), client("ben")
        answer = await ann.completions.create(model="rrtf", prompt="def f(a):\n", max_tokens=9)
        for who, body, status, words in (
            (ben, {"type": "select", "completion_id": answer.id}, 404, "not known"),
            (ann, {"type": "select", "completion_id": "cmpl-1"}, 404, "for an hour"),
            (ann, {"type": "select", "completion_id": answer.id, "choice_index": 1}, 400, "has 1 choices"),
            (ann, {"type": "edited", "completion_id": answer.id}, 400, "`edited` needs"),
            (ann, {"type": "select", "completion_id": answer.id, "text": "x"}, 400, "no other type"),
            (ann, {"type": "liked", "completion_id": answer.id}, 400, "type"),
        ):
            with pytest.raises(openai.APIStatusError) as caught:
                await send(who, **body)
            assert caught.value.status_code == status
            assert words in str(caught.value)

    talk(conversation)
    assert lines_in(tmp_path / "events") == []


def test_without_a_folder_no_event_is_taken_and_nothing_is_remembered(talk):
    async def conversation(client):
        ann = client("ann")
        answer = await ann.completions.create(model="rrtf", prompt="def f(a):\n", max_tokens=9)
        with pytest.raises(openai.NotFoundError, match=r"gateway\.events"):
            await send(ann, type="select", completion_id=answer.id)

    talk(conversation, events=None)


def test_old_files_are_removed_and_a_folder_that_cannot_be_written_is_said(talk, tmp_path):
    folder = tmp_path / "events"
    folder.mkdir()
    days = {days: datetime.now(UTC) - timedelta(days=days) for days in (3, 40)}
    for days_ago, day in days.items():
        (folder / f"{day:%Y-%m-%d}-host-1.jsonl").write_text(f'{{"days": {days_ago}}}\n')
    (folder / "notes.jsonl").write_text("{}\n")
    (tmp_path / "file").write_text("")

    async def conversation(client):
        ann = client("ann")
        answer = await ann.completions.create(model="rrtf", prompt="def f(a):\n", max_tokens=9)
        await send(ann, type="dismiss", completion_id=answer.id)

    talk(conversation)
    assert [line.get("days", line.get("event")) for line in lines_in(folder)] == [3, "rejected", None]
    with pytest.raises(openai.InternalServerError, match=r"gateway\.events"):
        talk(conversation, events=str(tmp_path / "file"))


@pytest.mark.parametrize("limit", ["MOST_KEPT", "MOST_CHARS"])
def test_what_is_remembered_is_bounded_and_the_oldest_is_forgotten(talk, monkeypatch, limit):
    most = {"MOST_KEPT": 2, "MOST_CHARS": 2 * len("def f(a):\n" + TEXT)}[limit]
    monkeypatch.setattr(f"rrtf_ray.serving.events.{limit}", most)

    async def conversation(client):
        ann = client("ann")
        ids = [(await ann.completions.create(model="rrtf", prompt="def f(a):\n", max_tokens=9)).id for _ in range(3)]
        with pytest.raises(openai.NotFoundError, match="not known"):
            await send(ann, type="select", completion_id=ids[0])
        for later in ids[1:]:
            await send(ann, type="select", completion_id=later)

    talk(conversation, events_code=True)
