"""The mathematics of the loss, on numbers that can be checked by hand."""

import pytest
import torch

from rrtf_ray.core.losses import rrtf_loss, token_logprobs


def call(p, scores, lengths=None, group=None, teacher=None, target=None, weight=None, **settings):
    """The loss for responses whose summed log-probabilities are `p`."""
    size = len(p)
    logprobs = p if isinstance(p, torch.Tensor) else torch.tensor(p, dtype=torch.float64)
    return rrtf_loss(
        logprobs,
        torch.tensor(lengths or [1] * size),
        torch.tensor(scores, dtype=torch.float64),
        torch.tensor(group or [0] * size),
        torch.tensor(teacher or [True] + [False] * (size - 1)),
        torch.tensor(target or [True] + [False] * (size - 1)),
        torch.tensor(weight or [1.0] * size, dtype=torch.float64),
        **settings,
    )


def test_hand_worked_case():
    # Teacher r=1, p=-2 (sum -4 over 2 tokens); student r=-1, p=-1 (sum -3 over 3 tokens).
    # L_rank = (1 - -1) * -min(0, -2 - -1) = 2;  L_ft = 4 as a sum, 2 as a token mean.
    loss, metrics = call([-4.0, -3.0], [1.0, -1.0], lengths=[2, 3])
    assert metrics["rank_loss"].item() == pytest.approx(2.0)
    assert metrics["ft_loss"].item() == pytest.approx(4.0)
    assert loss.item() == pytest.approx(6.0)
    assert metrics["num_pairs"] == 1
    assert metrics["ordered_pairs"] == 0
    loss, _ = call([-4.0, -3.0], [1.0, -1.0], lengths=[2, 3], ft_reduction="token_mean", alpha=0.5)
    assert loss.item() == pytest.approx(0.5 * 2.0 + 2.0)


def test_a_pair_in_the_right_order_costs_nothing_and_a_margin_asks_for_more():
    assert call([-1.0, -2.0], [1.0, -1.0])[1]["rank_loss"] == 0
    # With a margin of 1.5 the pair is short of it by 0.5, times the gap of 2.
    assert call([-1.0, -2.0], [1.0, -1.0], margin=1.5)[1]["rank_loss"].item() == pytest.approx(1.0)


def test_settings_of_the_family():
    # Teacher 1.1 (p=-3), students 1.0 (p=-1) and -1.0 (p=-2).
    p, r = [-3.0, -1.0, -2.0], [1.1, 1.0, -1.0]
    # Paper: 0.1 * 2 + 2.1 * 1; the pair of students does not count.
    assert call(p, r)[1]["rank_loss"].item() == pytest.approx(0.1 * 2 + 2.1 * 1)
    # RRHF: every pair, without the gap: 2 + 1 + 0 (the students are in order).
    assert call(p, r, pairs="all", gap_weight=False)[1]["rank_loss"].item() == pytest.approx(3.0)
    # Without length normalisation the sums are compared.
    assert call(p, r, lengths=[3, 1, 1], length_normalize=False)[1]["rank_loss"].item() == pytest.approx(2.3)
    assert call(p, r, lengths=[3, 1, 1])[1]["rank_loss"].item() == 0
    # alpha 0 is supervised fine-tuning.
    assert call(p, r, alpha=0.0)[0].item() == pytest.approx(3.0)


def test_groups_do_not_mix_and_weight_zero_takes_one_out():
    p, r = [-4.0, -3.0, -1.0, -7.0], [1.0, -1.0, 1.0, -1.0]
    flags = [True, False, True, False]
    both, _ = call(p, r, group=[0, 0, 1, 1], teacher=flags, target=flags)
    first, _ = call(p[:2], r[:2])
    second, _ = call(p[2:], r[2:])
    assert both.item() == pytest.approx(first.item() + second.item())
    masked, metrics = call(p, r, group=[0, 0, 1, 1], teacher=flags, target=flags, weight=[1.0, 1.0, 0.0, 0.0])
    assert masked.item() == pytest.approx(first.item())
    assert metrics["num_groups"] == 1
    assert metrics["num_pairs"] == 1


def test_order_of_candidates_is_irrelevant_and_inputs_are_unmodified():
    p = torch.tensor([-4.0, -3.0, -9.0], requires_grad=True)
    before = p.detach().clone()
    loss, _ = call(p, [1.0, -1.0, 0.5], lengths=[2, 3, 4])
    order = [2, 0, 1]
    other, _ = call(
        p[order],
        [0.5, 1.0, -1.0],
        lengths=[4, 2, 3],
        teacher=[False, True, False],
        target=[False, True, False],
    )
    assert other.item() == pytest.approx(loss.item())
    loss.backward()
    assert torch.equal(p.detach(), before)
    # A step against the gradient raises the better response and lowers the worse one.
    assert p.grad[0] < 0
    assert p.grad[1] > 0


def test_ties_contribute_nothing():
    assert call([-4.0, -3.0], [1.0, 1.0])[1]["num_pairs"] == 0


def test_token_logprobs_agree_with_log_softmax_at_any_chunk_and_ignore_padding():
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 11)
    tokens = torch.randint(0, 11, (2, 5))
    mask = torch.tensor([[0, 0, 1, 1, 0], [0, 1, 1, 1, 1]], dtype=torch.bool)
    expected = torch.log_softmax(logits[:, :-1], -1).gather(-1, tokens[:, 1:, None])[..., 0] * mask[:, 1:]
    for chunk in (1, 3, 512):
        found = token_logprobs(logits, tokens, mask, chunk=chunk)
        torch.testing.assert_close(found[:, 1:], expected)
        assert (found[:, 0] == 0).all()
    wider = torch.cat([logits, torch.full((2, 3, 11), 1e4)], 1)
    padded = token_logprobs(wider, torch.nn.functional.pad(tokens, (0, 3)), torch.nn.functional.pad(mask, (0, 3)))
    torch.testing.assert_close(padded[:, 1:5], expected)


def test_token_logprobs_of_an_empty_mask_is_zero():
    assert (
        token_logprobs(
            torch.randn(1, 3, 4), torch.zeros(1, 3, dtype=torch.long), torch.zeros(1, 3, dtype=torch.bool)
        ).sum()
        == 0
    )
