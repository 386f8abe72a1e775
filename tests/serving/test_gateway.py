"""The gateway with a scripted engine behind it: every form of request, every refusal, and who holds a slot when."""

import asyncio
import contextlib
import json
import pickle

import httpx
import pytest
from tokenizers import Tokenizer

from rrtf_ray.serving.keys import load_keys
from rrtf_ray.serving.models import EngineDescription, engine_from
from tests.serving.scripted import ScriptedEngine, add_engine, plain_tokenizer_json, scripted_gateway, tokenizer_json

MIDDLE = ["    ", "return ", "a ", "+ ", "b", "\n"]
KEY = "a-key-of-some-length"


@pytest.fixture(scope="module")
def tokenizers():
    return tokenizer_json(), plain_tokenizer_json()


@pytest.fixture
def engine():
    return ScriptedEngine(lambda body: MIDDLE)


@pytest.fixture
def ask(engine, tokenizers):
    """Send requests to a new gateway, which keeps no state between calls of this function."""

    def _ask(*requests, headers=None, **options):
        options.setdefault("tokenizer", tokenizers[0])
        _, app = scripted_gateway(engine, **options)

        async def run():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
                return [await client.request(*request[:2], **request[2]) for request in requests]

        answers = asyncio.run(run())
        return answers[0] if len(answers) == 1 else answers

    return _ask


def post(path, body=None, **options):
    return ("POST", path, {"json": body} | options if body is not None else options)


def get(path):
    return ("GET", path, {})


def events(answer):
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    return [json.loads(line) for line in lines if line != "[DONE]"], lines[-1] == "[DONE]"


def check_refused(answer, status, *, param=None, says=""):
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["param"] == param
    assert says in error["message"]
    return error


# Completions


def test_a_plain_completion_is_asked_for_as_it_is(ask, engine):
    answer = ask(post("/v1/completions", {"prompt": "def f():\n", "max_tokens": 3, "temperature": 0.5, "stop": "x"}))
    assert answer.json()["choices"][0]["text"] == "    return a "
    asked = engine.asked[0]
    assert asked["prompt"] == "def f():\n"
    assert (asked["model"], asked["max_tokens"], asked["temperature"]) == ("rrtf", 3, 0.5)
    assert asked["stop"] == ["x"]


def test_a_stream_tells_the_usage_only_where_it_is_asked_for(ask):
    body = {"prompt": "x", "max_tokens": 9, "stream": True}
    without, with_usage = ask(
        post("/v1/completions", body),
        post("/v1/completions", body | {"stream_options": {"include_usage": True}}),
    )
    for answer in (without, with_usage):
        assert answer.headers["content-type"].startswith("text/event-stream")
        found, done = events(answer)
        assert done
        assert "".join(e["choices"][0]["text"] for e in found if e["choices"]) == "".join(MIDDLE)
    assert all(e["choices"] for e in events(without)[0])
    assert events(with_usage)[0][-1]["usage"]["completion_tokens"] == len(MIDDLE)


def test_a_suffix_becomes_the_models_own_markers(ask, engine, tokenizers):
    tokenizer = Tokenizer.from_str(tokenizers[0])
    ids = {name: tokenizer.token_to_id(f"<fim_{name}>") for name in ("prefix", "suffix", "middle")}
    answer = ask(
        post("/v1/completions", {"prompt": "def add(a, b):\n", "suffix": "\nprint(add(1, 2))\n", "max_tokens": 50})
    )
    assert answer.json()["choices"][0] == {
        "index": 0,
        "text": "".join(MIDDLE),
        "logprobs": None,
        "finish_reason": "stop",
    }
    asked = engine.asked[0]["prompt"]
    assert [t for t in asked if t in ids.values()] == [ids["prefix"], ids["suffix"], ids["middle"]]
    assert tokenizer.decode(asked) == "def add(a, b):\n\nprint(add(1, 2))\n"
    assert set(ids.values()) <= set(engine.asked[0]["stop_token_ids"])


@pytest.mark.parametrize(
    "prompt",
    [
        "<fim_prefix>def f(a):\n<fim_suffix>\nf(1)\n<fim_middle>",
        "<fim-prefix>def f(a):\n<fim-suffix>\nf(1)\n<fim-middle>",
        "<|fim_prefix|>def f(a):\n<|fim_suffix|>\nf(1)\n<|fim_middle|>",
        "<｜fim▁begin｜>def f(a):\n<｜fim▁hole｜>\nf(1)\n<｜fim▁end｜>",
        "[SUFFIX]\nf(1)\n[PREFIX]def f(a):\n",
    ],
)
def test_a_prompt_that_a_client_has_templated_is_rewritten(ask, engine, prompt):
    ask(
        post("/v1/completions", {"prompt": prompt, "max_tokens": 8}),
        post("/v1/completions", {"prompt": "def f(a):\n", "suffix": "\nf(1)\n", "max_tokens": 8}),
    )
    assert engine.asked[0]["prompt"] == engine.asked[1]["prompt"]


