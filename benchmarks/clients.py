"""Five clients at once for ten minutes, while the service's keys, checkpoint and process change under them.

    python -m benchmarks.clients --model DIR [--seconds N] [--json]

The clients send what llama.vim, the `openai` package, Continue, Zed and a plain script send by themselves, each its
next request when the last is answered. A quarter of the way the key is rotated in the key file, half-way the
checkpoint is rolled out anew beside the old one, and at three quarters the service is stopped with SIGTERM and started
again.

    unexplained    failures without an explanation that a client can act on; goal 0. Explained are 429 and 503 with
                   Retry-After, 401 for the key that was taken away, and refused connections while the service is down
    growth_mib     resident memory of the gateway: after the rollout, minus what it was after a tenth of the time
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil

from rrtf_ray.deployments.applications import free_port
from rrtf_ray.serving.keys import new_key

PREFIX = "def solve(numbers: list[int]) -> int:\n    # Drop the multiples of 4, then return the count.\n"
SUFFIX = "\n    return len(numbers)\n"
START_LIMIT_S = 300.0


@dataclass
class State:
    """What the clients share. keys: the one to use, and those that were taken away."""

    url: str
    key: str
    old_keys: set[str] = field(default_factory=set)
    is_down: bool = False
    is_over: bool = False
    answered: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a checkpoint with fill-in-the-middle, as the demo's")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rrtf-bench-") as folder:
        found = measure(args.model, args.seconds, Path(folder))
    print(json.dumps(found) if args.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


def measure(model: str, seconds: float, folder: Path) -> dict[str, object]:
    """All figures of one run."""
    port, keys = free_port(), folder / "keys.txt"
    (key, line), (next_key, next_line) = new_key("first"), new_key("second")
    keys.write_text(line + "\n")
    state = State(f"http://127.0.0.1:{port}", key)
    service = start(model, port, keys)
    clients = [threading.Thread(target=repeat, args=(state, name, send)) for name, send in CLIENTS.items()]
    try:
        for client in clients:
            client.start()
        time.sleep(seconds / 10)
        before = resident_mib(service)
        time.sleep(seconds * 0.15)
        keys.write_text(f"{line}\n{next_line}\n")
        time.sleep(5)
        state.key = next_key
        time.sleep(5)
        state.old_keys.add(key)
        keys.write_text(next_line + "\n")
        time.sleep(seconds * 0.2)
        rolled_out = subprocess.run(
            [sys.executable, "-m", "rrtf_ray", "rollout", "--model", model], capture_output=True, text=True
        )
        time.sleep(seconds * 0.2)
        after = resident_mib(service)
        state.is_down = True
        code = stop(service)
        service = start(model, port, keys)
        state.is_down = False
        time.sleep(seconds * 0.2)
    finally:
        state.is_over = True
        for client in clients:
            client.join(60)
        stop(service)
    return {
        "unexplained": len(state.unexplained),
        "growth_mib": round(after - before, 1),
        "exit_code": code,
        "rollout": rolled_out.stdout.strip().splitlines()[-1:] or rolled_out.stderr[-300:],
        "answered": dict(state.answered),
        "explained": dict(state.explained),
        "first_unexplained": state.unexplained[:5],
    }


def start(model: str, port: int, keys: Path) -> subprocess.Popen[bytes]:
    """A service that answers."""
    command = [sys.executable, "-m", "rrtf_ray", "serve", "--model", model, "--port", str(port), "--keys", str(keys)]
    settings = ["engine.max_model_len=512", "engine.kv_cache_memory_bytes=67108864"]
    service = subprocess.Popen([*command, *settings], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        assert service.poll() is None, "the service has ended"
        assert time.monotonic() < deadline, "the service does not answer"
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=30).status_code == 200:
                return service
        except httpx.TransportError:
            pass
        time.sleep(0.5)


def stop(service: subprocess.Popen[bytes]) -> int:
    """End it as an operator does; its exit code."""
    if service.poll() is None:
        service.send_signal(signal.SIGTERM)
    return service.wait(120)


def resident_mib(service: subprocess.Popen[bytes]) -> float:
    """Of the gateway's process."""
    for process in psutil.Process(service.pid).children(recursive=True):
        if "ServeReplica:gateway" in " ".join(process.cmdline()):
            return process.memory_info().rss / 2**20
    raise AssertionError("there is no gateway")


