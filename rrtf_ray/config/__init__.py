"""Every setting, with its meaning and bounds: one strict, frozen section per stage. `config_file` reads them.

Nothing here imports Ray or a model library, so a mistake is reported at once.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rrtf_ray.config.ranking import ExecuteConfig, FeedbackConfig, RankConfig
from rrtf_ray.config.sampling import EngineArguments, ModelConfig, ProblemsConfig, SampleConfig
from rrtf_ray.config.section import Draw, Section
from rrtf_ray.config.teachers import TeacherConfig
from rrtf_ray.config.training import LoraConfig, LossConfig, TrainConfig

__all__ = [
    "ClusterConfig",
    "Config",
    "Draw",
    "EngineArguments",
    "EvaluateConfig",
    "ExecuteConfig",
    "FeedbackConfig",
    "LoraConfig",
    "LossConfig",
    "ModelConfig",
    "ProblemsConfig",
    "RankConfig",
    "SampleConfig",
    "Section",
    "TeacherConfig",
    "TrainConfig",
    "resolved",
]


class EvaluateConfig(Section):
    draws: tuple[Draw, ...] = (Draw(n=1, temperature=0.0, top_p=1.0), Draw(n=5, temperature=0.8))
    """The first is what `*_pass_at_1` in summary.json reports."""
    k: tuple[int, ...] = (1,)
    """pass@k for each of these that a draw has enough candidates for; pass@1 always."""

    @model_validator(mode="after")
    def _something_to_measure(self) -> EvaluateConfig:
        if not self.draws:
            raise ValueError("draws is empty; give at least one, e.g. [{n: 1, temperature: 0}]")
        if min(self.k, default=1) < 1:
            raise ValueError(f"k={min(self.k)} is not a number of candidates; use 1 or more")
        return self


class ClusterConfig(Section):
    address: str | None = None
    """A running Ray cluster (`auto`, `ray://host:10001`); null takes RAY_ADDRESS, or starts one on this machine."""
    num_cpus: int | None = Field(None, ge=1)
    """Logical CPUs of a cluster started here; null is the machine's, at least 4 (they are only an account)."""
    object_store_mb: int = Field(512, ge=80)
    """Object store of a cluster started here."""
    resource_timeout_s: float = Field(600.0, gt=0)
    """How long a stage may make no progress, waiting for resources that an autoscaler has promised."""


class Config(Section):
    run_dir: str = Field("runs/default", min_length=1)
    """A local directory or URI (s3://, gs://, any fsspec filesystem) for everything that the run writes."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the problems that are generated, the candidates, the order of training and the quickstart's student."""
    rounds: int = Field(1, ge=1, le=100)
    """Repeat sample, execute, rank and train, each round with the newest checkpoint as the student."""
    problems: ProblemsConfig = ProblemsConfig()
    model: ModelConfig = ModelConfig()
    sample: SampleConfig = SampleConfig()
    execute: ExecuteConfig = ExecuteConfig()
    teachers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")], TeacherConfig] = Field(
        default_factory=dict
    )
    """Other models that answer, repair or judge, by name."""
    rank: RankConfig = RankConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    cluster: ClusterConfig = ClusterConfig()
    until: Literal["rank", "train", "evaluate"] = "evaluate"
    """The last stage of `rrtf run`: `rank` makes rankings only, `train` leaves out the evaluations."""
    baseline: dict[str, Any] = Field(default_factory=dict)
    """Settings of `train` and `rank` of a second training on the last round's candidates, evaluated beside the run's
    own (`until: evaluate`): {train.loss.objective: sft} shows what ranking is worth over imitation. Empty for none."""
    serve: bool = False
    """At the end of a run, serve the tuned model once and ask it for a completion."""

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if self.sample.max_tokens >= self.model.max_model_len:
            raise ValueError(
                f"sample.max_tokens={self.sample.max_tokens} leaves no room for a prompt within "
                f"model.max_model_len={self.model.max_model_len}; lower the first or raise the second"
            )
        if self.until == "rank" and self.rounds > 1:
            raise ValueError(f"rounds={self.rounds} with until='rank': a further round needs training; use rounds: 1")
        if self.sample.engine == "replay" and self.until != "rank":
            raise ValueError("a replayed student cannot be trained or evaluated; use until: rank")
        for key in self.baseline:
            if not key.startswith(("train.", "rank.")):
                raise ValueError(f"baseline sets {key!r}, but it shares all that comes before ranking; take it away")
        for name, teacher in self.teachers.items():
            writes = [role for role in teacher.roles if role != "judge"]
            if writes and self.sample.teacher in ("reference", "none"):
                raise ValueError(
                    f"teachers.{name} has the role {writes[0]!r}, but sample.teacher={self.sample.teacher!r} leaves "
                    "its programs out; use sample.teacher: both or responses, or take the role away"
                )
        return self


def resolved(config: Config) -> dict[str, Any]:
    """All settings as plain values, in the shape that load_config reads."""
    return config.model_dump(mode="json")
