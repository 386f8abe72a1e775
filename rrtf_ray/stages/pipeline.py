"""The whole loop: problems, base evaluation, rounds of sample-execute-rank-train, evaluation, one served answer."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from itertools import chain
from typing import Any

from rrtf_ray.cluster.connecting import connected
from rrtf_ray.config import Config
from rrtf_ray.core.evaluation import Evaluation
from rrtf_ray.core.metrics import paired_difference
from rrtf_ray.deployments.applications import ask_once
from rrtf_ray.progress import say
from rrtf_ray.records import Split
from rrtf_ray.report.command import report_at_the_end
from rrtf_ray.stages.baseline import baseline_config, gains, train_baseline
from rrtf_ray.stages.closing_table import print_report
from rrtf_ray.stages.evaluate import describe, evaluate, evaluation_of
from rrtf_ray.stages.inputs import (
    first_student,
    prepare_problems,
    prepare_student,
    recorded,
    require_held_out,
)
from rrtf_ray.stages.preflight import check_training
from rrtf_ray.stages.produce import execute, sample, sample_and_execute
from rrtf_ray.stages.tally import numbers
from rrtf_ray.stages.teaching import executed_groups, judge, problems_to_sample, ranks_at_once, repair
from rrtf_ray.stages.train import train
from rrtf_ray.stages.voting import check_votes, rank_round, streamed_rankings
from rrtf_ray.store.files import absolute, exists, read_bytes, read_json, write_bytes, write_json
from rrtf_ray.store.run_dir import BASELINE, RunDir, label
from rrtf_ray.teachers.preflight import check_teachers


def run_stage(stage: str, config: Config, round: int = 1) -> None:
    """One stage by itself, in round `round` of the run directory; its input must be there.

    evaluate measures the model after round `round`; 0 is the model that the run begins with.
    """
    run = RunDir(absolute(config.run_dir))
    if stage in ("sample", "execute", "rank"):
        check_teachers(config)
    prepare_problems(config, run)
    if stage == "evaluate":
        require_held_out(config, run)
    first_round = 0 if stage == "evaluate" else 1
    needs_weights = stage == "train" or (stage in ("sample", "evaluate") and config.sample.engine == "vllm")
    if round == first_round and needs_weights:
        prepare_student(config, run)
    with recorded(config, run), connected(config):
        if stage == "sample":
            sample(
                config,
                problems_to_sample(config, run),
                run.samples(round),
                student_of(config, run, round),
                round,
                "sample",
            )
        elif stage == "execute":
            execute(config, run.samples(round), executed_groups(config, run, round), "execute")
            repair(config, run, round)
        elif stage == "rank":
            judge(config, run, round)
            rank_round(config, run, round, "rank")
        elif stage == "train":
            train(config, run, student_of(config, run, round), round, _metrics_writer(config, run, round))
        elif stage == "evaluate":
            evaluate(config, run, student_of(config, run, round + 1), label(round))


def run_all(config: Config) -> dict[str, Any]:
    """The whole loop; returns what it wrote to summary.json. Started again, it continues where it was."""
    run = RunDir(absolute(config.run_dir))
    seconds = Seconds(run)
    evaluations: dict[str, Evaluation] = {}
    answer: tuple[str, float] | None = None
    prepare(config, run, seconds)
    with recorded(config, run), connected(config):
        if config.until == "evaluate":
            with seconds.of("evaluate base"):
                evaluations["base"] = evaluate(config, run, student_of(config, run, 1), "base")
        rounds = [run_round(config, run, round, seconds) for round in range(1, config.rounds + 1)]
        last = label(config.rounds)
        if config.until == "evaluate":
            with seconds.of(f"evaluate {last}"):
                evaluations[last] = evaluate(config, run, run.checkpoint(config.rounds), last)
        if config.baseline and config.until == "evaluate":
            with seconds.of(BASELINE):
                evaluations[BASELINE] = train_baseline(config, run, student_of(config, run, config.rounds))
        # Before serving, whose failure must not cost what was measured.
        summary = _summary(config, evaluations, rounds) | {"seconds": seconds.total}
        write_json(run.at("summary.json"), summary)
        if config.serve and config.until != "rank":
            with seconds.of("serve"):
                answer = _serve_once(config, run)
    summary |= {"seconds": seconds.total}
    write_json(run.at("summary.json"), summary)
    print_report(summary, evaluations, answer, config)
    report_at_the_end(config.run_dir, summary["num_candidates"])
    return summary


def _serve_once(config: Config, run: RunDir) -> tuple[str, float]:
    """The tuned model's completion of a problem that it has not seen (or has, where none is held out)."""
    problems = chain(run.problems(Split.HELD_OUT).read(), run.problems(Split.TRAIN).read())
    text, seconds = ask_once(
        run.checkpoint(config.rounds),
        next(problems).prompt,
        engine=config.model,
        max_tokens=config.sample.max_tokens,
        gpus=config.sample.gpus_per_engine,
    )
    say(f"serve: one completion through Ray Serve in {seconds:.2f} s")
    return text, seconds


