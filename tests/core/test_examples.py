"""From rankings to examples, and examples to steps and passes."""

import random
from dataclasses import replace

import pytest

from rrtf_ray.config import RankConfig
from rrtf_ray.core.examples import Example, choose, plan_passes, schedule, tokenize, weighted
from rrtf_ray.core.ranking import rank
from rrtf_ray.records import Outcome, Reason
from tests.records_for_tests import candidate, group

EOS = 0


def encode(text):
    return [ord(c) for c in text]


def ranking(*candidates, **changes):
    return rank(group(*candidates, **changes), RankConfig(drop_teacher_below_student=False))


FULL = [
    candidate("t0", Outcome.PASSED),
    candidate("s0", Outcome.PASSED),
    candidate("s1", Outcome.FAILED, passed=3),
    candidate("s2", Outcome.FAILED, passed=1),
    candidate("s3", Outcome.COMPILE_ERROR),
]


def chosen(one, *, max_candidates=8, ft_target="teacher", require_passing_target=True):
    return choose(
        one, max_candidates=max_candidates, ft_target=ft_target, require_passing_target=require_passing_target
    )


@pytest.mark.parametrize(
    ("most", "kept"),
    [
        (1, ["t0"]),
        (2, ["t0", "s3"]),
        (3, ["t0", "s0", "s3"]),
        (4, ["t0", "s0", "s2", "s3"]),
        (9, ["t0", "s0", "s1", "s2", "s3"]),
    ],
)
def test_choose_keeps_the_target_and_the_extremes(most, kept):
    found, target = chosen(ranking(*FULL), max_candidates=most)
    assert [c.candidate_id for c in found] == kept
    assert found[target.index(True)].candidate_id == "t0"


def test_choose_keeps_the_order_of_the_ranking_around_a_target_in_its_middle():
    failing = [candidate("t0", Outcome.FAILED, passed=2), *FULL[1:]]
    found, target = chosen(ranking(*failing), max_candidates=3, require_passing_target=False)
    assert [c.candidate_id for c in found] == ["s0", "t0", "s3"]
    assert target == [False, True, False]


def test_choose_refuses_a_target_that_fails_unless_asked():
    failing = ranking(candidate("t0", Outcome.FAILED, passed=1), candidate("s0", Outcome.PASSED))
    assert chosen(failing) is None
    kept, target = chosen(failing, ft_target="best")
    assert kept[target.index(True)].candidate_id == "s0"
    kept, target = chosen(failing, require_passing_target=False)
    assert kept[target.index(True)].candidate_id == "t0"
    nobody = ranking(candidate("s0", Outcome.PASSED), candidate("s1", Outcome.COMPILE_ERROR))
    assert chosen(nobody) is None
    assert chosen(nobody, ft_target="best") is not None


def test_choose_imitates_all_that_pass_or_all_there_are():
    both = ranking(*FULL)
    options = {"max_candidates": 9, "ft_target": "all"}
    kept, targets = choose(both, **options, require_passing_target=True, compares=False)
    assert [c.candidate_id for c in kept] == ["t0", "s0"]
    assert targets == [True, True]
    kept, targets = choose(both, **options, require_passing_target=True)
    assert [c.candidate_id for c in kept] == ["t0", "s0", "s1", "s2", "s3"]
    assert targets == [True, True, False, False, False]
    kept, targets = choose(both, **options, require_passing_target=False, compares=False)
    assert targets == [True] * 5


def test_choose_imitates_all_that_agree_with_the_best():
    behaviours = {"s0": "a", "s1": "a", "s2": "b", "t0": "b", "s3": "a"}
    given = [replace(candidate(i, Outcome.PASSED), behaviour=b) for i, b in behaviours.items()]
    one = rank(group(*given, candidate("s4", Outcome.FAILED, passed=3)), RankConfig(agreement_weight=1.0))
    kept, targets = chosen(one, ft_target="all")
    assert [c.candidate_id for c, target in zip(kept, targets, strict=True) if target] == ["s0", "s1", "s3"]
    assert len(kept) == 6


def test_choose_takes_a_person_for_a_teacher():
    kept, target = chosen(ranking(candidate("h0", Outcome.PASSED), candidate("s0", Outcome.COMPILE_ERROR)))
    assert kept[target.index(True)].candidate_id == "h0"


def responses(*pairs):
    """A ranking of one candidate per (id, completion), best first: the first passes all four tests, ..."""
    outcomes = [(Outcome.PASSED, 4), *((Outcome.FAILED, n) for n in (3, 2, 1, 0)), (Outcome.COMPILE_ERROR, 0)]
    return ranking(
        *[
            candidate(id_, outcome, passed=passed, completion=text)
            for (id_, text), (outcome, passed) in zip(pairs, outcomes, strict=False)
        ],
        prompt="ab",
    )


