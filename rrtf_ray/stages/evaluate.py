"""Evaluate a model on the held-out problems, by the same sample and execute stages as everything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rrtf_ray.config import Config, Draw
from rrtf_ray.core.evaluation import Evaluation, evaluate_groups
from rrtf_ray.progress import say
from rrtf_ray.records import Group, Split
from rrtf_ray.stages.produce import sample_and_execute
from rrtf_ray.stages.tally import judged_of
from rrtf_ray.store.files import join, write_json
from rrtf_ray.store.rows import RowStore
from rrtf_ray.store.run_dir import RunDir


def evaluate(config: Config, run: RunDir, model: str, label: str) -> Evaluation:
    """pass@k of `model` on the run's held-out problems; written to evaluations/<label>/evaluation.json."""
    draws = {"draws": config.evaluate.draws, "teacher": "none"}
    as_sampled = config.model_copy(
        update={
            "sample": config.sample.model_copy(update=draws),
            "execute": config.execute.model_copy(update={"probe_calls": 0}),  # nothing is ranked
        }
    )
    groups = run.evaluated_groups(label)
    # Every model is evaluated with the same seeds (round 0), which makes comparisons paired.
    sample_and_execute(as_sampled, run.problems(Split.HELD_OUT), groups, model, 0, f"evaluate {label}")
    evaluation = evaluation_of(groups, model, config.evaluate.draws, config.evaluate.k)
    write_json(join(run.evaluation(label), "evaluation.json"), evaluation.as_dict())
    for line in describe(evaluation):
        say(f"  {line}")
    return evaluation


def evaluation_of(groups: RowStore[Group], model: str, draws: Sequence[Draw] | None, ks: Sequence[int]) -> Evaluation:
    """pass@k of a store of executed groups, from the columns that say how each candidate ended."""
    return evaluate_groups(judged_of(groups), model, draws, ks)


def describe(evaluation: Evaluation) -> list[str]:
    """One line a draw."""
    lines = []
    for how, draw in zip(evaluation.draw_names, evaluation.draws, strict=True):
        values: list[Any] = [f"pass@{k} {estimate}" for k, estimate in draw.pass_at_k.items()]
        text = ", ".join(values) or "no pass@k (too few candidates)"
        lines.append(
            f"{how}: {text} on {draw.num_problems} problems, {draw.num_errors} sandbox errors, "
            f"{evaluation.num_unsampled} problems not sampled"
        )
    return lines
