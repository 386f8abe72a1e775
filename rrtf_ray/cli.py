"""`rrtf`: parse and validate first, import the heavy stages later.

Exit codes: 0 done, 1 a failure while running, 2 an input that cannot be used.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rrtf_ray import __version__
from rrtf_ray.cli_serving import add_commands as add_serving
from rrtf_ray.errors import RRTFError

if TYPE_CHECKING:
    from rrtf_ray.config import Config

_STAGES = {
    "sample": "sample candidates for every problem (round-NN/samples)",
    "execute": "run sampled candidates against the tests (round-NN/groups)",
    "rank": "rank executed candidates (round-NN/rankings)",
    "train": "fine-tune on the rankings by RRTF (round-NN/checkpoint)",
    "evaluate": "pass@k of the model after a round on the held-out problems (--round 0: the base model)",
}


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="rrtf",
        description="Make a code model better by RRTF: sample programs, test them, rank them, train on the ranking.",
        epilog="Every run can be started again with the same command and continues where it stopped.",
    )
    top.add_argument("--version", action="version", version=f"rrtf {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _stage_parser(commands.add_parser("run", help="the whole loop, all rounds", description="The whole loop."))
    for name, text in _STAGES.items():
        stage = commands.add_parser(name, help=text, description=f"One stage: {text}.")
        _stage_parser(stage)
        stage.add_argument("--round", type=int, default=1, metavar="N", help="which round of the run (default 1)")
    _plan_parser(commands.add_parser("plan", help="the memory and the steps that training takes; starts nothing"))
    _quantize_parser(commands.add_parser("quantize", help="make an int8 checkpoint for serving, and compare the two"))
    problems = commands.add_parser("problems", help="import or check problem sets")
    _problems_parser(problems)
    _verify_parser(commands.add_parser("verify", help="run samples that you have against problems; pass@k"))
    for command, run in add_serving(commands).items():
        commands.choices[command].set_defaults(run=run)
    commands.add_parser("doctor", help="what this machine can do, and the remedy for what it cannot")
    return top


def _stage_parser(stage: argparse.ArgumentParser) -> None:
    stage.add_argument("--config", metavar="FILE", help="YAML file; see jobs/configs (default: all defaults)")
    stage.add_argument("overrides", nargs="*", metavar="section.key=value", help="settings that win over the file")


def _plan_parser(planned: argparse.ArgumentParser) -> None:
    planned.description = "The arithmetic of training a configuration: parameters, memory, steps. Starts nothing."
    _stage_parser(planned)
    planned.add_argument(
        "--gpu-memory-gib", type=_gib, default=80.0, metavar="GIB", help="memory of one GPU (default 80)"
    )
    planned.add_argument("--json", action="store_true", help="print one JSON object, with bytes")


def _quantize_parser(quantize: argparse.ArgumentParser) -> None:
    quantize.description = (
        "Write a checkpoint with int8 weights (compressed-tensors W8A8, which vLLM serves on CPUs and GPUs), and "
        "compare it with the original: size, milliseconds a token, and pass@1 if asked."
    )
    quantize.add_argument("--model", required=True, help="a folder or URI of a checkpoint")
    quantize.add_argument("--output", required=True, help="the folder or URI to write")
    quantize.add_argument(
        "--evaluate",
        action="store_true",
        help="pass@1 of both too, on the held-out problems of the configuration and in its run_dir",
    )
    quantize.add_argument("--json", action="store_true", help="print one JSON object, with bytes")
    _stage_parser(quantize)


def _problems_parser(problems: argparse.ArgumentParser) -> None:
    actions = problems.add_subparsers(dest="action", required=True, metavar="ACTION")
    load = actions.add_parser("import", help="turn a public problem file into a data set of this project")
    load.add_argument(
        "--format",
        required=True,
        help="humaneval, mbpp, mbpp-challenge, evalplus, leetcode, stdio or parquet",
    )
    load.add_argument("--input", required=True, help="a file (gz too), a URI, or a Hugging Face data set id")
    load.add_argument("--output", required=True, help="the directory or URI to write")
    load.add_argument("--split", choices=("train", "held_out"), help="put all problems into this split")
    check = actions.add_parser("check", help="run every reference solution against its own tests")
    check.add_argument("directory", help="what `problems import` wrote")
    check.add_argument("--limit", type=_positive, metavar="N", help="only the first N problems")
    check.add_argument(
        "--cpu-s", type=float, default=10.0, help="limit of CPU time a reference, in seconds (default 10)"
    )


def _verify_parser(verify: argparse.ArgumentParser) -> None:
    verify.description = "Run samples that you have against problems, each in a sandbox; without Ray."
    verify.add_argument("--problems", required=True, help="a file (gz too) or what `problems import` wrote")
    verify.add_argument(
        "--samples", required=True, help="JSON lines (gz too): task_id and completion, solution or samples"
    )
    verify.add_argument("--output", help="a JSON line for each sample (default: SAMPLES.results.jsonl); continued")
    verify.add_argument("--overwrite", action="store_true", help="begin anew where the output exists")
    verify.add_argument("--format", help="of the problems (default: told by the fields of their first row)")
    verify.add_argument("--workers", type=_positive, metavar="N", help="programs at once (default: number of CPUs)")
    verify.add_argument(
        "--timeout-s", type=_seconds, default=3.0, metavar="S", help="processor time of a program (default 3)"
    )
    verify.add_argument("--k", type=_ks, default=(1, 10, 100), metavar="K,K", help="pass@k (default 1,10,100)")


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return value


def _ks(text: str) -> tuple[int, ...]:
    return tuple(_positive(part.strip()) for part in text.split(","))


def _seconds(text: str) -> float:
    return _above_zero(text, "seconds")


def _gib(text: str) -> float:
    return _above_zero(text, "GiB")


def _above_zero(text: str, unit: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of {unit} above 0")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = parser().parse_args(arguments)
    try:
        return _dispatch(args)
    except RRTFError as error:
        print(f"rrtf: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("rrtf: interrupted; start the same command again to continue", file=sys.stderr)
        return 130


def _dispatch(args: argparse.Namespace) -> int:
    if "run" in args:
        return args.run(args)
    if args.command == "doctor":
        from rrtf_ray.doctor import doctor

        return doctor()
    if args.command == "problems":
        return _problems(args)
    if args.command == "verify":
        return _verify(args)
    from rrtf_ray.config_file import load_config
    from rrtf_ray.errors import InputError

    config = load_config(args.config, args.overrides)
    if args.command == "plan":
        from rrtf_ray.stages.plan import plan

        plan(config, args.gpu_memory_gib, args.json)
        return 0
    if args.command == "quantize":
        return _quantize(config, args)
    if args.command != "run" and args.round < (0 if args.command == "evaluate" else 1):
        raise InputError(f"--round {args.round} is not a round; rounds count from 1 (evaluate: 0 is the base model)")
    with _logging(config):
        from rrtf_ray.stages.pipeline import run_all, run_stage

        if args.command == "run":
            run_all(config)
        else:
            run_stage(args.command, config, args.round)
    return 0


def _quantize(config: Config, args: argparse.Namespace) -> int:
    with _logging(config, to_stderr=args.json):
        from rrtf_ray.stages.quantize import quantize

        report = quantize(config, args.model, args.output, evaluated=args.evaluate)
    if args.json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        report.show()
    return 0


def _problems(args: argparse.Namespace) -> int:
    from rrtf_ray import problems

    if args.action == "import":
        from rrtf_ray.records import Split

        found = problems.load(args.format, args.input, split=Split(args.split) if args.split else None)
        manifest = problems.write_problems(
            found, args.output, format_name=args.format, source=os.path.basename(args.input)
        )
        print(f"{manifest['num_problems']} problems written to {args.output}")
        return 0
    return _check(args)


def _verify(args: argparse.Namespace) -> int:
    from rrtf_ray.verify import verify

    verify(
        args.problems,
        args.samples,
        output=args.output,
        overwrite=args.overwrite,
        format=args.format,
        workers=args.workers,
        timeout_s=args.timeout_s,
        ks=args.k,
    )
    return 0


def _check(args: argparse.Namespace) -> int:
    from itertools import islice

    from rrtf_ray.problems import read_manifest, read_problems
    from rrtf_ray.problems.check import CheckReport, check_references
    from rrtf_ray.progress import bar
    from rrtf_ray.sandbox import Limits, Sandbox

    report = CheckReport()
    total = min(read_manifest(args.directory)["num_problems"], args.limit or sys.maxsize)
    limits = Limits(wall_s=4 * args.cpu_s, cpu_s=args.cpu_s)
    with Sandbox(limits) as sandbox, bar("check", total) as shown:
        for _ in check_references(islice(read_problems(args.directory), total), sandbox, report):
            shown.advance(1)
    print(report)
    return 1 if report.failures else 0


@contextlib.contextmanager
def _logging(config: Config, *, to_stderr: bool = False) -> Iterator[None]:
    """What libraries have to say goes to run_dir/logs/driver.log; the terminal is for our own lines."""
    from rrtf_ray.artifacts import is_local, join, make_dir, resolve, write_bytes
    from rrtf_ray.progress import only_our_lines

    logs = join(config.run_dir, "logs")
    handler = logging.StreamHandler()  # standard error, which is the log file from here on
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    with tempfile.NamedTemporaryFile(prefix="rrtf-driver-", suffix=".log") as kept:
        local = is_local(config.run_dir)
        make_dir(logs)
        try:
            with only_our_lines(resolve(join(logs, "driver.log"))[1] if local else kept.name, to_stderr=to_stderr):
                yield
        finally:
            root.removeHandler(handler)
            if not local:  # an object store cannot append: the log is there when the command has ended
                write_bytes(join(logs, "driver.log"), kept.read())


if __name__ == "__main__":
    sys.exit(main())
