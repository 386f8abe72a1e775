"""From verdicts to rankings: PanGu-Coder2's "rank responses by test and teacher feedback" (arXiv 2307.14936).

In: a Group with verdicts. Out: a Ranking, with a reason if it cannot be trained on. The paper orders the
outcomes (compile error < runtime error < some tests < all tests), prefers the teacher in a tie and filters out
problems whose teacher scores below a student; every number is a parameter here (see RankConfig).
"""

from __future__ import annotations

from rrtf_ray.config import RankConfig
from rrtf_ray.records import Candidate, Group, Outcome, RankedCandidate, Ranking, Reason, Source


def test_score(outcome: Outcome, pass_ratio: float, config: RankConfig) -> float:
    """The tests' part of a score. pass_ratio: in [0, 1], grades FAILED if `grade_failed` is on (RLTF)."""
    match outcome:
        case Outcome.PASSED:
            return config.passed
        case Outcome.FAILED:
            graded = (config.passed - config.failed) * pass_ratio if config.grade_failed else 0.0
            return config.failed + graded
        case Outcome.RUNTIME_ERROR | Outcome.TIMEOUT | Outcome.OUT_OF_MEMORY:
            return config.runtime_error
        case Outcome.COMPILE_ERROR | Outcome.NO_CODE:
            return config.compile_error
    raise AssertionError(f"{outcome} has no score: it says nothing about the program")


def rank(group: Group, config: RankConfig) -> Ranking:
    """Order a group's candidates by score, best first; ties keep the order teacher, human, student, id.

    Candidates that the machinery failed on, and repetitions of the same code among students or among the others, are
    left out and counted in `dropped`.
    """
    judged = [c for c in group.candidates if c.verdict and c.verdict.outcome is not Outcome.SANDBOX_ERROR]
    same: dict[tuple[bool, str], list[Candidate]] = {}
    for candidate in judged:
        code = candidate.program or candidate.completion
        same.setdefault((candidate.source is Source.STUDENT, code.rstrip()), []).append(candidate)
    ranked = sorted((_place(equal[0], len(equal), config) for equal in same.values()), key=_best_first)
    return Ranking(
        problem_id=group.problem.id,
        prompt=group.problem.prompt,
        candidates=tuple(ranked),
        reason=_reason(ranked, config),
        dropped=len(group.candidates) - len(ranked),
    )


def _place(candidate: Candidate, count: int, config: RankConfig) -> RankedCandidate:
    assert candidate.verdict is not None
    verdict = candidate.verdict
    tests = test_score(verdict.outcome, verdict.pass_ratio, config)
    teacher = config.teacher_bonus if candidate.source is Source.TEACHER else 0.0
    human = config.human_weight * max(-1.0, min(1.0, candidate.preference))
    return RankedCandidate(
        candidate_id=candidate.id,
        source=candidate.source,
        completion=candidate.completion,
        outcome=verdict.outcome,
        pass_ratio=verdict.pass_ratio,
        test_score=tests,
        teacher_bonus=teacher,
        human_bonus=human,
        score=tests + teacher + human,
        truncated=candidate.truncated,
        count=count,
    )


def _best_first(candidate: RankedCandidate) -> tuple[float, int, int, str]:
    order = {Source.TEACHER: 0, Source.HUMAN: 1, Source.STUDENT: 2}
    return -candidate.score, order[candidate.source], len(candidate.candidate_id), candidate.candidate_id


def _reason(ranked: list[RankedCandidate], config: RankConfig) -> Reason | None:
    if len(ranked) < 2:
        return Reason.TOO_FEW
    students = [c.test_score for c in ranked if c.source is Source.STUDENT]
    teachers = [c.test_score for c in ranked if c.source is Source.TEACHER]
    if config.drop_teacher_below_student and students and teachers and max(teachers) < max(students):
        return Reason.TEACHER_BELOW_STUDENT
    if len({c.score for c in ranked}) < 2:
        return Reason.TIED
    return None
