"""What crosses the border between the driver and Ray Train's workers: the task, and how it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rrtf_ray.config import TrainConfig
from rrtf_ray.errors import RRTFError
from rrtf_ray.store.prompting import Prompting


@dataclass(frozen=True, slots=True)
class TrainTask:
    """One training, as each worker gets it.

    model: folder, URI or hub id of the student; model_name: its name in the checkpoint's manifest.
    rankings: the store's place. target: where the checkpoint goes.
    prompting: how a problem is put to the model. identity: fingerprint of all that the result depends on.
    """

    config: TrainConfig
    model: str
    model_name: str
    rankings: str
    target: str
    prompting: Prompting
    seed: int
    identity: str


@dataclass(frozen=True, slots=True)
class Started:
    """The workers are ready. first_step: steps that an earlier start has done already. padded_because: why responses
    are not packed; empty if they are."""

    total_steps: int
    first_step: int
    padded_because: str


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step is done. step: counted from 1, of `steps` in all. epoch: epochs done, in fractions.
    metrics: the loss and its parts, rates and norms, by name."""

    step: int
    steps: int
    epoch: float
    metrics: Mapping[str, float]

    def as_row(self) -> dict[str, Any]:
        """A line of metrics.jsonl."""
        return {**self.metrics, "step": self.step, "steps": self.steps, "epoch": self.epoch}


@dataclass(frozen=True, slots=True)
class Failed:
    """Rank 0 ended with an error of ours, which trying again would not help."""

    error: RRTFError


Message = Started | Step | Failed
