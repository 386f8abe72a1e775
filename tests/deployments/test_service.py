"""The whole service on a real cluster: Ray Serve, the gateway, vLLM, and the clients that people use."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import psutil
import pytest

from rrtf_ray.config_file import validate
from rrtf_ray.serving.keys import new_key
from rrtf_ray.serving.settings import ServeSettings

pytestmark = [pytest.mark.ray, pytest.mark.e2e]

TEMPLATE = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
LIMIT_S = 240.0
"""For whatever is waited for; it only ends what hangs."""
PREFIX = "def double(x):\n    # twice the number\n"
SUFFIX = "\n\nprint(double(4))\n"


@pytest.fixture(scope="module")
def checkpoint(student, tmp_path_factory):
    """The small student with a chat template, which it does not have by itself."""
    folder = tmp_path_factory.mktemp("served") / "model"
    shutil.copytree(student, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


@pytest.fixture(scope="module")
def service(cluster, checkpoint, tmp_path_factory):
    """A running service as (URL, key)."""
    from rrtf_ray.deployments.applications import served

    key, line = new_key("tests", rate=1_000_000)
    keys_file = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys_file.write_text(line + "\n")
    settings = validate(
        ServeSettings,
        {
            "engine": {
                "model": str(checkpoint),
                "max_model_len": 512,
                "kv_cache_memory_bytes": 64 * 2**20,
                "engine": {"enforce_eager": True},
            },
            "gateway": {"keys_file": str(keys_file)},
        },
    )
    with served(settings) as url:
        yield url, key


@pytest.fixture(scope="module")
def http(service):
    url, key = service
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=LIMIT_S) as client:
        yield client


@pytest.fixture(scope="module")
def client(service):
    url, key = service
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, timeout=LIMIT_S, max_retries=0)


@pytest.fixture(scope="module")
def expected(checkpoint):
    """The middle that Transformers writes greedily between PREFIX and SUFFIX."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    text = f"<fim_prefix>{PREFIX}<fim_suffix>{SUFFIX}<fim_middle>"
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    found = model.generate(ids, max_new_tokens=24, do_sample=False, pad_token_id=tokenizer.pad_token_id)
    return tokenizer.decode(found[0, ids.shape[1] :], skip_special_tokens=True)


def choices(answer):
    """The choices of a stream's events, in order."""
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line.startswith("data: {")]
    return [choice for line in lines for choice in json.loads(line).get("choices", ())]


def test_the_openai_client_fills_in_the_middle_as_transformers_does(client, expected):
    from rrtf_ray.fim.middle import trim

    asked = {"model": "rrtf", "prompt": PREFIX, "suffix": SUFFIX, "max_tokens": 24, "temperature": 0}
    answer = client.completions.create(**asked)
    assert answer.choices[0].text == trim(expected, SUFFIX)[0]
    assert answer.usage.completion_tokens > 0
    stream = client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    assert "".join(c.choices[0].text for c in chunks if c.choices) == answer.choices[0].text
    assert chunks[-1].usage.prompt_tokens == answer.usage.prompt_tokens


def test_the_openai_client_completes_chats_and_lists(client):
    plain = {"model": "rrtf", "prompt": PREFIX, "max_tokens": 8, "temperature": 0}
    text = client.completions.create(**plain).choices[0].text
    assert "".join(c.choices[0].text for c in client.completions.create(**plain, stream=True)) == text
    talk = {"model": "rrtf", "messages": [{"role": "user", "content": PREFIX}], "max_tokens": 8, "temperature": 0}
    said = client.chat.completions.create(**talk).choices[0].message.content
    parts = client.chat.completions.create(**talk, stream=True)
    assert said
    assert "".join(c.choices[0].delta.content or "" for c in parts if c.choices) == said
    (model,) = client.models.list().data
    assert (model.id, model.max_model_len) == ("rrtf", 512)


def test_a_chat_gets_the_tokens_that_a_run_samples_with(client, http, checkpoint):
    from rrtf_ray.store.models import tokenizer_of
    from rrtf_ray.store.prompting import Prompting

    ids = Prompting(chat=True, instruction="Write:\n{prompt}").encode(tokenizer_of(str(checkpoint)), PREFIX)
    talk = [{"role": "user", "content": f"Write:\n{PREFIX}"}]
    chat = client.chat.completions.create(model="rrtf", messages=talk, max_tokens=12, temperature=0)
    plain = client.completions.create(model="rrtf", prompt=ids, max_tokens=12, temperature=0)
    assert chat.usage.prompt_tokens == plain.usage.prompt_tokens == len(ids)
    assert chat.choices[0].message.content == plain.choices[0].text