def test_a_middle_that_goes_on_with_the_suffix_is_ended_and_its_engine_freed(ask, engine):
    engine.say = lambda body: [*MIDDLE, "print(add(1, 2))", "\n", "print(add(3, 4))", "\n", *["more "] * 20]
    suffix = "print(add(1, 2))\nprint(add(3, 4))\n"
    answer = ask(post("/v1/completions", {"prompt": "def add(a, b):\n", "suffix": suffix, "max_tokens": 60}))
    choice = answer.json()["choices"][0]
    assert choice["text"].rstrip() == "".join(MIDDLE).rstrip()
    assert choice["finish_reason"] == "stop"
    assert engine.closed == 1
    assert answer.json()["usage"]["completion_tokens"] < 25


def test_several_middles_of_one_request(ask):
    answer = ask(post("/v1/completions", {"prompt": "a", "suffix": "b", "n": 3, "max_tokens": 50}))
    assert [c["text"] for c in answer.json()["choices"]] == ["".join(MIDDLE)] * 3
    assert answer.json()["usage"]["completion_tokens"] == 3 * len(MIDDLE)


def test_a_model_without_markers_says_so(ask, engine, tokenizers):
    answer, plain = ask(
        post("/v1/completions", {"prompt": "a", "suffix": "b"}),
        post("/v1/completions", {"prompt": "a", "suffix": ""}),
        tokenizer=tokenizers[1],
    )
    check_refused(answer, 400, param="suffix", says="no fill-in-the-middle markers")
    assert plain.status_code == 200
    assert engine.asked[-1]["prompt"] == "a"


# Other clients' forms


@pytest.mark.parametrize("path", ["/v1/fim/completions", "/fim/completions"])
def test_mistrals_form(ask, engine, path):
    body = {"model": "rrtf", "prompt": "a", "suffix": "b", "max_tokens": 50, "random_seed": 7}
    whole, stream = ask(post(path, body), post(path, body | {"stream": True}))
    assert whole.json()["object"] == "chat.completion"
    assert whole.json()["choices"][0]["message"]["content"] == "".join(MIDDLE)
    found, done = events(stream)
    assert done
    assert "".join(e["choices"][0]["delta"]["content"] for e in found if e["choices"]) == "".join(MIDDLE)
    assert engine.asked[0]["seed"] == 7


def test_llama_cpps_form(ask, engine, tokenizers):
    body = {"input_prefix": "def f():\n", "input_suffix": "\nf()", "input_extra": [{"filename": "a.py", "text": "x=1"}]}
    whole, stream, warm = ask(
        post("/infill", body | {"n_predict": 50, "prompt": "    "}),
        post("/infill", body | {"n_predict": -1, "stream": True}),
        post("/infill", body | {"n_predict": 0}),
    )
    assert whole.json()["content"] == "".join(MIDDLE)
    assert whole.json()["stop"] is True
    assert whole.json()["tokens_predicted"] == len(MIDDLE)
    found, done = events(stream)
    assert not done
    assert [e["stop"] for e in found] == [False] * (len(found) - 1) + [True]
    assert "".join(e["content"] for e in found) == "".join(MIDDLE)
    assert warm.json()["content"] == ""
    assert engine.asked[2]["max_tokens"] == 1
    assert Tokenizer.from_str(tokenizers[0]).decode(engine.asked[0]["prompt"]) == "a.py\nx=1\ndef f():\n    \nf()"


def test_an_answer_has_no_blanks_between_its_parts(ask):
    """llama.vim looks for `"content":"` in the raw answer, not in parsed JSON."""
    middle = {"input_prefix": "a", "input_suffix": "b", "model": ""}
    answers = ask(
        post("/infill", middle),
        post("/infill", middle | {"stream": True}),
        post("/v1/completions", {"prompt": "a", "suffix": "b", "model": ""}),
        post("/v1/fim/completions", {"prompt": "a"}),
        get("/v1/models"),
        post("/v1/completions", {}),
    )
    assert '"content":"    return' in answers[0].text
    for answer in answers:
        assert '": ' not in answer.text
        assert '", "' not in answer.text


def test_llama_cpps_fields_are_flat_under_the_name_that_asked(ask):
    fields = ["content", "timings/predicted_n", "timings/prompt_per_second", "tokens_cached", "nothing", "stop/it"]
    body = {"input_prefix": "a", "input_suffix": "b", "n_predict": 50, "response_fields": fields}
    answer = ask(post("/infill", body)).json()
    assert answer.keys() == {"content", "timings/predicted_n", "timings/prompt_per_second", "tokens_cached"}
    assert answer["timings/predicted_n"] == len(MIDDLE)
    assert answer["timings/prompt_per_second"] > 0


