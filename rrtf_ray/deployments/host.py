"""`rrtf serve`: host a checkpoint on this machine, or on the cluster at RAY_ADDRESS, until a signal stops it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

from rrtf_ray.cluster.connecting import joined
from rrtf_ray.config import ClusterConfig
from rrtf_ray.deployments.applications import drain, served
from rrtf_ray.errors import InputError
from rrtf_ray.progress import only_our_lines, say
from rrtf_ray.serving.keys import ENVIRONMENT as KEYS_VARIABLE
from rrtf_ray.serving.keys import load_keys
from rrtf_ray.serving.settings import ServeSettings
from rrtf_ray.store.models import check_model


def host(settings: ServeSettings, address: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM, then finish the requests in progress, within gateway.drain_s. address: the
    interface to listen on.

    Raises InputError for a model, key file or port that cannot be used, StageError if the service does not start.
    """
    # Before Ray starts, which takes seconds.
    check_model(settings.engine.model, settings.engine.max_model_len, "engine.max_model_len")
    load_keys(settings.gateway.keys_file, os.environ.get(KEYS_VARIABLE))
    _check_address(address, port)
    log = Path(tempfile.gettempdir()) / f"rrtf-serve-{os.getpid()}.log"
    cpus = max(settings.engine.cpus * settings.engine.max_replicas + 2, os.cpu_count() or 1)
    with only_our_lines(str(log)), _Signals() as signals:
        try:
            with joined(ClusterConfig(num_cpus=int(cpus))) as own_session:
                signals.take()  # Ray's own handler of SIGTERM aborts the process
                say(f"serve: starting {settings.engine.model} (libraries log to {log})")
                with served(settings, address, port, ends_with_cluster=own_session is not None) as url:
                    engine = settings.engine
                    say(f"serve: {url} answers for model {engine.name!r} ({engine.max_model_len} tokens of context)")
                    say(f"serve: try it in a browser at {url}/ - Ctrl+C ends the service")
                    signals.wait()
                    say("serve: stopping")
                    _drain(settings.gateway.drain_s)
        except _Stopped:
            say("serve: stopped before it had started")


def _drain(limit_s: float) -> None:
    try:
        if left := drain(limit_s):
            say(f"serve: {left} requests were not finished within gateway.drain_s={limit_s:g} s and were ended")
    except Exception as error:  # a gateway that is lost has nothing to finish
        logging.getLogger(__name__).warning("the gateway was not drained: %s", error)


class _Stopped(BaseException):
    """A signal to stop arrived while the service was starting."""


class _Signals:
    """SIGINT and SIGTERM within a block: they end `wait`, or whatever else it does by _Stopped, once."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._is_waiting = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def take(self) -> None:
        """Handle the signals, whoever else took them."""
        for number in self._before:
            signal.signal(number, self._handle)

    def wait(self) -> None:
        """Until a signal arrives."""
        self._is_waiting = True
        self._stop.wait()

    def _handle(self, *_: object) -> None:
        is_first = not self._stop.is_set()
        self._stop.set()
        if is_first and not self._is_waiting:
            raise _Stopped


def _check_address(address: str, port: int) -> None:
    """Raises InputError if nothing can listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((address, port))
        except (OSError, OverflowError) as error:
            raise InputError(f"--host {address} --port {port} cannot be listened on: {error}; choose others") from None