def test_the_openai_client_gets_errors_that_it_knows(service, client):
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.completions.create(model="other", prompt="a")
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="rrtf", prompt="a" * 3000, max_tokens=100, echo=True)
    assert "512" in caught.value.message
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="rrtf", prompt="a", temperature=9)
    assert caught.value.param == "temperature"
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{service[0]}/v1", api_key="wrong").models.list()


@pytest.mark.parametrize(
    ("path", "body", "read"),
    [
        pytest.param(
            "/v1/completions",
            {
                "model": "rrtf",
                "prompt": f"<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>",
                "stream": True,
                "max_tokens": 24,
                "temperature": 0,
                "stop": ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "/src/"],
            },
            lambda answer: "".join(c["text"] for c in choices(answer)),
            id="continue-vllm",
        ),
        pytest.param(
            "/fim/completions",
            {"model": "rrtf", "prompt": PREFIX, "suffix": SUFFIX, "stream": True, "max_tokens": 24, "temperature": 0},
            lambda answer: "".join(c["delta"]["content"] for c in choices(answer)),
            id="continue-mistral",
        ),
        pytest.param(
            "/v1/completions",
            {
                "model": "rrtf",
                "prompt": f"<fim_prefix>{PREFIX}<fim_suffix>{SUFFIX}<fim_middle>",
                "max_tokens": 24,
                "temperature": 0,
                "top_p": 0.95,
            },
            lambda answer: answer.json()["choices"][0]["text"],
            id="llm-ls",
        ),
        pytest.param(
            "/infill",
            {
                "input_prefix": PREFIX,
                "input_suffix": SUFFIX,
                "input_extra": [],
                "prompt": "",
                "n_predict": 24,
                "temperature": 0,
                "top_k": 40,
                "top_p": 0.99,
                "stream": False,
                "n_indent": 4,
                "samplers": ["top_k", "top_p", "infill"],
                "cache_prompt": True,
                "t_max_prompt_ms": 500,
                "t_max_predict_ms": 100_000,
                "response_fields": ["content", "timings/prompt_n"],
            },
            lambda answer: answer.json()["content"],
            id="llama.vscode",
        ),
        pytest.param(
            "/v1/completions",
            {
                "model": "rrtf",
                "prompt": PREFIX,
                "suffix": SUFFIX,
                "stream": True,
                "stop": ["\n\n\n"],
                "max_tokens": 24,
                "temperature": 0,
            },
            lambda answer: "".join(c["text"] for c in choices(answer)),
            id="void",
        ),
    ],
)
def test_editors_get_the_same_middle(http, client, path, body, read):
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    asked = {"model": "rrtf", "prompt": PREFIX, "suffix": SUFFIX, "max_tokens": 24, "temperature": 0}
    assert read(answer) == client.completions.create(**asked).choices[0].text
    assert "fim_" not in answer.text


ZED = f"<|code_prefix|>{PREFIX}<|code_suffix|>{SUFFIX}<|code_middle|>"
LLAMA_VIM = {
    "id_slot": 0,
    "model": "",
    "input_prefix": PREFIX,
    "input_suffix": SUFFIX,
    "input_extra": [],
    "prompt": "    re",
    "n_predict": 24,
    "stop": [],
    "n_indent": 4,
    "top_k": 40,
    "top_p": 0.9,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 250,
    "response_fields": ["content", "timings/prompt_n", "timings/predicted_ms", "truncated", "tokens_cached"],
}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        # As they come, nothing set to suit us: Continue asks for 4,096 tokens of a model that it does not know.
        ("/v1/fim/completions", {"model": "rrtf", "prompt": PREFIX, "suffix": SUFFIX, "max_tokens": 4096,
                                 "temperature": 0.01, "stop": ["/src/", "```"], "stream": True}),
        ("/v1/completions", {"model": "rrtf", "prompt": ZED, "max_tokens": 4096, "temperature": None,
                             "stop": ["<|endoftext|>", "<|code_prefix|>"], "environment": None}),
        ("/v1/completions", {"model": "rrtf", "prompt": PREFIX, "suffix": SUFFIX, "max_tokens": 256, "stream": True,
                             "n": 1, "stop": ["\n\n"]}),
        ("/infill", LLAMA_VIM),
        ("/infill", LLAMA_VIM | {"n_cmpl": 3, "t_max_predict_ms": 0}),
    ],
    ids=["continue", "zed", "minuet", "llama.vim", "llama.vscode"],
)  # fmt: skip
def test_a_clients_own_request_is_answered(http, path, body):
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert '"' in answer.text
    assert '": "' not in answer.text