def test_llama_cpps_choices_are_a_list(ask, engine):
    body = {"input_prefix": "a", "input_suffix": "b", "n_predict": 50, "n_cmpl": 3}
    sampled, greedy, stream = ask(
        post("/infill", body), post("/infill", body | {"temperature": 0}), post("/infill", body | {"stream": True})
    )
    for answer in (sampled, greedy):
        assert [a["index"] for a in answer.json()] == [0, 1, 2]
        assert [a["content"] for a in answer.json()] == ["".join(MIDDLE)] * 3
        assert [a["tokens_predicted"] for a in answer.json()] == [len(MIDDLE)] * 3
    assert [asked["n"] for asked in engine.asked] == [3, 1, 3]
    found, _ = events(stream)
    assert [e["index"] for e in found if e["stop"]] == [0, 1, 2]


def test_a_middle_with_a_line_ends_at_its_limit_of_time(ask, engine):
    engine.say = lambda body: ["one", "\n", *["more "] * 80]
    body = {"input_prefix": "a", "input_suffix": "b", "n_predict": 60}
    late, patient, without_line = ask(
        post("/infill", body | {"t_max_predict_ms": 1e-6}),
        post("/infill", body | {"t_max_predict_ms": 60_000}),
        post("/infill", body | {"t_max_predict_ms": 0}),
    )
    assert late.json()["content"] == "one\n"
    assert late.json()["stop_type"] == "limit"
    assert patient.json()["tokens_predicted"] == without_line.json()["tokens_predicted"] == 60
    assert late.json()["tokens_predicted"] < 5
    engine.say = lambda body: ["more "] * 80
    assert ask(post("/infill", body | {"t_max_predict_ms": 1e-6})).json()["tokens_predicted"] == 60


def test_llama_cpps_completion_is_a_middle_where_it_is_templated(ask, engine, tokenizers):
    tokenizer = Tokenizer.from_str(tokenizers[0])
    templated = "<|fim_prefix|>def f(a):\n<|fim_suffix|>\nf(1)\n<|fim_middle|>"
    middle, plain, stream = ask(
        post("/completion", {"prompt": templated, "n_predict": 50}),
        post("/completion", {"prompt": "def f(a):\n", "n_predict": 3}),
        post("/completion", {"prompt": templated, "n_predict": 50, "stream": True, "temperature": 0.1}),
    )
    assert middle.json()["content"] == "".join(MIDDLE)
    assert tokenizer.token_to_id("<fim_middle>") in engine.asked[0]["prompt"]
    assert plain.json()["content"] == "".join(MIDDLE[:3])
    assert engine.asked[1]["prompt"] == "def f(a):\n"
    found, _ = events(stream)
    assert "".join(e["content"] for e in found) == "".join(MIDDLE)


def test_a_clients_own_template_can_be_passed_on(ask, engine):
    prompt = "<|fim_prefix|>def f(a):\n<|fim_suffix|>\nf(1)\n<|fim_middle|>"
    ask(
        post("/v1/completions", {"prompt": prompt, "max_tokens": 8}),
        post("/completion", {"prompt": prompt}),
        rewrite_templates=False,
    )
    assert [asked["prompt"] for asked in engine.asked] == [prompt, prompt]


def test_mistrals_usage_is_part_of_the_last_choice(ask):
    found, done = events(ask(post("/v1/fim/completions", {"prompt": "a", "suffix": "b", "stream": True})))
    assert done
    assert all(len(e["choices"]) == 1 for e in found)
    assert ["usage" in e for e in found] == [False] * (len(found) - 1) + [True]
    assert found[-1]["usage"]["completion_tokens"] == len(MIDDLE)
    assert found[-1]["choices"][0]["finish_reason"] == "stop"


def test_usage_in_every_event_where_it_is_asked_for(ask):
    options = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    middle = ask(post("/v1/completions", {"prompt": "a", "suffix": "b", "stream": True} | options))
    assert [e["usage"]["completion_tokens"] for e in events(middle)[0]][:3] == [1, 2, 3]
    assert all("usage" in e for e in events(middle)[0])


# Upper bounds


def test_token_limits_are_upper_bounds(ask, engine):
    """Continue sends 4,096 for a model that it does not know."""
    context = 128
    ask(
        post("/v1/completions", {"prompt": "a", "suffix": "b", "max_tokens": 4096}),
        post("/v1/completions", {"prompt": "a b", "max_tokens": 4096}),
        post("/v1/completions", {"prompt": [5] * 28, "max_tokens": 4096}),
        post("/v1/completions", {"prompt": ["a", "b"], "max_tokens": 50}),
        max_tokens=1000,
    )
    middle, text, tokens, several = engine.asked
    assert len(middle["prompt"]) + middle["max_tokens"] <= context
    assert middle["max_tokens"] > context // 2
    assert text["prompt"] == "a b"
    assert context // 2 < text["max_tokens"] < context
    assert tokens["max_tokens"] == 100
    assert several["max_tokens"] == 50
    ask(post("/v1/completions", {"prompt": "a", "max_tokens": 99}), max_tokens=10)
    assert engine.asked[-1]["max_tokens"] == 10


