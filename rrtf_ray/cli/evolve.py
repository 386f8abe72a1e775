"""`rrtf evolve`."""

from __future__ import annotations

import argparse
from typing import Any

from rrtf_ray.cli.arguments import command


def add(commands: Any) -> None:
    """The command that makes new problems."""
    evolve = command(
        commands,
        "evolve",
        _evolve,
        "make new problems from seeds by teachers, and keep those whose tests can be trusted",
        "Teachers write a new problem from each seed (problems=DIR or instructions=FILE): a statement, solutions that "
        "know nothing of each other, and inputs. Expected values are what most solutions return in the sandbox. A "
        "problem is kept if reruns, faults and trivial programs show that its tests can be trusted, and if it is not a "
        "near copy.",
    )
    evolve.add_argument("--config", metavar="FILE", help="YAML file with the settings; see jobs/evolve/endpoint.yaml")
    evolve.add_argument("overrides", nargs="*", metavar="key=value", help="settings that override the file")


def _evolve(args: argparse.Namespace) -> int:
    from rrtf_ray.cli.logs import logged
    from rrtf_ray.config_file import load
    from rrtf_ray.evolve.settings import EvolveConfig

    evolution = load(EvolveConfig, args.config, args.overrides)
    from rrtf_ray.stages.evolving import evolve

    with logged(evolution.work_dir):
        evolve(evolution)
    return 0
