"""Every candidate is accounted for: what a stage leaves out is what the next one lacks."""

from itertools import pairwise

import pytest

from rrtf_ray.config import Config
from rrtf_ray.core.ranking import rank
from rrtf_ray.records import Group
from rrtf_ray.report.flow import GroupCounts, Loss, RankingCounts, Trained, stages_of
from tests.records_for_tests import candidate, problem
from tests.report.run_for_tests import F, P, train_groups

CONFIG = Config()


def stages(groups, trained=None, train=CONFIG.train, ranked=True):
    counts, rankings = GroupCounts(), RankingCounts()
    for group in groups:
        counts.add(group)
        rankings.add(rank(group, CONFIG.rank), train)
    return stages_of(counts, rankings if ranked else None, trained, train)


def test_a_round_counted_by_hand():
    trained = Trained(1, {"tied": 1, "response_too_long": 1}, 3)
    found = stages(train_groups(), trained)
    assert [(s.candidates, s.problems) for s in found] == [(8, 2), (7, 2), (6, 2), (4, 1), (4, 1), (3, 1)]
    assert [s.losses for s in found] == [
        (),
        (Loss("sandbox_error: the machinery failed", 1),),
        (Loss("the same code again, among students or among teachers", 1),),
        (Loss("tied", 2, 1),),
        (),
        (Loss("too_long, a response", 1),),
    ]
    assert all(s.exact for s in found)


def test_what_each_stage_loses_is_missing_in_the_next():
    found = stages(train_groups(), Trained(1, {"tied": 1}))
    for before, after in pairwise(found):
        assert before.candidates - after.candidates == sum(loss.candidates or 0 for loss in after.losses)
        assert before.problems - after.problems == sum(loss.problems or 0 for loss in after.losses)


def test_too_many_candidates_and_no_passing_target():
    six = [candidate(f"s{i}", F, passed=i % 3) for i in range(5)] + [candidate("t0", P)]
    no_target = [candidate("s0", F, passed=1), candidate("s1", F, passed=2)]
    groups = [Group(problem("a"), tuple(six)), Group(problem("b"), tuple(no_target))]
    chosen = stages(groups)[-1]
    assert chosen.losses == (Loss("no_passing_target", 2, 1), Loss("beyond train.max_candidates=4", 2))
    assert (chosen.candidates, chosen.problems) == (4, 1)


def test_an_older_checkpoint_gives_a_bound_where_tokens_cost_whole_rankings():
    last = stages(train_groups(), Trained(0, {"tied": 1, "too_long": 1}))[-1]
    assert last.losses == (Loss("too_long, found by train", None, 1),)
    assert not last.exact


@pytest.mark.parametrize("ranked", [True, False])
def test_a_round_that_is_not_executed_yet_ends_there(ranked):
    group = Group(problem("a"), (candidate("s0", None), candidate("s1", F)), error="the engine died")
    found = stages([group], ranked=ranked)
    assert [s.name for s in found] == ["sampled or given", "judged by tests"]
    assert found[0].losses == (Loss("the engine: the engine died", None, 1),)
    assert found[1].losses == (Loss("not executed yet", 1),)


def test_groups_without_a_ranking_are_waiting():
    counts, rankings = GroupCounts(), RankingCounts()
    first, second = train_groups()
    counts.add(first)
    counts.add(second)
    rankings.add(rank(first, CONFIG.rank), CONFIG.train)
    distinct = stages_of(counts, rankings, None, CONFIG.train)[2]
    assert distinct.losses[-1] == Loss("not ranked yet", 2, 1)
    assert (distinct.candidates, distinct.problems) == (4, 1)
