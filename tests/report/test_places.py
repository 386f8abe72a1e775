"""The same examples, whatever the order in which the rankings come."""

import itertools

from rrtf_ray.config import RankConfig
from rrtf_ray.core.ranking import rank
from rrtf_ray.records import Group, Reason
from rrtf_ray.report.places import Places
from tests.records_for_tests import candidate, problem
from tests.report.run_for_tests import C, F, P


def ranking(id_, *outcomes):
    candidates = [candidate(f"s{i}", o, passed=1) for i, o in enumerate(outcomes)]
    return rank(Group(problem(id_), tuple(candidates)), RankConfig())


def test_the_most_informative_come_first_and_each_reason_once():
    rankings = [
        ranking("few", P, F),
        ranking("most", P, F, C),
        ranking("also", P, F),
        ranking("tied-b", F, F),
        ranking("tied-a", F, F),
        ranking("one", P),
    ]
    wanted = ["most", "also", "few", "tied-a", "one"]
    for order in itertools.permutations(rankings):
        places = Places()
        for found in order:
            places.add(found)
        best = places.best()
        assert sorted(r.problem_id for r in best) == sorted(wanted)
        assert [r.problem_id for r in best[:3]] == wanted[:3]
    assert {r.reason for r in best} == {None, Reason.TIED, Reason.TOO_FEW}


def test_not_more_than_a_few():
    places = Places()
    for number in range(30):
        places.add(ranking(f"p/{number:02d}", P, F))
    assert [r.problem_id for r in places.best()] == [f"p/{number:02d}" for number in range(5)]
