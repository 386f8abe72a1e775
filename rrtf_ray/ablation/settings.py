"""What an ablation compares: the file that `rrtf ablate` reads."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field, model_validator

from rrtf_ray.config import Config, Section
from rrtf_ray.config_file import load_config

Settings = dict[str, Any]
"""`section.key: value`, as the overrides of a run."""
_FOLDERS = ("start", "shared")
"""What an ablation calls its own folders."""


class SearchConfig(Section):
    """One search of the learning rate for every objective, on seeds that the comparison does not use."""

    learning_rates: tuple[float, ...] = Field((), max_length=20)
    """What is tried; empty takes the run's own for all objectives."""
    regime: str = ""
    """The regime in which it is tried; empty is the first."""
    seeds: tuple[int, ...] = (1000, 1001)
    """Their problems, samples and students are the development split."""


class AblationConfig(Section):
    """Every objective in every regime with every seed."""

    output: str = Field("runs/ablation", min_length=1)
    """A local directory for everything that the ablation writes; it continues there."""
    config: str | None = None
    """The YAML file of the run that everything begins with, relative to this file; null is all defaults."""
    settings: Settings = Field(default_factory=dict)
    """Settings of that run to override, e.g. {problems.num_train: 600}."""
    seeds: tuple[int, ...] = Field((0, 1, 2, 3, 4), min_length=2)
    """Each decides the problems that are generated, the student, the samples and the order of training."""
    baseline: str = "sft"
    """The objective that the others are compared with."""
    regimes: dict[str, Settings] = Field(min_length=1)
    """By name, what differs from the run: the teacher, the number of problems, the rounds ..."""
    objectives: dict[str, Settings] = Field(min_length=1)
    """By name, settings of `train` and `rank`, so that all objectives of a regime share the first round's samples and
    verdicts."""
    search: SearchConfig = SearchConfig()

    @model_validator(mode="after")
    def _consistent(self) -> AblationConfig:
        if self.baseline not in self.objectives:
            raise ValueError(f"baseline={self.baseline!r} is none of the objectives: {', '.join(self.objectives)}")
        if self.search.regime and self.search.regime not in self.regimes:
            raise ValueError(f"search.regime={self.search.regime!r} is none of the regimes: {', '.join(self.regimes)}")
        for name in (*self.regimes, *self.objectives):
            if name in _FOLDERS or not name.replace("-", "").replace("_", "").isalnum():
                raise ValueError(
                    f"{name!r} is not a name: folders are called by it, so it is of letters, digits, - and _, and not "
                    f"{' or '.join(_FOLDERS)}"
                )
        for name, settings in self.objectives.items():
            for key in settings:
                if not key.startswith(("train.", "rank.")):
                    raise ValueError(
                        f"objectives.{name} sets {key!r}; only settings of `train` and `rank` may differ between "
                        "objectives, so put it under a regime"
                    )
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds={list(self.seeds)} names one twice; each counts as a repetition, so use others")
        if shared := set(self.seeds) & set(self.search.seeds):
            raise ValueError(f"search.seeds has the seeds {sorted(shared)} of the comparison; use others")
        return self


def run_config(ablation: AblationConfig, base: str | None, *layers: Settings, seed: int, run_dir: str) -> Config:
    """The configuration of one run: the file, then the ablation's settings, then `layers`, the later ones first.

    Raises ConfigError for a key or value that a run does not take.
    """
    merged: Settings = {}
    for layer in (ablation.settings, *layers, {"seed": seed, "run_dir": run_dir, "serve": False, "until": "evaluate"}):
        merged |= layer
    return load_config(base, [f"{key}={json.dumps(value)}" for key, value in merged.items()])
