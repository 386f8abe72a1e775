"""The RRTF loss as a pure function (PanGu-Coder2, arXiv 2307.14936, section 3; RRHF, arXiv 2304.05302).

    p_i    = sum_t log P(y_i,t | x, y_i,<t) / |y_i|
    L_rank = - sum over pairs with r_i > r_j of (r_i - r_j) * min(0, p_i - p_j)
    L_ft   = - sum_t log P(y_target,t | x, y_target,<t)
    L      = alpha * L_rank + L_ft

Shapes: _B is over the responses of all groups in a micro-batch, _T over tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor


def token_logprobs(logits_BTV: Tensor, tokens_BT: Tensor, response_mask_BT: Tensor, chunk: int = 512) -> Tensor:
    """log P of each response token, (B, T) float32, zero outside the mask.

    logits_BTV[:, t] predicts tokens_BT[:, t + 1]. Only masked positions are computed, `chunk` at a time, so that
    no log-softmax of the whole vocabulary is ever held for all tokens.
    """
    predicted_BT = response_mask_BT[:, 1:]
    logits_NV = logits_BTV[:, :-1][predicted_BT]
    tokens_N = tokens_BT[:, 1:][predicted_BT]
    pieces = []
    for logits, tokens in zip(logits_NV.split(chunk), tokens_N.split(chunk), strict=True):
        scores = logits.float()
        pieces.append(scores.gather(-1, tokens[:, None])[:, 0] - scores.logsumexp(-1))
    out_BT = logits_BTV.new_zeros(tokens_BT.shape, dtype=torch.float32)
    where_BT = torch.zeros_like(response_mask_BT)
    where_BT[:, 1:] = predicted_BT
    return out_BT.masked_scatter(where_BT, torch.cat(pieces)) if pieces else out_BT


def rrtf_loss(
    logprobs_B: Tensor,
    lengths_B: Tensor,
    scores_B: Tensor,
    group_B: Tensor,
    is_teacher_B: Tensor,
    is_target_B: Tensor,
    weight_B: Tensor,
    *,
    pairs: str = "teacher",
    gap_weight: bool = True,
    margin: float = 0.0,
    alpha: float = 1.0,
    ft_reduction: str = "sum",
    length_normalize: bool = True,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum over groups of the weighted RRTF loss, and metrics as sums (divide by `num_groups` or `num_pairs`).

    logprobs_B: summed log-probability of each response's tokens (float).
    lengths_B: number of those tokens, at least 1.
    scores_B: r, the ranking's scores.
    group_B: index of the group of each response; pairs are formed within a group only.
    is_teacher_B, is_target_B: bool; `pairs="teacher"` keeps pairs of a teacher's and another's response;
        the target of a group is the response that L_ft imitates.
    weight_B: weight of the response's group; 0 takes a group out (padding of a last batch).

    Nothing is written in place. Example (worked by hand in the tests): two responses with p = (-2, -1) and
    r = (1, -1) give L_rank = -(1 - -1) * min(0, -2 - -1) = 2.
    """
    p_B = logprobs_B / lengths_B if length_normalize else logprobs_B
    gap_BB = scores_B[:, None] - scores_B[None, :]
    valid_BB = (group_B[:, None] == group_B[None, :]) & (gap_BB > 0) & (weight_B[:, None] > 0)
    if pairs == "teacher":
        valid_BB = valid_BB & (is_teacher_B[:, None] != is_teacher_B[None, :])
    difference_BB = p_B[:, None] - p_B[None, :] - margin
    hinge_BB = -torch.clamp(difference_BB, max=0.0)
    per_pair_BB = (gap_BB if gap_weight else torch.ones_like(gap_BB)) * hinge_BB * weight_B[:, None]
    rank_loss = torch.where(valid_BB, per_pair_BB, torch.zeros_like(per_pair_BB)).sum()

    target_B = weight_B * is_target_B
    ft_B = -logprobs_B if ft_reduction == "sum" else -logprobs_B / lengths_B
    ft_loss = (target_B * ft_B).sum()

    loss = alpha * rank_loss + ft_loss
    with torch.no_grad():
        metrics = {
            "rank_loss": rank_loss.detach(),
            "ft_loss": ft_loss.detach(),
            "num_groups": target_B.sum(),
            "num_pairs": valid_BB.sum().float(),
            "ordered_pairs": (valid_BB & (p_B[:, None] > p_B[None, :])).sum().float(),
            "active_pairs": (valid_BB & (difference_BB < 0)).sum().float(),
        }
    return loss, metrics
