"""Counts from columns equal counts from records, whatever columns are there."""

from dataclasses import replace

import pytest

from rrtf_ray.config import RankConfig
from rrtf_ray.core.evaluation import Judged
from rrtf_ray.core.ranking import rank
from rrtf_ray.records import Group, Outcome, Ranking
from rrtf_ray.schemas import from_table, to_table
from rrtf_ray.stages.tally import (
    Count,
    Tally,
    ids_with_sandbox_errors,
    judged_of,
    tally_of,
    tally_of_manifest,
    tally_of_store,
)
from rrtf_ray.store.rows import RowStore
from tests.records_for_tests import candidate, group

GROUPS = [
    group(
        replace(candidate("s0", Outcome.PASSED), num_tokens=3),
        replace(candidate("s1", Outcome.TIMEOUT), num_tokens=4),
        id_="a",
    ),
    Group(group(candidate("s0", None), id_="b").problem, (), error="sampling failed: too long"),
    group(candidate("s0", Outcome.SANDBOX_ERROR), candidate("s1", None), candidate("t0", Outcome.PASSED), id_="c"),
]
COUNTED = Tally(
    rows=3,
    candidates=5,
    tokens=7,
    outcomes=(Count("passed", 2), Count("timeout", 1), Count("sandbox_error", 1)),
    reasons=(Count("sampling failed: too long", 1),),
)


@pytest.fixture
def store(tmp_path):
    store = RowStore(str(tmp_path / "groups"), Group, "problem.id")
    store.write(GROUPS[:1], "0")
    store.write(GROUPS[1:], "1")
    return store


def test_a_part_and_a_store_give_the_same_counts(store):
    assert tally_of(to_table(GROUPS, Group), Group) == COUNTED
    assert tally_of_store(store) == COUNTED
    parts = [tally_of(to_table(part, Group), Group) for part in (GROUPS[:1], GROUPS[1:])]
    assert parts[0] + parts[1] == COUNTED


def test_rankings_are_counted_by_their_reason(tmp_path):
    rankings = [rank(GROUPS[0], RankConfig()), rank(GROUPS[2], RankConfig())]
    expected = Tally(rows=2, candidates=3, reasons=(Count("ranked", 1), Count("too_few", 1)))
    assert tally_of(to_table(rankings, Ranking), Ranking) == expected
    store = RowStore(str(tmp_path / "rankings"), Ranking, "problem_id")
    store.write(rankings)
    assert tally_of_store(store) == expected


def test_an_empty_store_counts_nothing(tmp_path):
    for record in (Group, Ranking):
        store = RowStore(str(tmp_path / "none"), record, "problem.id")
        assert tally_of_store(store) == Tally()
    assert list(judged_of(RowStore(str(tmp_path / "none"), Group, "problem.id"))) == []


def test_a_tally_survives_the_plan_and_the_manifest():
    assert list(from_table(Tally, to_table([COUNTED, Tally()], Tally))) == [COUNTED, Tally()]
    assert tally_of_manifest(COUNTED.as_manifest()) == COUNTED


def test_evaluation_sees_the_students_only_in_their_order(store):
    assert list(judged_of(store)) == [
        Judged("a", (Outcome.PASSED, Outcome.TIMEOUT)),
        Judged("b", (), unsampled=True),
        Judged("c", (Outcome.SANDBOX_ERROR, None)),
    ]


def test_groups_that_could_not_be_judged_are_named(store):
    assert ids_with_sandbox_errors(store) == {"c"}
