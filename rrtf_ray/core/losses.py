"""The objectives of training, as pure functions: RRTF and its family, and DPO as a baseline.

RRTF (PanGu-Coder2, arXiv 2307.14936, section 3; RRHF, arXiv 2304.05302):

    p_i    = sum_t log P(y_i,t | x, y_i,<t) / |y_i|
    L_rank = - sum over pairs with r_i > r_j of (r_i - r_j) * min(0, p_i - p_j - margin)
    L_ft   = - sum_t log P(y_target,t | x, y_target,<t)
    L      = alpha * L_rank + L_ft

Several targets share L_ft by their weights, as in rejection-sampling fine-tuning (RAFT, arXiv 2304.06767).

DPO (arXiv 2305.18290, equation 7), over the same pairs, with s_i the summed log-probability of a response:

    L      = - sum over pairs of log sigmoid(beta * ((s_i - s_j) - (s_i^ref - s_j^ref)))

Shapes: _B is over the responses of some groups, _T over a response's tokens, _BB over ordered pairs of responses.
Everything is a sum over groups: the caller divides by the number of groups of the whole optimizer step, so neither
passes nor workers change the result. Nothing is modified in place.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus


@dataclass(frozen=True, slots=True)
class Responses:
    """What a loss needs of the responses of some groups besides their log-probabilities.

    lengths_B: tokens of each response, at least 1.
    scores_B: r, the ranking's scores.
    group_B: index of each response's group; pairs are formed within a group only.
    is_teacher_B, passed_B: bool; who wrote a response, and whether it passed all tests.
    imitate_B: weight in L_ft; 1 in all over the responses of a group.
    weight_B: weight of the response's group; 0 takes a group out.
    shared_BB: how many tokens responses i and j share before they first differ (0 across groups).
    reference_B: summed log-probability before training (DPO); otherwise zeros.
    """

    lengths_B: Tensor
    scores_B: Tensor
    group_B: Tensor
    is_teacher_B: Tensor
    passed_B: Tensor
    imitate_B: Tensor
    weight_B: Tensor
    shared_BB: Tensor
    reference_B: Tensor


def rrtf_loss(
    logprobs_BT: Tensor,
    responses: Responses,
    *,
    pairs: str = "teacher",
    gap_weight: bool = True,
    margin: float = 0.0,
    alpha: float = 1.0,
    ft_reduction: str = "sum",
    length_normalize: bool = True,
    prefix_weight: float = 1.0,
    link: str = "hinge",
    compare: str = "response",
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum over groups of the weighted RRTF loss, and metrics as sums (see `means`).

    logprobs_BT: log-probability of each response's tokens, 0 beyond its length.
    pairs: `teacher` keeps the pairs of a teacher's and another's response, `passing` those of a response that passes
        all tests and one that does not, `all` every pair.
    link: what a difference d of p_i - p_j costs: `hinge` max(0, margin - d), `logistic` log(1 + exp(margin - d)), which
        never stops to push (RankNet, Burges et al., 2005).
    compare: p_i is that of the `response`, or the log-probability of its `first_token` that the other does not share; a
        pair in which one response is a prefix of the other does not count then.
    prefix_weight: weight, within a pair, of the tokens before its responses first differ; with 0 a pair in which one
        response is a prefix of the other does not count, as nothing of it is left to compare.

    Example (worked by hand in the tests): two responses with p = (-2, -1) and r = (1, -1) give
    L_rank = -(1 - -1) * min(0, -2 - -1) = 2. `alpha=0` is supervised fine-tuning.
    """
    r = responses
    valid_BB, gap_BB = _pairs(r, pairs)
    if compare == "first_token":
        last = logprobs_BT.shape[1] - 1
        p_BB = logprobs_BT.gather(1, r.shared_BB.clamp(max=last))
    else:
        p_BB = _pair_logprobs(logprobs_BT, r, length_normalize, prefix_weight)
    if compare == "first_token" or prefix_weight == 0:
        rest_BB = r.lengths_B[:, None] > r.shared_BB
        valid_BB = valid_BB & rest_BB & rest_BB.T
    difference_BB = p_BB - p_BB.T - margin
    cost_BB = softplus(-difference_BB) if link == "logistic" else -torch.clamp(difference_BB, max=0.0)
    per_pair_BB = (gap_BB if gap_weight else 1.0) * cost_BB * r.weight_B[:, None]
    rank_loss = torch.where(valid_BB, per_pair_BB, 0.0).sum()
    ft_loss = _ft_loss(logprobs_BT, r, ft_reduction)
    metrics = _metrics(rank_loss, ft_loss, r, valid_BB, p_BB - p_BB.T, difference_BB < 0)
    return alpha * rank_loss + ft_loss, metrics


