"""`rrtf ablate`."""

from __future__ import annotations

import argparse
from typing import Any

from rrtf_ray.cli.arguments import command


def add(commands: Any) -> None:
    """The command that compares objectives."""
    ablate = command(
        commands,
        "ablate",
        _ablate,
        "compare objectives in regimes over seeds, on the same problems, samples and steps",
        "Every objective in every regime with every seed; the first round's samples are shared. The table has 95% "
        "intervals over seeds, paired by seed. Started again, it makes what is missing.",
    )
    ablate.add_argument("--config", metavar="FILE", required=True, help="YAML file; see jobs/ablations/demo.yaml")
    ablate.add_argument("overrides", nargs="*", metavar="key=value", help="settings that override the file")


def _ablate(args: argparse.Namespace) -> int:
    from rrtf_ray.ablation.settings import AblationConfig
    from rrtf_ray.cli.logs import logged
    from rrtf_ray.config_file import load

    ablation = load(AblationConfig, args.config, args.overrides)
    from rrtf_ray.ablation.command import ablate, check

    runs = check(ablation, args.config)
    with logged(runs.ablation.output):
        ablate(runs)
    return 0
