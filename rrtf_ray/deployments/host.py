"""`rrtf serve`: host a checkpoint on this machine, or on the cluster at RAY_ADDRESS, until a signal stops it."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
from pathlib import Path

from rrtf_ray.cluster.connecting import joined
from rrtf_ray.config import ClusterConfig
from rrtf_ray.deployments.applications import served
from rrtf_ray.errors import InputError
from rrtf_ray.progress import only_our_lines, say
from rrtf_ray.serving.keys import ENVIRONMENT as KEYS_VARIABLE
from rrtf_ray.serving.keys import load_keys
from rrtf_ray.serving.settings import ServeSettings
from rrtf_ray.store.models import check_model


def host(settings: ServeSettings, address: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM. address: the interface to listen on.

    Raises InputError for a model, key file or port that cannot be used, StageError if the service does not start.
    """
    # Before Ray starts, which takes seconds.
    check_model(settings.engine.model, settings.engine.max_model_len, "engine.max_model_len")
    load_keys(settings.gateway.keys_file, os.environ.get(KEYS_VARIABLE))
    _check_address(address, port)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    log = Path(tempfile.gettempdir()) / f"rrtf-serve-{os.getpid()}.log"
    cpus = max(settings.engine.cpus * settings.engine.max_replicas + 2, os.cpu_count() or 1)
    with only_our_lines(str(log)), joined(ClusterConfig(num_cpus=int(cpus))):
        say(f"serve: starting {settings.engine.model} (libraries log to {log})")
        with served(settings, address, port) as url:
            engine = settings.engine
            say(f"serve: {url} answers for model {engine.name!r} ({engine.max_model_len} tokens of context)")
            say(f"serve: try it in a browser at {url}/ - Ctrl+C ends the service")
            stop.wait()
            say("serve: stopping")


def _check_address(address: str, port: int) -> None:
    """Raises InputError if nothing can listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((address, port))
        except (OSError, OverflowError) as error:
            raise InputError(f"--host {address} --port {port} cannot be listened on: {error}; choose others") from None
