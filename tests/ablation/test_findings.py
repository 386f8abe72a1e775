"""What the runs of an ablation say, on figures worked by hand."""

import pytest

from rrtf_ray.ablation.cells import Measured
from rrtf_ray.ablation.findings import best_rates, rows_of, says
from rrtf_ray.core.metrics import Estimate


def run(objective, seed, value, *, regime="all", rate=0.1):
    return Measured(regime, objective, seed, rate, {"pass@1, greedy": value}, 10, 100 * seed, 50)


def test_differences_are_paired_by_seed():
    found = rows_of(
        [
            *(run("sft", seed, value) for seed, value in ((1, 0.5), (2, 0.6), (3, 0.7))),
            *(run("rrtf", seed, value) for seed, value in ((1, 0.52), (2, 0.63), (3, 0.74))),
        ],
        "sft",
    )
    sft, rrtf = found
    assert (sft.differences, sft.means["pass@1, greedy"]) == ({}, pytest.approx(0.6))
    # Differences 0.02, 0.03, 0.04: mean 0.03, standard deviation 0.01; t_0.975 with 2 degrees of freedom is 4.3027.
    difference = rrtf.differences["pass@1, greedy"]
    half = 4.302653 * 0.01 / 3**0.5
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.03, 0.03 - half, 0.03 + half))
    assert rrtf.detectable["pass@1, greedy"] == pytest.approx(2.801585 * 0.01 / 3**0.5)
    assert (rrtf.seeds, rrtf.response_tokens, rrtf.steps) == ((1, 2, 3), 200, 10)


def test_only_common_seeds_are_compared_and_regimes_are_kept_apart():
    found = rows_of(
        [
            run("sft", 1, 0.5),
            run("sft", 2, 0.5),
            run("rrtf", 2, 0.6),
            run("sft", 1, 0.1, regime="none"),
            run("rrtf", 1, 0.3, regime="none"),
            run("sft", 2, 0.1, regime="none"),
            run("rrtf", 2, 0.3, regime="none"),
        ],
        "sft",
    )
    assert [(row.regime, row.objective) for row in found] == [
        ("all", "sft"),
        ("all", "rrtf"),
        ("none", "sft"),
        ("none", "rrtf"),
    ]
    assert found[1].differences == {}  # one common seed says nothing of the spread
    assert found[3].differences["pass@1, greedy"].value == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.03, "better"),
        (-0.03, -0.01, "worse"),
        (-0.01, 0.03, "no difference found"),
        (0, 0, "no difference found"),
    ],
)
def test_an_interval_that_holds_zero_finds_nothing(low, high, expected):
    assert says(Estimate((low + high) / 2, low, high)) == expected


def test_every_objective_gets_its_own_best_learning_rate():
    searched = [
        *(run("sft", seed, value, rate=0.1) for seed, value in ((1, 0.5), (2, 0.7))),
        *(run("sft", seed, value, rate=0.2) for seed, value in ((1, 0.8), (2, 0.3))),
        *(run("dpo", seed, value, rate=0.1) for seed, value in ((1, 0.2), (2, 0.2))),
        *(run("dpo", seed, value, rate=0.01) for seed, value in ((1, 0.2), (2, 0.2))),
    ]
    assert best_rates(searched) == {"sft": 0.1, "dpo": 0.01}