def prepare(config: Config, run: RunDir, seconds: Seconds) -> None:
    """Problems and student, before there is a cluster: a mistake in the input is reported at once, and nothing competes
    with the student's training."""
    baseline_config(config)  # its mistakes are told now
    check_votes(config, run)
    check_teachers(config)
    with seconds.of("problems"):
        prepare_problems(config, run)
    if config.until == "evaluate":
        require_held_out(config, run)
    if config.sample.engine == "vllm" or config.until != "rank":
        with seconds.of("student"):
            prepare_student(config, run)
    if config.until != "rank":
        check_training(config, run, student_of(config, run, 1))


def run_round(config: Config, run: RunDir, round: int, seconds: Seconds) -> dict[str, Any]:
    """Sample, execute, rank and train once; returns the round's counts for summary.json."""
    counts = sample_and_rank(config, run, round, seconds)
    if config.until != "rank":
        with seconds.of(f"train {round}"):
            train(config, run, student_of(config, run, round), round, _metrics_writer(config, run, round))
    return counts


def sample_and_rank(config: Config, run: RunDir, round: int, seconds: Seconds) -> dict[str, Any]:
    """The round up to its rankings; returns its counts."""
    student = student_of(config, run, round)
    problems, executed = run.problems(Split.TRAIN), executed_groups(config, run, round)
    if config.teachers:
        with seconds.of("teachers"):
            problems = problems_to_sample(config, run)
    with seconds.of(f"sample+execute {round}"):
        groups = sample_and_execute(
            config,
            problems,
            executed,
            student,
            round,
            f"sample+execute {round}",
            streamed_rankings(config, run, round) if ranks_at_once(config) else None,
        )
        sampled = evaluation_of(executed, student, None, config.evaluate.k)
        for line in describe(sampled):
            say(f"  {line}")
    if config.teachers:
        with seconds.of("teachers"):
            groups = repair(config, run, round) or groups
            judge(config, run, round)
    with seconds.of(f"rank {round}"):
        rankings = rank_round(config, run, round, f"rank {round}")
    reasons = numbers(rankings.reasons)
    return {
        "round": round,
        "num_problems": groups.rows,
        "num_candidates": groups.candidates,
        "outcomes": dict(numbers(groups.outcomes)),
        "train_pass_at_k": {str(k): e.as_dict() for k, e in sampled.draws[0].pass_at_k.items()},
        "num_rankings": reasons.pop("ranked", 0),
        "not_ranked": dict(reasons),
    }


def student_of(config: Config, run: RunDir, round: int) -> str:
    """The model that round `round` begins with: the newest checkpoint before it."""
    if round > 1:
        return run.checkpoint(round - 1)
    if config.sample.engine == "replay":
        return f"replay:{config.sample.replay_path}"
    return first_student(config, run)


def _metrics_writer(config: Config, run: RunDir, round: int) -> Callable[[dict[str, Any]], None]:
    """Writes each step's metrics to metrics.jsonl; steps that a restart repeats replace the earlier ones."""
    place = run.at("metrics.jsonl")
    lines = [json.loads(t) for t in read_bytes(place).decode().splitlines()] if exists(place) else []
    written = [0.0]

    def write(metrics: dict[str, Any]) -> None:
        row = {"round": round, **metrics}
        lines[:] = [m for m in lines if m["round"] != round or m["step"] < metrics["step"]] + [row]
        # The whole file each time, since an object store cannot append; so not more than once a second, but always
        # at a step from which a restart may continue.
        resumable = metrics["step"] % config.train.checkpoint_every_steps == 0 or metrics["step"] == metrics["steps"]
        if resumable or time.monotonic() - written[0] > 1.0:
            write_bytes(place, "".join(json.dumps(m) + "\n" for m in lines).encode())
            written[0] = time.monotonic()

    return write


class Seconds:
    """Wall seconds of each stage, kept in the run directory and added up over restarts (a killed one is not)."""

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


def _summary(config: Config, evaluations: dict[str, Evaluation], rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts over all rounds, each round's own, and the comparison of the first and the last model."""
    summary: dict[str, Any] = {
        "run_dir": config.run_dir,
        "rounds": config.rounds,
        "num_problems": rounds[0]["num_problems"],
        "num_candidates": sum(r["num_candidates"] for r in rounds),
        "outcomes": _sum_of([r["outcomes"] for r in rounds]),
        "num_rankings": sum(r["num_rankings"] for r in rounds),
        "not_ranked": _sum_of([r["not_ranked"] for r in rounds]),
        "per_round": rounds,
    }
    if evaluations:
        base, tuned = evaluations["base"].draws[0], evaluations[label(config.rounds)].draws[0]
        for key, draw in (("base_pass_at_1", base), ("tuned_pass_at_1", tuned)):
            summary[key] = draw.pass_at_k[1].as_dict() if 1 in draw.pass_at_k else None
        both = sorted(base.per_problem.keys() & tuned.per_problem.keys())
        if both:
            gain = paired_difference([base.per_problem[i] for i in both], [tuned.per_problem[i] for i in both])
            summary["gain_pass_at_1"] = gain.as_dict()
        if BASELINE in evaluations:
            found = gains(evaluations[label(config.rounds)], evaluations[BASELINE])
            summary["gain_over_baseline"] = {how: gain.as_dict() for how, gain in found.items()}
        summary["evaluations"] = {
            name: [{k: v for k, v in d.items() if k != "per_problem"} for d in e.as_dict()["draws"]]
            for name, e in evaluations.items()
        }
    return summary


def _sum_of(counts: list[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)
