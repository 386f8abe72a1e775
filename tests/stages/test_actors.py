"""What a testing actor adds to a group, without Ray: it is a plain class."""

from dataclasses import replace

import pyarrow as pa
import pytest

from rrtf_ray.config import ExecuteConfig, RankConfig
from rrtf_ray.records import Group, Outcome, Ranking
from rrtf_ray.schemas import from_table, to_table
from rrtf_ray.stages.actors import ExecuteActor
from rrtf_ray.stages.stream import RANKING
from tests.records_for_tests import candidate, group

RIGHT = "def double(x):\n    return 2 * x\n"
ANOTHER = "def double(x):\n    return x + x\n"
OVERFIT = "def double(x):\n    return {2: 4, 0: 0}[x]\n"
WRONG = "def double(x):\n    return 3 * x\n"


def judged(*programs, **settings):
    """The group and its ranking: the last program is the teacher's."""
    ids = [f"s{i}" for i in range(len(programs) - 1)] + ["t0"]
    given = [replace(candidate(i, None, completion=p), program=p) for i, p in zip(ids, programs, strict=True)]
    actor = ExecuteActor(ExecuteConfig(**settings), ranked_by=RankConfig())
    table = actor(to_table([group(*given)], Group))
    (ranking,) = from_table(Ranking, pa.Table.from_struct_array(table.column(RANKING).combine_chunks()))
    (one,) = from_table(Group, table.drop_columns([RANKING]))
    return one, ranking


def test_two_samples_that_agree_rank_above_a_teacher_who_overfits():
    one, ranking = judged(RIGHT, ANOTHER, WRONG, OVERFIT)
    outcomes = {c.id: c.verdict.outcome for c in one.candidates}
    assert outcomes == {"s0": Outcome.PASSED, "s1": Outcome.PASSED, "s2": Outcome.FAILED, "t0": Outcome.PASSED}
    behaviour = {c.id: c.behaviour for c in one.candidates}
    assert behaviour["s0"] == behaviour["s1"] != behaviour["t0"]
    assert behaviour["s2"] == ""
    assert [c.candidate_id for c in ranking.candidates] == ["s0", "s1", "t0", "s2"]
    assert [c.agreement_bonus for c in ranking.candidates] == pytest.approx([1 / 3, 1 / 3, 1 / 6, 0])


def test_without_probe_calls_the_teacher_ranks_first():
    one, ranking = judged(RIGHT, ANOTHER, WRONG, OVERFIT, probe_calls=0)
    assert {c.behaviour for c in one.candidates} == {""}
    assert ranking.candidates[0].candidate_id == "t0"


def test_a_single_program_that_passes_is_compared_with_nothing():
    one, _ = judged(WRONG, RIGHT)
    assert {c.behaviour for c in one.candidates} == {""}
