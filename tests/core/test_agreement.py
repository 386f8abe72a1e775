"""Agreement against values worked by hand from the small tables that stand here, and against simulations."""

import math

import numpy as np
import pytest

from rrtf_ray.core.agreement import (
    Label,
    agreement,
    kendall_tau,
    label_of,
    position_bias,
    ratings_of,
    self_consistency,
)
from rrtf_ray.records import Arm, Choice, Vote

A, B = "a" * 32, "b" * 32
LABELS = {"a": Label.FIRST, "b": Label.SECOND, "=": Label.TIE}


def vote(choice, annotator="ann", problem="p1", left=A, right=B, **fields):
    return Vote(f"{problem}/{annotator}/{fields}", problem, left, right, Choice(choice), annotator, **fields)


def ratings(**rows):
    """ann="ab=." are Ann's labels of units 0 to 3, the last missing."""
    width = max(map(len, rows.values()))
    return {
        (f"p{i}", A, B): {name: LABELS[row[i]] for name, row in rows.items() if row[i] != "."} for i in range(width)
    }


def test_a_label_does_not_depend_on_sides():
    assert label_of(vote("left")) is label_of(vote("right", left=B, right=A)) is Label.FIRST
    assert label_of(vote("right")) is label_of(vote("left", left=B, right=A)) is Label.SECOND
    assert label_of(vote("both_good")) is label_of(vote("both_bad")) is Label.TIE
    assert label_of(vote("skipped")) is None


def test_one_label_for_each_annotator_and_unit():
    votes = [
        vote("left"),
        vote("left", left=B, right=A, arm=Arm.REPEAT),
        vote("left", "ben"),
        vote("left", "ben", arm=Arm.REPEAT),
        vote("right", "ben", arm=Arm.REPEAT),
        vote("skipped", "cem"),
        vote("left", "dan", arm=Arm.SETTLE),
    ]
    assert ratings_of(votes) == {("p1", A, B): {"ann": Label.TIE, "ben": Label.FIRST}}


def test_kappa_by_hand():
    """Ann and Ben on 10 units, rows Ann's label, columns Ben's:

       a  b  =
    a  4  1  0   agree on 4 + 3 + 1 = 8 of 10
    b  0  3  1   by chance 0.5 * 0.4 + 0.4 * 0.4 + 0.1 * 0.2 = 0.38
    =  0  0  1   kappa = (0.8 - 0.38) / (1 - 0.38)
    """
    found = agreement(ratings(ann="aaaaabbbb=", ben="aaaabbbb=="))
    assert (found.units, found.annotators) == (10, 2)
    assert found.raw.value == pytest.approx(0.8)
    assert found.kappa.value == pytest.approx(0.42 / 0.62)
    assert found.kappa.low < 0.42 / 0.62 < found.kappa.high <= 1


def test_alpha_by_hand_with_missing_values_and_more_than_two_annotators():
    """Unit 0 has a a a, unit 1 a b, unit 2 = =, unit 3 b b a; unit 4 has one vote and is left out.

    Coincidences (each ordered pair counts 1 / (m - 1)): disagreeing are 2 / 1 of unit 1 and 4 / 2 of unit 3, so
    D_o = 4 / 10. The labels are 5 a, 3 b, 2 =: D_e = (100 - 25 - 9 - 4) / (10 * 9) = 62 / 90.
    """
    found = agreement(ratings(ann="aa.b.", ben="ab=b.", cem="a.=ab"))
    assert (found.units, found.annotators, found.kappa) == (4, 3, None)
    assert found.raw.value == pytest.approx((1 + 0 + 1 + 1 / 3) / 4)
    assert found.alpha.value == pytest.approx(1 - 0.4 / (62 / 90))


def test_alpha_of_two_annotators_by_hand():
    """Of 12 units 2 disagree (a b, b =), each counted both ways; of 24 labels 9 are a, 10 b, 5 =."""
    found = agreement(ratings(ann="aaaaabbbbb==", ben="aaaabbbbb==="))
    observed, expected = 4 / 24, (24**2 - 9**2 - 10**2 - 5**2) / (24 * 23)
    assert found.alpha.value == pytest.approx(1 - observed / expected)


