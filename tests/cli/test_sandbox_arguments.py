"""The defaults that `--help` states are the sandbox's own; the command line does not import it to say so."""

import argparse
import inspect

from rrtf_ray.cli.arguments import sandbox_arguments
from rrtf_ray.sandbox import Limits
from rrtf_ray.verify import verify


def test_the_defaults_are_the_sandboxs():
    parser = argparse.ArgumentParser()
    sandbox_arguments(parser)
    limits, stated = Limits(), inspect.signature(verify).parameters
    for given in (parser.parse_args([]).__dict__, {name: stated[name].default for name in ("memory_mb", "output_kb")}):
        assert (given["memory_mb"], given["output_kb"]) == (limits.memory_mb, limits.output_kb)
    assert f"(default {limits.output_kb})" in " ".join(parser.format_help().split())
    assert parser.parse_args(["--preload", "numpy,math"]).preload == ("numpy", "math")
