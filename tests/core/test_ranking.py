from dataclasses import replace

import pytest

from rrtf_ray.config import RankConfig
from rrtf_ray.core.ranking import digest_of, inversions, rank, signal_between
from rrtf_ray.records import Choice, Outcome, Reason, Signal, Vote, VoteSource
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


def votes_for(better, worse, count=1, source=VoteSource.PERSON):
    return [
        Vote(f"{source}{i}", "p/0", digest_of(better), digest_of(worse), Choice.LEFT, f"a{i}", source=source)
        for i in range(count)
    ]


def test_people_order_what_tests_tie():
    first, second, failing = (
        candidate("s0", Outcome.PASSED),
        candidate("s1", Outcome.PASSED),
        candidate("s2", Outcome.FAILED, passed=1),
    )
    given = group(first, second, failing)
    assert rank(group(first, second), CONFIG).reason is Reason.TIED
    ranking = rank(given, CONFIG, votes_for(second, first))
    assert order(ranking) == ["s1", "s0", "s2"]
    best, next_, last = ranking.candidates
    assert best.human_bonus == pytest.approx(CONFIG.human_weight * best.people.value)
    assert best.score == pytest.approx(best.test_score + best.human_bonus)
    assert (signal_between(best, next_), signal_between(next_, last)) == (Signal.PEOPLE, Signal.TESTS)
    assert (best.people.votes, last.people) == (1, None)


def test_people_overrule_tests_only_within_their_bound():
    better, worse = candidate("s0", Outcome.PASSED), candidate("s1", Outcome.FAILED, passed=3)
    votes = votes_for(worse, better, count=50)
    bounded = rank(group(better, worse), CONFIG, votes)
    assert order(bounded) == ["s0", "s1"]
    overruled = rank(group(better, worse), RankConfig(human_weight=0.5), votes)
    assert order(overruled) == ["s1", "s0"]
    ((first, second),) = inversions(bounded)
    assert (first.candidate_id, second.candidate_id) == ("s0", "s1")
    assert inversions(rank(group(better, worse), CONFIG, votes[:1])) == []


def test_judges_and_editors_have_weights_of_their_own():
    first, second = candidate("s0", Outcome.PASSED), candidate("s1", Outcome.PASSED)
    people = votes_for(second, first, count=3)
    for source, signal in ((VoteSource.JUDGE, Signal.JUDGES), (VoteSource.EDITOR, Signal.EDITORS)):
        against = votes_for(first, second, count=3, source=source)
        alone = rank(group(first, second), CONFIG, against)
        assert order(alone) == ["s0", "s1"]
        assert signal_between(*alone.candidates) is signal
        assert order(rank(group(first, second), CONFIG, people + against)) == ["s1", "s0"]


def test_a_vote_reaches_the_same_program_of_a_teacher_and_of_a_later_round():
    text = "    return x + x\n"
    teacher, student = (
        candidate("t0", Outcome.PASSED, completion=text),
        candidate("s7", Outcome.PASSED, completion=text),
    )
    other = candidate("s0", Outcome.PASSED)
    ranking = rank(group(other, student, teacher), CONFIG, votes_for(other, student, count=30))
    assert {c.candidate_id: c.human_bonus > 0 for c in ranking.candidates} == {"s0": True, "s7": False, "t0": False}
    assert order(ranking)[-1] == "s7"


def test_a_replayed_preference_and_votes_add_up_within_the_bound():
    liked, other = candidate("s0", Outcome.PASSED, preference=0.9), candidate("s1", Outcome.PASSED)
    ranking = rank(group(liked, other), CONFIG, votes_for(liked, other, count=30))
    assert ranking.candidates[0].human_bonus == pytest.approx(CONFIG.human_weight)


def test_programs_that_differ_in_their_looks_share_their_votes():
    plain, other = (
        candidate(id_, Outcome.PASSED, completion=code)
        for id_, code in (
            ("s0", "def f(x):\n    return x + x\n"),
            ("s2", "def f(x):\n    return 2 * x\n"),
        )
    )
    twin = candidate("s1", Outcome.PASSED, completion="def f(y):\n    # twice\n    return y + y\n")
    ranking = rank(group(plain, twin, other), CONFIG, votes_for(plain, other, count=5))
    bonuses = {c.candidate_id: c.human_bonus for c in ranking.candidates}
    assert bonuses["s0"] == bonuses["s1"] > 0 > bonuses["s2"]
    between_twins = votes_for(twin, plain, count=5)
    assert rank(group(plain, twin, other), CONFIG, between_twins).reason is Reason.TIED


def behaving(*kinds, **changes):
    """Candidates that pass, `s0` ... and a teacher `t0` at last, with these behaviours."""
    ids = [f"s{i}" for i in range(len(kinds) - 1)] + ["t0"]
    return group(*(replace(candidate(i, Outcome.PASSED), behaviour=k) for i, k in zip(ids, kinds, strict=True)))


AGREEING = RankConfig(agreement_weight=0.5)


@pytest.mark.parametrize(
    ("kinds", "best", "share"),
    [
        (("a", "a", "b", "b"), "t0", 0.5),  # two against two: the teacher's bonus decides
        (("a", "a", "b"), "s0", 2 / 3),  # two samples outvote the teacher
        (("a", "b"), "t0", 0.5),
        (("a", "b", "c", "b"), "t0", 0.5),
    ],
)
def test_what_more_programs_do_ranks_first(kinds, best, share):
    first = rank(behaving(*kinds), AGREEING).candidates[0]
    assert first.candidate_id == best
    assert first.agreement_bonus == pytest.approx(0.5 * share)
    assert first.score == pytest.approx(1.0 + first.teacher_bonus + 0.5 * share)


def test_a_program_that_was_sampled_twice_counts_twice():
    same = [replace(candidate(f"s{i}", Outcome.PASSED, completion="    return 1\n"), behaviour="a") for i in range(2)]
    teacher = replace(candidate("t0", Outcome.PASSED), behaviour="b")
    ranking = rank(group(*same, teacher), AGREEING)
    assert order(ranking) == ["s0", "t0"]
    assert signal_between(*ranking.candidates) is Signal.AGREEMENT


def test_programs_that_fail_have_no_say_in_what_agrees():
    failing = [replace(candidate(f"s{i}", Outcome.FAILED), behaviour="a") for i in range(4)]
    passing = [
        replace(candidate("s4", Outcome.PASSED), behaviour="b"),
        replace(candidate("t0", Outcome.PASSED), behaviour="a"),
    ]
    ranking = rank(group(*failing, *passing), AGREEING)
    assert [c.agreement_bonus for c in ranking.candidates] == pytest.approx([0.25, 0.25, 0, 0, 0, 0])


def test_nothing_is_added_where_all_behave_alike_or_nothing_is_known():
    assert {c.agreement_bonus for c in rank(behaving("a", "a", "a"), AGREEING).candidates} == {0.0}
    assert {c.agreement_bonus for c in rank(behaving("", "", ""), AGREEING).candidates} == {0.0}
    assert not any(c.agreement_bonus for c in rank(behaving("a", "b", "b"), RankConfig(agreement_weight=0)).candidates)
