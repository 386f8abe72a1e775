import math

import pytest

from rrtf_ray.core.metrics import mean_pass_at_k, paired_difference, pass_at_k
from rrtf_ray.errors import InputError


def test_pass_at_k_by_hand():
    assert pass_at_k(10, 3, 1) == pytest.approx(0.3)
    # 1 - C(2, 2) / C(4, 2) = 1 - 1/6
    assert pass_at_k(4, 2, 2) == pytest.approx(5 / 6)
    assert pass_at_k(5, 0, 5) == 0
    assert pass_at_k(5, 3, 3) == 1  # any three of five hold one of the three that pass
    assert pass_at_k(200, 1, 100) == pytest.approx(0.5)


@pytest.mark.parametrize(("n", "c", "k"), [(3, 1, 4), (3, 4, 1), (3, 1, 0), (0, 0, 1)])
def test_pass_at_k_refuses_what_is_undefined(n, c, k):
    with pytest.raises(InputError, match=f"pass@{k}"):
        pass_at_k(n, c, k)


def test_interval_is_wilsons_for_one_candidate_a_problem():
    # Wilson for 30 of 100 at 95%: [0.2189, 0.3958] (Newcombe 1998, method 3)
    found = mean_pass_at_k([(1, 1)] * 30 + [(1, 0)] * 70, 1)
    assert found.value == pytest.approx(0.3)
    assert found.low == pytest.approx(0.2189, abs=1e-4)
    assert found.high == pytest.approx(0.3958, abs=1e-4)


def test_interval_of_zero_passes_is_not_empty():
    found = mean_pass_at_k([(5, 0)] * 50, 1)
    assert found.value == found.low == 0
    assert 0.05 < found.high < 0.1


def test_more_candidates_a_problem_narrow_the_interval():
    one = mean_pass_at_k([(1, i % 2) for i in range(100)], 1)
    ten = mean_pass_at_k([(10, 4 + 2 * (i % 2)) for i in range(100)], 1)
    assert ten.value == pytest.approx(one.value)
    assert ten.high - ten.low < one.high - one.low


def test_paired_difference():
    found = paired_difference([0, 0, 1, 1], [1, 1, 1, 1])
    assert found.value == pytest.approx(0.5)
    # sd of (1, 1, 0, 0) is sqrt(1/3); se = sd / 2
    assert found.high - found.value == pytest.approx(1.959964 * math.sqrt(1 / 3) / 2, abs=1e-5)
    with pytest.raises(InputError, match="1 before and 2 after"):
        paired_difference([1], [1, 0])


def test_no_problems():
    with pytest.raises(InputError, match="no problems"):
        mean_pass_at_k([], 1)
