"""Malformed requests on every route of the gateway: it must refuse them all in OpenAI's format, and leak no memory.

    python -m benchmarks.serving.fuzz --url URL [--key KEY] [--pid PID] [--requests 10000] [--seed N] [--clients N]
        [--large-bodies N] [--json]

Bytes that are not JSON, JSON that is truncated or nested too deeply, wrong types and huge numbers in each known field,
NaN, lone surrogates, invalid UTF-8, 1,000 stop strings, n=10000, token ids out of range, contradictory fields, wrong
content types and methods, unknown paths, large headers, bodies of megabytes and, spread over the run, `--large-bodies`
of 200 MB, bodies that never end, requests that hide one another, and what is not HTTP at all. The same seed makes the
same requests.

    server_errors    5xx answers; goal 0. Up to 20 are printed with the request that caused them
    other_errors     4xx answers whose body lacks OpenAI's form `{"error": {message, type, param, code}}`; goal 0.
                     Those of the server before the gateway (a request line that is not HTTP) are counted separately
    unanswered       whole requests without an answer: the connection ended, or nothing came for 60 s; goal 0.
                     A connection that ends while a body too large is still being sent is counted separately
    growth_mib       resident memory of the process `--pid` and its descendants: at the end, minus what it was after a
                     fifth of the requests
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks.serving.fuzz_requests import Fuzzer, Sent

ANSWER_LIMIT_S = 60.0
_CHUNK = b"x" * 2**16


@dataclass
class Seen:
    """What came back."""

    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)
    before_gateway: int = 0
    cut_short: int = 0
    """Connections that ended while a body too large was still being sent; the refusal may then get lost."""

    def fault(self, kind: str, sent: Sent, answer: bytes) -> None:
        shown = f"{sent.route} ({sent.what}): {sent.raw[:400]!r} -> {answer[:400]!r}"
        self.faults.setdefault(kind, []).append(shown)


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
        """A large body, until there is an answer: a client that reads a refusal may stop sending."""
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
    """All requests; a fifth of them is the warm-up, after which memory is first measured."""
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
