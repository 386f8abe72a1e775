"""`rrtf quantize`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rrtf_ray.cli.arguments import add_settings, command


def add(commands: Any) -> None:
    """The command that makes an int8 checkpoint."""
    quantize = command(
        commands,
        "quantize",
        _quantize,
        "make an int8 checkpoint for serving, and compare the two",
        "Write a checkpoint with int8 weights (compressed-tensors W8A8, which vLLM serves on CPUs and GPUs), and "
        "compare it with the original: size, milliseconds per token, and pass@1 if asked.",
    )
    quantize.add_argument("--model", required=True, help="a folder or URI of a checkpoint")
    quantize.add_argument("--output", required=True, help="the folder or URI to write")
    quantize.add_argument(
        "--evaluate",
        action="store_true",
        help="also pass@1 of both, on the held-out problems of the configuration and in its run_dir",
    )
    quantize.add_argument("--json", action="store_true", help="print one JSON object, with bytes")
    add_settings(quantize)


def _quantize(args: argparse.Namespace) -> int:
    from rrtf_ray.cli.logs import logged
    from rrtf_ray.config_file import load_config

    config = load_config(args.config, args.overrides)
    with logged(config.run_dir, to_stderr=args.json):
        from rrtf_ray.quantize.command import quantize

        report = quantize(config, args.model, args.output, evaluated=args.evaluate)
    if args.json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        report.show()
    return 0
