"""The whole loop: problems, base evaluation, rounds of sample-execute-rank-train, evaluation, one served answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from rrtf_ray.artifacts import MANIFEST, absolute, exists, join, read_bytes, read_json, write_bytes, write_json
from rrtf_ray.config import Config
from rrtf_ray.core.evaluation import Evaluation, evaluate_groups
from rrtf_ray.core.metrics import paired_difference
from rrtf_ray.progress import say
from rrtf_ray.records import Split
from rrtf_ray.run_dir import RunDir, label
from rrtf_ray.stages.cluster import connected
from rrtf_ray.stages.evaluate import describe, evaluate
from rrtf_ray.stages.inputs import first_student, prepare_problems, prepare_student, record_environment
from rrtf_ray.stages.produce import execute, rank_groups, sample, sample_and_execute
from rrtf_ray.stages.report import print_report
from rrtf_ray.stages.serve import ask_once
from rrtf_ray.stages.stream import Tally
from rrtf_ray.stages.train import train


def run_stage(stage: str, config: Config, number: int = 1) -> None:
    """One stage by itself, in round `number` of the run directory; its input must be there."""
    run = RunDir(absolute(config.run_dir))
    record_environment(config, run)
    prepare_problems(config, run)
    if number == 1 and stage in ("sample", "train", "evaluate") and config.sample.engine == "vllm":
        prepare_student(config, run)
    with connected(config):
        if stage == "sample":
            sample(
                config,
                run.problems(Split.TRAIN),
                run.samples(number),
                _student(config, run, number),
                number,
                "sample",
            )
        elif stage == "execute":
            execute(config, run.samples(number), run.groups(number), "execute")
        elif stage == "rank":
            rank_groups(config, run.groups(number), run.rankings(number), "rank")
        elif stage == "train":
            train(config, run, _student(config, run, number), number, _metrics_writer(run, number))
        elif stage == "evaluate":
            # The model that stands at the end of the round, or the base model where nothing was trained yet.
            trained = exists(join(run.checkpoint(number), MANIFEST))
            name = label(number if trained else 0)
            evaluate(config, run, run.checkpoint(number) if trained else _student(config, run, number), name)


def run_all(config: Config) -> dict[str, Any]:
    """The whole loop; returns what it wrote to summary.json. Started again, it continues where it was."""
    run = RunDir(absolute(config.run_dir))
    record_environment(config, run)
    seconds = _Seconds(run)
    evaluations: dict[str, Evaluation] = {}
    answer: tuple[str, float] | None = None
    # Before the cluster: a mistake in the input is told at once, and nothing competes with the student's training.
    with seconds.of("problems"):
        prepare_problems(config, run)
    if config.sample.engine == "vllm":
        with seconds.of("student"):
            prepare_student(config, run)
    with connected(config):
        if config.until == "evaluate":
            with seconds.of("evaluate base"):
                evaluations["base"] = evaluate(config, run, _student(config, run, 1), "base")
        tallies = [_round(config, run, number, seconds) for number in range(1, config.rounds + 1)]
        last = label(config.rounds)
        if config.until == "evaluate":
            with seconds.of(f"evaluate {last}"):
                evaluations[last] = evaluate(config, run, run.checkpoint(config.rounds), last)
        if config.serve and config.until != "rank":
            with seconds.of("serve"):
                problem = next(iter(run.problems(Split.HELD_OUT).read()))
                answer = ask_once(
                    run.checkpoint(config.rounds),
                    problem.prompt,
                    engine=config.model,
                    max_tokens=config.sample.max_tokens,
                )
                say(f"serve: one completion through Ray Serve in {answer[1]:.2f} s")
    trained_on = evaluate_groups(run.groups(1).read(), _student(config, run, 1), None, config.evaluate.k)
    summary = _summary(config, run, evaluations, tallies, seconds.total, trained_on)
    write_json(run.at("summary.json"), summary)
    print_report(summary, evaluations, answer, config)
    return summary


def _round(config: Config, run: RunDir, number: int, seconds: _Seconds) -> tuple[Tally, Tally]:
    student = _student(config, run, number)
    with seconds.of(f"sample+execute {number}"):
        groups = sample_and_execute(
            config, run.problems(Split.TRAIN), run.groups(number), student, number, f"sample+execute {number}"
        )
        if config.sample.engine == "replay":
            evaluation = evaluate_groups(run.groups(number).read(), student, None, config.evaluate.k)
            for line in describe(evaluation):
                say(f"  {line}")
    with seconds.of(f"rank {number}"):
        rankings = rank_groups(config, run.groups(number), run.rankings(number), f"rank {number}")
    if config.until != "rank":
        with seconds.of(f"train {number}"):
            train(config, run, student, number, _metrics_writer(run, number))
    return groups, rankings


def _student(config: Config, run: RunDir, number: int) -> str:
    """The model that round `number` begins with: the newest checkpoint before it."""
    if number > 1:
        return run.checkpoint(number - 1)
    if config.sample.engine == "replay":
        return f"replay:{config.sample.replay_path}"
    return first_student(config, run)


def _metrics_writer(run: RunDir, number: int) -> Callable[[dict[str, Any]], None]:
    """Writes each step's metrics to metrics.jsonl; steps that a restart repeats replace the earlier ones."""
    place = run.at("metrics.jsonl")
    lines = [json.loads(t) for t in read_bytes(place).decode().splitlines()] if exists(place) else []
    written = [0.0]

    def write(metrics: dict[str, Any]) -> None:
        row = {"round": number, **metrics}
        lines[:] = [m for m in lines if m["round"] != number or m["step"] < metrics["step"]] + [row]
        # The whole file each time: an object store cannot append. Not more than once a second, but always the last.
        if time.monotonic() - written[0] > 1.0 or metrics["step"] == metrics["steps"]:
            write_bytes(place, "".join(json.dumps(m) + "\n" for m in lines).encode())
            written[0] = time.monotonic()

    return write


