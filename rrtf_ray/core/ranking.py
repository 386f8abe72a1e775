"""From verdicts to rankings: PanGu-Coder2's "rank responses by test and teacher feedback" (arXiv 2307.14936).

In: a Group with verdicts. Out: a Ranking, with a reason if it cannot be trained on. The paper orders the
outcomes (compile error < runtime error < some tests < all tests), prefers the teacher in a tie and filters out
problems whose teacher scores below a student; every number is a parameter here (see RankConfig). Votes of people,
judges and editors move a score by at most their weights: they order what tests tie, and overrule tests only within that
bound. So does the agreement of the programs that pass, which are then ordered among themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations

from rrtf_ray.config import RankConfig
from rrtf_ray.core.preference import preferences
from rrtf_ray.core.sameness import normal_form
from rrtf_ray.identity import program_digest
from rrtf_ray.records import (
    Candidate,
    Group,
    Language,
    Outcome,
    Preference,
    RankedCandidate,
    Ranking,
    Reason,
    Signal,
    Source,
    Vote,
    VoteSource,
)


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


def rank(group: Group, config: RankConfig, votes: Iterable[Vote] = ()) -> Ranking:
    """Order a group's candidates by score, best first; ties keep the order teacher, human, student, id.

    votes: on this problem; those on programs that the group does not have still say how good the others are, and
    programs that differ in their looks only share theirs. Candidates that the machinery failed on, and repetitions of
    the same code among students or among the others, are left out and counted in `dropped`.
    """
    judged = [c for c in group.candidates if c.verdict and c.verdict.outcome is not Outcome.SANDBOX_ERROR]
    same: dict[tuple[bool, str], list[Candidate]] = {}
    for candidate in judged:
        same.setdefault((candidate.source is Source.STUDENT, digest_of(candidate)), []).append(candidate)
    preferred = _preferred(judged, group.problem.language, tuple(votes), config)
    agreeing = agreement(judged)
    places = (
        _place(equal[0], len(equal), preferred, agreeing.get(equal[0].id, 0.0), config) for equal in same.values()
    )
    ranked = sorted(places, key=_best_first)
    return Ranking(
        problem_id=group.problem.id,
        prompt=group.problem.prompt,
        candidates=tuple(ranked),
        reason=_reason(ranked, config),
        dropped=len(group.candidates) - len(ranked),
    )


def agreement(candidates: Iterable[Candidate]) -> dict[str, float]:
    """For each candidate that passes, by id: the share in (0, 1) of all that pass which behave like it; one that was
    sampled twice counts twice. Empty where all behave alike, or where nothing is known of what they do."""
    kinds = {c.id: c.behaviour for c in candidates if c.verdict and c.verdict.outcome is Outcome.PASSED and c.behaviour}
    size = Counter(kinds.values())
    return {id_: size[kind] / len(kinds) for id_, kind in kinds.items()} if len(size) > 1 else {}


def digest_of(candidate: Candidate) -> str:
    """What stands for the candidate's program in votes."""
    return program_digest(candidate.code)


def signal_between(better: RankedCandidate, worse: RankedCandidate) -> Signal:
    """What puts one candidate above another: the part of their scores that differs most in its favour."""
    parts = {
        Signal.TESTS: better.test_score - worse.test_score,
        Signal.PEOPLE: better.human_bonus - worse.human_bonus,
        Signal.JUDGES: better.judge_bonus - worse.judge_bonus,
        Signal.EDITORS: better.editor_bonus - worse.editor_bonus,
        Signal.AGREEMENT: better.agreement_bonus - worse.agreement_bonus,
        Signal.TEACHER: better.teacher_bonus - worse.teacher_bonus,
    }
    signal = max(parts, key=parts.__getitem__)
    return signal if parts[signal] > 0 else Signal.NONE


def inversions(ranking: Ranking) -> list[tuple[RankedCandidate, RankedCandidate]]:
    """Pairs of which tests prefer the first and people clearly the second: their intervals are apart. Where there are
    some, a test may be wrong."""
    found = []
    for a, b in combinations(ranking.candidates, 2):
        first, second = (a, b) if a.test_score > b.test_score else (b, a)
        by_tests = first.test_score > second.test_score
        if by_tests and first.people and second.people and second.people.low > first.people.high:
            found.append((first, second))
    return found


def _preferred(
    candidates: Iterable[Candidate], language: Language, votes: tuple[Vote, ...], config: RankConfig
) -> dict[VoteSource, dict[str, Preference]]:
    """What each source's votes say of the candidates, by digest."""
    if not votes:
        return {source: {} for source in VoteSource}
    looks = {digest_of(c): normal_form(c.code, language) for c in candidates}
    shared: dict[str, str] = {}
    for digest, look in looks.items():
        shared.setdefault(look, digest)
    stands_for = {digest: shared[look] for digest, look in looks.items()}
    renamed = [(stands_for.get(v.left, v.left), stands_for.get(v.right, v.right), v) for v in votes]
    pooled = [replace(vote, left=left, right=right) for left, right, vote in renamed if left != right]
    found = {}
    for source in VoteSource:
        said = preferences((vote for vote in pooled if vote.source is source), config.vote_prior)
        found[source] = {digest: said[stands] for digest, stands in stands_for.items() if stands in said}
    return found


def _place(
    candidate: Candidate,
    count: int,
    preferred: Mapping[VoteSource, Mapping[str, Preference]],
    agreeing: float,
    config: RankConfig,
) -> RankedCandidate:
    assert candidate.verdict is not None
    verdict = candidate.verdict
    digest = digest_of(candidate)
    people, judges, editors = (
        preferred[source].get(digest) for source in (VoteSource.PERSON, VoteSource.JUDGE, VoteSource.EDITOR)
    )
    tests = test_score(verdict.outcome, verdict.pass_ratio, config)
    teacher = config.teacher_bonus if candidate.source is Source.TEACHER else 0.0
    human = config.human_weight * max(-1.0, min(1.0, candidate.preference + _value(people)))
    judge = config.judge_weight * _value(judges)
    editor = config.editor_weight * _value(editors)
    agreed = config.agreement_weight * agreeing
    return RankedCandidate(
        candidate_id=candidate.id,
        source=candidate.source,
        completion=candidate.completion,
        outcome=verdict.outcome,
        pass_ratio=verdict.pass_ratio,
        test_score=tests,
        teacher_bonus=teacher,
        human_bonus=human,
        score=tests + teacher + human + judge + editor + agreed,
        truncated=candidate.truncated,
        count=count,
        judge_bonus=judge,
        editor_bonus=editor,
        people=people,
        judges=judges,
        editors=editors,
        agreement_bonus=agreed,
    )


def _value(preference: Preference | None) -> float:
    return preference.value if preference else 0.0


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
