import pytest

from rrtf_ray.config import RankConfig
from rrtf_ray.core.ranking import rank
from rrtf_ray.records import Outcome, Reason
from tests.records_for_tests import candidate, group

CONFIG = RankConfig()


def order(ranking):
    return [c.candidate_id for c in ranking.candidates]


def test_outcome_levels_of_the_paper():
    ranking = rank(
        group(
            candidate("s0", Outcome.COMPILE_ERROR),
            candidate("s1", Outcome.PASSED),
            candidate("s2", Outcome.RUNTIME_ERROR),
            candidate("s3", Outcome.FAILED, passed=1),
            candidate("s4", Outcome.NO_CODE),
            candidate("s5", Outcome.TIMEOUT),
            candidate("s6", Outcome.FAILED, passed=3),
        ),
        CONFIG,
    )
    assert order(ranking) == ["s1", "s6", "s3", "s2", "s5", "s0", "s4"]
    scores = [c.score for c in ranking.candidates]
    # RLTF: -0.3 + 1.3 * 3/4 and -0.3 + 1.3 * 1/4
    assert scores == pytest.approx([1.0, 0.675, 0.025, -0.6, -0.6, -1.0, -1.0])
    assert ranking.reason is None


def test_without_grading_all_failures_are_level():
    ranking = rank(
        group(candidate("s0", Outcome.FAILED, passed=1), candidate("s1", Outcome.FAILED, passed=3)),
        RankConfig(grade_failed=False),
    )
    assert ranking.reason is Reason.TIED
    assert {c.score for c in ranking.candidates} == {-0.3}


def test_teacher_wins_a_tie_but_not_against_a_better_student():
    tie = rank(group(candidate("s0", Outcome.PASSED), candidate("t0", Outcome.PASSED)), CONFIG)
    assert order(tie) == ["t0", "s0"]
    assert tie.candidates[0].score == pytest.approx(1.1)
    worse = rank(group(candidate("s0", Outcome.PASSED), candidate("t0", Outcome.FAILED, passed=3)), CONFIG)
    assert worse.reason is Reason.TEACHER_BELOW_STUDENT
    kept = rank(
        group(candidate("s0", Outcome.PASSED), candidate("t0", Outcome.FAILED, passed=3)),
        RankConfig(drop_teacher_below_student=False),
    )
    assert kept.reason is None
    assert order(kept) == ["s0", "t0"]


def test_equal_programs_are_merged_and_counted():
    same = [candidate(f"s{i}", Outcome.FAILED, passed=1, completion="    return 1\n") for i in range(3)]
    other = candidate("s3", Outcome.PASSED, completion="    return 2\n")
    teacher = candidate("t0", Outcome.PASSED, completion="    return 2\n")
    ranking = rank(group(*same, other, teacher), CONFIG)
    assert [(c.candidate_id, c.count) for c in ranking.candidates] == [("t0", 1), ("s3", 1), ("s0", 3)]
    assert ranking.dropped == 2
    assert ranking.pass_rate == 0.25
    assert rank(group(teacher), CONFIG).pass_rate is None


def test_human_preference_breaks_a_tie():
    ranking = rank(group(candidate("s0", Outcome.PASSED), candidate("s1", Outcome.PASSED, preference=0.5)), CONFIG)
    assert order(ranking) == ["s1", "s0"]
    assert ranking.candidates[0].human_bonus == pytest.approx(0.05)


def test_machinery_errors_and_repetitions_are_left_out_and_counted():
    ranking = rank(
        group(
            candidate("s0", Outcome.SANDBOX_ERROR),
            candidate("s1", Outcome.FAILED, completion="same"),
            candidate("s2", Outcome.FAILED, completion="same"),
            candidate("t0", Outcome.PASSED, completion="same too"),
            candidate("s3", None),
        ),
        CONFIG,
    )
    assert order(ranking) == ["t0", "s1"]
    assert ranking.dropped == 3


def test_too_few():
    assert rank(group(candidate("s0", Outcome.PASSED)), CONFIG).reason is Reason.TOO_FEW


def test_order_of_candidates_does_not_matter():
    first = [
        candidate("s0", Outcome.FAILED, passed=2),
        candidate("t0", Outcome.PASSED),
        candidate("s1", Outcome.PASSED),
    ]
    assert rank(group(*first), CONFIG) == rank(group(*reversed(first)), CONFIG)
