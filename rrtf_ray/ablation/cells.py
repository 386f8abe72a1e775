"""The runs of an ablation. What they share is made once; each is a run directory, without what `rrtf run` adds at its
end.

    OUTPUT/seed-S/start/                   student and evaluation of the base model
    OUTPUT/seed-S/REGIME/shared/           the first round's candidates and rankings
    OUTPUT/seed-S/REGIME/OBJECTIVE@LR/     the rest: training, further rounds, evaluation; and rankings of its own,
                                           where it sets how candidates are ranked
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from rrtf_ray.ablation.settings import AblationConfig, Settings, run_config
from rrtf_ray.config import Config
from rrtf_ray.core.evaluation import Evaluation
from rrtf_ray.stages.evaluate import evaluate
from rrtf_ray.stages.inputs import recorded
from rrtf_ray.stages.pipeline import Seconds, prepare, run_round, sample_and_rank, student_of
from rrtf_ray.store.files import MANIFEST, join, read_json
from rrtf_ray.store.run_dir import RunDir, label

PassAtK = dict[str, float]
"""By `pass@1, greedy` and the like: share of the held-out problems."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run came to.

    steps, response_tokens: of the last round's training. candidates: the student's and teachers', over all rounds.
    """

    regime: str
    objective: str
    seed: int
    learning_rate: float
    pass_at_k: PassAtK
    steps: int
    response_tokens: int
    candidates: int


@dataclass(frozen=True, slots=True)
class Runs:
    """Makes the runs of an ablation, each once. base: the path of the file that `config` names."""

    ablation: AblationConfig
    base: str | None

    def config(self, seed: int, regime: str = "", objective: str = "", learning_rate: float | None = None) -> Config:
        """The configuration of one run; without a regime, of what all of a seed's runs begin with."""
        layers: list[Settings] = [self.ablation.regimes[regime]] if regime else []
        name = "shared"
        if objective:
            layers.append(self.ablation.objectives[objective])
            name = objective
            if learning_rate is not None:
                layers.append({"train.learning_rate": learning_rate})
                name = f"{objective}@{learning_rate:g}"
        place = f"{self.ablation.output}/seed-{seed}/" + (f"{regime}/{name}" if regime else "start")
        return run_config(self.ablation, self.base, *layers, seed=seed, run_dir=place)

    def measure_base(self, seed: int) -> PassAtK:
        """The model that the seed's runs begin with."""
        config = self.config(seed)
        run = RunDir(config.run_dir)
        prepare(config, run, Seconds(run))
        with recorded(config, run):
            return figures(evaluate(config, run, student_of(config, run, 1), label(0)))

    def measure(self, seed: int, regime: str, objective: str, learning_rate: float | None) -> Measured:
        """Train and evaluate an objective on what `share` made. Raises StageError where it cannot be trained."""
        config = self.config(seed, regime, objective, learning_rate)
        run = RunDir(config.run_dir)
        shared = self.config(seed, regime)
        for part in ("student", "problems", "round-01/groups"):
            _copy(shared, config, part)
        if config.rank == shared.rank:
            _copy(shared, config, "round-01/rankings")
        seconds = Seconds(run)
        prepare(config, run, seconds)
        with recorded(config, run):
            rounds = [run_round(config, run, round, seconds) for round in range(1, config.rounds + 1)]
            checkpoint = run.checkpoint(config.rounds)
            evaluation = evaluate(config, run, checkpoint, label(config.rounds))
        trained = read_json(join(checkpoint, MANIFEST))
        return Measured(
            regime=regime,
            objective=objective,
            seed=seed,
            learning_rate=config.train.learning_rate,
            pass_at_k=figures(evaluation),
            steps=trained["steps"],
            response_tokens=trained["response_tokens"],
            candidates=sum(counts["num_candidates"] for counts in rounds),
        )

    def share(self, seed: int, regime: str) -> None:
        """Make what the regime's runs with this seed have in common: the first round's candidates and rankings."""
        config = self.config(seed, regime)
        run = RunDir(config.run_dir)
        _copy(self.config(seed), config, "student")
        seconds = Seconds(run)
        prepare(config, run, seconds)
        with recorded(config, run):
            sample_and_rank(config, run, 1, seconds)


def figures(evaluation: Evaluation) -> PassAtK:
    """pass@k of every draw, by a name that says how it was drawn."""
    named = zip(evaluation.draw_names, evaluation.draws, strict=True)
    return {f"pass@{k}, {how}": estimate.value for how, draw in named for k, estimate in draw.pass_at_k.items()}


def _copy(source: Config, target: Config, part: str) -> None:
    """A part of another run, whole or not at all; what the target has already is left."""
    given, made = Path(source.run_dir, part), Path(target.run_dir, part)
    if made.exists() or not given.exists():
        return
    made.parent.mkdir(parents=True, exist_ok=True)
    half = made.with_name(f".{made.name}.copying")
    shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(given, half)
    half.rename(made)
