"""How far votes can be trusted: agreement of annotators, of an annotator with itself, and the pull of a side.

In: votes of any problems. Out: Estimates with 95% intervals, None where the votes cannot give a figure. A vote's label
says which program won, not which side, so it does not matter how a pair was shown. SKIPPED votes never count.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import combinations

import numpy as np
import numpy.typing as npt

from rrtf_ray.core.metrics import Estimate, interval_of_mean
from rrtf_ray.records import Arm, Choice, Vote

Values = npt.NDArray[np.float64]
Unit = tuple[str, str, str]
"""A problem and the digests of two of its programs, the smaller first."""
CONFIDENCE = 0.95
RESAMPLES = 2_000
_SEED = 19_600_401
_NONE = 1e-12


class Label(IntEnum):
    """What a vote says of the two programs of its unit, in the order of their digests."""

    FIRST = 0
    SECOND = 1
    TIE = 2


Ratings = Mapping[Unit, Mapping[str, Label]]
"""Each unit's label by each of its annotators."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of units that two annotators or more have voted on; a figure is None where the votes cannot give it.

    units, annotators: how many. raw: share of a unit's pairs of annotators that agree, mean over units.
    kappa: only for exactly two annotators. alpha: Krippendorff's, for two or more.
    """

    units: int
    annotators: int
    raw: Estimate | None
    kappa: Estimate | None
    alpha: Estimate | None


@dataclass(frozen=True, slots=True)
class Sides:
    """How often the left program was chosen. left: of `total` choices of a side. share: with Clopper and Pearson's
    interval. p: two-sided, of an annotator who does not care for sides."""

    left: int
    total: int
    share: Estimate
    p: float


def unit_of(vote: Vote) -> Unit:
    """The unit that a vote is on."""
    return (vote.problem_id, *vote.pair)


def label_of(vote: Vote) -> Label | None:
    """What the vote says of its unit; None for a skipped one. Both ties are one label."""
    if vote.choice is Choice.SKIPPED:
        return None
    first, second = vote.pair
    return {first: Label.FIRST, second: Label.SECOND, None: Label.TIE}[vote.winner]


def ratings_of(votes: Iterable[Vote]) -> dict[Unit, dict[str, Label]]:
    """One label by each annotator for each unit: the one that most of its votes have, a tie if there is no such one.

    A vote that settles a conflict was cast in knowledge of the others, so it is no rating.
    """
    cast: dict[Unit, dict[str, list[Label]]] = defaultdict(lambda: defaultdict(list))
    for vote in votes:
        label = label_of(vote)
        if label is not None and vote.arm is not Arm.SETTLE:
            cast[unit_of(vote)][vote.annotator].append(label)
    return {unit: {name: common_label(labels) for name, labels in by.items()} for unit, by in cast.items()}


def common_label(labels: Collection[Label]) -> Label:
    """The most common of at least one label; a tie where several are."""
    counts = Counter(labels).most_common(2)
    return Label.TIE if len(counts) == 2 and counts[0][1] == counts[1][1] else counts[0][0]


def agreement(ratings: Ratings, resamples: int = RESAMPLES) -> Agreement:
    """How far annotators agree.

    A unit with one label says nothing and is left out. Intervals: of `raw` Wilson's, of the others the percentile
    bootstrap's over units (n - 1 of n are drawn, see core.paired); where all labels agree and a bootstrap would claim
    to be certain, the lower limit is what that of `raw` comes to at the chance agreement observed.
    """
    shared = [by for by in ratings.values() if len(by) > 1]
    annotators = sorted({name for by in shared for name in by})
    if not shared:
        return Agreement(0, 0, None, None, None)
    counts = np.array([np.bincount(list(by.values()), minlength=len(Label)) for by in shared], dtype=float)
    raw = interval_of_mean([_agreeing_share(by.values()) for by in shared], CONFIDENCE)
    alpha = _bootstrapped(counts, _alpha_parts, raw, resamples)
    kappa = None
    if len(annotators) == 2:
        tables = np.zeros((len(shared), len(Label) ** 2))
        for i, by in enumerate(shared):
            tables[i, by[annotators[0]] * len(Label) + by[annotators[1]]] = 1
        kappa = _bootstrapped(tables, _kappa_parts, raw, resamples)
    return Agreement(len(shared), len(annotators), raw, kappa, alpha)


def self_consistency(votes: Iterable[Vote]) -> tuple[int, Estimate | None]:
    """How many pairs of programs an annotator was asked for again, and the share of its answers that were the same.

    votes: one annotator's. The share is of each pair's votes, two by two, and its mean over pairs of programs.
    """
    cast: dict[Unit, list[Label]] = defaultdict(list)
    for vote in votes:
        label = label_of(vote)
        if label is not None and vote.arm is not Arm.SETTLE:
            cast[unit_of(vote)].append(label)
    shares = [_agreeing_share(labels) for labels in cast.values() if len(labels) > 1]
    return len(shares), interval_of_mean(shares, CONFIDENCE) if shares else None


def position_bias(votes: Iterable[Vote]) -> Sides | None:
    """How often the left side won where one did; None where none did.

    Imported votes are left out: a file with a better and a worse program has no sides.
    """
    from scipy.stats import binomtest

    counts = Counter(vote.choice for vote in votes if vote.arm is not Arm.IMPORT)
    left, total = counts[Choice.LEFT], counts[Choice.LEFT] + counts[Choice.RIGHT]
    if not total:
        return None
    test = binomtest(left, total, 0.5)
    exact = test.proportion_ci(CONFIDENCE, method="exact")
    return Sides(left, total, Estimate(left / total, float(exact.low), float(exact.high)), float(test.pvalue))


def kendall_tau(first: Mapping[str, float], second: Mapping[str, float]) -> float | None:
    """Kendall's tau-b (Kendall, 1945) of two orders, given as scores, of the names that both have.

    None where fewer than two names are common or one of the orders ties all of them.
    """
    from scipy.stats import kendalltau

    common = sorted(first.keys() & second.keys())
    mine, its = [first[name] for name in common], [second[name] for name in common]
    if len(set(mine)) < 2 or len(set(its)) < 2:
        return None
    return float(kendalltau(mine, its, variant="b").statistic)


def _agreeing_share(labels: Collection[Label]) -> float:
    """Of all pairs of at least two labels."""
    pairs = list(combinations(labels, 2))
    return sum(a is b for a, b in pairs) / len(pairs)


def _alpha_parts(counts: Values, weights: Values) -> tuple[Values, Values]:
    """Krippendorff's (2011) observed and expected disagreement of nominal labels, in each resample.

    counts: (units, labels), how often a unit got a label. weights: (resamples, units), how often a unit was drawn.
    """
    size = counts.sum(axis=1)
    disagreeing = (size**2 - (counts**2).sum(axis=1)) / (size - 1)
    totals = weights @ counts
    n = totals.sum(axis=1)
    return (weights @ disagreeing) / n, (n**2 - (totals**2).sum(axis=1)) / (n * (n - 1))


def _kappa_parts(tables: Values, weights: Values) -> tuple[Values, Values]:
    """Cohen's (1960) observed and expected disagreement, in each resample.

    tables: (units, labels * labels), one at the first annotator's label and the second's. weights: as in
    `_alpha_parts`.
    """
    joint = (weights @ tables).reshape(len(weights), len(Label), len(Label))
    joint = joint / joint.sum(axis=(1, 2), keepdims=True)
    by_chance = 1 - (joint.sum(axis=1) * joint.sum(axis=2)).sum(axis=1)
    return 1 - np.trace(joint, axis1=1, axis2=2), by_chance


def _bootstrapped(
    units: Values, parts: Callable[[Values, Values], tuple[Values, Values]], raw: Estimate, resamples: int
) -> Estimate | None:
    """1 - observed / expected disagreement with its interval.

    None where it is not defined, because all labels are the same, and where there is but one unit.
    """
    size = len(units)
    # Equal units are drawn together: there are few kinds, however many units.
    kinds, times = np.unique(units, axis=0, return_counts=True)
    (observed,), (expected,) = parts(kinds, times[None].astype(float))
    if size < 2 or expected < _NONE:
        return None
    value = 1 - observed / expected
    drawn = np.random.default_rng(_SEED).multinomial(size - 1, times / size, size=resamples).astype(float)
    some_observed, some_expected = parts(kinds, drawn)
    defined = some_expected >= _NONE
    low, high = -1.0, 1.0
    if defined.any():
        found = 1 - some_observed[defined] / some_expected[defined]
        low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    if raw.value == 1:
        low = 1 - (1 - raw.low) / expected
    return Estimate(float(value), max(-1.0, min(float(low), float(value))), min(1.0, max(float(high), float(value))))