def test_a_prompt_longer_than_the_context_keeps_its_end(ask, engine, tokenizers):
    text = "".join(f"x{i} = {i}\n" for i in range(5000))
    ask(
        post("/v1/completions", {"prompt": text, "max_tokens": 30}),
        post("/v1/completions", {"prompt": list(range(300)), "max_tokens": 30}),
        post("/v1/completions", {"prompt": text, "max_tokens": 4000}),
    )
    asked, ids, greedy = engine.asked
    assert len(asked["prompt"]) == 128 - 30
    kept = Tokenizer.from_str(tokenizers[0]).decode(asked["prompt"])
    assert text.endswith(kept)
    assert len(kept) > 50
    assert asked["max_tokens"] == 30
    assert ids["prompt"] == list(range(300 - 98, 300))
    assert len(greedy["prompt"]) == greedy["max_tokens"] == 64


def test_greedy_choices_are_equal(ask, engine):
    body = {"prompt": ["a", "b"], "max_tokens": 3, "n": 2, "temperature": 0}
    engine.say = lambda body: ["x", "y", "z"]
    whole = ask(post("/v1/completions", body | {"prompt": "a", "n": 3})).json()
    assert [(c["index"], c["text"]) for c in whole["choices"]] == [(0, "xyz"), (1, "xyz"), (2, "xyz")]
    assert whole["usage"]["completion_tokens"] == 9
    assert engine.asked[0]["n"] == 1
    stream = ask(post("/v1/completions", {"prompt": "a", "max_tokens": 3, "n": 3, "temperature": 0, "stream": True}))
    found, done = events(stream)
    assert done
    texts = ["", "", ""]
    for event in found:
        for choice in event["choices"]:
            texts[choice["index"]] += choice["text"]
    assert texts == ["xyz"] * 3
    middle = ask(post("/v1/completions", {"prompt": "a", "suffix": "b", "n": 3, "temperature": 0})).json()
    assert [c["text"] for c in middle["choices"]] == ["xyz"] * 3
    assert engine.asked[-1]["n"] == 1


def test_no_tokens_with_echo_score_a_prompt(ask, engine):
    ask(post("/v1/completions", {"prompt": "a", "max_tokens": 0, "echo": True, "logprobs": 1}))
    assert (engine.asked[0]["max_tokens"], engine.asked[0]["echo"]) == (0, True)


def test_fields_that_change_the_text_reach_the_engine(ask, engine):
    fields = {
        "logit_bias": {"5": -100.0},
        "min_tokens": 3,
        "stop_token_ids": [7],
        "bad_words": ["x"],
        "include_stop_str_in_output": True,
    }
    ask(
        post("/v1/completions", {"prompt": "a"} | fields),
        post("/v1/completions", {"prompt": "a", "suffix": "b"} | fields),
    )
    plain, middle = engine.asked
    assert plain["logit_bias"] == middle["logit_bias"] == {"5": -100.0}
    assert plain["min_tokens"] == 3
    assert list(plain["stop_token_ids"]) == [7]
    assert 7 in middle["stop_token_ids"]
    assert len(middle["stop_token_ids"]) > 1


def test_neutral_values_and_editors_own_fields_pass(ask):
    neutral = {
        "logit_bias": {},
        "structured_outputs": None,
        "response_format": {"type": "text"},
        "use_beam_search": False,
        "typical_p": 1.0,
        "mirostat": 0,
        "n_probs": 0,
        "tools": [],
        "user": "me",
        "id_slot": 0,
        "cache_prompt": True,
        "samplers": ["top_k"],
        "environment": None,
        "min_tokens": 0,
    }
    assert ask(post("/v1/completions", {"prompt": "a"} | neutral)).status_code == 200


def test_a_byte_order_mark_is_no_part_of_the_body(ask):
    assert ask(post("/v1/completions", content=b'\xef\xbb\xbf{"prompt": "a"}')).status_code == 200


def test_a_model_is_shown_by_its_name(ask):
    card, head, missing = ask(get("/v1/models/rrtf"), ("HEAD", "/v1/models/rrtf", {}), get("/v1/models/gpt"))
    assert (card.json()["id"], card.json()["object"]) == ("rrtf", "model")
    assert (head.status_code, head.content) == (200, b"")
    check_refused(missing, 404, param="model", says="available: rrtf")


def test_while_nothing_is_loaded_a_client_is_asked_to_try_again(ask, engine, tokenizers):
    gateway, app = scripted_gateway(engine, tokenizer=tokenizers[0])
    gateway.models.forget("rrtf")

    async def run():
        async with client_of(app) as client:
            return [
                await client.post("/v1/completions", json={"prompt": "a"} | model) for model in ({}, {"model": "rrtf"})
            ]

    for answer in asyncio.run(run()):
        check_refused(answer, 503, says="no model is running yet")
        assert int(answer.headers["retry-after"]) >= 1


