"""Malformed requests for benchmarks.serving.fuzz, the same for the same seed."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

POSTS = ("/v1/completions", "/v1/chat/completions", "/v1/fim/completions", "/fim/completions", "/infill")
GETS = ("/v1/models", "/health", "/metrics", "/")
LARGE_BYTES = 200 * 2**20
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
    """A request as bytes. large: bytes of body that follow the head, in chunks if negative. slow: the body is never
    finished. garbage: not valid HTTP, so no answer is required."""

    route: str
    what: str
    raw: bytes
    large: int = 0
    slow: bool = False
    garbage: bool = False


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
    """JSON that keeps NaN, Infinity and lone surrogates."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
