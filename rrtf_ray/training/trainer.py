"""One optimizer step after another, on this worker's share of each: no Ray here.

All workers plan the same passes, so they make equally many (otherwise a collective operation would hang). Losses are
summed over a step's groups and divided by their number over all passes and workers, so neither changes the result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from rrtf_ray.config import TrainConfig
from rrtf_ray.core.examples import Example, plan_passes
from rrtf_ray.core.losses import means
from rrtf_ray.core.packing import Batch, pack, pad_rows
from rrtf_ray.errors import StageError
from rrtf_ray.training.attention import BLOCK
from rrtf_ray.training.engine import gradient_norm
from rrtf_ray.training.objective import GroupLoss, group_loss, response_logprobs


class Trainer:
    """Takes steps with a DeepSpeed engine around an Objective."""

    def __init__(
        self, engine: Any, config: TrainConfig, *, packed: bool, rank: int, world: int, loss: GroupLoss | None = None
    ) -> None:
        self.engine, self.config, self.packed = engine, config, packed
        self.rank, self.world = rank, world
        self._loss = loss or group_loss(config.loss)

    def step(self, examples: Sequence[Example]) -> dict[str, float]:
        """One optimizer step on these examples (of all workers); its metrics are over all workers.

        Raises StageError naming the problems if the loss or the gradient is not finite; the engine is then unusable,
        and the last training state stays as it is.
        """
        started = time.monotonic()
        passes = list(self._passes(examples))
        sums: dict[str, torch.Tensor] = {}
        suspects: list[str] = []
        for number, batch in enumerate(passes):
            self.engine.set_gradient_accumulation_boundary(number == len(passes) - 1)
            # DeepSpeed takes the mean over workers; we want the mean over the step's groups.
            loss, metrics = self.engine(batch.to(self.engine.device), self._loss, self.world / len(examples))
            if not torch.isfinite(loss):
                suspects += batch.problem_ids
            for key, value in self._counted(batch, loss, metrics).items():
                sums[key] = sums[key] + value if key in sums else value
            self.engine.backward(loss, scale_wrt_gas=False)
        keys = sorted(sums)
        total = torch.stack([sums[key].float() for key in keys])
        torch.distributed.all_reduce(total)
        found = dict(zip(keys, total.tolist(), strict=True))
        self._require_finite(found["loss"], suspects, "loss")
        grad_norm = gradient_norm(self.engine)
        self.engine.step()
        if grad_norm is None:
            grad_norm = float(self.engine.get_global_grad_norm() or 0.0)
        self._require_finite(grad_norm, [e.problem_id for e in examples], "gradient")
        elapsed_s = max(1e-9, time.monotonic() - started)
        return {
            "loss": found["loss"],
            **means(found),
            "grad_norm": grad_norm,
            "learning_rate": self.engine.get_lr()[0],
            "tokens_per_s": found["tokens"] / elapsed_s,
            "response_tokens_per_s": found["response_tokens"] / elapsed_s,
            "padding_share": 1 - found["tokens"] / found["positions"],
        }

    def references(self, examples: Sequence[Example]) -> list[Example]:
        """The examples with the summed log-probability of each response under the current model."""
        found: dict[str, tuple[float, ...]] = {}
        self.engine.eval()
        size = max(1, self.config.batch_groups)
        for start in range(0, len(examples), size):
            for batch, chosen in self._batches(examples[start : start + size]):
                values = iter(response_logprobs(self.engine, batch.to(self.engine.device)))
                for example in chosen:
                    found[example.problem_id] = tuple(next(values) for _ in example.responses)
        self.engine.train()
        everyone: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(everyone, found)
        merged = {key: value for part in everyone for key, value in part.items()}
        return [replace(e, reference=merged[e.problem_id]) for e in examples]

    def _passes(self, examples: Sequence[Example]) -> Iterator[Batch]:
        return (batch for batch, _ in self._batches(examples))

    def _batches(self, examples: Sequence[Example]) -> Iterator[tuple[Batch, list[Example]]]:
        """This worker's passes, each with its examples. An empty place repeats the shortest with weight 0: collectives
        need the pass."""
        costs = [e.num_tokens for e in examples]
        if not self.packed:  # every row of a pass is as wide as the widest, at most the widest of the step
            width = max(len(e.prompt) + max(map(len, e.responses)) for e in examples)
            costs = [len(e.responses) * width for e in examples]
        for places in plan_passes(costs, self.config.tokens_per_pass, self.world):
            mine = places[self.rank]
            chosen = [examples[i] for i in mine] or [examples[costs.index(min(costs))]]
            weights = [example.weight if mine else 0.0 for example in chosen]
            yield self._batch(chosen, weights), chosen

    def _batch(self, examples: Sequence[Example], weights: Sequence[float]) -> Batch:
        chunk = self.config.logits_chunk
        if not self.packed:
            return pad_rows(examples, weights, chunk=chunk)
        return pack(examples, weights, chunk=chunk, multiple=BLOCK if self.config.use_gpu else 1)

    def _counted(self, batch: Batch, loss: torch.Tensor, metrics: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What is summed over passes and workers: the metrics, this pass's part of the step's loss, and its size. All
        of a pass with weight 0 is padding."""
        return metrics | {
            "loss": loss.detach() / self.world,
            "tokens": batch.num_tokens * (metrics["num_groups"] > 0),
            "positions": loss.new_tensor(batch.tokens_RT.numel()),
        }

    def _require_finite(self, value: float, suspects: list[str], what: str) -> None:
        """Raises StageError if it is not; on all workers alike, as `value` is the same for all."""
        if math.isfinite(value):
            return
        everyone: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(everyone, suspects)
        named = sorted({problem for part in everyone for problem in part})
        raise StageError(
            f"the {what} is {value} on the problems {', '.join(named[:20])}{' ...' if len(named) > 20 else ''}; lower "
            "train.learning_rate, or look at these problems' responses; the last training state is kept"
        )
