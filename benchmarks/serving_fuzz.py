"""Malformed requests on every route of the gateway: it must refuse them all in OpenAI's form, and lose no memory.

    python -m benchmarks.serving_fuzz --url URL [--key KEY] [--pid PID] [--requests 10000] [--seed N] [--clients N]
        [--large-bodies N] [--json]

Bytes that are no JSON, JSON that is cut off or nested too deeply, wrong types and huge numbers in each known field,
NaN, lone surrogates, invalid UTF-8, 1,000 stop strings, n=10000, token ids out of range, contradictory fields, wrong
content types and methods, unknown paths, large headers, bodies of megabytes and, spread over the run, `--large-bodies`
of 200 MB, bodies that never end, requests that hide one another, and no HTTP at all. The same seed makes the same
requests.

    server_errors    5xx answers; goal 0. Each is printed with the request that caused it
    other_errors     answers of 4xx whose body has not OpenAI's form `{"error": {message, type, param, code}}`; goal 0.
                     Those of the server before the gateway (a request line that is no HTTP) are counted apart
    unanswered       whole requests that got no answer: an end of the connection, or nothing for 60 s; goal 0.
                     A connection that ends while a body too large is still being sent is counted apart
    growth_mib       resident memory of the process `--pid` and all below it: at the end, less what it was after a fifth
                     of the requests
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import string
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psutil

POSTS = ("/v1/completions", "/v1/chat/completions", "/v1/fim/completions", "/fim/completions", "/infill")
GETS = ("/v1/models", "/health", "/metrics", "/")
ANSWER_LIMIT_S = 60.0
LARGE_BYTES = 200 * 2**20
_CHUNK = b"x" * 2**16
_CODE = "def add(a, b):\n    "

VALID: dict[str, dict[str, Any]] = {
    "/v1/completions": {"prompt": _CODE, "max_tokens": 1},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 1},
    "/v1/fim/completions": {"prompt": _CODE, "suffix": "\n", "max_tokens": 1},
    "/fim/completions": {"prompt": _CODE, "suffix": "\n", "max_tokens": 1},
    "/infill": {"input_prefix": _CODE, "input_suffix": "\n", "n_predict": 1},
}
FIELDS = (
    *("model", "prompt", "suffix", "messages", "input_prefix", "input_suffix", "input_extra", "n_predict"),
    *("max_tokens", "max_completion_tokens", "n", "best_of", "stream", "stream_options", "stop", "echo", "logprobs"),
    *("top_logprobs", "temperature", "top_p", "top_k", "min_p", "seed", "random_seed", "presence_penalty", "user"),
    *("frequency_penalty", "repetition_penalty", "logit_bias", "tools", "response_format", "ignore_eos", "min_tokens"),
)
WRONG: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, -1e-308, 0.5, 10_000),
    *(float("nan"), float("inf"), -float("inf"), "", "x", "\x00", "\ud800", "\udfff\ud800", "𝔘" * 1000, "x" * 100_000),
    *([], [[]], [None], [1.5], [-1], [2**31], [10**30], [0] * 5000, [""], ["x", 1], [["x"]], [[0], "x"], ["x"] * 1000),
    *({}, {"": None}, {"type": "x"}, [{}], [{"role": "user"}], [{"role": "x", "content": 1}], {"include_usage": 1}),
)
CONTRADICTIONS: tuple[dict[str, Any], ...] = (
    {"n": 10_000},
    {"n": 2, "best_of": 1},
    {"best_of": 10_000, "n": 1},
    {"stop": [f"stop {i}" for i in range(1000)]},
    {"stop": ["x" * 10_000]},
    {"prompt": [10**9]},
    {"prompt": [[0, 1, 2**31 - 1]]},
    {"prompt": [_CODE] * 1000},
    {"prompt": "x " * 200_000},
    {"prompt": _CODE, "suffix": "x", "echo": True},
    {"prompt": [1, 2], "suffix": "x"},
    {"stream": False, "stream_options": {"include_usage": True}},
    {"max_tokens": 1, "min_tokens": 100},
    {"max_tokens": 10**9},
    {"max_tokens": 5, "max_completion_tokens": 6},
    {"logprobs": 10**6},
    {"logprobs": False, "top_logprobs": 5},
    {"temperature": 0, "n": 16, "seed": 2**62},
    {"temperature": 2, "top_p": 1e-320},
    {"messages": []},
    {"messages": [{"role": "user", "content": "x"}] * 5000},
    {"input_extra": [{"filename": "a", "text": "b"}] * 5000},
    {"model": "there is no such model"},
    {"model": "../../etc/passwd"},
    {"response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}}},
    {"logit_bias": {"-1": 1000, "x": "y"}},
    {"guided_regex": "(a+)+$", "structured_outputs": {"regex": "("}},
)


@dataclass(frozen=True)
class Sent:
    """A request as bytes. large: bytes of body that follow the head. slow: the body is never finished. garbage: it is
    no HTTP, so that nothing has to come back."""

    route: str
    what: str
    raw: bytes
    large: int = 0
    slow: bool = False
    garbage: bool = False


@dataclass
class Seen:
    """What came back."""

    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)
    before_gateway: int = 0
    cut_short: int = 0
    """Connections that were ended while a body too large was still being sent; the refusal may get lost then."""

    def fault(self, kind: str, sent: Sent, answer: bytes) -> None:
        shown = f"{sent.route} ({sent.what}): {sent.raw[:400]!r} -> {answer[:400]!r}"
        self.faults.setdefault(kind, []).append(shown)


class Fuzzer:
    """Makes requests, the same for the same seed."""

    def __init__(self, seed: int, host: str, key: str) -> None:
        self._rng = random.Random(seed)
        self._host = host
        self._key = key
        self._kinds: tuple[tuple[Callable[[], Sent], int], ...] = (
            (self.wrong_field, 40),
            (self.contradiction, 12),
            (self.cut_off, 10),
            (self.random_bytes, 6),
            (self.nested, 4),
            (self.invalid_text, 6),
            (self.wrong_type_of_content, 4),
            (self.wrong_method, 5),
            (self.unknown_path, 5),
            (self.large_headers, 2),
            (self.megabytes, 1),
            (self.never_ending, 2),
            (self.pipelined, 3),
        )

    def next(self) -> Sent:
        makers, weights = zip(*self._kinds, strict=True)
        return self._rng.choices(makers, weights)[0]()

    def wrong_field(self) -> Sent:
        route = self._route()
        body = dict(VALID[route])
        for name in self._rng.sample(FIELDS, self._rng.choice((1, 1, 1, 2, 5))):
            body[name] = self._rng.choice(WRONG)
        return self._post(route, "wrong field", _dumped(body))

    def contradiction(self) -> Sent:
        route = self._route()
        return self._post(route, "contradiction", _dumped(VALID[route] | self._rng.choice(CONTRADICTIONS)))

    def cut_off(self) -> Sent:
        route = self._route()
        body = _dumped(VALID[route])
        return self._post(route, "JSON cut off", body[: self._rng.randrange(len(body))])

    def random_bytes(self) -> Sent:
        return self._post(self._route(), "random bytes", self._rng.randbytes(self._rng.randrange(2000)))

    def nested(self) -> Sent:
        depth, (left, right) = self._rng.choice((10, 1000, 100_000)), self._rng.choice((("[", "]"), ('{"a":', "}")))
        name = self._rng.choice(("prompt", "messages", "stop", "model", "unknown"))
        ends = right * depth if self._rng.random() < 0.5 else ""
        return self._post(self._route(), "deep nesting", f'{{"{name}": {left * depth}1{ends}}}'.encode())

    def invalid_text(self) -> Sent:
        text = self._rng.choice(
            (b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\\ud800", b"\\udc00\\ud800", b"\\u0000", b"\x00")
        )
        body = b'{"prompt": "%s", "input_prefix": "%s", "input_suffix": "", "max_tokens": 1}' % (text, text)
        return self._post(self._route(), "invalid text", body)

    def wrong_type_of_content(self) -> Sent:
        route = self._route()
        kind = self._rng.choice(
            (
                "text/plain",
                "",
                "multipart/form-data; boundary=",
                "application/x-www-form-urlencoded",
                "\x7f",
                "a" * 5000,
            )
        )
        encoding = self._rng.choice(("", "gzip", "br", "x"))
        headers = f"Content-Type: {kind}\r\n" + (f"Content-Encoding: {encoding}\r\n" if encoding else "")
        return self._post(route, "wrong type of content", _dumped(VALID[route]), headers)

    def wrong_method(self) -> Sent:
        method = self._rng.choice(
            ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "POST", "CONNECT", "BREW")
        )
        route = self._rng.choice((*POSTS, *GETS))
        return Sent(route, f"method {method}", self._head(method, route) + b"\r\n")

    def unknown_path(self) -> Sent:
        tail = "".join(self._rng.choices(string.ascii_letters + "/.%?;=&~", k=self._rng.randrange(200)))
        path = (
            self._rng.choice(("/", "//", "/v1/", "/v1/models/", "/../", "/%2e%2e/", "/v1/completions/", "/%00")) + tail
        )
        method = self._rng.choice(("GET", "POST"))
        return Sent("unknown", "unknown path", self._head(method, path) + b"Content-Length: 0\r\n\r\n")

    def large_headers(self) -> Sent:
        route = self._rng.choice((*POSTS, *GETS))
        size, number = self._rng.choice(((70_000, 1), (10, 5000), (4000, 100)))
        headers = "".join(f"X-{i}: {'y' * size}\r\n" for i in range(number))
        return Sent(route, "large headers", self._head("GET", route, headers) + b"\r\n", garbage=True)

    def megabytes(self) -> Sent:
        size = self._rng.randrange(2**20, 6 * 2**20)
        return self._large(size, declared=self._rng.random() < 0.5)

    def large(self) -> Sent:
        return self._large(LARGE_BYTES, declared=self._rng.random() < 0.5)

    def never_ending(self) -> Sent:
        route = self._route()
        headers = self._rng.choice(("Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"))
        return Sent(
            route, "body without end", self._head("POST", route, headers) + b'\r\n3e8\r\n{"prompt": "', slow=True
        )

    def pipelined(self) -> Sent:
        route = self._route()
        first = self._head("POST", route, "Content-Length: 0\r\n") + b"\r\n"
        rest = self._rng.choice(
            (
                first * 20,
                self._rng.randbytes(300),
                b"GET / HTTP/9.9\r\n\r\n",
                b"\r\n" * 1000,
                b"POST /v1/completions HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                b"POST /v1/completions HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            )
        )
        first = self._rng.choice((first, b""))
        return Sent(route, "pipelined", first + rest, garbage=True)

    def _large(self, size: int, declared: bool) -> Sent:
        route = self._route()
        if declared:
            head = self._head("POST", route, f"Content-Length: {size}\r\n") + b"\r\n"
            return Sent(route, f"{size >> 20} MB declared", head, large=size)
        head = self._head("POST", route, "Transfer-Encoding: chunked\r\n") + b"\r\n"
        return Sent(route, f"{size >> 20} MB in chunks", head, large=-size)

    def _post(self, route: str, what: str, body: bytes, headers: str = "Content-Type: application/json\r\n") -> Sent:
        head = self._head("POST", route, f"{headers}Content-Length: {len(body)}\r\n")
        return Sent(route, what, head + b"\r\n" + body)

    def _head(self, method: str, path: str, headers: str = "") -> bytes:
        key = f"Authorization: Bearer {self._key}\r\n" if self._key else ""
        return f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n{key}Connection: close\r\n{headers}".encode()

    def _route(self) -> str:
        return self._rng.choice(POSTS)


def _dumped(body: dict[str, Any]) -> bytes:
    """JSON with NaN, Infinity and lone surrogates where they are."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")