def tokens(one, *, max_length=100, max_tokens=1000, template="{prompt}", compares=True, truncated=(), **choice):
    kept, target = chosen(one, **choice)
    kept = [replace(c, truncated=c.candidate_id in truncated) for c in kept]
    return tokenize(
        one,
        kept,
        target,
        encode_prompt=lambda prompt: encode(template.replace("{prompt}", prompt)),
        encode_response=lambda prompt, candidate: encode(candidate.completion),
        eos=EOS,
        max_length=max_length,
        max_tokens=max_tokens,
        compares=compares,
    )


def texts(example):
    return ["".join(map(chr, response)) for response in example.responses]


def test_tokenize():
    one = responses(("t0", "xy"), ("s0", "z"))
    example, dropped = tokens(one, template="#{prompt}!")
    assert not dropped
    assert example.problem_id == one.problem_id
    assert list(example.prompt) == encode("#ab!")
    assert [list(r) for r in example.responses] == [[*encode("xy"), EOS], [*encode("z"), EOS]]
    assert example.scores == tuple(c.score for c in one.candidates)
    assert example.is_teacher == (True, False)
    assert example.imitate[0] == 1
    assert example.num_tokens == 4 + 3 + 2


def test_a_truncated_response_gets_no_eos():
    example, _ = tokens(responses(("t0", "xy"), ("s0", "zz")), truncated={"s0"})
    assert texts(example) == ["xy\0", "zz"]


def test_an_empty_truncated_response_is_dropped_and_counted():
    one = responses(("t0", "xy"), ("s0", "z"), ("s1", ""))
    example, dropped = tokens(one, truncated={"s1"})
    assert texts(example) == ["xy\0", "z\0"]
    assert dropped == {Reason.EMPTY_RESPONSE: 1}
    # Not cut off, it is a response: to end at once.
    assert texts(tokens(one)[0]) == ["xy\0", "z\0", "\0"]
    assert tokens(responses(("t0", ""), ("s0", "z")), truncated={"t0"}) == (Reason.EMPTY_RESPONSE, {})
    assert tokens(responses(("t0", "a"), ("s0", "")), truncated={"s0"})[0] is Reason.EMPTY_RESPONSE


def test_a_response_that_is_too_long_is_dropped_whole():
    one = responses(("t0", "xy"), ("s0", "z" * 7), ("s1", "q"))
    assert texts(tokens(one, max_length=10)[0]) == ["xy\0", "z" * 7 + "\0", "q\0"]  # 2 + 7 + 1 fit
    example, dropped = tokens(one, max_length=9)
    assert texts(example) == ["xy\0", "q\0"]
    assert len(example.scores) == len(example.is_teacher) == 2
    assert dropped == {Reason.TOO_LONG: 1}
    assert tokens(responses(("t0", "xy"), ("s0", "z" * 50)), max_length=40)[0] is Reason.TOO_LONG


def test_a_target_that_is_too_long_leaves_the_problem_out():
    assert tokens(responses(("t0", "x" * 9), ("s0", "y"), ("s1", "z")), max_length=11)[0] is Reason.TOO_LONG


def test_the_target_is_found_again_where_better_ones_were_dropped():
    one = ranking(
        candidate("s0", Outcome.PASSED, completion="s" * 90),
        candidate("t0", Outcome.FAILED, passed=2, completion="t"),
        candidate("s1", Outcome.COMPILE_ERROR, completion="u"),
        prompt="ab",
    )
    example, dropped = tokens(one, max_length=20, require_passing_target=False)
    assert texts(example) == ["t\0", "u\0"]
    assert example.imitate[0] == 1
    assert example.is_teacher == (True, False)
    assert dropped == {Reason.TOO_LONG: 1}


@pytest.mark.parametrize(
    ("max_tokens", "kept"), [(17, "tabcd"), (16, "tacd"), (14, "tacd"), (13, "tad"), (11, "tad"), (10, "td"), (8, "td")]
)
def test_a_large_group_sheds_its_middle_ones(max_tokens, kept):
    one = responses(("t0", "tt"), ("s0", "aa"), ("s1", "bb"), ("s2", "cc"), ("s3", "dd"))
    example, dropped = tokens(one, max_tokens=max_tokens)
    assert "".join(text[0] for text in texts(example)) == kept
    assert example.num_tokens <= max_tokens
    assert dropped == ({Reason.TOO_LONG: 5 - len(kept)} if len(kept) < 5 else {})
    assert example.scores[-1] == one.candidates[-1].score


def test_a_group_of_which_only_one_fits_is_too_long():
    one = responses(("t0", "tt"), ("s0", "aa"))
    assert tokens(one, max_tokens=7)[0] is Reason.TOO_LONG
    example, _ = tokens(one, max_tokens=7, compares=False)
    assert texts(example) == ["tt\0"]


def test_nothing_to_compare():
    tied = ranking(
        candidate("s0", Outcome.PASSED, completion="a"), candidate("s1", Outcome.PASSED, completion="b"), prompt="ab"
    )
    assert tied.reason is Reason.TIED
    assert tokens(tied, ft_target="best") == (Reason.TIED, {})
    alone = ranking(candidate("t0", Outcome.PASSED, completion="a"), prompt="ab")
    assert alone.reason is Reason.TOO_FEW
    assert tokens(alone) == (Reason.TOO_FEW, {})
    example, _ = tokens(alone, compares=False)
    assert texts(example) == ["a\0"]
    assert example.imitate[0] == 1
    assert len(tokens(tied, ft_target="best", compares=False)[0].responses) == 2


