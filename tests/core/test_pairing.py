"""Which pairs are worth a vote."""

from dataclasses import replace

import pytest

from rrtf_ray.core.pairing import pairs_of, priorities
from rrtf_ray.identity import program_digest
from rrtf_ray.records import Choice, Outcome, Vote
from tests.records_for_tests import candidate, group

BODIES = ["return 2 * x", "return x + x", "return x * 2", "return sum([x, x])"]


def program(number):
    return f"def double(x):\n    {BODIES[number]}\n"


def passing(id_, number, **fields):
    return replace(candidate(id_, Outcome.PASSED, completion=program(number)), **fields)


def test_programs_that_pass_are_compared_and_what_tests_order_is_not():
    found = pairs_of(
        group(
            passing("s0", 0),
            passing("t0", 1),
            candidate("s1", Outcome.FAILED, passed=2, completion=program(2)),
            candidate("s2", Outcome.FAILED, passed=1, completion=program(3)),
            candidate("s3", Outcome.RUNTIME_ERROR, completion="def double(x):\n    return y\n"),
            candidate("s4", Outcome.RUNTIME_ERROR, completion="def double(x):\n    return z()\n"),
        )
    )
    (pair,) = found
    assert (pair.first, pair.second) == tuple(sorted(program_digest(program(n)) for n in (0, 1)))
    assert pair.problem_id == "p/0"


def test_equal_partial_passes_are_compared_after_full_ones():
    found = pairs_of(
        group(
            passing("s0", 0),
            passing("s1", 1),
            candidate("s2", Outcome.FAILED, passed=2, completion=program(2)),
            candidate("s3", Outcome.FAILED, passed=2, completion=program(3)),
        )
    )
    assert [p.priority > found[-1].priority for p in found] == [True, False]
    assert {found[1].first, found[1].second} == {program_digest(program(n)) for n in (2, 3)}


@pytest.mark.parametrize(
    "other",
    [
        "def double(x):\n    return 2 * x",
        "def double(x):\n\n    # twice\n    return (2 * x)\n",
        'def double(x):\n    """Twice x."""\n    return 2 * x\n',
        "def double(number):\n    return 2 * number\n",
    ],
)
def test_programs_that_differ_in_nothing_that_counts_are_one(other):
    assert pairs_of(group(passing("s0", 0), candidate("s1", Outcome.PASSED, completion=other))) == []


def test_the_model_s_own_doubt_comes_first():
    found = pairs_of(
        group(
            passing("s0", 0, logprob=-4.0, num_tokens=8),
            passing("s1", 1, logprob=-4.4, num_tokens=8),
            passing("s2", 2, logprob=-40.0, num_tokens=8),
        )
    )
    assert {found[0].first, found[0].second} == {program_digest(program(n)) for n in (0, 1)}
    assert all(0 < pair.priority <= 1 for pair in found)


def test_a_problem_with_many_programs_is_not_asked_about_for_ever():
    many = [
        candidate(f"s{i}", Outcome.PASSED, completion=f"def double(x):\n    return 2 * x + {i}\n") for i in range(30)
    ]
    assert len(pairs_of(group(*many))) == 20
    assert len(pairs_of(group(*many), most=3)) == 3


def test_after_votes_the_undecided_pair_is_asked_next():
    pairs = pairs_of(group(passing("s0", 0), passing("s1", 1), passing("s2", 2)))
    assert len(set(priorities(pairs, []))) == 1
    known = pairs[0]
    votes = [Vote(str(i), "p/0", known.first, known.second, Choice.LEFT, f"a{i}") for i in range(5)]
    after = priorities(pairs, votes)
    assert after[0] == min(after)
    assert all(later < before for later, before in zip(after, priorities(pairs, []), strict=True))
