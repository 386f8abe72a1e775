"""From a Batch through the model to its loss: the module that DeepSpeed wraps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rrtf_ray.config import LossConfig
from rrtf_ray.core.head import head_loss
from rrtf_ray.core.losses import Responses, dpo_loss, rrtf_loss
from rrtf_ray.core.packing import Batch
from rrtf_ray.training.attention import block_mask

# log-probabilities (B, T) and the other facts of the responses -> loss and metrics, both sums over groups
GroupLoss = Callable[[Tensor, Responses], tuple[Tensor, dict[str, Tensor]]]


def group_loss(config: LossConfig) -> GroupLoss:
    """The objective that the configuration asks for."""
    if config.objective == "dpo":
        return lambda logprobs_BT, responses: dpo_loss(logprobs_BT, responses, pairs=config.pairs, beta=config.beta)
    alpha = config.alpha if config.objective == "rrtf" else 0.0
    return lambda logprobs_BT, responses: rrtf_loss(
        logprobs_BT,
        responses,
        pairs=config.pairs,
        gap_weight=config.gap_weight,
        margin=config.margin,
        alpha=alpha,
        ft_reduction=config.ft_reduction,
        length_normalize=config.length_normalize,
        prefix_weight=config.prefix_weight,
        link=config.link,
        compare=config.compare,
    )


class Objective(nn.Module):
    """A causal language model together with a loss over its packed or padded groups."""

    def __init__(self, model: Any, logits_chunk: int) -> None:
        super().__init__()
        self.model = model
        self.logits_chunk = logits_chunk

    def forward(self, batch: Batch, loss: GroupLoss, scale: float = 1.0) -> tuple[Tensor, dict[str, Tensor]]:
        """`scale` times the sum of the groups' losses, and the metrics (sums, not scaled)."""
        hidden_RTH = self._hidden(batch)
        hidden_NH = hidden_RTH.flatten(0, 1)[batch.predict_N]
        head = self.model.get_output_embeddings()

        def chunk_loss(index: int, logprobs_n: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            chunk = batch.chunks[index]
            found, metrics = loss(chunk.spread(logprobs_n), chunk.responses)
            return found * scale, metrics

        bounds = [(chunk.start, chunk.end) for chunk in batch.chunks]
        bias_V = getattr(head, "bias", None)
        return head_loss(hidden_NH, head.weight, bias_V, batch.targets_N, bounds, chunk_loss, self.logits_chunk)

    def _hidden(self, batch: Batch) -> Tensor:
        options: dict[str, Any] = {"input_ids": batch.tokens_RT, "position_ids": batch.positions_RT, "use_cache": False}
        if batch.layout is None:
            options["attention_mask"] = batch.mask_RT
        elif batch.tokens_RT.device.type == "cpu":
            options["layout"] = batch.layout
        else:
            options["attention_mask"] = block_mask(batch.layout, batch.tokens_RT.shape[1], batch.tokens_RT.device)
        return plain_model(self.model).base_model(**options).last_hidden_state


def plain_model(model: Any) -> Any:
    """The Transformers model itself, without the wrapper that adapters put around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def summed_logprobs(found: list[float]) -> GroupLoss:
    """A GroupLoss that appends each response's summed log-probability to `found`, in order, and costs nothing."""

    def record(logprobs_BT: Tensor, responses: Responses) -> tuple[Tensor, dict[str, Tensor]]:
        found.extend(logprobs_BT.sum(1).tolist())
        return logprobs_BT.new_zeros(()), {}

    return record


@torch.no_grad()
def response_logprobs(run: Callable[..., Any], batch: Batch) -> list[float]:
    """Summed log-probability of each response of `batch`; `run` is an Objective or the engine around one."""
    found: list[float] = []
    run(batch, summed_logprobs(found))
    return found