def test_vim_finds_the_content_in_the_raw_answer(http, tmp_path):
    """llama.vim looks for it in the text, before it parses it."""
    if not (vim := shutil.which("vim")):
        pytest.skip("no Vim on this machine (apt-get install vim)")
    answer = http.post("/infill", json=LLAMA_VIM | {"t_max_predict_ms": 0})
    (tmp_path / "raw").write_text(answer.text)
    script = tmp_path / "check.vim"
    script.write_text(
        f"let raw = join(readfile('{tmp_path}/raw'), \"\\n\")\n"
        'let found = raw =~# \'\\v"content"\\s*:"\' ? json_decode(raw) : {}\n'
        f"call writefile([get(found, 'content', 'NOT FOUND'), get(found, 'timings/prompt_n', 0)], '{tmp_path}/out')\n"
        "qall!\n"
    )
    done = subprocess.run([vim, "-u", "NONE", "-es", "-S", script], capture_output=True, text=True, timeout=LIMIT_S)
    content, prompt_n = (tmp_path / "out").read_bytes().decode().rsplit("\n", 2)[:2]
    assert content.replace("\0", "\n") == answer.json()["content"], done  # in Vim's lines a line end is a NUL
    assert int(prompt_n) > 0


def test_fields_that_reach_the_engine(http, client, checkpoint):
    from transformers import AutoTokenizer

    plain = {"model": "rrtf", "prompt": PREFIX, "max_tokens": 8, "temperature": 0}
    greedy = client.completions.create(**plain, n=3)
    assert len({choice.text for choice in greedy.choices}) == 1
    assert [choice.index for choice in greedy.choices] == [0, 1, 2]
    ids = http.post("/v1/completions", json=plain | {"echo": True, "max_tokens": 0, "logprobs": 1}).json()
    assert ids["choices"][0]["text"].startswith(PREFIX)
    assert ids["choices"][0]["logprobs"]["token_logprobs"][0] is None
    first = greedy.choices[0].text
    (token, *_) = AutoTokenizer.from_pretrained(checkpoint).encode(first)
    banned = client.completions.create(**plain, logit_bias={str(token): -100}).choices[0].text
    assert banned != first
    long = http.post("/v1/completions", json=plain | {"max_tokens": 4096, "min_tokens": 50, "stop": None}).json()
    assert long["usage"]["completion_tokens"] >= 50
    assert client.models.retrieve("rrtf").created > 1_700_000_000


def test_an_empty_prompt_is_refused_at_once(service, http):
    ours = psutil.Process().children(recursive=True)
    (gateway,) = [p for p in ours if "ServeReplica:gateway" in p.name() or "gateway:Gateway" in " ".join(p.cmdline())]
    before = gateway.memory_info().rss
    for _ in range(5):
        answer = http.post("/v1/completions", json={"model": "rrtf", "prompt": "", "max_tokens": 8})
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "prompt"
    assert gateway.memory_info().rss - before < 50 << 20


def test_a_prompt_longer_than_the_context_is_cut(http):
    body = {"prompt": "total = total + number\n" * 500, "max_tokens": 8, "temperature": 0}
    answer = http.post("/v1/completions", json=body)
    assert answer.status_code == 200, answer.text
    assert 256 < answer.json()["usage"]["prompt_tokens"] <= 504


def test_an_offer_of_http2_goes_through_the_proxy(service):
    url, key = service
    if not (curl := shutil.which("curl")):
        pytest.skip("no curl on this machine")
    body = json.dumps({"prompt": PREFIX, "max_tokens": 4})
    command = [curl, "-s", "--http2", f"{url}/v1/completions", "-H", f"Authorization: Bearer {key}", "-d", body]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert json.loads(done.stdout)["choices"], done


def test_llama_vscode_warms_the_prefix_cache(http):
    answer = http.post("/infill", json={"input_prefix": PREFIX, "input_suffix": SUFFIX, "n_predict": 0})
    assert answer.json()["content"] == ""


def test_code_longer_than_the_context_is_cut_around_the_cursor(http):
    line = "total = total + number\n"
    answer = http.post("/infill", json={"input_prefix": line * 500, "input_suffix": line * 500, "n_predict": 8})
    assert answer.status_code == 200
    assert answer.json()["truncated"] is True
    assert 256 < answer.json()["tokens_evaluated"] <= 512 - 8


