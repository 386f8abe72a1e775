"""The loss on problems that are kept out of training: its curve, when to stop, and the weights where it was lowest.

In: examples. Out: a number every so many steps. The problems are train problems, never held-out ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rrtf_ray.config import TrainConfig
from rrtf_ray.core.examples import Example
from rrtf_ray.training.engine import whole_weights
from rrtf_ray.training.trainer import Trainer

_BEST = "best.pt"


class Validation:
    """What is known so far. best_loss, best_step: infinity and 0 before the first measurement."""

    def __init__(self, trainer: Trainer, examples: Sequence[Example], config: TrainConfig) -> None:
        self._trainer, self._examples, self._config = trainer, examples, config
        self.best_loss = math.inf
        self.best_step = 0
        self._worse = 0
        self._best: dict[str, torch.Tensor] = {}

    @property
    def is_over(self) -> bool:
        """Whether the loss has not fallen for `train.patience` measurements."""
        return self._config.patience is not None and self._worse >= self._config.patience

    def after(self, step: int, is_last: bool) -> dict[str, float]:
        """`validation_loss`, where it is time for it. Every worker takes part, and finds the same."""
        if not self._examples or (step % self._config.validate_every_steps and not is_last):
            return {}
        loss = imitation_loss(self._trainer.references(self._examples))
        if loss < self.best_loss:
            self.best_loss, self.best_step, self._worse = loss, step, 0
            if self._config.patience is not None:
                weights = whole_weights(self._trainer.engine, self._config)
                self._best = {name: value.detach().to("cpu", copy=True) for name, value in weights.items()}
        else:
            self._worse += 1
        return {"validation_loss": loss}

    def weights(self) -> dict[str, torch.Tensor]:
        """Those to export: the best ones with `train.patience`, otherwise the newest; empty on all workers but the
        first."""
        if self._config.patience is not None and self.best_step:  # on all workers alike
            return self._best
        return whole_weights(self._trainer.engine, self._config)

    def save(self, folder: str) -> None:
        """Into a training state; the first worker's part."""
        if self._examples and torch.distributed.get_rank() == 0:
            state = {"loss": self.best_loss, "step": self.best_step, "worse": self._worse, "weights": self._best}
            torch.save(state, Path(folder, _BEST))

    def load(self, folder: str) -> None:
        """What `save` wrote; every worker reads it, the first keeps the weights."""
        if not self._examples:
            return
        state: dict[str, Any] = torch.load(Path(folder, _BEST), map_location="cpu", weights_only=True)
        self.best_loss, self.best_step, self._worse = state["loss"], state["step"], state["worse"]
        if torch.distributed.get_rank() == 0:
            self._best = state["weights"]


def imitation_loss(examples: Sequence[Example]) -> float:
    """Mean over examples of -log P of a token of their targets, in nats; a target counts by its share in L_ft.

    examples: with `reference`, the summed log-probability of each response.
    """
    losses = [
        -sum(
            share * total / len(response)
            for share, total, response in zip(e.imitate, e.reference, e.responses, strict=True)
        )
        for e in examples
    ]
    return math.fsum(losses) / len(losses)
