"""The mathematics of the losses, on numbers that can be checked by hand."""

from math import exp, log

import pytest
import torch

from rrtf_ray.core.losses import Responses, dpo_loss, means, rrtf_loss


def responses(
    lengths, scores, group=None, teacher=None, target=None, weight=None, shared=None, reference=None, passed=None
):
    """By default one group whose first response is the teacher's and the target."""
    size = len(lengths)
    first = [at == 0 for at in range(size)]
    shared_BB = torch.zeros(size, size, dtype=torch.long)
    for (i, j), tokens in (shared or {}).items():
        shared_BB[i, j] = shared_BB[j, i] = tokens
    return Responses(
        lengths_B=torch.tensor(lengths),
        scores_B=torch.tensor(scores, dtype=torch.float64),
        group_B=torch.tensor(group or [0] * size),
        is_teacher_B=torch.tensor(teacher or first),
        passed_B=torch.tensor(passed or first),
        imitate_B=torch.tensor(target or first, dtype=torch.float64),
        weight_B=torch.tensor(weight or [1.0] * size, dtype=torch.float64),
        shared_BB=shared_BB,
        reference_B=torch.tensor(reference or [0.0] * size, dtype=torch.float64),
    )


def table(*rows):
    """logprobs_BT of rows of log-probabilities, zero beyond each row's end."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[0.0] * (width - len(row))] for row in rows], dtype=torch.float64)


# Teacher r=1, p=-2 over two tokens; student r=-1, p=-1 over three.
TWO = table([-3.0, -1.0], [-1.0, -1.5, -0.5])
TWO_RESPONSES = responses([2, 3], [1.0, -1.0])
# Teacher 1.1 (p=-3), students 1.0 (p=-1) and -1.0 (p=-2), one token each.
THREE = table([-3.0], [-1.0], [-2.0])
THREE_RESPONSES = responses([1, 1, 1], [1.1, 1.0, -1.0])


def test_hand_worked_case():
    # L_rank = (1 - -1) * -min(0, -2 - -1) = 2;  L_ft = 4.
    loss, metrics = rrtf_loss(TWO, TWO_RESPONSES)
    assert metrics["rank_loss"].item() == pytest.approx(2.0)
    assert metrics["ft_loss"].item() == pytest.approx(4.0)
    assert loss.item() == pytest.approx(6.0)
    assert {key: float(value) for key, value in metrics.items()} == pytest.approx(
        {
            "rank_loss": 2.0,
            "ft_loss": 4.0,
            "num_groups": 1,
            "num_pairs": 1,
            "ordered_pairs": 0,
            "active_pairs": 1,
            "margin": -1.0,
            "num_responses": 2,
            "response_tokens": 5,
            "target_tokens": 2,
        }
    )


def test_a_pair_in_the_right_order_costs_nothing():
    _, metrics = rrtf_loss(table([-1.0], [-2.0]), responses([1, 1], [1.0, -1.0]))
    assert metrics["rank_loss"] == 0
    assert (metrics["ordered_pairs"], metrics["active_pairs"], metrics["margin"]) == (1, 0, 1.0)


@pytest.mark.parametrize(
    ("settings", "rank_loss"),
    [
        # Paper: 0.1 * 2 + 2.1 * 1; the pair of students does not count.
        ({}, 0.1 * 2 + 2.1 * 1),
        # The students are in order, and pairs of equal source count too.
        ({"pairs": "all"}, 0.1 * 2 + 2.1 * 1),
        # RRHF: every pair, without the gap.
        ({"pairs": "all", "gap_weight": False}, 2.0 + 1.0),
        # The students' pair is in order by 1, and short of the margin by 0.5.
        ({"pairs": "all", "gap_weight": False, "margin": 1.5}, 3.5 + 2.5 + 0.5),
        ({"gap_weight": False, "margin": 1.5}, 3.5 + 2.5),
        ({"margin": 1.5}, 0.1 * 3.5 + 2.1 * 2.5),
    ],
)
def test_settings_of_the_ranking_term(settings, rank_loss):
    _, metrics = rrtf_loss(THREE, THREE_RESPONSES, **settings)
    assert metrics["rank_loss"].item() == pytest.approx(rank_loss)
    assert metrics["num_pairs"] == (3 if settings.get("pairs") == "all" else 2)


def test_a_margin_asks_for_more_than_the_right_order():
    # In order by 1, short of the margin by 0.5, times the gap of 2.
    _, metrics = rrtf_loss(table([-1.0], [-2.0]), responses([1, 1], [1.0, -1.0]), margin=1.5)
    assert metrics["rank_loss"].item() == pytest.approx(1.0)
    assert (metrics["ordered_pairs"], metrics["active_pairs"], metrics["margin"]) == (1, 1, 1.0)


def test_alpha_and_reduction():
    assert rrtf_loss(TWO, TWO_RESPONSES, alpha=0.5)[0].item() == pytest.approx(0.5 * 2.0 + 4.0)
    assert rrtf_loss(TWO, TWO_RESPONSES, alpha=0.0)[0].item() == pytest.approx(4.0)
    loss, metrics = rrtf_loss(TWO, TWO_RESPONSES, ft_reduction="token_mean", alpha=0.5)
    assert metrics["ft_loss"].item() == pytest.approx(2.0)
    assert loss.item() == pytest.approx(0.5 * 2.0 + 2.0)


def test_the_logistic_link_pushes_in_the_right_order_too():
    # In order by 1: log(1 + exp(0.5 - 1)) times the gap of 2.
    p, r = table([-1.0], [-2.0]), responses([1, 1], [1.0, -1.0])
    assert rrtf_loss(p, r, link="logistic", margin=0.5)[1]["rank_loss"].item() == pytest.approx(2 * log(1 + exp(-0.5)))


def test_pairs_of_passing_and_failing_responses():
    r = responses([1, 1, 1], [1.1, 1.0, -1.0], passed=[True, True, False])
    _, metrics = rrtf_loss(THREE, r, pairs="passing", gap_weight=False)
    assert metrics["num_pairs"] == 2
    assert metrics["rank_loss"].item() == pytest.approx(1.0)  # -3 against -2; -1 against -2 is in order


def test_the_first_token_that_differs_is_compared_alone():
    # Both begin alike for one token; then -3 against -1.
    p, r = table([-2.0, -3.0, -4.0], [-2.0, -1.0]), responses([3, 2], [1.0, -1.0], shared={(0, 1): 1})
    assert rrtf_loss(p, r, compare="first_token")[1]["rank_loss"].item() == pytest.approx(2 * 2.0)
    # The second is the beginning of the first: nothing of it is left to compare.
    prefix = responses([3, 2], [1.0, -1.0], shared={(0, 1): 2})
    assert rrtf_loss(p, prefix, compare="first_token")[1]["num_pairs"] == 0


def test_several_targets_share_the_supervised_loss():
    r = responses([1, 1, 1], [1.1, 1.0, -1.0], target=[0.5, 0.5, 0.0])
    loss, metrics = rrtf_loss(THREE, r, alpha=0.0)
    assert loss.item() == pytest.approx((3.0 + 1.0) / 2)
    assert (metrics["num_groups"], metrics["target_tokens"]) == (1, 1)


def test_without_length_normalisation_sums_are_compared():
    # Sums -4 and -6: in order; means -2 and -1: not.
    p, r = table([-2.0, -2.0], [-1.0] * 6), responses([2, 6], [1.0, -1.0])
    assert rrtf_loss(p, r)[1]["rank_loss"].item() == pytest.approx(2.0)
    assert rrtf_loss(p, r, length_normalize=False)[1]["rank_loss"] == 0
    assert rrtf_loss(TWO, TWO_RESPONSES, length_normalize=False)[1]["rank_loss"].item() == pytest.approx(2 * (4 - 3))


# Teacher (-2, -3, -4), student (-2, -1): the first token is shared.
PREFIX = table([-2.0, -3.0, -4.0], [-2.0, -1.0])


@pytest.mark.parametrize(
    ("weight", "normalize", "difference"),
    [
        (1.0, True, -9 / 3 - -3 / 2),
        (0.0, True, -7 / 2 - -1 / 1),
        (0.5, True, -8 / 2.5 - -2 / 1.5),
        (1.0, False, -9 - -3),
        (0.0, False, -7 - -1),
        (0.5, False, -8 - -2),
    ],
)
def test_prefix_weight(weight, normalize, difference):
    r = responses([3, 2], [1.0, -1.0], shared={(0, 1): 1})
    _, metrics = rrtf_loss(PREFIX, r, prefix_weight=weight, length_normalize=normalize)
    assert metrics["margin"].item() == pytest.approx(difference)
    assert metrics["rank_loss"].item() == pytest.approx(-2 * difference)
    assert metrics["ft_loss"].item() == pytest.approx(9.0)  # L_ft is of the whole target


def test_prefix_weight_zero_trains_only_what_follows():
    p = PREFIX.clone().requires_grad_()
    rrtf_loss(p, responses([3, 2], [1.0, -1.0], shared={(0, 1): 1}), prefix_weight=0.0)[0].backward()
    # L_rank's part: the gap of 2 over two tokens of the teacher and one of the student; L_ft's: -1 a target's token.
    torch.testing.assert_close(p.grad[0], torch.tensor([-1.0, -2.0, -2.0], dtype=torch.float64))
    torch.testing.assert_close(p.grad[1, :2], torch.tensor([0.0, 2.0], dtype=torch.float64))


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("weight", [0.0, 1e-9, 0.5, 1.0])
def test_a_response_that_begins_another_gives_finite_numbers(weight, normalize):
    # The student is the teacher's first two tokens; a second student differs at once.
    p = table([-2.0, -3.0, -4.0], [-2.0, -3.0], [-1.0]).requires_grad_()
    shared = {(0, 0): 3, (1, 1): 2, (2, 2): 1, (0, 1): 2}
    r = responses([3, 2, 1], [1.0, -1.0, -0.5], shared=shared)
    loss, metrics = rrtf_loss(p, r, prefix_weight=weight, length_normalize=normalize)
    loss.backward()
    assert loss.isfinite()
    assert p.grad.isfinite().all()
    # With 0 nothing of the student's is left to compare: the pair does not count, its gradient is zero.
    assert metrics["num_pairs"] == (1 if weight == 0 else 2)
    assert (p.grad[1] == 0).all() == (weight == 0)
    assert p.grad[2, 0] > 0


def test_groups_do_not_mix_and_weight_zero_takes_one_out():
    first, second = table([-3.0, -1.0], [-1.0, -2.0]), table([-1.0], [-7.0, -9.0])
    both = torch.cat([first, second])
    flags = [True, False, True, False]
    scores = [1.0, -1.0, 0.4, 0.2]
    for call in (rrtf_loss, dpo_loss):
        one = call(first, responses([2, 2], scores[:2]))[0].item()
        other = call(second, responses([1, 2], scores[2:]))[0].item()
        shape = {"lengths": [2, 2, 1, 2], "scores": scores, "group": [5, 5, 2, 2], "teacher": flags, "target": flags}
        loss, metrics = call(both, responses(**shape), pairs="all")
        assert loss.item() == pytest.approx(one + other)
        assert (metrics["num_groups"], metrics["num_pairs"], metrics["num_responses"]) == (2, 2, 4)
        p = both.clone().requires_grad_()
        loss, metrics = call(p, responses(**shape, weight=[1.0, 1.0, 0.0, 0.0]), pairs="all")
        loss.backward()
        assert loss.item() == pytest.approx(one)
        assert (p.grad[2:] == 0).all()
        assert p.grad[:2].any()
        assert (metrics["num_groups"], metrics["num_pairs"], metrics["num_responses"]) == (1, 1, 2)
        assert (metrics["response_tokens"], metrics["target_tokens"]) == (4, 2)


def test_a_weight_scales_its_group():
    for call in (rrtf_loss, dpo_loss):
        whole = call(TWO, TWO_RESPONSES)[0].item()
        assert call(TWO, responses([2, 3], [1.0, -1.0], weight=[0.25, 0.25]))[0].item() == pytest.approx(whole / 4)


@pytest.mark.parametrize("prefix_weight", [0.0, 0.3, 1.0])
def test_order_of_candidates_is_irrelevant(prefix_weight):
    p = table([-4.0, -1.0, -2.0], [-3.0, -0.5], [-9.0, -1.0])
    r = responses([3, 2, 2], [1.0, -1.0, 0.5], shared={(0, 1): 1, (0, 2): 0, (1, 2): 0}, reference=[-5.0, -4.0, -3.0])
    order = torch.tensor([2, 0, 1])
    moved = Responses(
        **{
            name: value[order][:, order] if name.endswith("_BB") else value[order]
            for name, value in ((name, getattr(r, name)) for name in Responses.__slots__)
        }
    )
    for settings in ({"pairs": "teacher"}, {"pairs": "all", "margin": 0.2}):
        loss, metrics = rrtf_loss(p, r, prefix_weight=prefix_weight, **settings)
        other, other_metrics = rrtf_loss(p[order], moved, prefix_weight=prefix_weight, **settings)
        assert other.item() == pytest.approx(loss.item())
        assert {k: float(v) for k, v in other_metrics.items()} == pytest.approx(
            {k: float(v) for k, v in metrics.items()}
        )
    assert dpo_loss(p[order], moved)[0].item() == pytest.approx(dpo_loss(p, r)[0].item())


@pytest.mark.parametrize("call", [rrtf_loss, dpo_loss])
def test_inputs_are_unmodified_and_a_step_raises_the_better(call):
    p = TWO.clone().requires_grad_()
    before = {name: getattr(TWO_RESPONSES, name).clone() for name in Responses.__slots__}
    call(p, TWO_RESPONSES)[0].backward()
    assert torch.equal(p.detach(), TWO)
    assert all(torch.equal(getattr(TWO_RESPONSES, name), value) for name, value in before.items())
    # A step against the gradient raises the better response and lowers the worse one.
    assert (p.grad[0, :2] < 0).all()
    assert (p.grad[1] > 0).all()


def test_gradient_of_the_hand_worked_case():
    p = TWO.clone().requires_grad_()
    rrtf_loss(p, TWO_RESPONSES)[0].backward()
    # Teacher: -1 from L_ft and -2 / 2 from L_rank a token; student: 2 / 3 a token. The last place is beyond its end:
    # what comes out of there has no token to go to.
    torch.testing.assert_close(p.grad[0, :2], torch.tensor([-2.0, -2.0], dtype=torch.float64))
    torch.testing.assert_close(p.grad[1], torch.full((3,), 2 / 3, dtype=torch.float64))


def test_ties_contribute_nothing():
    for call in (rrtf_loss, dpo_loss):
        _, metrics = call(table([-4.0], [-3.0]), responses([1, 1], [1.0, 1.0]))
        assert metrics["num_pairs"] == 0
        assert metrics["rank_loss"] == 0


def test_dpo_hand_worked_case():
    # Before training -5 and -2, now -4 and -3: the margin has moved by (-4 - -3) - (-5 - -2) = 2.
    r = responses([2, 3], [1.0, -1.0], reference=[-5.0, -2.0])
    for beta in (0.1, 0.5):
        loss, metrics = dpo_loss(TWO, r, beta=beta)
        assert loss.item() == pytest.approx(log(1 + exp(-2 * beta)))
        assert metrics["rank_loss"].item() == pytest.approx(loss.item())
        assert metrics["margin"].item() == pytest.approx(2 * beta)
        assert metrics["ft_loss"].item() == pytest.approx(4.0)  # reported, not trained on
        assert (metrics["ordered_pairs"], metrics["active_pairs"]) == (1, 0)
    # Where the model began every pair costs log 2, however its score gap.
    began = responses([2, 3], [1.0, -1.0], reference=[-4.0, -3.0])
    assert dpo_loss(TWO, began)[0].item() == pytest.approx(log(2))


def test_dpo_gradient_and_pairs():
    p = TWO.clone().requires_grad_()
    dpo_loss(p, responses([2, 3], [1.0, -1.0], reference=[-5.0, -2.0]), beta=0.5)[0].backward()
    slope = 0.5 / (1 + exp(1.0))  # beta * sigmoid(-1)
    torch.testing.assert_close(p.grad[0], torch.full((3,), -slope, dtype=torch.float64))
    torch.testing.assert_close(p.grad[1], torch.full((3,), slope, dtype=torch.float64))
    margins = [-2.0, -1.0, 1.0]
    for pairs, count in (("teacher", 2), ("all", 3)):
        loss, metrics = dpo_loss(THREE, THREE_RESPONSES, pairs=pairs, beta=1.0)
        assert loss.item() == pytest.approx(sum(log(1 + exp(-margin)) for margin in margins[:count]))
        assert (metrics["num_pairs"], metrics["active_pairs"]) == (count, 2)


def test_means():
    sums = {
        "rank_loss": 6.0,
        "ft_loss": 8.0,
        "num_groups": 4.0,
        "num_pairs": 10.0,
        "ordered_pairs": 7.0,
        "active_pairs": 3.0,
        "margin": 5.0,
        "num_responses": 8.0,
        "response_tokens": 80.0,
        "target_tokens": 36.0,
    }
    assert means(sums) == {
        "rank_loss": 1.5,
        "ft_loss": 2.0,
        "ranking_accuracy": 0.7,
        "active_pairs": 0.3,
        "margin": 0.5,
        "target_length": 9.0,
        "response_length": 10.0,
    }
    nothing = means(dict.fromkeys(sums, 0.0))
    assert set(nothing.values()) == {0.0}
