"""Small records that the tests share."""

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


def problem(id_="p/0", **changes):
    fields = {
        "prompt": "def double(x):\n",
        "kind": ProblemKind.FUNCTION,
        "entry_point": "double",
        "tests": (
            Test(
                TestKind.CHECK,
                "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(0) == 0\n",
            ),
        ),
        "reference": "    return 2 * x\n",
    }
    return Problem(id=id_, **(fields | changes))


def verdict(outcome, passed=0, total=4):
    if outcome is Outcome.PASSED:
        passed = total
    statuses = (TestStatus.PASSED,) * passed + (TestStatus.FAILED,) * (total - passed)
    return Verdict(outcome, statuses)


def candidate(id_, outcome, passed=0, completion=None, preference=0.0):
    source = {"s": Source.STUDENT, "t": Source.TEACHER, "h": Source.HUMAN}[id_[0]]
    text = completion if completion is not None else f"    return {id_!r}\n"
    return Candidate(
        id=id_,
        source=source,
        model="m",
        response=text,
        completion=text,
        program=text,
        finish_reason="stop",
        preference=preference,
        verdict=verdict(outcome, passed) if outcome else None,
    )


def group(*candidates, **changes):
    return Group(problem=problem(**changes), candidates=tuple(candidates))
