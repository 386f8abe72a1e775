"""Executed groups that are made, not run."""

from __future__ import annotations

from collections.abc import Sequence

from rrtf_ray.records import (
    Candidate,
    Group,
    Outcome,
    Problem,
    ProblemKind,
    Source,
    Test,
    TestKind,
    TestStatus,
    Verdict,
)


def group_of(problem_id: str, prompt: str, entry_point: str, programs: Sequence[tuple[str, int]], tests: int) -> Group:
    """A problem with a student's programs. programs: what follows the prompt, and how many of the tests it passes."""
    problem = Problem(problem_id, prompt, ProblemKind.FUNCTION, entry_point, (Test(TestKind.ASSERT, "pass"),))
    candidates = tuple(
        Candidate(f"s{n}", Source.STUDENT, "made", code, code, prompt + code, "stop", verdict=_verdict(passed, tests))
        for n, (code, passed) in enumerate(programs)
    )
    return Group(problem, candidates)


def _verdict(passed: int, tests: int) -> Verdict:
    statuses = (TestStatus.PASSED,) * passed + (TestStatus.FAILED,) * (tests - passed)
    return Verdict(Outcome.PASSED if passed == tests else Outcome.FAILED, statuses)
