"""The comparison at the end of a run: another objective on the last round's candidates, evaluated beside the run's own.

Its rankings and checkpoint are in run_dir/baseline, its evaluation is evaluations/baseline.
"""

from __future__ import annotations

from rrtf_ray.config import Config
from rrtf_ray.config_file import overridden
from rrtf_ray.core.evaluation import Evaluation
from rrtf_ray.core.metrics import Estimate, paired_difference
from rrtf_ray.stages.evaluate import evaluate
from rrtf_ray.stages.produce import rank_groups
from rrtf_ray.stages.train import train
from rrtf_ray.store.run_dir import BASELINE, RunDir


def baseline_config(config: Config) -> Config:
    """The run's settings with those of `baseline`. Raises ConfigError for one that is unknown or out of range."""
    return overridden(config, config.baseline, "baseline")


def train_baseline(config: Config, run: RunDir, student: str) -> Evaluation:
    """Rank the last round's candidates, without votes, train on that, and evaluate.

    student: what the round began with.
    """
    own, place, round = baseline_config(config), RunDir(run.at(BASELINE)), config.rounds
    rank_groups(own, run.groups(round), place.rankings(round), f"rank {BASELINE}")
    train(own, place, student, round, lambda metrics: None, f"train {BASELINE}")
    return evaluate(config, run, place.checkpoint(round), BASELINE)


def gains(own: Evaluation, baseline: Evaluation) -> dict[str, Estimate]:
    """By the name of a draw, pass@1 of the run's model minus that of the baseline's, paired by problem, with a 95%
    interval over problems; draws without common problems are left out."""
    found = {}
    for how, mine, other in zip(own.draw_names, own.draws, baseline.draws, strict=True):
        both = sorted(mine.per_problem.keys() & other.per_problem.keys())
        if both:
            found[how] = paired_difference([other.per_problem[i] for i in both], [mine.per_problem[i] for i in both])
    return found