def dpo_loss(
    logprobs_BT: Tensor, responses: Responses, *, pairs: str = "teacher", beta: float = 0.1
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum over groups of DPO's loss; the metric `ft_loss` is reported, not trained on.

    A pair is active if its probability of being in the right order is below one half; margins are those of the
    implicit rewards beta * (s - s^ref).
    """
    r = responses
    valid_BB, _ = _pairs(r, pairs)
    reward_B = beta * (logprobs_BT.sum(1) - r.reference_B)
    margin_BB = reward_B[:, None] - reward_B[None, :]
    loss = torch.where(valid_BB, -logsigmoid(margin_BB) * r.weight_B[:, None], 0.0).sum()
    return loss, _metrics(loss, _ft_loss(logprobs_BT, r, "sum"), r, valid_BB, margin_BB, margin_BB < 0)


def means(sums: dict[str, float]) -> dict[str, float]:
    """Metrics of a step from the sums over all its groups: losses per group, shares and margins per pair, lengths per
    response. Shares and margins are 0 if there was no pair."""
    groups, pairs = max(1.0, sums["num_groups"]), max(1.0, sums["num_pairs"])
    return {
        "rank_loss": sums["rank_loss"] / groups,
        "ft_loss": sums["ft_loss"] / groups,
        "ranking_accuracy": sums["ordered_pairs"] / pairs,
        "active_pairs": sums["active_pairs"] / pairs,
        "margin": sums["margin"] / pairs,
        "target_length": sums["target_tokens"] / groups,
        "response_length": sums["response_tokens"] / max(1.0, sums["num_responses"]),
    }


def _pairs(r: Responses, pairs: str) -> tuple[Tensor, Tensor]:
    """Which ordered pairs count, and the gap of their scores, (B, B) each."""
    gap_BB = r.scores_B[:, None] - r.scores_B[None, :]
    valid_BB = (r.group_B[:, None] == r.group_B[None, :]) & (gap_BB > 0) & (r.weight_B[:, None] > 0)
    if pairs == "teacher":
        valid_BB = valid_BB & (r.is_teacher_B[:, None] != r.is_teacher_B[None, :])
    if pairs == "passing":
        valid_BB = valid_BB & r.passed_B[:, None] & ~r.passed_B[None, :]
    return valid_BB, gap_BB


def _pair_logprobs(logprobs_BT: Tensor, r: Responses, length_normalize: bool, prefix_weight: float) -> Tensor:
    """p_i as it enters the pair (i, j), (B, B); it depends on j only if the prefix has its own weight."""
    size = len(r.lengths_B)
    total_B = logprobs_BT.sum(1)
    lengths_B = r.lengths_B.to(total_B.dtype)
    if prefix_weight == 1.0:
        return (total_B / lengths_B if length_normalize else total_B)[:, None].expand(size, size)
    running_BT = torch.nn.functional.pad(logprobs_BT.cumsum(1), (1, 0))
    cut = 1.0 - prefix_weight
    p_BB = total_B[:, None] - cut * running_BT.gather(1, r.shared_BB)
    if not length_normalize:
        return p_BB
    # If nothing is left the pair does not count; the 1 keeps 0 / 0 out of the gradient.
    weights_BB = lengths_B[:, None] - cut * r.shared_BB
    return p_BB / torch.where(weights_BB > 0, weights_BB, 1.0)


def _ft_loss(logprobs_BT: Tensor, r: Responses, reduction: str) -> Tensor:
    nll_B = -logprobs_BT.sum(1)
    return (r.weight_B * r.imitate_B * (nll_B if reduction == "sum" else nll_B / r.lengths_B)).sum()


@torch.no_grad()
def _metrics(
    rank_loss: Tensor, ft_loss: Tensor, r: Responses, valid_BB: Tensor, margin_BB: Tensor, active_BB: Tensor
) -> dict[str, Tensor]:
    real_B = r.weight_B > 0
    return {
        "rank_loss": rank_loss.detach(),
        "ft_loss": ft_loss.detach(),
        "num_groups": (r.weight_B * r.imitate_B).sum(),
        "num_pairs": valid_BB.sum(),
        "ordered_pairs": (valid_BB & (margin_BB > 0)).sum(),
        "active_pairs": (valid_BB & active_BB).sum(),
        "margin": torch.where(valid_BB, margin_BB, 0.0).sum(),
        "num_responses": real_B.sum(),
        "response_tokens": (r.lengths_B * real_B).sum(),
        "target_tokens": (r.lengths_B * r.imitate_B * real_B).sum(),
    }