def test_several_targets_share_the_loss():
    one = ranking(*FULL[:3])
    example, _ = tokens(one, ft_target="all")
    assert example.imitate == (0.5, 0.5, 0.0)
    assert example.passed == (True, True, False)


def test_an_empty_prompt_predicts_nothing():
    one = ranking(candidate("t0", Outcome.PASSED), candidate("s0", Outcome.COMPILE_ERROR), prompt="")
    assert tokens(one) == (Reason.EMPTY_PROMPT, {})
    assert isinstance(tokens(one, template="#{prompt}")[0], Example)


def test_rank_says_which_completions_were_cut_off():
    def placed(finish_reason, response, completion):
        one = replace(candidate("s0", Outcome.FAILED), finish_reason=finish_reason, response=response)
        one = replace(one, completion=completion)
        return ranking(one, candidate("t0", Outcome.PASSED)).candidates[1].truncated

    assert placed("length", "return 1 +", "return 1 +")
    assert placed("length", "return 1 +\n", "return 1 +")
    assert placed("length", "text\nreturn 1 +", "return 1 +")
    # What was cut off is not in the completion, which ends where its program does.
    assert not placed("length", "return 1\n\nprint(", "return 1\n")
    assert not placed("stop", "return 1", "return 1")


@pytest.mark.parametrize(("number", "batch"), [(10, 4), (8, 4), (3, 5), (1, 1)])
def test_schedule_shows_every_example_once_an_epoch(number, batch):
    steps = schedule(number, epochs=3, batch_groups=batch, seed=1)
    per_epoch = -(-number // batch)
    assert len(steps) == 3 * per_epoch
    for epoch in range(3):
        part = steps[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert sorted(i for step in part for i in step) == list(range(number))
        assert all(len(step) == batch for step in part[:-1])
        assert 0 < len(part[-1]) <= batch


def test_schedule_depends_on_the_seed_and_the_epoch_only():
    assert schedule(50, 2, 7, seed=1) == schedule(50, 2, 7, seed=1)
    assert schedule(50, 2, 7, seed=1) != schedule(50, 2, 7, seed=2)
    assert schedule(50, 4, 7, seed=1)[:8] == schedule(50, 1, 7, seed=1)
    first, second = schedule(50, 2, 50, seed=1)
    assert first != second


def test_a_number_of_steps_takes_the_place_of_whole_epochs():
    whole = schedule(10, epochs=3, batch_groups=4, seed=1)
    assert schedule(10, epochs=1, batch_groups=4, seed=1, num_steps=7) == whole[:7]
    assert len(schedule(3, epochs=1, batch_groups=4, seed=1, num_steps=5)) == 5


def test_weights_follow_the_share_of_failures_and_have_mean_1():
    example, _ = tokens(ranking(*FULL))
    found = weighted([example] * 4, [0.0, 0.5, 1.0, None])
    raw = [1.0, 0.5, 0.05, 1.0]
    assert [e.weight for e in found] == pytest.approx([4 * weight / sum(raw) for weight in raw])
    assert weighted([], []) == []


def test_plan_passes_by_hand():
    assert plan_passes([5, 4, 3, 3, 3], budget=18, world=1) == [[[0, 1, 2, 3, 4]]]
    # Longest first, each to the emptiest place: 5+3 | 4+3+3, as evenly as one can.
    (found,) = plan_passes([5, 4, 3, 3, 3], budget=10, world=2)
    assert sorted(sum([5, 4, 3, 3, 3][i] for i in place) for place in found) == [8, 10]
    # One example for two workers: a place stays empty.
    assert plan_passes([7], budget=10, world=2) == [[[0], []]]
    # Larger than the budget: a pass to itself.
    found = plan_passes([30, 2, 2], budget=10, world=1)
    assert sorted(place for (place,) in found) == [[0], [1, 2]]


def test_plan_passes_in_random_cases():
    for seed in range(400):
        chooser = random.Random(seed)
        costs = [chooser.randrange(1, 60) for _ in range(chooser.randrange(1, 30))]
        budget, world = chooser.randrange(20, 150), chooser.randrange(1, 5)
        found = plan_passes(costs, budget, world)
        assert [len(places) for places in found] == [world] * len(found)
        assert sorted(i for places in found for place in places for i in place) == list(range(len(costs)))
        loads = [sum(costs[i] for i in place) for places in found for place in places]
        sizes = [len(place) for places in found for place in places]
        assert all(load <= budget or size == 1 for load, size in zip(loads, sizes, strict=True))
        # Balanced: what makes a place the fullest is one example at most.
        assert max(loads) - min(loads) <= max(costs)
        # No pass is idle for everyone.
        assert all(any(places) for places in found)
        assert found == plan_passes(costs, budget, world)
