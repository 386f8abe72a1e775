"""From inputs to findings and flips."""

import pytest

from rrtf_ray.compare.comparing import compare_pairs
from rrtf_ray.compare.flips import flips_of
from rrtf_ray.compare.pairs import pairs_of
from rrtf_ray.compare.reading import read_arms
from rrtf_ray.core.metrics import mean_pass_at_k
from rrtf_ray.records import Outcome
from tests.compare import inputs


def pairs(tmp_path, *outcomes):
    """The pairs of these inputs, of which the first is the baseline; a list is an arm of several seeds."""
    names = []
    for number, arm in enumerate(outcomes):
        seeds = arm if isinstance(arm, list) else [arm]
        names.append(
            ",".join(inputs.results(tmp_path / f"m{number}-{i}.results.jsonl", its) for i, its in enumerate(seeds))
        )
    first, *rest = read_arms(names)
    return [pair for arm in rest for pair in pairs_of(first, arm)]


def test_one_sample_a_problem_is_mcnemars_test(tmp_path):
    (found,), left_out = compare_pairs(pairs(tmp_path, *inputs.flips(2, 9, 60, 93)), [1])
    assert (found.finding.test, found.num_problems, left_out) == ("exact McNemar", 164, [])
    assert found.finding.p == found.p_adjusted == pytest.approx(134 / 2048)
    assert found.baseline == mean_pass_at_k([(1, 1)] * 69 + [(1, 0)] * 95, 1)
    assert found.other.value == pytest.approx(62 / 164)
    assert found.verdict == "no difference found"
    assert found.finding.detectable == pytest.approx(0.057, abs=0.001)


def test_identical_results(tmp_path):
    same = inputs.simple([True] * 50 + [False] * 114)
    (found,), _ = compare_pairs(pairs(tmp_path, same, dict(same)), [1])
    assert (found.finding.difference.value, found.finding.p, found.verdict) == (0, 1, "no difference found")


@pytest.mark.parametrize(("won", "lost", "verdict"), [(20, 2, "better"), (2, 20, "worse")])
def test_better_and_worse(tmp_path, won, lost, verdict):
    (found,), _ = compare_pairs(pairs(tmp_path, *inputs.flips(won, lost, 60, 80)), [1])
    assert found.verdict == verdict


def test_several_samples_are_compared_by_pass_at_k(tmp_path):
    baseline = {f"p/{i}": "pfff" for i in range(20)} | {f"q/{i}": "ffff" for i in range(20)}
    other = {f"p/{i}": "ppff" for i in range(20)} | {f"q/{i}": "ffff" for i in range(20)}
    (one, two), left_out = compare_pairs(pairs(tmp_path, baseline, other), [1, 2, 10])
    assert one.finding.test == "bootstrap"
    assert one.finding.difference.value == pytest.approx(0.25 / 2)
    # pass@2 of 1 of 4 is 1/2, of 2 of 4 it is 5/6; half of the problems.
    assert (two.baseline.value, two.other.value) == (pytest.approx(1 / 4), pytest.approx(5 / 12))
    assert one.verdict == two.verdict == "better"
    assert left_out == ["pass@10: left out, for too few samples a problem"]


def test_sandbox_errors_are_never_failures(tmp_path):
    first = {"p/0": "pp", "p/1": "ps", "p/2": "ff", "p/3": "pf"}
    second = {"p/0": "pp", "p/1": "pp", "p/2": "ss", "p/3": "pf"}
    (one, two), left_out = compare_pairs(pairs(tmp_path, first, second), [1, 2])
    assert (one.num_problems, two.num_problems) == (3, 2)
    assert one.finding.difference.value == two.finding.difference.value == 0
    assert left_out == [
        "pass@1, samples, m1-0: 1 problems are left out, with fewer than 1 judged samples on a side",
        "pass@2, samples, m1-0: 2 problems are left out, with fewer than 2 judged samples on a side",
    ]


def test_nothing_that_was_judged_is_left_out(tmp_path):
    found, left_out = compare_pairs(pairs(tmp_path, {"p/0": "s", "p/1": "s"}, {"p/0": "p", "p/1": "p"}), [1])
    assert not found
    assert "0 problems have 1 judged samples on both sides" in left_out[0]


def test_holm_over_arms_of_one_k(tmp_path):
    baseline, better = inputs.flips(12, 2, 40, 40)
    found, _ = compare_pairs(pairs(tmp_path, baseline, better, dict(baseline)), [1])
    assert [one.p_adjusted for one in found] == pytest.approx([2 * found[0].finding.p, 1])
    assert found[0].verdict == "better"


def test_seeds_are_paired(tmp_path):
    seeds = [inputs.simple([i < 20 + seed for i in range(60)]) for seed in range(3)]
    better = [inputs.simple([i < 30 + seed for i in range(60)]) for seed in range(3)]
    (found,), _ = compare_pairs(pairs(tmp_path, seeds, better), [1])
    assert found.finding.test == "bootstrap"
    assert found.finding.difference.value == pytest.approx(10 / 60)
    over_seeds = found.finding.over_seeds  # each pair of seeds differs by the same
    assert (over_seeds.low, over_seeds.high) == pytest.approx((10 / 60, 10 / 60))
    (unpaired,), _ = compare_pairs(pairs(tmp_path, seeds, better[:2]), [1])
    assert unpaired.finding.over_seeds.low < unpaired.finding.difference.value < unpaired.finding.over_seeds.high


def test_flips_with_both_programs(tmp_path):
    first = {"p/0": "fp", "p/1": "pp", "p/2": "tf", "p/3": "ff", "p/4": "ss"}
    second = {"p/0": "pp", "p/1": "rf", "p/2": "pp", "p/3": "ff", "p/4": "pp"}
    (pair,) = pairs(tmp_path, first, second)
    found = flips_of(pair)
    assert [flip.problem_id for flip in found.won] == ["p/2", "p/0"]  # the largest change first
    assert [flip.problem_id for flip in found.lost] == ["p/1"]
    assert found.num_same == 1
    first_won = found.won[0]
    assert (first_won.baseline_rate, first_won.other_rate, first_won.prompt) == (0, 1, "")
    assert (first_won.baseline.outcome, first_won.baseline.detail) == (Outcome.TIMEOUT, "test 1: timeout")
    assert first_won.diff.splitlines() == [
        "--- baseline/p/2",
        "+++ m1-0/p/2",
        "@@ -1,2 +1,2 @@",
        "-    return 't'  # sample 0",
        "-    # of m0-0",
        "+    return 'p'  # sample 0",
        "+    # of m1-0",
    ]
    assert found.lost[0].other.outcome is Outcome.RUNTIME_ERROR
    assert found.lost[0].baseline.passed


def test_outcomes_side_by_side(tmp_path):
    (pair,) = pairs(tmp_path, {"p/0": "pf", "p/1": "ts"}, {"p/0": "pp", "p/1": "tp"})
    passed, failed, timeout, error = Outcome.PASSED, Outcome.FAILED, Outcome.TIMEOUT, Outcome.SANDBOX_ERROR
    assert flips_of(pair).outcomes == {
        (passed, passed): 1,
        (failed, passed): 1,
        (timeout, timeout): 1,
        (error, passed): 1,
    }
