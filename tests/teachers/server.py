"""A small server that speaks OpenAI's API over real sockets; the test scripts what it answers, and how badly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """text: of the message. raw: sent in place of the JSON. cut: the connection ends after half of it.

    wait_s: before anything is sent. usage: prompt and completion tokens; None for an endpoint that tells nothing.
    """

    text: str | None = "```python\npass\n```"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    cut: bool = False
    wait_s: float = 0.0
    usage: tuple[int, int] | None = (10, 20)
    finish_reason: str = "stop"
    refusal: str | None = None
    error: dict[str, Any] | None = None


class Scripted:
    """say(body, number): the answer to request `number`, counted from 0.

    asked: the bodies so far. keys: the Authorization headers. at: when each came, by the monotonic clock.
    """

    def __init__(self, say: Callable[[dict[str, Any], int], Answer]) -> None:
        self.say = say
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.at: list[float] = []
        self.url = ""
        self._lock = threading.Lock()

    def take(self, path: str, body: dict[str, Any], key: str) -> Answer:
        with self._lock:
            number = len(self.asked)
            self.asked.append(body)
            self.keys.append(key)
            self.at.append(time.monotonic())
        return self.say(body, number)


@contextmanager
def serving(say: Callable[[dict[str, Any], int], Answer]) -> Iterator[Scripted]:
    """The server for the duration of the block."""
    script = Scripted(say)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = script.take(self.path, body, self.headers.get("Authorization", ""))
            time.sleep(answer.wait_s)
            data = (
                answer.raw if answer.raw is not None else _json(answer, body, self.path.endswith("/chat/completions"))
            )
            head = {"Content-Type": "application/json", "Content-Length": str(len(data))} | answer.headers
            try:
                self.send_response(answer.status)
                for name, value in head.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if answer.cut else data)
            except OSError:
                self.close_connection = True  # the client had enough
            self.close_connection |= answer.cut

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _json(answer: Answer, body: dict[str, Any], chat: bool) -> bytes:
    if answer.status != 200:
        return json.dumps({"error": answer.error or {"message": f"scripted {answer.status}"}}).encode()
    choice: dict[str, Any] = {"index": 0, "finish_reason": answer.finish_reason}
    if chat:
        choice["message"] = {"role": "assistant", "content": answer.text, "refusal": answer.refusal}
    else:
        choice["text"] = answer.text
    whole: dict[str, Any] = {"id": "x", "object": "completion", "model": body["model"], "choices": [choice]}
    if answer.usage:
        whole["usage"] = {"prompt_tokens": answer.usage[0], "completion_tokens": answer.usage[1]}
    return json.dumps(whole).encode()