class _Seconds:
    """Wall seconds of each stage, kept in the run directory and added up over restarts."""

    def __init__(self, run: RunDir) -> None:
        self._place = run.at("seconds.json")
        self.total: dict[str, float] = read_json(self._place) if exists(self._place) else {}

    @contextmanager
    def of(self, stage: str):
        started = time.monotonic()
        try:
            yield
        finally:
            self.total[stage] = round(self.total.get(stage, 0.0) + time.monotonic() - started, 2)
            write_json(self._place, self.total)


def _summary(
    config: Config,
    run: RunDir,
    evaluations: dict[str, Evaluation],
    tallies: list[tuple[Tally, Tally]],
    seconds: dict[str, float],
    trained_on: Evaluation,
) -> dict[str, Any]:
    groups, rankings = tallies[-1]
    summary: dict[str, Any] = {
        "run_dir": config.run_dir,
        "rounds": config.rounds,
        "num_problems": groups.rows,
        "num_candidates": groups.candidates,
        "outcomes": dict(groups.outcomes),
        "num_rankings": rankings.reasons["ranked"],
        "not_ranked": {k: v for k, v in rankings.reasons.items() if k != "ranked"},
        "train_pass_at_k": {str(k): e.as_dict() for k, e in trained_on.draws[0].pass_at_k.items()},
    }
    if evaluations:
        base, tuned = evaluations["base"], evaluations[label(config.rounds)]
        summary["base_pass_at_1"] = base.draws[0].pass_at_k[1].as_dict()
        summary["tuned_pass_at_1"] = tuned.draws[0].pass_at_k[1].as_dict()
        before, after = base.draws[0].per_problem, tuned.draws[0].per_problem
        both = sorted(before.keys() & after.keys())
        if both:
            gain = paired_difference([before[i] for i in both], [after[i] for i in both])
            summary["gain_pass_at_1"] = gain.as_dict()
        summary["evaluations"] = {
            name: [{k: v for k, v in d.items() if k != "per_problem"} for d in e.as_dict()["draws"]]
            for name, e in evaluations.items()
        }
    return summary | {"seconds": seconds}