def test_curl_and_health_and_metrics(service, http):
    url, key = service
    command = ["curl", "-sS", f"{url}/v1/completions", "-H", f"Authorization: Bearer {key}"]
    body = '{"model": "rrtf", "prompt": "def f(x):\\n", "suffix": "\\n", "max_tokens": 4}'
    done = subprocess.run([*command, "-d", body], capture_output=True, text=True, timeout=LIMIT_S)
    assert json.loads(done.stdout)["choices"], done
    assert httpx.get(f"{url}/health").json()["models"] == {"rrtf": "ok"}
    assert httpx.get(f"{url}/metrics").status_code == 401
    assert 'rrtf_requests_total{model="rrtf",route="/infill",status="200"}' in http.get("/metrics").text


def unfinished():
    """Requests that are in vLLM's engine."""
    from ray import serve

    return serve.get_app_handle("engine-rrtf-1").unfinished.remote().result(timeout_s=LIMIT_S)


def seconds_until(condition):
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < LIMIT_S, "it never came to that"
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_frees_the_engine(service, http, stream):
    url, key = service
    body = {"prompt": PREFIX, "max_tokens": 450, "n": 16, "ignore_eos": True, "stream": stream}
    began = time.monotonic()
    assert http.post("/v1/completions", json=body).status_code == 200
    whole_s = time.monotonic() - began
    host, port = url.removeprefix("http://").split(":")
    raw = json.dumps(body).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(raw)}"
    with socket.create_connection((host, int(port)), timeout=LIMIT_S) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + raw)
        seconds_until(lambda: unfinished() > 0)
    freed_s = seconds_until(lambda: unfinished() == 0)
    assert freed_s < whole_s / 2, f"freed after {freed_s:.2f} s, while a whole answer takes {whole_s:.2f} s"


def test_the_page_works(service):
    from tests.serving.page_checks import check_page, chromium_page

    url, key = service
    with chromium_page() as page:
        check_page(page, url, key)


def test_a_killed_engine_costs_its_requests_in_flight_and_comes_back(service, http):
    """Last, as it kills the engine. A request in flight fails with a clear 503; a later one waits."""
    ours = psutil.Process().children(recursive=True)
    (engine,) = [p for p in ours if "VLLM::EngineCor" in p.name()]
    body = {"prompt": PREFIX, "max_tokens": 450, "n": 16, "ignore_eos": True}
    with ThreadPoolExecutor() as pool:
        lost = pool.submit(http.post, "/v1/completions", json=body)
        seconds_until(lambda: unfinished() > 0)
        os.kill(engine.pid, signal.SIGKILL)
        assert lost.result(timeout=LIMIT_S).status_code in (200, 503)
    answer = http.post("/v1/completions", json={"prompt": PREFIX, "max_tokens": 4})
    assert answer.status_code == 200, answer.text
    assert not psutil.pid_exists(engine.pid)
    seconds_until(lambda: http.get("/health").status_code == 200)


def test_the_service_is_a_teacher(service, tmp_path):
    """Through the official client, as a run asks it: chats and, as of a base model, texts to continue."""
    import asyncio

    from rrtf_ray.config import TeacherConfig
    from rrtf_ray.teachers.asking import Question
    from rrtf_ray.teachers.endpoint import EndpointTeacher
    from rrtf_ray.teachers.keys import Key
    from rrtf_ray.teachers.ledger import Ledger

    url, key = service
    questions = [Question(PREFIX, PREFIX, 0.8, 0.95, 8, seed) for seed in range(4)]

    async def ask(form):
        config = TeacherConfig(model="rrtf", base_url=f"{url}/v1", key_variable="UNUSED_HERE", form=form)
        teacher = EndpointTeacher("own", config, Key(key), Ledger(str(tmp_path / "teachers.sqlite"), "own:rrtf"))
        replies = await asyncio.gather(*map(teacher.ask, questions))
        await teacher.close()
        return replies

    for form in ("chat", "completion"):
        replies = asyncio.run(ask(form))
        assert [reply.fault for reply in replies] == [None] * 4
        assert all(1 <= reply.num_tokens <= 8 for reply in replies)
        assert any(reply.text.strip() for reply in replies)
        assert asyncio.run(ask(form)) == replies
    ledger = Ledger(str(tmp_path / "teachers.sqlite"), "own:rrtf")
    assert ledger.spent().requests == 8
    ledger.close()
