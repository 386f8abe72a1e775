"""The fused output layer and loss against full logits in float64."""

import random

import pytest
import torch

from rrtf_ray.core.head import head_loss, plan_chunks


def case(seed, groups=5, hidden=7, vocab=13, idle=0.0):
    """Ragged groups of tokens, and a loss per group that is not linear in the log-probabilities: the square of each
    group's weighted sum. A share of `idle` tokens has weight 0."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [random.Random(f"{seed}/{at}").randrange(1, 9) for at in range(groups)]
    total = sum(sizes)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    weights = draw(total) * (torch.rand(total, generator=generator) >= idle)
    targets = torch.randint(vocab, (total,), generator=generator)
    return sizes, draw(total, hidden), draw(vocab, hidden), draw(vocab), targets, weights


def loss_of(sizes, weights, logprobs):
    parts = zip(weights.split(sizes), logprobs.split(sizes), strict=True)
    return sum(((w * p).sum() - 1.0) ** 2 + (w * p).sum() for w, p in parts)


def expected(sizes, hidden, weight, bias, targets, weights, scale=1.0):
    leaves = [x if x is None else x.detach().double().requires_grad_() for x in (hidden, weight, bias)]
    logits = torch.nn.functional.linear(leaves[0], leaves[1], leaves[2])
    loss = loss_of(sizes, weights, logits.log_softmax(-1).gather(1, targets[:, None])[:, 0])
    (scale * loss).backward()
    return loss.item(), [None if x is None else x.grad for x in leaves]


def found(sizes, hidden, weight, bias, targets, weights, chunk, scale=1.0, frozen=()):
    names = ("hidden", "weight", "bias")
    leaves = [
        None if x is None else x.detach().clone().requires_grad_(name not in frozen)
        for name, x in zip(names, (hidden, weight, bias), strict=True)
    ]
    chunks = plan_chunks(sizes, chunk)
    ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
    bounds = [(ends[first], ends[end]) for first, end in chunks]

    def chunk_loss(index, logprobs_n):
        (first, end), (start, to) = chunks[index], bounds[index]
        assert logprobs_n.dtype == torch.float32
        assert len(logprobs_n) == to - start
        return loss_of(sizes[first:end], weights[start:to].float(), logprobs_n), {
            "tokens": torch.tensor(to - start),
            "groups": torch.tensor(end - first),
        }

    loss, metrics = head_loss(*leaves, targets, bounds, chunk_loss, chunk)
    (scale * loss).backward()
    assert metrics["tokens"] == sum(sizes)
    assert metrics["groups"] == len(sizes)
    return loss.item(), [None if x is None else x.grad for x in leaves]


def agree(one, other, tolerance):
    assert one[0] == pytest.approx(other[0], rel=tolerance)
    for a, b in zip(one[1], other[1], strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert ((a.double() - b).norm() / b.norm()).item() < tolerance


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 8, 17, 1000])
@pytest.mark.parametrize("bias", [True, False])
def test_loss_and_gradients_equal_those_of_full_logits(chunk, bias):
    for seed in range(4):
        sizes, hidden, weight, b, targets, weights = case(seed)
        inputs = (sizes, hidden.float(), weight.float(), b.float() if bias else None, targets, weights)
        agree(found(*inputs, chunk), expected(*inputs), 1e-5)


@pytest.mark.parametrize("idle", [0.1, 0.6, 0.95, 1.0])
@pytest.mark.parametrize("chunk", [2, 6, 1000])
def test_inactive_tokens(idle, chunk):
    # Few idle tokens are multiplied along, many are taken out first, and a chunk may have no others.
    for seed in range(4):
        sizes, hidden, weight, bias, targets, weights = case(seed, groups=8, idle=idle)
        inputs = (sizes, hidden.float(), weight.float(), bias.float(), targets, weights)
        got, want = found(*inputs, chunk), expected(*inputs)
        if idle == 1.0:
            assert got[0] == pytest.approx(want[0])
            assert not any(gradient.any() for gradient in got[1])
        else:
            agree(got, want, 1e-5)
            assert (got[1][0][weights == 0] == 0).all()


def test_many_tokens_of_a_long_group_cross_the_rows_that_are_normalised_together():
    generator = torch.Generator().manual_seed(3)
    sizes = [70, 3, 131]
    total = sum(sizes)
    hidden, weight = torch.randn(total, 6, generator=generator), torch.randn(40, 6, generator=generator)
    targets = torch.randint(40, (total,), generator=generator)
    weights = torch.randn(total, generator=generator, dtype=torch.float64) / 10
    inputs = (sizes, hidden, weight, None, targets, weights)
    for chunk in (33, 64, 100, 500):
        agree(found(*inputs, chunk), expected(*inputs), 1e-5)


def test_huge_logits_do_not_overflow():
    sizes, hidden, weight, bias, targets, weights = case(1)
    inputs = (sizes, hidden.float() * 100, weight.float() * 100, bias.float(), targets, weights / 1e4)
    agree(found(*inputs, 4), expected(*inputs), 1e-4)


@pytest.mark.parametrize("chunk", [1, 6, 1000])
def test_bfloat16(chunk):
    for seed in range(3):
        sizes, hidden, weight, bias, targets, weights = case(seed, hidden=32, vocab=50, idle=0.2)
        hidden, weight, bias = (x.bfloat16() for x in (hidden / 4, weight / 4, bias / 4))
        inputs = (sizes, hidden, weight, bias, targets, weights / 10)
        loss, gradients = found(*inputs, chunk)
        assert [g.dtype for g in gradients] == [torch.bfloat16] * 3
        agree((loss, gradients), expected(*inputs), 0.03)


@pytest.mark.parametrize("frozen", [("weight",), ("weight", "bias"), ("hidden",), ("bias",)])
def test_frozen_inputs_get_no_gradient(frozen):
    sizes, hidden, weight, bias, targets, weights = case(2)
    inputs = (sizes, hidden.float(), weight.float(), bias.float(), targets, weights)
    loss, gradients = found(*inputs, 5, frozen=frozen)
    want, expected_gradients = expected(*inputs)
    names = ("hidden", "weight", "bias")
    wanted = [None if name in frozen else g for name, g in zip(names, expected_gradients, strict=True)]
    agree((loss, gradients), (want, wanted), 1e-5)


@pytest.mark.parametrize("scale", [0.25, -3.0])
def test_what_comes_after_the_loss_scales_the_gradients(scale):
    sizes, hidden, weight, bias, targets, weights = case(2)
    inputs = (sizes, hidden.float(), weight.float(), bias.float(), targets, weights)
    agree(found(*inputs, 5, scale=scale), expected(*inputs, scale=scale), 1e-5)


def test_gradients_add_up_over_calls():
    hidden = torch.randn(4, 3)
    weight = torch.randn(6, 3, requires_grad=True)
    targets = torch.tensor([0, 5, 2, 2])
    total = torch.zeros(6, 3)
    for _ in range(2):
        loss, _ = head_loss(hidden, weight, None, targets, [(0, 4)], lambda _, p: (-p.sum(), {}), 2)
        loss.backward()
        total += torch.autograd.grad(-(hidden @ weight.T).log_softmax(-1)[range(4), targets].sum(), weight)[0]
    torch.testing.assert_close(weight.grad, total)


def test_without_gradients_only_log_probabilities_are_computed():
    sizes, hidden, weight, bias, targets, _ = case(4)
    hidden, weight, bias = hidden.float(), weight.float().requires_grad_(), bias.float()
    asked = []
    with torch.no_grad():
        for chunk in (1, 3, 1000):
            seen = []

            def record(_, logprobs_n, seen=seen):
                asked.append(logprobs_n.requires_grad)
                seen.append(logprobs_n)
                return -logprobs_n.sum(), {}

            ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
            bounds = [(ends[a], ends[b]) for a, b in plan_chunks(sizes, chunk)]
            loss, _ = head_loss(hidden, weight, bias, targets, bounds, record, chunk)
            assert not loss.requires_grad
            full = torch.nn.functional.linear(hidden, weight, bias).log_softmax(-1).gather(1, targets[:, None])[:, 0]
            torch.testing.assert_close(torch.cat(seen), full)
            torch.testing.assert_close(loss, -full.sum())
    assert not any(asked)  # else the weights' gradient, as large as they are, would be made for nothing


def test_inputs_are_unmodified():
    sizes, hidden, weight, bias, targets, weights = case(5)
    inputs = [hidden.float(), weight.float(), bias.float()]
    before = [x.clone() for x in inputs]
    found(sizes, *inputs, targets, weights, 4)
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))


def test_plan_chunks():
    assert plan_chunks([], 4) == []
    assert plan_chunks([3], 4) == [(0, 1)]
    assert plan_chunks([2, 2, 1, 9, 1, 3], 4) == [(0, 2), (2, 3), (3, 4), (4, 6)]
    assert plan_chunks([5, 5], 1) == [(0, 1), (1, 2)]
    for seed in range(200):
        chooser = random.Random(seed)
        sizes = [chooser.randrange(1, 12) for _ in range(chooser.randrange(1, 20))]
        chunk = chooser.randrange(1, 30)
        chunks = plan_chunks(sizes, chunk)
        assert [at for first, end in chunks for at in range(first, end)] == list(range(len(sizes)))
        for (first, end), following in zip(chunks, [*chunks[1:], None], strict=True):
            assert sum(sizes[first:end]) <= chunk or end - first == 1
            # No chunk could have taken the next group as well.
            assert following is None or sum(sizes[first : following[0] + 1]) > chunk
