"""Batches of tensors, by hand on a small case and against plain rules on random ones."""

import random
from array import array
from dataclasses import fields

import pytest
import torch

from rrtf_ray.core.examples import Example
from rrtf_ray.core.packing import Layout, pack, pad_rows, shared_prefix


def example(prompt, responses, id_="p", target=0, reference=()):
    return Example(
        problem_id=id_,
        prompt=array("i", prompt),
        responses=tuple(array("i", response) for response in responses),
        scores=tuple(1.0 - at for at in range(len(responses))),
        is_teacher=tuple(at == 0 for at in range(len(responses))),
        imitate=tuple(float(at == target) for at in range(len(responses))),
        passed=tuple(at == target for at in range(len(responses))),
        reference=reference,
    )


def ragged(seed):
    """Some random groups of two to four responses."""
    chooser = random.Random(seed)

    def tokens(size):
        return [chooser.randrange(1, 9) for _ in range(size)]

    return [
        example(
            tokens(chooser.randrange(1, 6)),
            [tokens(chooser.randrange(1, 7)) for _ in range(chooser.randrange(2, 5))],
            id_=f"p{at}",
            target=chooser.randrange(2),
        )
        for at in range(chooser.randrange(1, 6))
    ]


A = example([11, 12, 13], [[21, 22, 23], [21, 31]], "a", reference=(-1.5, -2.5))
B = example([14], [[41], [42, 43], [44]], "b", target=1)


def test_pack_by_hand():
    batch = pack([A, B], [1.0, 0.5], chunk=100)
    #              x   x   x   a   a   a   b   b   x   a   b   b   c
    assert batch.tokens_RT.tolist() == [[11, 12, 13, 21, 22, 23, 21, 31, 14, 41, 42, 43, 44]]
    assert batch.positions_RT.tolist() == [[0, 1, 2, 3, 4, 5, 3, 4, 0, 1, 1, 2, 1]]
    # Every response's first token is predicted by the prompt's last.
    assert batch.predict_N.tolist() == [2, 3, 4, 2, 6, 8, 8, 10, 8]
    assert batch.targets_N.tolist() == [21, 22, 23, 21, 31, 41, 42, 43, 44]
    assert batch.mask_RT is None
    assert batch.layout == Layout(((3, (3, 2)), (1, (1, 2, 1))))
    assert batch.num_tokens == 13
    assert batch.problem_ids == ("a", "b")
    (chunk,) = batch.chunks
    assert (chunk.start, chunk.end) == (0, 9)
    assert chunk.rows_n.tolist() == [0, 0, 0, 1, 1, 2, 3, 3, 4]
    assert chunk.columns_n.tolist() == [0, 1, 2, 0, 1, 0, 0, 1, 0]


def test_what_the_loss_is_told_by_hand():
    for batch in (pack([A, B], [1.0, 0.5], chunk=100), pad_rows([A, B], [1.0, 0.5], chunk=100)):
        r = batch.chunks[0].responses
        assert r.lengths_B.tolist() == [3, 2, 1, 2, 1]
        assert r.scores_B.tolist() == [1.0, 0.0, 1.0, 0.0, -1.0]
        assert r.group_B.tolist() == [0, 0, 1, 1, 1]
        assert r.is_teacher_B.tolist() == [True, False, True, False, False]
        assert r.imitate_B.tolist() == [1, 0, 0, 1, 0]
        assert r.weight_B.tolist() == [1.0, 1.0, 0.5, 0.5, 0.5]
        assert r.reference_B.tolist() == [-1.5, -2.5, 0.0, 0.0, 0.0]
        # Of A's two responses the first token is the same; across groups nothing is shared.
        assert r.shared_BB.tolist() == [
            [3, 1, 0, 0, 0],
            [1, 2, 0, 0, 0],
            [0, 0, 1, 0, 0],
            [0, 0, 0, 2, 0],
            [0, 0, 0, 0, 1],
        ]