def test_one_vote_on_a_unit_is_no_agreement():
    found = agreement(ratings(ann="aab", ben="..."))
    assert (found.units, found.raw, found.kappa, found.alpha) == (0, None, None, None)


def test_where_all_labels_are_the_same_chance_agrees_as_well():
    found = agreement(ratings(ann="aaaa", ben="aaaa"))
    assert found.raw.value == 1
    assert (found.kappa, found.alpha) == (None, None)


def test_full_agreement_is_not_certainty():
    few, many = (agreement(ratings(ann="ab" * n, ben="ab" * n)) for n in (2, 100))
    for found in (few, many):
        assert found.kappa.value == found.alpha.value == found.kappa.high == 1
        assert found.kappa.low == pytest.approx(1 - (1 - found.raw.low) / 0.5)
    assert few.alpha.low < 0.3
    assert many.alpha.low > 0.95


def test_one_unit_gives_no_interval_and_so_no_figure():
    found = agreement(ratings(ann="a", ben="b"))
    assert (found.raw.value, found.kappa, found.alpha) == (0, None, None)


def test_intervals_cover_the_truth():
    """Two annotators who know the label in 70% of cases and else guess: kappa is 0.7 * 0.7 whatever the labels.

    Of 200 tables of 60 units at least 90% of the 95% intervals have to hold it (and not all, or they say nothing).
    """
    random = np.random.default_rng(7)
    held = {"kappa": 0, "alpha": 0}
    for _ in range(200):
        truth = random.integers(3, size=60)
        given = [np.where(random.random(60) < 0.7, truth, random.integers(3, size=60)) for _ in range(2)]
        table = {
            ("p", A, str(i)): {"ann": Label(x), "ben": Label(y)} for i, (x, y) in enumerate(zip(*given, strict=True))
        }
        found = agreement(table, resamples=500)
        for name in held:
            estimate = getattr(found, name)
            held[name] += estimate.low <= 0.49 <= estimate.high
    assert all(180 <= count < 200 for count in held.values()), held


def test_self_consistency_over_repeats_with_sides_swapped():
    """Pair 1 the same three times, pair 2 once each way, pair 3 once: shares 1 and 0 of two pairs asked again."""
    votes = [
        vote("left"),
        vote("right", left=B, right=A),
        vote("left"),
        vote("left", problem="p2"),
        vote("left", problem="p2", left=B, right=A),
        vote("left", problem="p3"),
        vote("skipped", problem="p3"),
    ]
    pairs, share = self_consistency(votes)
    assert (pairs, share.value) == (2, 0.5)
    assert self_consistency(votes[-2:]) == (0, None)


def test_position_bias_is_exact():
    """8 left of 10: p = 2 (1 + 10 + 45) / 1024. All left of 3: the interval's lower limit is 0.025^(1/3)."""
    votes = (
        [vote("left")] * 8 + [vote("right")] * 2 + [vote("both_good"), vote("skipped"), vote("left", arm=Arm.IMPORT)]
    )
    sides = position_bias(votes)
    assert (sides.left, sides.total, sides.share.value) == (8, 10, 0.8)
    assert sides.p == pytest.approx(112 / 1024)
    sides = position_bias([vote("left")] * 3)
    assert (sides.share.low, sides.share.high) == pytest.approx((0.025 ** (1 / 3), 1))
    assert position_bias([vote("both_bad")]) is None


def test_kendalls_tau_by_hand():
    """Of 1 2 3 4 and 1 3 2 4, 5 pairs agree and 1 does not. With a tie in the second 5 agree: 5 / sqrt(6 * 5)."""
    first = {"a": 1, "b": 2, "c": 3, "d": 4, "only here": 9}
    assert kendall_tau(first, {"a": 1, "b": 3, "c": 2, "d": 4}) == pytest.approx(4 / 6)
    assert kendall_tau(first, {"a": 1, "b": 2, "c": 2, "d": 4}) == pytest.approx(5 / math.sqrt(6 * 5))
    assert kendall_tau(first, {"a": 1, "b": 1}) is None
    assert kendall_tau(first, {"x": 1}) is None
