"""HTTP as clients speak it, against the real gateway in uvicorn with the proxy's protocol."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
import zlib

import pytest
import uvicorn

from rrtf_ray.deployments import door
from rrtf_ray.deployments.door import DoorProtocol, without_offer
from tests.serving.scripted import ScriptedEngine, scripted_gateway

BODY = json.dumps({"prompt": "a", "max_tokens": 3}).encode()
OFFER = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"


class SlowEngine(ScriptedEngine):
    """Waits before it answers."""

    wait_s = 0.0

    async def __call__(self, call, body):
        await asyncio.sleep(self.wait_s)
        async for answer in super().__call__(call, body):
            yield answer


@pytest.fixture(scope="module")
def engine():
    return SlowEngine(lambda body: ["x", "y", "z"])


@contextlib.contextmanager
def serving(app):
    """The port of a server with this application."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, http=DoorProtocol, log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def port(engine):
    with serving(scripted_gateway(engine)[1]) as port:
        yield port


def exchange(port: int, *pieces: bytes, pause_s: float = 0.05) -> bytes:
    """What the server answers to these pieces, each in a segment of its own, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(pause_s)
            connection.sendall(piece)
        answer = b""
        try:
            while part := connection.recv(1 << 16):
                answer += part
                connection.settimeout(0.5)
        except TimeoutError:
            pass  # it keeps the connection for another request
        return answer


def head(length: int, extra: str = "", path: str = "/v1/completions", version: str = "1.1") -> bytes:
    first = f"POST {path} HTTP/{version}\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{first}{extra}Content-Length: {length}\r\n\r\n".encode()


def test_an_offer_of_http2_is_answered_in_http1(port):
    answer = exchange(port, head(len(BODY), OFFER) + BODY)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b'"text":"xyz"' in answer.replace(b": ", b":")


def test_a_body_after_an_offer_is_no_request_of_its_own(port, engine):
    hidden = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
    before = len(engine.asked)
    answer = exchange(port, head(len(hidden), OFFER), hidden)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"not JSON" in answer
    assert len(engine.asked) == before


def test_nor_behind_another_request(port):
    """The second head arrives with the first request's body, so that it is not looked at by itself."""
    hidden = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
    first = head(len(BODY)) + BODY
    answer = exchange(port, first[:-3], first[-3:] + head(len(hidden), OFFER), hidden)
    assert answer.count(b"HTTP/1.1 ") <= 2
    assert b"max_model_len" not in answer


def test_a_head_in_pieces(port):
    whole = head(len(BODY), OFFER) + BODY
    answer = exchange(port, whole[:9], whole[9:60], whole[60:-20], whole[-20:])
    assert answer.startswith(b"HTTP/1.1 200")


def test_several_requests_of_one_connection(port):
    one = head(len(BODY), OFFER) + BODY
    assert exchange(port, one, one, one, pause_s=0.3).count(b"HTTP/1.1 200") == 3


def test_http_1_0_gets_no_chunks(port):
    body = json.dumps({"prompt": "a", "max_tokens": 3, "stream": True}).encode()
    answer = exchange(port, head(len(body), version="1.0") + body)
    top, _, text = answer.partition(b"\r\n\r\n")
    assert b" 200 " in top
    assert b"transfer-encoding" not in top.lower()
    assert text.startswith(b"data: {")
    assert text.endswith(b"data: [DONE]\n\n")
    chunked = exchange(port, head(len(body)) + body)
    assert b"transfer-encoding: chunked" in chunked.lower()


@pytest.mark.parametrize("wait_s", [0.0, 1.5])
def test_a_half_closed_socket_gets_its_answer(port, engine, monkeypatch, wait_s):
    monkeypatch.setattr(engine, "wait_s", wait_s)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head(len(BODY)) + BODY)
        connection.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(connection)
        answer.begin()  # which skips interim answers, as any client does
        assert answer.status == 200
        assert b"xyz" in answer.read()
        assert connection.recv(1) == b""  # and then the connection ends


def test_a_client_that_has_left_is_noticed():
    """Before anything is sent of its answer: Ray Serve's proxy then ends the request."""
    left = threading.Event()

    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()

    with serving(app) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(head(len(BODY)) + BODY)
            time.sleep(0.2)
            assert not left.is_set()
        assert left.wait(30)


def test_half_a_head_is_closed_after_a_while(port, monkeypatch):
    monkeypatch.setattr(door, "HEAD_LIMIT_S", 0.2)
    answer = exchange(port, b"POST /v1/completions HTTP/1.1\r\nHost:")
    assert answer.startswith(b"HTTP/1.1 400")
    monkeypatch.setattr(door, "IDLE_LIMIT_S", 0.2)
    assert exchange(port, b"") == b""


@pytest.mark.parametrize(
    ("encoding", "pack", "status"),
    [
        ("gzip", gzip.compress, 200),
        ("deflate", zlib.compress, 200),
        ("identity", bytes, 200),
        ("br", bytes, 415),
        ("gzip", bytes, 400),
        ("gzip", lambda body: gzip.compress(body)[:-12], 400),
        ("gzip", lambda body: gzip.compress(b" " * (5 << 20)), 413),
    ],
)
def test_compressed_bodies(port, encoding, pack, status):
    body = pack(BODY)
    answer = exchange(port, head(len(body), f"Content-Encoding: {encoding}\r\n") + body)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer


def test_the_offer_alone_is_left_out():
    given = b"POST / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nX-Upgrade: yes\r\nhttp2-settings : A\r\nConnection: Upgrade"
    assert without_offer(given) == b"POST / HTTP/1.1\r\nHost: x\r\nX-Upgrade: yes\r\nConnection: Upgrade"
    websocket = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade"
    assert without_offer(websocket) == websocket


def test_curl_with_http2(port):
    if not (curl := shutil.which("curl")):
        pytest.skip("no curl on this machine")
    url = f"http://127.0.0.1:{port}/v1/completions"
    done = subprocess.run(
        [curl, "-s", "--http2", "--max-time", "20", url, "-d", BODY.decode()], capture_output=True, timeout=60
    )
    assert json.loads(done.stdout)["choices"][0]["text"] == "xyz"


JAVA = """
import java.net.URI;
import java.net.http.*;

public class Client {
    public static void main(String[] given) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int i = 0; i < 2; i++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(given[0]))
                .POST(HttpRequest.BodyPublishers.ofString(given[1])).build();
            HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.version() + " " + answer.body());
        }
    }
}
"""


def test_javas_own_client_as_it_comes(port, tmp_path):
    if not (java := shutil.which("java")) or not shutil.which("javac"):
        pytest.skip("no JDK on this machine")
    (tmp_path / "Client.java").write_text(JAVA)
    done = subprocess.run(
        [java, str(tmp_path / "Client.java"), f"http://127.0.0.1:{port}/v1/completions", BODY.decode()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr
    for line in lines:
        assert line.startswith("200 HTTP_1_1 "), line
        assert "xyz" in line