class Run:
    """Sends to one server and judges what comes back."""

    def __init__(self, host: str, port: int, pid: int) -> None:
        self._address = host, port
        self._pid = pid
        self.seen = Seen()

    async def send(self, sent: Sent) -> None:
        try:
            answer = await asyncio.wait_for(self._exchange(sent), ANSWER_LIMIT_S)
        except (TimeoutError, OSError) as error:
            answer = type(error).__name__.encode()
        self._judge(sent, answer)

    def resident_mib(self) -> float:
        if not self._pid:
            return 0.0
        total = 0
        top = psutil.Process(self._pid)
        for process in (top, *top.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total / 2**20

    async def _exchange(self, sent: Sent) -> bytes:
        """The answer's bytes, up to a megabyte."""
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(sent.raw)
            answering = asyncio.create_task(reader.read(2**20))
            with suppress(ConnectionError):
                await self._send_body(sent, writer, answering)
            if sent.slow or sent.garbage:
                done, _ = await asyncio.wait((answering,), timeout=0.2 if sent.slow else 2.0)
                answering.cancel()
                return answering.result() if done else b""
            answer = await answering
            while len(answer) < 2**20 and (more := await reader.read(2**16)):
                answer += more
            return answer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _send_body(self, sent: Sent, writer: asyncio.StreamWriter, answering: asyncio.Task[bytes]) -> None:
        """A large body, until there is an answer: who reads a refusal may stop sending."""
        left = abs(sent.large)
        while left > 0 and not answering.done():
            part = _CHUNK[:left]
            writer.write(part if sent.large > 0 else b"%x\r\n%s\r\n" % (len(part), part))
            await writer.drain()
            left -= len(part)
        if sent.large < 0 and not left:
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _judge(self, sent: Sent, answer: bytes) -> None:
        status = answer[9:12].decode("ascii", "replace") if answer.startswith(b"HTTP/1.") else "none"
        self.seen.statuses[sent.route, status] += 1
        if status == "none":
            if sent.large and b"Connection" in answer[:20]:
                self.seen.cut_short += 1
            elif not (sent.garbage or sent.slow):
                self.seen.fault("unanswered", sent, answer)
        elif status[0] == "5":
            self.seen.fault("server_errors", sent, answer)
        elif status[0] == "4" and not sent.raw.startswith(b"HEAD ") and not _is_openai_error(answer):
            if b"server: uvicorn" in answer.lower() or not answer.partition(b"\r\n\r\n")[2].startswith(b"{"):
                self.seen.before_gateway += 1
            if not sent.garbage and b"Invalid HTTP request received" not in answer:
                self.seen.fault("other_errors", sent, answer)


def _is_openai_error(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        body = body.partition(b"\r\n")[2].rpartition(b"\r\n0\r\n")[0]
    try:
        error = json.loads(body)["error"]
        return {"message", "type", "param", "code"} <= error.keys() and isinstance(error["message"], str)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


async def fuzz(run: Run, fuzzer: Fuzzer, requests: int, clients: int, large_bodies: int) -> dict[str, Any]:
    """All requests; a fifth of them is the warm-up, after which memory is first looked at."""
    started = time.monotonic()
    every = max(1, requests // (large_bodies + 1)) if large_bodies else requests + 1
    numbers = iter(range(requests))
    resident = {}

    async def client() -> None:
        for number in numbers:
            if number == requests // 5:
                resident["before"] = run.resident_mib()
            await run.send(fuzzer.large() if number % every == every - 1 else fuzzer.next())

    await asyncio.gather(*(client() for _ in range(clients)))
    resident["after"] = run.resident_mib()
    faults = run.seen.faults
    return {
        "server_errors": len(faults.get("server_errors", ())),
        "other_errors": len(faults.get("other_errors", ())),
        "unanswered": len(faults.get("unanswered", ())),
        "growth_mib": round(resident["after"] - resident.get("before", 0.0), 1),
        "resident_mib": [round(resident.get("before", 0.0)), round(resident["after"])],
        "refused_before_the_gateway": run.seen.before_gateway,
        "large_bodies_cut_short": run.seen.cut_short,
        "requests": requests,
        "seconds": round(time.monotonic() - started, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", default="")
    parser.add_argument("--pid", type=int, default=0, help="of the server, for its memory")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--large-bodies", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    url = urlsplit(args.url)
    host, port = url.hostname or "127.0.0.1", url.port or 80
    run = Run(host, port, args.pid)
    found = asyncio.run(
        fuzz(run, Fuzzer(args.seed, f"{host}:{port}", args.key), args.requests, args.clients, args.large_bodies)
    )
    _print(found, run.seen, args.json)


def _print(found: dict[str, Any], seen: Seen, as_json: bool) -> None:
    routes: dict[str, dict[str, int]] = {}
    for (route, status), count in sorted(seen.statuses.items()):
        routes.setdefault(route, {})[status] = count
    if as_json:
        print(json.dumps({**found, "statuses": routes, "faults": {k: v[:20] for k, v in seen.faults.items()}}))
        return
    for name, value in found.items():
        print(f"{name:<28}{value}")
    print("statuses:")
    for route, statuses in routes.items():
        print(f"  {route:<24}" + "  ".join(f"{status} {count}" for status, count in statuses.items()))
    for kind, requests in seen.faults.items():
        for request in requests[:20]:
            print(f"  {kind}: {request}")


if __name__ == "__main__":
    main()
