"""How much of an endpoint's capacity a teacher uses, and how often it is refused: a local server takes 50 requests a
second and answers any more with 429.

    teacher_rate        requests_per_minute is set to the capacity: share of it that is used, share of requests that
                        are refused, and the requests that the same questions take again (from_cache)
    teacher_rate_found  likewise without a limit, so that the 429s show it
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rrtf_ray.config import TeacherConfig
from rrtf_ray.records import Fault
from rrtf_ray.teachers.asking import Question
from rrtf_ray.teachers.endpoint import EndpointTeacher
from rrtf_ray.teachers.keys import Key
from rrtf_ray.teachers.ledger import Ledger

CAPACITY, BURST = 50.0, 5.0
LATENCY_S = 0.1
_GOAL = "used >= 0.95, refused <= 0.02, from_cache 0"
GOALS = {"teacher_rate": _GOAL, "teacher_rate_found": _GOAL}


class Server:
    """A bucket that fills by CAPACITY a second. taken, refused: requests so far."""

    def __init__(self) -> None:
        self.taken = self.refused = 0
        self.first = self.last = 0.0
        self._level, self._at = BURST, time.monotonic()
        self._lock = threading.Lock()

    def takes(self) -> bool:
        with self._lock:
            now = time.monotonic()
            self._level = min(BURST, self._level + (now - self._at) * CAPACITY)
            self._at = now
            if self._level < 1:
                self.refused += 1
                return False
            self._level -= 1
            self.taken += 1
            self.first, self.last = self.first or now, now
            return True


@contextmanager
def served(server: Server) -> Iterator[str]:
    """Its address, for the duration of the block."""
    message = {"role": "assistant", "content": "answer"}
    usage = {"prompt_tokens": 10, "completion_tokens": 10}
    answer = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}).encode()
    refusal = json.dumps({"error": {"message": "slow down"}}).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            taken = server.takes()
            if taken:
                time.sleep(LATENCY_S)
            data = answer if taken else refusal
            self.send_response(200 if taken else 429)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1"
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def measured(questions: int, ledger: Path, **settings: Any) -> dict[str, float]:
    """The shares for so many questions at once."""
    server = Server()

    async def ask(url: str) -> int:
        config = TeacherConfig(model="m", base_url=url, concurrency=32, max_tokens=16, retries=20, **settings)
        teacher = EndpointTeacher("rate", config, Key(""), Ledger(str(ledger), "rate:m"))
        asked = [Question(f"task {i}", "", 0.0, 1.0, 16, i) for i in range(questions)]
        replies = await asyncio.gather(*map(teacher.ask, asked))
        before = server.taken + server.refused
        await asyncio.gather(*map(teacher.ask, asked))
        await teacher.close()
        assert not any(reply.fault is Fault.UNANSWERED for reply in replies)
        return server.taken + server.refused - before

    with served(server) as url:
        from_cache = asyncio.run(ask(url))
    elapsed = server.last - server.first
    return {
        "used": round((server.taken - 1) / elapsed / CAPACITY, 4),
        "refused": round(server.refused / (server.taken + server.refused), 4),
        "requests": server.taken + server.refused,
        "from_cache": from_cache,
    }


def measure(folder: Path, seconds: float) -> dict[str, Any]:
    """Both figures, each over so many seconds."""
    questions = int(seconds * CAPACITY)
    return {
        "teacher_rate": measured(questions, folder / "known.sqlite", requests_per_minute=60 * CAPACITY),
        "teacher_rate_found": measured(questions, folder / "found.sqlite"),
    }
