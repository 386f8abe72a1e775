"""The page's server on one machine: uvicorn, until a signal ends it."""

from __future__ import annotations

import signal
import socket
import threading

import uvicorn
from fastapi import FastAPI

from rrtf_ray.errors import InputError, StageError
from rrtf_ray.progress import say

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises InputError if nothing can listen there."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(1024)
    except (OSError, OverflowError) as error:
        raise InputError(f"--host {host} --port {port} cannot be listened on: {error}; choose others") from None
    return made


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Answer until SIGINT or SIGTERM, then finish what was begun. Only the main thread may call it."""
    stop = threading.Event()
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=10)
    )
    # In a thread, because uvicorn's own handling of signals would end the process by the signal.
    running = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="rrtf-prefer")
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        running.start()
        while running.is_alive() and not stop.wait(0.5):
            pass
        if not running.is_alive():
            raise StageError("prefer: the page's server ended by itself; the cause is above. Start it again")
        say("prefer: stopping")
        server.should_exit = True
        running.join(30)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
