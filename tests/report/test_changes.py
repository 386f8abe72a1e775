"""Fixed, broken, and the lines that made the difference."""

import pytest

from rrtf_ray.core.evaluation import Judged, evaluate_groups
from rrtf_ray.records import Group
from rrtf_ray.report.changes import changes_of, diff, moved
from tests.records_for_tests import candidate, problem
from tests.report.run_for_tests import DRAWS, EVALUATED, F, P, evaluated


def draws(name):
    judged = [Judged(id_, outcomes) for id_, outcomes in EVALUATED[name].items()]
    return evaluate_groups(judged, name, DRAWS, (1,)).draws


def test_greedy_and_sampled_draws():
    greedy, sampled = (moved(b, a) for b, a in zip(draws("base"), draws("round-01"), strict=True))
    assert (greedy.draw, greedy.fixed, greedy.broken) == ("greedy", ("h/fixed",), ("h/broken",))
    assert greedy.gain.value == 0
    assert (sampled.fixed, sampled.broken, sampled.better, sampled.worse) == (("h/fixed",), (), 0, 0)
    assert sampled.gain.value == pytest.approx(1 / 3)


def test_draws_that_were_sampled_otherwise_are_not_compared():
    assert moved(draws("base")[0], draws("round-01")[1]) is None
    assert moved(draws("base")[0], draws("round-01")[0], among=set()) is None


def test_the_program_that_passes_is_shown():
    before = [Group(problem("a"), (candidate("s0", F), candidate("s1", F), candidate("s2", P)))]
    after = [Group(problem("a"), (candidate("s0", F), candidate("s1", P), candidate("s2", P)))]
    (change,) = changes_of(["a"], before, after, num_first=2)
    assert (change.before.candidate_id, change.before.outcome) == ("s0", "failed")
    assert (change.after.candidate_id, change.after.outcome) == ("s1", "passed")


def test_only_the_asked_problems_and_no_more_than_fit():
    groups = evaluated(EVALUATED["base"])
    found = changes_of(["h/fixed", "h/gone"], groups, groups, num_first=1)
    assert [change.problem_id for change in found] == ["h/fixed"]


def test_words_that_differ_are_marked():
    first, second = diff("    x = a - 12\n    return x\n", "    x = a + 13\n    return x\n")
    assert not first.same
    assert first.left == (("    x = a ", False), ("-", True), (" ", False), ("12", True))
    assert first.right == (("    x = a ", False), ("+", True), (" ", False), ("13", True))
    assert second.same
    assert second.left == second.right == (("    return x", False),)


def test_lines_without_a_counterpart_and_lines_that_share_nothing():
    rows = diff("a = 1\nreturn a", "return a")
    assert [(row.left, row.right) for row in rows] == [((("a = 1", False),), None), ((("return a", False),),) * 2]
    (row,) = diff("alpha(beta)", "12 + 34")
    assert row.left == (("alpha(beta)", False),)


def test_long_programs_and_lines_are_cut():
    rows = diff("\n".join(f"a{i}" for i in range(5000)), "x" * 1_000_000)
    assert len(rows) <= 125
    assert max(len(text) for row in rows for side in (row.left, row.right) if side for text, _ in side) <= 301
    assert rows[-1].left == (("… cut off: 5,000 lines and 28,889 characters in all", False),)
    assert any("cut off: 1 lines and 1,000,000 characters" in row.right[0][0] for row in rows if row.right)
