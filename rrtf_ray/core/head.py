"""The output layer and the loss fused: exact gradients without the logits of all tokens.

The loss is a sum over groups, and a group's loss needs only the log-probabilities of its own responses. So one chunk of
whole groups at a time goes through the output layer and the loss; the loss's derivative by each token's log-probability
is then known, and with the softmax still at hand the gradients of the hidden states and of the layer's weights are
finished before the next chunk. At most `chunk` tokens' logits exist at a time and none is computed twice, except for a
group longer than that, which takes two passes over its pieces.

With c_t = dL/d log P(y_t) and P_t the softmax: dL/dh_t = c_t * (W[y_t] - P_t W) and
dL/dW = sum_t c_t * (onehot(y_t) - P_t) h_t^T. Tokens with c_t = 0 (pairs already in order) cost nothing in the second
half.

Shapes: _N response tokens, group after group; _H hidden size; _V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# chunk index, log-probabilities (n,) float32 of the chunk's tokens -> the chunk's loss and its metrics (sums)
ChunkLoss = Callable[[int, Tensor], tuple[Tensor, dict[str, Tensor]]]
# Rows normalised together: on a CPU so few that they stay in its cache.
_CPU_ROWS = 32
# Rows of the weights per product on a CPU: in its cache too, a third faster than all at once.
_CPU_TILE = 2048
# Below this share of tokens with c_t != 0 it pays to copy them together.
_SPARSE = 0.75


def head_loss(
    hidden_NH: Tensor,
    weight_VH: Tensor,
    bias_V: Tensor | None,
    targets_N: Tensor,
    bounds: Sequence[tuple[int, int]],
    chunk_loss: ChunkLoss,
    chunk: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of `chunk_loss` over all chunks, differentiable by hidden_NH, weight_VH and bias_V; and its metrics.

    hidden_NH: the hidden state that predicts each response token; any float type, the softmax is in float32.
    targets_N: the response tokens.
    bounds: (start, end) of each chunk in N, whole groups each.
    chunk: most tokens whose logits are held at once.

    Without autograd only the log-probabilities are computed.
    """
    metrics: dict[str, Tensor] = {}
    # `forward` cannot know: there autograd is off, and no_grad does not change needs_input_grad.
    wanted = torch.is_grad_enabled()
    loss = _HeadLoss.apply(hidden_NH, weight_VH, bias_V, targets_N, bounds, chunk_loss, chunk, metrics, wanted)
    return loss, metrics


def plan_chunks(group_tokens: Sequence[int], chunk: int) -> list[tuple[int, int]]:
    """(first, end) indices of consecutive groups with at most `chunk` response tokens together, or one group alone."""
    chunks, first, total = [], 0, 0
    for index, tokens in enumerate(group_tokens):
        if total and total + tokens > chunk:
            chunks.append((first, index))
            first, total = index, 0
        total += tokens
    if group_tokens:
        chunks.append((first, len(group_tokens)))
    return chunks


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden_NH, weight_VH, bias_V, targets_N, bounds, chunk_loss, chunk, metrics, wanted):
        needs = ctx.needs_input_grad if wanted else (False,) * 3
        work = _Work(hidden_NH, weight_VH, bias_V, targets_N, needs)
        loss = hidden_NH.new_zeros((), dtype=torch.float32)
        for index, (start, end) in enumerate(bounds):
            pieces = [(at, min(at + chunk, end)) for at in range(start, end, chunk)]
            alone = len(pieces) == 1
            logprobs_n, kept = [], None
            for piece in pieces:
                kept = work.normalise(*piece)
                logprobs_n.append(kept[2])
            found, sums, slopes_n = _slopes(chunk_loss, index, torch.cat(logprobs_n), work.wanted)
            loss += found
            for key, value in sums.items():
                metrics[key] = metrics[key] + value if key in metrics else value
            if work.wanted:
                for at, to in pieces:
                    if not alone:
                        kept = work.normalise(at, to)
                    assert kept is not None
                    work.add(at, to, kept[0], kept[1], slopes_n[at - start : to - start])
        ctx.save_for_backward(work.d_hidden, work.d_weight, work.d_bias)
        ctx.types = (hidden_NH.dtype, weight_VH.dtype, None if bias_V is None else bias_V.dtype)
        return loss

    @staticmethod
    def backward(ctx, scale):
        d_hidden, d_weight, d_bias = ctx.saved_tensors
        hidden_type, weight_type, bias_type = ctx.types

        def scaled(gradient, dtype):
            if gradient is None:
                return None
            # The usual scale is exactly 1, and a pass over the whole vocabulary's gradient is not free.
            return gradient.to(dtype) if scale.item() == 1.0 else (gradient * scale).to(dtype)

        return (
            scaled(d_hidden, hidden_type),
            scaled(d_weight, weight_type),
            scaled(d_bias, bias_type),
            *[None] * 6,
        )


