"""Speed and memory of training against TRL's DPO, RRHF as it is usually written, and supervised fine-tuning on the same
tokens.

    python -m benchmarks.training [--json] --problems HumanEval.jsonl --samples humaneval_codegen16B_n100.jsonl
        [--trl-python PATH] [--trl-pairs N] [--folder DIR] [--pairs N] [--groups N] [--step-groups N] [--only KEY,KEY]

A model of 48 million parameters with a vocabulary of 49,152, fp32, two threads (benchmarks.training.data);
benchmarks.training.sides describes the sides. Each is a process of its own, alive only while it is compared: two at a
time, taking turns, each warmed up with one turn.

    speed_vs_*     response tokens per second, ours over theirs
    memory_vs_*    growth of resident memory, ours over theirs: the peak of a turn minus what the process held before
                   the model was loaded, so weights, gradients, optimizer states, activations and logits count and
                   libraries do not
    time_vs_sft    seconds per turn, ours over theirs
    padding_share  share of positions in our passes without a token

`--trl-python` is an interpreter with TRL (1.16.0); without one the ratios against TRL are left out. `--trl-pairs` is
its pairs per pass (by default 8, or the step's if fewer); with 1 it takes a third of the memory and pads less, so
measure against both. `--folder` keeps the data for the next run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import arguments, in_turn, spread
from benchmarks.training.data import prepare


class Turn(NamedTuple):
    """One answer of a side. growth: bytes."""

    tokens: int
    seconds: float
    growth: int
    padding: float


@dataclass(frozen=True)
class Goal:
    """A figure from a turn of ours and one of the peer's, and what it should be."""

    figure: Callable[[Turn, Turn], float]
    goal: str


def _speed(one: Turn, other: Turn) -> float:
    return (one.tokens / one.seconds) / (other.tokens / other.seconds)


def _memory(one: Turn, other: Turn) -> float:
    return one.growth / other.growth


def _time(one: Turn, other: Turn) -> float:
    return one.seconds / other.seconds


def _padding(one: Turn, _: Turn) -> float:
    return one.padding


COMPARISONS: dict[tuple[str, int], dict[str, Goal]] = {
    ("trl", 2): {
        "speed_vs_trl_dpo_k2": Goal(_speed, ">= 4"),
        "memory_vs_trl_dpo_k2": Goal(_memory, "<= 0.333"),
    },
    ("padded", 4): {
        "speed_vs_padded_k4": Goal(_speed, ">= 4"),
        "memory_vs_padded_k4": Goal(_memory, "<= 0.333"),
        "padding_share": Goal(_padding, "< 0.03"),
    },
    ("padded", 8): {"speed_vs_padded_k8": Goal(_speed, ">= 6")},
    ("sft", 4): {"time_vs_sft": Goal(_time, "<= 1.15")},
}
"""By peer and number of responses per group."""


class NotThere(Exception):
    """A side could not be started."""


class Side:
    """A process that trains a turn when asked."""

    def __init__(self, python: str, name: str, folder: Path, *options: str) -> None:
        command = [python, "-m", "benchmarks.training.sides", name, str(folder), *options]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._name = name
        self._line("ready")

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.communicate("", timeout=60)

    def measure(self) -> Turn:
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        tokens, seconds, peak, baseline, padding = self._line("answer")
        return Turn(int(tokens), float(seconds), int(peak) - int(baseline), float(padding))

    def _line(self, word: str) -> list[str]:
        assert self._process.stdout
        while line := self._process.stdout.readline():
            if line.split(" ")[0].strip() == word:
                return line.split()[1:]
        raise NotThere(f"{self._name} ended with status {self._process.wait()}; its output is above")


def main() -> None:
    args = arguments(
        __doc__,
        problems="HumanEval.jsonl",
        samples="humaneval_codegen16B_n100.jsonl",
        trl_python=sys.executable,
        trl_pairs=0,
        folder="",
        pairs=3,
        groups=16,
        step_groups=16,
        only="",
    )
    only = {key for key in args.only.split(",") if key}
    ratios: dict[str, list[float]] = {}
    turns: dict[str, list[dict[str, float]]] = {}
    with ExitStack() as stack:
        folder = Path(args.folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="rrtf-bench-")))
        prepare(folder, args.problems, args.samples)
        for (peer, k), goals in COMPARISONS.items():
            if only and not only & goals.keys():
                continue
            options = (f"--k={k}", f"--groups={args.groups}", f"--step-groups={args.step_groups}")
            python, own = (
                (args.trl_python, (f"--pass-groups={args.trl_pairs}",)) if peer == "trl" else (sys.executable, ())
            )
            try:
                found = _compare(python, peer, folder, options, own, args.pairs)
            except NotThere as error:
                print(f"{', '.join(goals)} left out: {error}", file=sys.stderr)
                continue
            for key, goal in goals.items():
                ratios[key] = [goal.figure(one, other) for one, other in found]
            turns[f"ours k={k} (with {peer})"] = [_readable(one) for one, _ in found]
            turns[f"{peer} k={k}"] = [_readable(other) for _, other in found]
    _print(ratios, turns, args.json)


def _compare(
    python: str, peer: str, folder: Path, options: tuple[str, ...], own: tuple[str, ...], pairs: int
) -> list[tuple[Turn, Turn]]:
    """Turns of ours and of the peer's, pair by pair. own: options of the peer alone."""
    with Side(python, peer, folder, *options, *own) as theirs, Side(sys.executable, "ours", folder, *options) as ours:
        for side in (theirs, ours):
            side.measure()  # warm up
        return in_turn(pairs, ours.measure, theirs.measure)


def _readable(turn: Turn) -> dict[str, float]:
    return {
        "response_tokens": turn.tokens,
        "tokens_per_s": round(turn.tokens / turn.seconds, 1),
        "seconds": round(turn.seconds, 2),
        "growth_mib": turn.growth >> 20,
        "padding_share": round(turn.padding, 4),
    }


def _print(ratios: dict[str, list[float]], turns: dict[str, list[dict[str, float]]], as_json: bool) -> None:
    goals = {key: goal.goal for found in COMPARISONS.values() for key, goal in found.items()}
    spreads = {key: spread(values) for key, values in ratios.items()}
    if as_json:
        medians = {key: round(found["median"], 4) for key, found in spreads.items()}
        details = {key: {**found, "goal": goals[key]} for key, found in spreads.items()}
        print(json.dumps({**medians, "details": details, "turns": turns}))
        return
    print(f"{'ratio':<24}{'median':>8}{'min':>8}{'max':>8}   goal")
    for key, found in spreads.items():
        figures = "".join(f"{found[name]:>8.3f}" for name in ("median", "min", "max"))
        print(f"{key:<24}{figures}   {goals[key]}")
    print("turns:")
    for name, figures_of in turns.items():
        for turn in figures_of:
            print(f"  {name:<24}" + "  ".join(f"{key} {value}" for key, value in turn.items()))


if __name__ == "__main__":
    main()