def test_pad_rows_by_hand():
    batch = pad_rows([A, B], [1.0, 1.0], chunk=100, pad=99)
    assert batch.tokens_RT.tolist() == [
        [11, 12, 13, 21, 22, 23],
        [11, 12, 13, 21, 31, 99],
        [14, 41, 99, 99, 99, 99],
        [14, 42, 43, 99, 99, 99],
        [14, 44, 99, 99, 99, 99],
    ]
    assert batch.mask_RT.tolist() == [
        [1] * 6,
        [1] * 5 + [0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
    ]
    assert batch.positions_RT.tolist() == [[0, 1, 2, 3, 4, 5]] * 5
    assert batch.predict_N.tolist() == [2, 3, 4, 8, 9, 12, 18, 19, 24]
    assert batch.targets_N.tolist() == [21, 22, 23, 21, 31, 41, 42, 43, 44]
    assert batch.layout is None
    assert batch.num_tokens == 18


def test_filler_up_to_a_multiple():
    batch = pack([A, B], [1.0, 1.0], chunk=100, pad=7, multiple=8)
    assert batch.tokens_RT.shape == (1, 16)
    assert batch.tokens_RT[0, 13:].tolist() == [7, 7, 7]
    assert batch.positions_RT[0, 13:].tolist() == [0, 1, 2]
    assert batch.layout.groups[-1] == (3, ())
    assert batch.num_tokens == 13
    plain = pack([A, B], [1.0, 1.0], chunk=100)
    assert torch.equal(batch.predict_N, plain.predict_N)
    assert len(batch.chunks[0].responses.lengths_B) == 5
    # A row that is full already gets none.
    assert pack([A], [1.0], chunk=100, multiple=8).layout.groups == ((3, (3, 2)),)


def expected_to_see(examples, filler):
    """Entry (i, j): whether token i of the packed row may see token j, by the names of the tokens' owners."""
    owners = []
    for g, e in enumerate(examples):
        owners += [(g, None)] * len(e.prompt)
        for n, response in enumerate(e.responses):
            owners += [(g, n)] * len(response)
    owners += [("filler", None)] * filler
    return [
        [j <= i and owners[i][0] == owners[j][0] and owners[j][1] in (None, owners[i][1]) for j in range(len(owners))]
        for i in range(len(owners))
    ]


@pytest.mark.parametrize("multiple", [1, 16])
def test_who_sees_whom(multiple):
    for seed in range(20):
        examples = ragged(seed)
        batch = pack(examples, [1.0] * len(examples), chunk=8, multiple=multiple)
        size = batch.tokens_RT.shape[1]
        at = torch.arange(size)
        found = batch.layout.may_see()(at[:, None], at[None, :])
        assert found.tolist() == expected_to_see(examples, size - batch.num_tokens)


@pytest.mark.parametrize("chunk", [1, 4, 9, 1000])
def test_packed_and_padded_rows_say_the_same(chunk):
    for seed in range(20):
        examples = ragged(seed)
        weights = [float(at % 2) for at in range(len(examples))]
        packed = pack(examples, weights, chunk=chunk, multiple=4)
        padded = pad_rows(examples, weights, chunk=chunk)
        for batch in (packed, padded):
            # The token that follows the predicting position in its own text is the target.
            tokens, positions = batch.tokens_RT.flatten(), batch.positions_RT.flatten()
            texts = [(e.prompt, response) for e in examples for response in e.responses]
            wanted = [(len(p) - 1 + at, [*p, *r][len(p) - 1 + at], r[at]) for p, r in texts for at in range(len(r))]
            predict, targets = batch.predict_N.tolist(), batch.targets_N.tolist()
            assert [(int(positions[i]), int(tokens[i]), t) for i, t in zip(predict, targets, strict=True)] == wanted
            # Chunks are consecutive, of whole groups, and cover all response tokens.
            ends = [0, *(chunk_.end for chunk_ in batch.chunks)]
            assert [c.start for c in batch.chunks] == ends[:-1]
            assert ends[-1] == len(batch.targets_N)
            lengths = torch.cat([c.responses.lengths_B for c in batch.chunks]).tolist()
            assert lengths == [len(response) for _, response in texts]
            found = [w for c in batch.chunks for w in c.responses.weight_B.tolist()]
            assert found == [w for w, e in zip(weights, examples, strict=True) for _ in e.responses]
        for one, other in zip(packed.chunks, padded.chunks, strict=True):
            for field in fields(one.responses):
                assert torch.equal(getattr(one.responses, field.name), getattr(other.responses, field.name))


def test_spread_puts_each_token_into_its_response():
    for seed in range(10):
        examples = ragged(seed)
        batch = pack(examples, [1.0] * len(examples), chunk=9)
        for chunk in batch.chunks:
            values = torch.arange(1.0, chunk.end - chunk.start + 1).requires_grad_()
            table = chunk.spread(values)
            rows = [row[:size].tolist() for row, size in zip(table, chunk.responses.lengths_B.tolist(), strict=True)]
            assert [v for row in rows for v in row] == values.tolist()
            assert table.shape[1] == chunk.responses.lengths_B.max()
            assert table.count_nonzero() == len(values)
            table.sum().backward()
            assert (values.grad == 1).all()


def test_to_moves_every_tensor():
    for batch in (pack([A, B], [1.0, 1.0], chunk=3), pad_rows([A, B], [1.0, 1.0], chunk=3)):
        assert len(batch.chunks) == 2
        moved = batch.to("meta")
        records = [moved, *moved.chunks, *(chunk.responses for chunk in moved.chunks)]
        tensors = [v for r in records for f in fields(r) if isinstance(v := getattr(r, f.name), torch.Tensor)]
        assert len(tensors) == (4 if batch.layout else 5) + 2 * 2 + 2 * 9
        assert {str(tensor.device) for tensor in tensors} == {"meta"}
        assert moved.layout == batch.layout
        assert moved.problem_ids == ("a", "b")
        assert batch.tokens_RT.device.type == "cpu"
        assert torch.equal(batch.to("cpu").tokens_RT, batch.tokens_RT)


def test_shared_prefix():
    assert shared_prefix([1, 2, 3], [1, 2, 4]) == 2
    assert shared_prefix([1, 2], [1, 2, 4]) == 2
    assert shared_prefix([1, 2, 4], [1, 2]) == 2
    assert shared_prefix([1], [2]) == 0
    assert shared_prefix([5, 6], [5, 6]) == 2
