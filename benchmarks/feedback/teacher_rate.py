"""How much of an endpoint's capacity a teacher uses, and how often it is refused: a local server takes 50 requests a
second and answers any more with 429.

    python -m benchmarks.feedback.teacher_rate --seconds 30 --json

`known`: requests_per_minute is set to the capacity; `found`: no limit is set, and the 429s show it. `from_cache`: the
requests that the same questions take again.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.measure import arguments
from rrtf_ray.config import TeacherConfig
from rrtf_ray.records import Fault
from rrtf_ray.teachers.asking import Question
from rrtf_ray.teachers.endpoint import EndpointTeacher
from rrtf_ray.teachers.keys import Key
from rrtf_ray.teachers.ledger import Ledger

CAPACITY, BURST = 50.0, 5.0
LATENCY_S = 0.1
GOAL = "used at least 0.95, refused at most 0.02, from_cache 0"


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


def main() -> None:
    options = arguments(__doc__, seconds=30.0)
    questions = int(options.seconds * CAPACITY)
    with tempfile.TemporaryDirectory() as folder:
        known = measured(questions, Path(folder, "known.sqlite"), requests_per_minute=60 * CAPACITY)
        found = measured(questions, Path(folder, "found.sqlite"))
    if options.json:
        print(json.dumps({"teacher_rate": known, "teacher_rate_found": found, "goal": GOAL}))
        return
    print(f"{'limit':<8}{'used':>9}{'refused':>9}{'requests':>10}{'from cache':>12}   goal: {GOAL}")
    for name, row in (("known", known), ("found", found)):
        print(f"{name:<8}{row['used']:>9.1%}{row['refused']:>9.1%}{row['requests']:>10}{row['from_cache']:>12}")


if __name__ == "__main__":
    main()
