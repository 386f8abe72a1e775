import torch

from rrtf_ray.config import RankConfig
from rrtf_ray.core.batching import Example, choose, collate, schedule, tokenize
from rrtf_ray.core.ranking import rank
from rrtf_ray.records import Outcome
from tests.records_for_tests import candidate, group

EOS = 0


def encode(text):
    return [ord(c) for c in text]


def example(prompt="ab", responses=("c", "dde"), target=0):
    from array import array

    return Example(
        problem_id=prompt,
        prompt=array("i", encode(prompt)),
        responses=tuple(array("i", [*encode(r), EOS]) for r in responses),
        scores=tuple(float(-i) for i in range(len(responses))),
        is_teacher=tuple(i == 0 for i in range(len(responses))),
        target=target,
    )


def ranking(*candidates):
    return rank(group(*candidates), RankConfig(drop_teacher_below_student=False))


FULL = [
    candidate("t0", Outcome.PASSED),
    candidate("s0", Outcome.PASSED),
    candidate("s1", Outcome.FAILED, passed=3),
    candidate("s2", Outcome.FAILED, passed=1),
    candidate("s3", Outcome.COMPILE_ERROR),
]


def test_choose_keeps_the_target_and_the_extremes():
    kept, target = choose(ranking(*FULL), max_candidates=3, ft_target="teacher", require_passing_target=True)
    assert [c.candidate_id for c in kept] == ["t0", "s0", "s3"]
    assert kept[target].candidate_id == "t0"


def test_choose_refuses_a_target_that_fails_unless_asked():
    failing = ranking(candidate("t0", Outcome.FAILED, passed=1), candidate("s0", Outcome.PASSED))
    assert choose(failing, max_candidates=4, ft_target="teacher", require_passing_target=True) is None
    kept, target = choose(failing, max_candidates=4, ft_target="best", require_passing_target=True)
    assert kept[target].candidate_id == "s0"
    kept, target = choose(failing, max_candidates=4, ft_target="teacher", require_passing_target=False)
    assert kept[target].candidate_id == "t0"


def test_tokenize_leaves_out_whole_responses_that_do_not_fit():
    one = ranking(
        candidate("t0", Outcome.PASSED, completion="xy"), candidate("s0", Outcome.FAILED, completion="z" * 50)
    )
    kept, target = choose(one, max_candidates=4, ft_target="teacher", require_passing_target=True)
    arguments = {"encode_prompt": encode, "encode_completion": encode, "eos": EOS, "template": "#{prompt}"}
    whole = tokenize(one, kept, target, **arguments, max_length=100)
    assert whole is not None
    assert list(whole.prompt) == encode("#" + one.prompt)
    assert list(whole.responses[0]) == [*encode("xy"), EOS]
    assert tokenize(one, kept, target, **arguments, max_length=40) is None  # one response is no pair


def test_schedule_shows_every_example_once_an_epoch_in_full_steps():
    steps = schedule(10, epochs=3, batch_groups=4, seed=1)
    assert [len(s) for s in steps] == [4] * 9
    for epoch in range(3):
        seen = [i for step in steps[3 * epoch : 3 * epoch + 3] for i in step if i is not None]
        assert sorted(seen) == list(range(10))
    assert steps == schedule(10, epochs=3, batch_groups=4, seed=1)
    assert steps != schedule(10, epochs=3, batch_groups=4, seed=2)


def test_collate_masks_exactly_the_response_tokens():
    batch = collate([example(), example("xyz", ("q", "r"))], [1.0, 0.0], pad=9)
    assert batch.tokens_BT.shape == (4, 6)
    assert batch.response_mask_BT.sum(1).tolist() == [2, 4, 2, 2]
    assert batch.attention_mask_BT.sum(1).tolist() == [4, 6, 5, 5]
    assert batch.tokens_BT[1][batch.response_mask_BT[1]].tolist() == [*encode("dde"), EOS]
    assert batch.group_B.tolist() == [0, 0, 1, 1]
    assert batch.is_target_B.tolist() == [True, False, True, False]
    assert batch.weight_B.tolist() == [1.0, 1.0, 0.0, 0.0]
    assert (batch.tokens_BT[0, 4:] == 9).all()
    assert batch.tokens_BT.dtype == torch.int64