def repeat(state: State, name: str, send: Callable[[State, str], None]) -> None:
    """One client: the next request when the last is answered."""
    while not state.is_over:
        key = state.key
        try:
            send(state, key)
            state.answered[name] += 1
            continue
        except openai.APIStatusError as error:
            why = explanation(state, key, error.response)
        except httpx.HTTPStatusError as error:
            why = explanation(state, key, error.response)
        except (openai.APIError, httpx.TransportError, KeyError, ValueError, AssertionError) as error:
            why = "ended with the service" if state.is_down else f"? {type(error).__name__}: {error}"
        if why.startswith("?"):
            state.unexplained.append(f"{name}: {why}")
        else:
            state.explained[why] += 1
            time.sleep(0.5)


def explanation(state: State, key: str, response: Any) -> str:
    """What a client can make of a refusal; begins with `?` where that is nothing."""
    if response.status_code in (429, 503) and "retry-after" in response.headers:
        return f"{response.status_code} with Retry-After"
    if response.status_code == 401 and key in state.old_keys:
        return "401 for the old key"
    if state.is_down:  # Ray Serve's proxy knows no route before the gateway is there
        return f"{response.status_code} while the service starts"
    return f"? {response.status_code} {response.text[:200]}"


def post(state: State, key: str, path: str, body: dict[str, object]) -> httpx.Response:
    answer = httpx.post(f"{state.url}{path}", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=120)
    answer.raise_for_status()
    return answer


def vim(state: State, key: str) -> None:
    body = {
        "input_prefix": PREFIX, "input_suffix": SUFFIX, "input_extra": [], "prompt": "    numbers", "model": "",
        "n_predict": 24, "n_indent": 4, "top_k": 40, "top_p": 0.9, "samplers": ["top_k", "top_p", "infill"],
        "stream": False, "cache_prompt": True, "t_max_prompt_ms": 500, "t_max_predict_ms": 250,
        "response_fields": ["content", "timings/prompt_n", "timings/predicted_ms"],
    }  # fmt: skip
    assert '"content":"' in post(state, key, "/infill", body).text


def sdk(state: State, key: str) -> None:
    with openai.OpenAI(base_url=f"{state.url}/v1", api_key=key, max_retries=0, timeout=120) as client:
        stream = client.completions.create(model="rrtf", prompt=PREFIX, suffix=SUFFIX, max_tokens=48, stream=True)
        assert any(chunk.choices for chunk in stream)


def continue_(state: State, key: str) -> None:
    body = {
        "model": "rrtf", "prompt": PREFIX, "suffix": SUFFIX, "max_tokens": 4096, "temperature": 0.01,
        "stop": ["/src/", "```"], "stream": True,
    }  # fmt: skip
    text = post(state, key, "/v1/fim/completions", body).text
    assert text.endswith("data: [DONE]\n\n")
    assert '"error"' not in text, text[-300:]


def zed(state: State, key: str) -> None:
    prompt = f"<|code_prefix|>{PREFIX}<|code_suffix|>{SUFFIX}<|code_middle|>"
    body = {"model": "rrtf", "prompt": prompt, "max_tokens": 64, "temperature": None, "stop": ["<|endoftext|>"]}
    assert post(state, key, "/v1/completions", body).json()["choices"]


def plain(state: State, key: str) -> None:
    body = {"model": "rrtf", "prompt": PREFIX, "max_tokens": 32, "temperature": 0, "n": 2}
    assert len(post(state, key, "/v1/completions", body).json()["choices"]) == 2


CLIENTS: dict[str, Callable[[State, str], None]] = {
    "llama.vim": vim,
    "openai": sdk,
    "Continue": continue_,
    "Zed": zed,
    "plain": plain,
}

if __name__ == "__main__":
    main()
