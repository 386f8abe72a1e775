"""The load on the servers of benchmarks.serving: the same process and requests for every side.

    python -m benchmarks.serving.load [--problems HumanEval.jsonl]

It prints `ready`; each line on its standard input is a job (Closed or Open as JSON, with its kind), and is answered by
`answer JSON`. Prompts are HumanEval's, or solved problems of the quickstart followed by one without its solution. Each
begins with a unique line, so prefix caches help nobody; request number N is the same on every side. Every completion is
greedy and has the same number of tokens, whatever the model says (`ignore_eos`).

aiohttp takes about 40 µs of processor time per streamed event, a tenth of what httpx takes; both cores are shared with
what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.serving.sides import NAME


@dataclass(frozen=True)
class Closed:
    """`clients` send `requests` requests, numbered from `first`; each sends the next as soon as it is answered.

    stream: the share of requests that are streamed.
    """

    url: str
    clients: int
    requests: int
    first: int
    max_tokens: int
    stream: float


@dataclass(frozen=True)
class Open:
    """Requests come at random, `rate` per second for `seconds`, however many are still open; half are streamed."""

    url: str
    rate: float
    seconds: float
    first: int
    max_tokens: int


@dataclass
class Asked:
    """What became of one request. Times in seconds since the job began; first: of the first token."""

    number: int
    began: float
    first: float = 0.0
    ended: float = 0.0
    status: int = 0
    tokens: int = 0
    retry_after: bool = False
    fault: str = ""


@dataclass
class Found:
    """The answer to a job."""

    seconds: float
    asked: list[Asked]
    late_s: list[float] = field(default_factory=list)
    """By how much requests of an open job were sent late."""
    processor_s: float = 0.0
    """Processor time of the load itself."""


class Load:
    """Sends requests."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def prompt(self, number: int) -> str:
        mark = hashlib.sha256(str(number).encode()).hexdigest()[:16]
        return f"# {mark}\n{self._texts[number % len(self._texts)]}"

    def body(self, number: int, max_tokens: int, stream: bool) -> dict[str, Any]:
        body = {
            "model": NAME,
            "prompt": self.prompt(number),
            "max_tokens": max_tokens,
            "temperature": 0,
            "ignore_eos": True,
        }
        return body | ({"stream": True, "stream_options": {"include_usage": True}} if stream else {})

    async def closed(self, job: Closed) -> Found:
        numbers = iter(range(job.first, job.first + job.requests))
        found: list[Asked] = []
        started, processor = time.perf_counter(), time.process_time()

        async def client(session: aiohttp.ClientSession) -> None:
            for number in numbers:
                body = self.body(number, job.max_tokens, random.Random(number).random() < job.stream)
                found.append(await _ask(session, number, body, started))

        async with _session(job.url) as session:
            await asyncio.gather(*(client(session) for _ in range(job.clients)))
        return Found(time.perf_counter() - started, found, processor_s=time.process_time() - processor)

    async def open(self, job: Open) -> Found:
        rng = random.Random(job.first)
        tasks: list[asyncio.Task[Asked]] = []
        late: list[float] = []
        due, number = 0.0, job.first
        started, processor = time.perf_counter(), time.process_time()
        async with _session(job.url) as session:
            while (due := due + rng.expovariate(job.rate)) < job.seconds:
                if (wait := due - (time.perf_counter() - started)) > 0:
                    await asyncio.sleep(wait)
                late.append(time.perf_counter() - started - due)
                body = self.body(number, job.max_tokens, number % 2 == 0)
                tasks.append(asyncio.create_task(_ask(session, number, body, started)))
                number += 1
            found = await asyncio.gather(*tasks)
        return Found(time.perf_counter() - started, found, late, time.process_time() - processor)


def _session(url: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        url, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None, sock_connect=30)
    )


async def _ask(session: aiohttp.ClientSession, number: int, body: dict[str, Any], started: float) -> Asked:
    asked = Asked(number, time.perf_counter() - started)
    try:
        async with session.post("/v1/completions", json=body) as response:
            asked.status = response.status
            asked.retry_after = "Retry-After" in response.headers
            if response.status != 200:
                asked.fault = (await response.text())[:300]
            elif body.get("stream"):
                await _read_stream(response, asked, started)
            else:
                asked.tokens = (await response.json())["usage"]["completion_tokens"]
    except (aiohttp.ClientError, OSError, ValueError, KeyError, TypeError) as error:
        asked.fault = f"{type(error).__name__}: {error}"[:300]
    asked.ended = time.perf_counter() - started
    if asked.status == 200 and not asked.fault and asked.tokens != body["max_tokens"]:
        asked.fault = f"{asked.tokens} tokens instead of {body['max_tokens']}"
    return asked


async def _read_stream(response: aiohttp.ClientResponse, asked: Asked, started: float) -> None:
    """Reads events as bytes; only the first and the last are inspected."""
    parts: list[bytes] = []
    async for part in response.content.iter_any():
        if not asked.first and b"data: {" in part:
            asked.first = time.perf_counter() - started
        parts.append(part)
    events = b"".join(parts).decode().split("\n\n")
    if "data: [DONE]" not in events[-2:]:
        asked.fault = f"the stream ended with {events[-2:]}"[:300]
        return
    last = json.loads(events[events.index("data: [DONE]") - 1].removeprefix("data: "))
    if "error" in last:
        asked.fault = json.dumps(last)[:300]
        return
    asked.tokens = last["usage"]["completion_tokens"]


def read_texts(problems: str) -> list[str]:
    """Prompts without their unique first line."""
    if problems:
        return [json.loads(line)["prompt"] for line in Path(problems).read_text().splitlines()]
    from rrtf_ray.quickstart import generate_problems

    found, _ = generate_problems(400, 1)
    solved = [f"{problem.prompt}{problem.reference}\n\n" for problem in found]
    return ["".join(solved[i % len(solved)] for i in range(n, n + 2)) + found[n - 1].prompt for n in range(len(found))]


class Loader:
    """The benchmark's handle on the process."""

    def __init__(self, problems: str) -> None:
        import subprocess

        command = [sys.executable, "-m", "benchmarks.serving.load", "--problems", problems]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._line("ready")

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, job: Closed | Open) -> Found:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"kind": type(job).__name__, **asdict(job)}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._line("answer"))
        return Found(**answer | {"asked": [Asked(**asked) for asked in answer["asked"]]})

    def _line(self, word: str) -> str:
        assert self._process.stdout
        while line := self._process.stdout.readline():
            found, _, rest = line.partition(" ")
            if found.strip() == word:
                return rest
        raise SystemExit("the load generator ended; its output is above")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default="")
    load = Load(read_texts(parser.parse_args().problems))
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        kinds: dict[str, Callable[[], Any]] = {
            "Closed": lambda: load.closed(Closed(**job)),  # noqa: B023
            "Open": lambda: load.open(Open(**job)),  # noqa: B023
        }
        kind = job.pop("kind")
        print("answer", json.dumps(asdict(asyncio.run(kinds[kind]()))), flush=True)


if __name__ == "__main__":
    main()
