"""`rrtf run`, and each stage by itself."""

from __future__ import annotations

import argparse
from typing import Any

from rrtf_ray.cli.arguments import add_settings, command

STAGES = {
    "sample": "sample candidates for every problem (round-NN/samples)",
    "execute": "run sampled candidates against the tests (round-NN/groups)",
    "rank": "rank executed candidates (round-NN/rankings)",
    "train": "fine-tune on the rankings by RRTF (round-NN/checkpoint)",
    "evaluate": "pass@k of the model after a round on the held-out problems (--round 0: the base model)",
}


def add(commands: Any) -> None:
    """The commands of the loop."""
    add_settings(command(commands, "run", _run, "the whole loop, all rounds", "The whole loop."))
    for name, text in STAGES.items():
        stage = command(commands, name, _stage, text, f"One stage: {text}.")
        add_settings(stage)
        stage.add_argument("--round", type=int, default=1, metavar="N", help="which round of the run (default 1)")


def _run(args: argparse.Namespace) -> int:
    from rrtf_ray.cli.logs import logged
    from rrtf_ray.config_file import load_config

    config = load_config(args.config, args.overrides)
    with logged(config.run_dir):
        from rrtf_ray.stages.pipeline import run_all

        run_all(config)
    return 0


def _stage(args: argparse.Namespace) -> int:
    from rrtf_ray.cli.logs import logged
    from rrtf_ray.config_file import load_config
    from rrtf_ray.errors import InputError

    config = load_config(args.config, args.overrides)
    if args.round < (0 if args.command == "evaluate" else 1):
        raise InputError(f"--round {args.round} is not a round; rounds count from 1 (evaluate: 0 is the base model)")
    with logged(config.run_dir):
        from rrtf_ray.stages.pipeline import run_stage

        run_stage(args.command, config, args.round)
    return 0