def test_an_allowed_origin_may_use_the_endpoint(ask):
    mine, other = "https://mine.example", "https://other.example"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = ask(
        ("OPTIONS", "/v1/completions", {"headers": asked}), headers={"Origin": mine}, allowed_origins=(mine,)
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == mine
    answer = ask(post("/v1/completions", {"prompt": "a"}), headers={"Origin": mine}, allowed_origins=(mine,))
    assert answer.headers["access-control-allow-origin"] == mine
    refused = ask(post("/v1/completions", {"prompt": "a"}), headers={"Origin": other}, allowed_origins=(mine,))
    assert "access-control-allow-origin" not in refused.headers


def test_tokens_are_counted_by_key(engine, tokenizers):
    async def run():
        gateway, app = scripted_gateway(engine, tokenizer=tokenizers[0], keys=load_keys(None, f"me={KEY}"))
        async with client_of(app) as client:
            headers = {"Authorization": f"Bearer {KEY}"}
            for body in ({"prompt": "a"}, {"prompt": "a", "suffix": "b"}, {"prompt": "a", "stream": True}):
                await client.post("/v1/completions", json=body | {"max_tokens": 4}, headers=headers)
        assert b'rrtf_generated_tokens_total{key="me",model="rrtf"} 12.0' in gateway.metrics.render()[0]

    asyncio.run(run())


def test_chat_needs_a_template(ask, engine):
    body = {"messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 5}
    check_refused(ask(post("/v1/chat/completions", body)), 400, param="messages", says="no chat template")
    answer = ask(post("/v1/chat/completions", body), chat=True)
    assert answer.json()["choices"][0]["message"]["content"] == "".join(MIDDLE[:5])
    assert engine.asked[-1]["messages"] == [{"role": "user", "content": "hi"}]


def test_models_are_listed_with_their_context(ask):
    (card,) = ask(get("/v1/models")).json()["data"]
    assert card["id"] == "rrtf"
    assert card["max_model_len"] == 128
    assert card["fim"] is True


# Refusals


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt"),
        ({"prompt": [5, 10_000]}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": "a", "max_tokens": "5"}, "max_tokens"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["a", ""]}, "prompt"),
        ({"prompt": "a " * 200, "echo": True}, "prompt"),
        ({"prompt": "a", "logit_bias": {"x": 1}}, "logit_bias"),
        ({"prompt": "a", "logit_bias": {"5": 200}}, "logit_bias"),
        ({"prompt": "a", "structured_outputs": {"regex": "[0-9]+"}}, "structured_outputs"),
        ({"prompt": "a", "response_format": {"type": "json_object"}}, "response_format"),
        ({"prompt": "a", "suffix": "b", "guided_regex": "[0-9]+"}, "guided_regex"),
        ({"prompt": "a", "use_beam_search": True}, "use_beam_search"),
        ({"prompt": "a", "temperature": -1}, "temperature"),
        ({"prompt": "a", "temperature": True}, "temperature"),
        ({"prompt": "a", "top_p": 0}, "top_p"),
        ({"prompt": "a", "n": 10_000}, "n"),
        ({"prompt": ["a"] * 5, "n": 4}, "n"),
        ({"prompt": "a", "best_of": 3}, "best_of"),
        ({"prompt": "a", "stop": ["s"] * 1000}, "stop"),
        ({"prompt": "a", "stop": ""}, "stop"),
        ({"prompt": "a", "logprobs": 100}, "logprobs"),
        ({"prompt": "a", "seed": 2**70}, "seed"),
        ({"prompt": "a", "suffix": "b", "echo": True}, "echo"),
        ({"prompt": "a", "suffix": "b", "logprobs": 1}, "logprobs"),
        ({"prompt": ["a"], "suffix": "b"}, "suffix"),
        ({"prompt": "a", "suffix": ["b"]}, "suffix"),
        ({"prompt": "a", "suffix": "b", "n": 17}, "n"),
        ({"prompt": "a", "stream": "yes"}, "stream"),
        ({"prompt": "a", "model": 5}, "model"),
    ],
)
def test_a_wrong_field_is_named(ask, engine, body, param):
    error = check_refused(ask(post("/v1/completions", body)), 400, param=param, says=param)
    assert error["type"] == "invalid_request_error"
    assert not engine.asked


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (b"null", "JSON object"),
        (b'{"prompt": "\xff"}', "not JSON"),
        (b'{"prompt": "\\ud800"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"prompt": "a", "temperature": NaN}', "finite"),
        (b'{"prompt": "a", "temperature": 1e999}', "finite"),
    ],
)
def test_a_body_that_is_no_request(ask, raw, says):
    answer = ask(post("/v1/completions", content=raw))
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


def test_an_unknown_model_is_not_found(ask):
    answer = ask(post("/v1/completions", {"model": "gpt", "prompt": "a"}))
    error = check_refused(answer, 404, param="model", says="'gpt' does not exist; available: rrtf")
    assert error["code"] == "model_not_found"