class _Work:
    """The three gradients as they grow, chunk by chunk."""

    def __init__(self, hidden_NH, weight_VH, bias_V, targets_N, needs) -> None:
        self.hidden, self.weight, self.bias, self.targets = hidden_NH, weight_VH, bias_V, targets_N
        self.wanted = any(needs[:3])
        self._memory: Tensor | None = None
        self.d_hidden = torch.zeros_like(hidden_NH) if needs[0] else None
        self.d_weight = torch.zeros_like(weight_VH, dtype=torch.float32) if needs[1] else None
        self.d_bias = torch.zeros_like(bias_V, dtype=torch.float32) if needs[2] else None

    def normalise(self, start: int, end: int) -> tuple[Tensor, Tensor, Tensor]:
        """exp(logits - max) (n, V), the factors of its rows that give the softmax (n,), log-probabilities (n,)."""
        size = end - start
        logits_nV = self._logits(start, end)
        logprobs_n, inverse_n = logits_nV.new_empty(size), logits_nV.new_empty(size)
        rows = _CPU_ROWS if logits_nV.device.type == "cpu" else size
        for at in range(0, size, rows):
            to = min(at + rows, size)
            block = logits_nV[at:to]
            block.sub_(block.amax(1, keepdim=True))
            chosen = block.gather(1, self.targets[start + at : start + to, None])[:, 0]
            total = block.exp_().sum(1)
            torch.sub(chosen, total.log(), out=logprobs_n[at:to])
            torch.reciprocal(total, out=inverse_n[at:to])
        return logits_nV, inverse_n, logprobs_n

    def _logits(self, start: int, end: int) -> Tensor:
        """(n, V) float32, in memory that the next piece overwrites: on a CPU, new memory costs more than filling it."""
        if self.weight.dtype != torch.float32:
            return torch.nn.functional.linear(self.hidden[start:end], self.weight, self.bias).float()
        if self._memory is None or len(self._memory) < end - start:
            self._memory = self.weight.new_empty(end - start, len(self.weight))
        logits_nV = self._memory[: end - start]
        tile = _CPU_TILE if logits_nV.device.type == "cpu" else len(self.weight)
        for at in range(0, len(self.weight), tile):
            torch.mm(self.hidden[start:end], self.weight[at : at + tile].T, out=logits_nV[:, at : at + tile])
        return logits_nV if self.bias is None else logits_nV.add_(self.bias)

    def add(self, start: int, end: int, powers_nV: Tensor, inverse_n: Tensor, slopes_n: Tensor) -> None:
        """Add one piece's gradients; `powers_nV * inverse_n` is its softmax, `slopes_n` is c_t."""
        hidden_nH, targets_n = self.hidden[start:end], self.targets[start:end]
        active = slopes_n.nonzero()[:, 0]
        if len(active) == 0:
            return
        places: slice | Tensor = slice(start, end)
        if len(active) < _SPARSE * len(slopes_n):
            powers_nV, inverse_n, slopes_n = powers_nV[active], inverse_n[active], slopes_n[active]
            hidden_nH, targets_n = hidden_nH[active], targets_n[active]
            places = start + active
        kind = self.weight.dtype
        if kind != torch.float32:  # the softmax itself: its values fit 16 bits better than the powers
            powers_nV, inverse_n = (powers_nV * inverse_n[:, None]).to(kind), torch.ones_like(inverse_n)
        if self.d_hidden is not None:
            mean_nH = (powers_nV @ self.weight).float() * inverse_n[:, None]
            found_nH = slopes_n[:, None] * (self.weight[targets_n].float() - mean_nH)
            self.d_hidden[places] = found_nH.to(self.d_hidden.dtype)
        scaled_nH = hidden_nH.float() * slopes_n[:, None]
        if self.d_weight is not None:
            against_nH = (scaled_nH * inverse_n[:, None]).to(kind)
            if kind == torch.float32:
                self.d_weight.addmm_(powers_nV.T, against_nH, alpha=-1.0)
            else:
                self.d_weight -= powers_nV.T @ against_nH
            self.d_weight.index_add_(0, targets_n, scaled_nH)
        if self.d_bias is not None:
            self.d_bias -= powers_nV.float().T @ (inverse_n * slopes_n)
            self.d_bias.index_add_(0, targets_n, slopes_n)


def _slopes(chunk_loss: ChunkLoss, index: int, logprobs_n: Tensor, wanted: bool):
    """The chunk's loss, its metrics, and its derivative by each log-probability."""
    if not wanted:
        return *chunk_loss(index, logprobs_n), None
    with torch.enable_grad():
        leaf_n = logprobs_n.detach().requires_grad_()
        loss, sums = chunk_loss(index, leaf_n)
        if not loss.requires_grad:  # nothing in this chunk is compared or imitated
            return loss.detach(), sums, torch.zeros_like(logprobs_n)
        (slopes_n,) = torch.autograd.grad(loss, leaf_n)
    return loss.detach(), sums, slopes_n
