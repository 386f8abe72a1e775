"""`rrtf plan`."""

from __future__ import annotations

import argparse
from typing import Any

from rrtf_ray.cli.arguments import add_settings, command, gib


def add(commands: Any) -> None:
    """The command that computes what training takes."""
    plan = command(
        commands,
        "plan",
        _plan,
        "the memory and steps that training takes; starts nothing",
        "The arithmetic of training a configuration: parameters, memory, steps. Starts nothing.",
    )
    add_settings(plan)
    plan.add_argument("--gpu-memory-gib", type=gib, default=80.0, metavar="GIB", help="memory of one GPU (default 80)")
    plan.add_argument("--json", action="store_true", help="print one JSON object, with bytes")


def _plan(args: argparse.Namespace) -> int:
    from rrtf_ray.config_file import load_config
    from rrtf_ray.planning.plan import plan

    plan(load_config(args.config, args.overrides), args.gpu_memory_gib, args.json)
    return 0