def test_a_body_over_the_limit_is_refused_unread(ask):
    async def endless():
        while True:
            yield b"x" * 500

    told, untold = ask(
        post("/v1/completions", {"prompt": "a" * 5000}),
        post("/v1/completions", content=endless()),
        max_body_bytes=2000,
    )
    check_refused(told, 413, says="larger than 2000 bytes")
    check_refused(untold, 413, says="larger than 2000 bytes")


def test_only_the_listed_routes_exist_and_no_origin_is_let_in(ask):
    paths = [
        "/docs",
        "/openapi.json",
        "/redoc",
        "/v1/embeddings",
        "/v1/completions/",
        "/tokenize",
        "/v1/models/a/b",
    ]
    answers = ask(*[get(path) for path in paths], ("PUT", "/v1/completions", {}), headers={"Origin": "http://evil"})
    for answer in answers[:-1]:
        check_refused(answer, 404, says="there is no /")
    check_refused(answers[-1], 405, says="PUT is not allowed")
    assert answers[-1].headers["allow"] == "POST"
    preflight = ask(
        ("OPTIONS", "/v1/completions", {}),
        headers={"Origin": "http://evil", "Access-Control-Request-Method": "POST"},
    )
    assert not any(name.startswith("access-control") for name in preflight.headers)


# Keys and limits


def test_without_a_key_only_the_page_and_health_answer(ask):
    keys = load_keys(None, f"me={KEY}")
    body = {"prompt": "a", "max_tokens": 1}
    paths = [
        "/v1/completions",
        "/v1/chat/completions",
        "/v1/fim/completions",
        "/fim/completions",
        "/infill",
        "/completion",
    ]
    answers = ask(*[post(path, body) for path in paths], get("/v1/models"), get("/metrics"), keys=keys)
    for answer in answers:
        assert check_refused(answer, 401, says="Bearer")["type"] == "authentication_error"
        assert answer.headers["www-authenticate"] == "Bearer"
    assert [a.status_code for a in ask(get("/"), get("/health"), keys=keys)] == [200, 200]
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"X-Api-Key": KEY}):
        assert ask(post("/v1/completions", body), keys=keys, headers=headers).status_code == 200
    wrong = ask(post("/v1/completions", body), keys=keys, headers={"Authorization": f"Bearer {KEY}x"})
    check_refused(wrong, 401)


def test_a_keys_rate_is_kept(ask):
    body = {"prompt": "a", "max_tokens": 1}
    *served, over = ask(*[post("/v1/completions", body)] * 4, rate=3)
    assert [a.status_code for a in served] == [200] * 3
    error = check_refused(over, 429, says="requests per minute")
    assert error["type"] == "rate_limit_error"
    assert 1 <= int(over.headers["retry-after"]) <= 20


@contextlib.asynccontextmanager
async def client_of(app):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


