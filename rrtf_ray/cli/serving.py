"""`rrtf serve`, `rrtf rollout` and `rrtf key`."""

from __future__ import annotations

import argparse
from typing import Any

from rrtf_ray.cli.arguments import command


def add(commands: Any) -> None:
    """The commands that host a checkpoint, replace it, and make keys."""
    _add_serve(commands)
    _add_rollout(commands)
    _add_key(commands)


def _add_serve(commands: Any) -> None:
    serve = command(
        commands,
        "serve",
        _serve,
        "host a checkpoint for editors and scripts until Ctrl+C",
        "Host a checkpoint with Ray Serve and vLLM: completions, fill-in-the-middle, chat, and a page to try it. "
        "`serve run serve/config.yaml` does the same from a file, for several models and for clusters.",
    )
    serve.add_argument("--model", required=True, help="a folder, a URI or a hub id")
    serve.add_argument("--name", default="rrtf", help="what clients put into `model` (default rrtf)")
    serve.add_argument("--host", default="127.0.0.1", help="interface to listen on (default 127.0.0.1: this machine)")
    serve.add_argument("--port", type=int, default=8000, help="default 8000; 0 takes a free one")
    serve.add_argument("--keys", metavar="FILE", help="keys that may use the service (`rrtf key`); default: everyone")
    serve.add_argument(
        "overrides",
        nargs="*",
        metavar="section.key=value",
        help="settings of the engine or the gateway, e.g. engine.max_model_len=4096 gateway.max_queued=100",
    )


def _add_rollout(commands: Any) -> None:
    rollout = command(
        commands,
        "rollout",
        _rollout,
        "replace a served checkpoint without a failed request",
        "Start a new checkpoint next to the served one, try it, let it take over, and end the old one; roll it back if "
        "it does not answer. Run this on the cluster's head node, or set RAY_ADDRESS.",
    )
    rollout.add_argument("--model", required=True, help="the new checkpoint: a folder, a URI or a hub id")
    rollout.add_argument("--name", default="rrtf", help="which served model it replaces (default rrtf)")


def _add_key(commands: Any) -> None:
    key = command(
        commands,
        "key",
        _key,
        "make a key for the served endpoint",
        "Print a new key, which is stored nowhere, on standard error, and the line for the key file, with its hash, on "
        "standard output: rrtf key alice >> keys.txt",
    )
    key.add_argument("name", help="whose key it is")
    key.add_argument("--rate", type=float, metavar="N", help="requests per minute")
    key.add_argument("--concurrency", type=int, metavar="N", help="requests at once")


def _serve(args: argparse.Namespace) -> int:
    from rrtf_ray.config_file import load
    from rrtf_ray.serving.settings import ServeSettings

    given = [f"engine.model={args.model}", f"engine.name={args.name}"]
    if args.keys:
        given.append(f"gateway.keys_file={args.keys}")
    settings = load(ServeSettings, None, [*given, *args.overrides])

    from rrtf_ray.deployments.host import host

    host(settings, args.host, args.port)
    return 0


def _rollout(args: argparse.Namespace) -> int:
    from rrtf_ray.deployments.rollout import rollout

    rollout(args.model, args.name)
    return 0


def _key(args: argparse.Namespace) -> int:
    import sys

    from rrtf_ray.serving.keys import new_key

    key, line = new_key(args.name, args.rate, args.concurrency)
    print(key, file=sys.stderr)
    print(line)
    return 0