async def until(condition):
    """Run the loop until the condition holds; fails the test if it never does."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition never held")


def test_a_full_queue_answers_at_once_with_429(engine, tokenizers):
    async def run():
        engine.gate = asyncio.Event()
        gateway, app = scripted_gateway(engine, tokenizer=tokenizers[0], slots=1, max_queued=1)
        admission = gateway.models.get("rrtf").admission
        body = {"prompt": "a", "max_tokens": 1}
        async with client_of(app) as client:
            first = asyncio.create_task(client.post("/v1/completions", json=body))
            await until(lambda: admission.ongoing == 1)
            second = asyncio.create_task(client.post("/v1/completions", json=body))
            await until(lambda: admission.queued == 1)
            third = await client.post("/v1/completions", json=body)
            check_refused(third, 429, says="queue is full")
            assert int(third.headers["retry-after"]) >= 1
            for task in (first, second):
                engine.gate.set()
                assert (await task).status_code == 200
        assert (admission.ongoing, admission.queued) == (0, 0)
        assert b'rrtf_rejections_total{reason="queue"} 1.0' in gateway.metrics.render()[0]

    asyncio.run(run())


def test_a_request_that_waits_too_long_gets_429(engine, tokenizers):
    async def run():
        engine.gate = asyncio.Event()
        _, app = scripted_gateway(engine, tokenizer=tokenizers[0], slots=0, queue_timeout_s=0.01)
        async with client_of(app) as client:
            answer = await client.post("/v1/completions", json={"prompt": "a"})
        check_refused(answer, 429, says="waited as long")

    asyncio.run(run())


# Engines that fail, go and come


def test_an_engines_errors_keep_their_blame(ask, engine):
    engine.error = {"message": "context is 128 tokens", "type": "BadRequestError", "param": "prompt", "code": 400}
    for body in ({"prompt": "a"}, {"prompt": "a", "stream": True}, {"prompt": "a", "suffix": "b", "stream": True}):
        check_refused(ask(post("/v1/completions", body)), 400, param="prompt", says="context is 128")
    engine.error = {"message": "secret detail", "code": 500}
    answer = ask(post("/v1/completions", {"prompt": "a"}))
    assert "secret" not in answer.text
    assert check_refused(answer, 503)["type"] == "service_unavailable_error"


def test_a_silent_engine_gives_503(engine, tokenizers):
    async def run():
        engine.gate = asyncio.Event()
        gateway, app = scripted_gateway(engine, tokenizer=tokenizers[0], answer_timeout_s=0.02)
        async with client_of(app) as client:
            answer = await client.post("/v1/completions", json={"prompt": "a", "stream": True})
        check_refused(answer, 503, says="did not answer within 0.02 s")
        assert gateway.models.get("rrtf").admission.ongoing == 0

    asyncio.run(run())


def test_who_waits_while_a_checkpoint_is_rolled_out_gets_the_new_one(engine, tokenizers):
    newer = ScriptedEngine(lambda body: ["new"])

    async def run():
        gateway, app = scripted_gateway(engine, tokenizer=tokenizers[0], slots=0)
        model = gateway.models.get("rrtf")
        async with client_of(app) as client:
            task = asyncio.create_task(client.post("/v1/completions", json={"prompt": "a", "max_tokens": 9}))
            await until(lambda: model.admission.queued == 1)
            add_engine(gateway, newer, tokenizer=tokenizers[0], number=2)
            assert model.engine.number == 1
            model.promoted = 2
            model.admission.resize(4)
            assert (await task).json()["choices"][0]["text"] == "new"
            gateway.models.remove("rrtf", 1)
            assert model.engine.number == 2
            gateway.models.remove("rrtf", 2)
            check_refused(await client.post("/v1/completions", json={"prompt": "a"}), 503, says="not running now")
            assert (await client.get("/health")).status_code == 503

    asyncio.run(run())


def test_adapters_are_names_of_their_engine(engine, tokenizers):
    async def run():
        gateway, app = scripted_gateway(engine, tokenizer=tokenizers[0])
        add_engine(gateway, engine, tokenizer=tokenizers[0], name="other", adapters=("docs",))
        gateway.models.get("other").admission.resize(1)
        async with client_of(app) as client:
            assert (await client.post("/v1/completions", json={"model": "docs", "prompt": "a"})).status_code == 200
            assert engine.asked[-1]["model"] == "docs"
            check_refused(await client.post("/v1/completions", json={"prompt": "a"}), 400, param="model")
            names = [card["id"] for card in (await client.get("/v1/models")).json()["data"]]
        assert names == ["rrtf", "other", "docs"]

    asyncio.run(run())


def test_what_an_engine_says_of_itself_crosses_a_process_border(engine, tokenizers):
    description = EngineDescription(("docs",), 128, 400, True, 4, tokenizers[0])
    copied = pickle.loads(pickle.dumps(description))
    assert copied == description
    found = engine_from(copied, 2, engine)
    assert (found.number, found.adapters, found.context, found.capacity, found.chat) == (2, ("docs",), 128, 4, True)
    assert found.markers is not None


def test_health_asks_the_model_itself(engine, tokenizers):
    async def run():
        gateway, app = scripted_gateway(engine, tokenizer=tokenizers[0])
        async with client_of(app) as client:
            assert (await client.get("/health")).status_code == 200
            assert len(engine.asked) == 1
            assert (await client.get("/health")).status_code == 200
            assert len(engine.asked) == 1  # an answer of a moment ago is enough
            gateway.models.get("rrtf").answered_at = -1e9
            engine.error = {"message": "dead", "code": 500}
            answer = await client.get("/health")
        assert answer.status_code == 503
        assert answer.json()["models"] == {"rrtf": "does not answer"}

    asyncio.run(run())


async def leave(app, body, when):
    """Send a streaming request by plain ASGI, and disconnect once `when(sent)` holds; returns what was sent."""
    sent, gone = [], asyncio.Event()
    raw = json.dumps(body).encode()
    messages = [{"type": "http.request", "body": raw, "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/completions",
        "raw_path": b"/v1/completions",
        "query_string": b"",
        "headers": [],
    }
    task = asyncio.create_task(app(scope, receive, send))
    await until(lambda: when(sent))
    gone.set()
    await task
    return sent


@pytest.mark.parametrize("suffix", [{}, {"suffix": "b"}])
def test_a_client_that_leaves_a_stream_frees_its_slot_and_the_engine(engine, tokenizers, suffix):
    async def run():
        engine.gate = asyncio.Event()
        gateway, app = scripted_gateway(engine, tokenizer=tokenizers[0], slots=1)
        engine.gate.set()  # one token, and then none
        body = {"prompt": "a", "stream": True, "max_tokens": 9} | suffix
        sent = await leave(app, body, lambda sent: any(m.get("body") for m in sent))
        assert sent[0]["status"] == 200
        assert engine.closed == 1
        assert gateway.models.get("rrtf").admission.ongoing == 0
        assert b"rrtf_disconnects_total 1.0" in gateway.metrics.render()[0]

    asyncio.run(run())


def test_metrics_tell_routes_statuses_and_tokens(engine, tokenizers):
    async def run():
        _, app = scripted_gateway(engine, tokenizer=tokenizers[0])
        async with client_of(app) as client:
            await client.post("/v1/completions", json={"prompt": "a", "max_tokens": 4})
            await client.post("/v1/completions", json={"prompt": "a", "max_tokens": 4, "stream": True})
            await client.post("/v1/completions", json={"prompt": "a", "suffix": "b", "max_tokens": 4})
            await client.post("/v1/completions", json={"prompt": 1})
            await client.get("/nowhere")
            text = (await client.get("/metrics")).text
        assert 'rrtf_requests_total{model="rrtf",route="/v1/completions",status="200"} 3.0' in text
        assert 'rrtf_requests_total{model="other",route="/v1/completions",status="400"} 1.0' in text
        assert 'rrtf_requests_total{model="other",route="other",status="404"} 1.0' in text
        assert 'rrtf_generated_tokens_total{key="",model="rrtf"} 12.0' in text
        assert 'rrtf_time_to_first_token_seconds_count{model="rrtf"} 2.0' in text

    asyncio.run(run())


@pytest.mark.parametrize("suffix", [{}, {"suffix": "b"}])
def test_all_metrics_of_an_adapter_bear_its_own_name(engine, tokenizers, suffix):
    async def run():
        gateway, app = scripted_gateway(engine, tokenizer=tokenizers[0])
        add_engine(gateway, engine, tokenizer=tokenizers[0], adapters=("docs",))
        body = {"model": "docs", "prompt": "a", "max_tokens": 4} | suffix
        async with client_of(app) as client:
            for stream in (True, False):
                await client.post("/v1/completions", json=body | {"stream": stream})
            text = (await client.get("/metrics")).text
        assert 'rrtf_requests_total{model="docs",route="/v1/completions",status="200"} 2.0' in text
        assert 'rrtf_generated_tokens_total{key="",model="docs"} 8.0' in text
        assert f'rrtf_time_to_first_token_seconds_count{{model="docs"}} {2.0 if suffix else 1.0}' in text
        assert 'model="rrtf"' not in text

    asyncio.run(run())


# Stopping


@pytest.mark.parametrize("suffix", [{}, {"suffix": "b"}])
def test_a_gateway_that_stops_finishes_what_it_can(engine, tokenizers, suffix):
    engine.say = lambda body: ["a"] * 5

    async def run():
        gateway, app = scripted_gateway(engine, tokenizer=tokenizers[0])
        async with client_of(app) as client:
            engine.gate = asyncio.Event()
            body = {"prompt": "a", "max_tokens": 5, "stream": True} | suffix
            asked = asyncio.create_task(client.post("/v1/completions", json=body))
            while not engine.asked:
                await asyncio.sleep(0)
            draining = asyncio.create_task(gateway.drain(30))
            while not gateway._stopping:
                await asyncio.sleep(0)
            refused = await client.post("/v1/completions", json=body)
            check_refused(refused, 503, says="stopping")
            assert "retry-after" in refused.headers
            while not asked.done():
                engine.gate.set()
                await asyncio.sleep(0.001)
            assert await draining == 0
            assert events(await asked)[1]
            assert '"error"' not in (await asked).text

    asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
def test_a_gateway_that_stops_ends_what_takes_too_long(engine, tokenizers, stream):
    async def run():
        gateway, app = scripted_gateway(engine, tokenizer=tokenizers[0])
        async with client_of(app) as client:
            engine.gate = asyncio.Event()
            engine.gate.set()  # one token, and then none
            body = {"prompt": "a", "max_tokens": 5, "stream": stream, "suffix": "b"}
            asked = asyncio.create_task(client.post("/v1/completions", json=body))
            while not engine.asked or engine.gate.is_set():
                await asyncio.sleep(0)
            assert await gateway.drain(0.01) == 1
            answer = await asked
            if stream:
                found, done = events(answer)
                assert done
                assert "stopping" in found[-1]["error"]["message"]
            else:
                check_refused(answer, 503, says="stopping")
            assert engine.closed == 1

    asyncio.run(run())


def test_what_waits_in_the_queue_ends_with_a_gateway_that_stops(engine, tokenizers):
    async def run():
        gateway, app = scripted_gateway(engine, tokenizer=tokenizers[0], slots=1)
        async with client_of(app) as client:
            engine.gate = asyncio.Event()
            body = {"prompt": "a", "max_tokens": 5}
            asked = [asyncio.create_task(client.post("/v1/completions", json=body)) for _ in range(2)]
            while sum(m.admission.queued for m in gateway.models) < 1:
                await asyncio.sleep(0)
            assert await gateway.drain(0.01) == 2
            for answer in await asyncio.gather(*asked):
                check_refused(answer, 503, says="stopping")
            assert len(engine.asked) == 1  # no engine is asked for what waited

    asyncio.run(run())
