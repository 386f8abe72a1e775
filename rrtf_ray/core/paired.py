"""Paired comparisons of two models on the same problems: difference, interval, p, and what could have been found.

In: for each problem what both models reached, or how many problems flipped. Out: a Finding. Every test is two-sided,
every interval is one of 95%, and every resampling begins with the same seed, so the same results give the same figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from rrtf_ray.core.metrics import Estimate
from rrtf_ray.core.power import detectable_flips, detectable_with
from rrtf_ray.errors import InputError

Values = npt.NDArray[np.float64]
CONFIDENCE = 0.95
RESAMPLES = 10_000
_SEED = 20_140_707
_BATCH = 1_000
"""Resamples at once: 8 MB for a thousand problems."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a comparison found. Differences are other - baseline, as shares (0.01 is one point).

    test: `exact McNemar` or `bootstrap`. detectable: the smallest true difference that such a comparison finds (p below
    5%) in 80% of cases; None where it finds none. over_seeds: Student's interval over seeds, where there are several.
    """

    difference: Estimate
    p: float
    test: str
    detectable: float | None
    over_seeds: Estimate | None = None


def compare_flips(won: int, lost: int, num_problems: int) -> Finding:
    """Both models have one sample a problem. won: problems that only the other solved; lost: only the baseline.

    p is McNemar's exact test: of won + lost flips, each side is as likely as the other (McNemar, 1947). The interval is
    Tango's (see `score_interval`), widened where that is needed to agree with the exact test: to what Clopper and
    Pearson's (1934) interval of the share of flips that are won comes to. So zero is in it exactly if p is above 5%.

    Raises InputError for impossible counts.
    """
    from scipy.stats import binomtest

    score = score_interval(won, lost, num_problems)
    flips = won + lost
    detectable = detectable_flips(num_problems, flips / num_problems)
    if not flips:
        return Finding(score, 1.0, "exact McNemar", detectable)
    test = binomtest(won, flips, 0.5)
    exact = test.proportion_ci(CONFIDENCE, method="exact")
    low, high = ((2 * share - 1) * flips / num_problems for share in (exact.low, exact.high))
    widened = Estimate(score.value, min(score.low, float(low)), max(score.high, float(high)))
    return Finding(widened, float(test.pvalue), "exact McNemar", detectable)


def compare_values(baseline: Values, other: Values, resamples: int = RESAMPLES) -> Finding:
    """baseline, other: (seeds, problems), a problem's pass@k with each seed. Equal numbers of seeds are pairs.

    The interval is the percentile bootstrap's over problems and, where an arm has several seeds, over its seeds too
    (Efron, 1979; for two crossed factors Owen, 2007). Of n problems or seeds n - 1 are drawn, which makes the variance
    of the mean right for small n (Rao and Wu, 1988). p is twice the smaller share of resamples at or beyond zero, and
    never below 2^(1 - m) for m problems that differ: m equal signs come about by chance that often. With fewer than 6
    of them the interval holds zero therefore.

    Raises InputError with fewer than two problems, or if the two differ in their problems.
    """
    num_problems = baseline.shape[1]
    if num_problems < 2 or other.shape[1] != num_problems:
        raise InputError(f"paired values of at least 2 problems are needed, not {num_problems} and {other.shape[1]}")
    seeds = over_seeds(baseline.mean(axis=1), other.mean(axis=1))
    by_problem = other.mean(axis=0) - baseline.mean(axis=0)
    mean = float(by_problem.mean())
    if not (differing := int(np.count_nonzero(np.abs(by_problem) > 1e-12))):
        # A bootstrap would claim to be certain: the interval is that of as many problems without a flip.
        none = score_interval(0, 0, num_problems)
        return Finding(none, 1.0, "bootstrap", detectable_flips(num_problems, 0.0), seeds)
    found = resampled_differences(baseline, other, resamples)
    low, high = (float(q) for q in np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))
    beyond = min(int((found <= 0).sum()), int((found >= 0).sum()))
    by_chance = 2.0 ** (1 - differing)
    if by_chance > 1 - CONFIDENCE:
        low, high = min(low, 0.0), max(high, 0.0)
    p = min(1.0, max(2 * (beyond + 1) / (resamples + 1), by_chance))
    return Finding(Estimate(mean, low, high), p, "bootstrap", detectable_with(float(found.std())), seeds)


def resampled_differences(baseline: Values, other: Values, resamples: int = RESAMPLES) -> Values:
    """The mean difference in each of `resamples` resamples of problems and seeds; see `compare_values`."""
    random = np.random.default_rng(_SEED)
    paired = len(baseline) == len(other)
    parts = []
    for start in range(0, resamples, _BATCH):
        size = min(_BATCH, resamples - start)
        problems = _weights(random, baseline.shape[1], size)
        of_baseline = _weights(random, len(baseline), size)
        of_other = of_baseline if paired else _weights(random, len(other), size)
        means = [
            ((problems @ values.T) * weights).sum(axis=1)
            for values, weights in ((baseline, of_baseline), (other, of_other))
        ]
        parts.append(means[1] - means[0])
    return np.concatenate(parts)


def _weights(random: np.random.Generator, number: int, size: int) -> Values:
    """(size, number): the share of each of `number` in a resample."""
    drawn = max(1, number - 1)
    return random.multinomial(drawn, np.full(number, 1 / number), size=size) / drawn


def over_seeds(baseline: Values, other: Values) -> Estimate | None:
    """Student's interval of the mean difference over seeds, given each seed's figure; None where one arm has one seed.

    Paired where both have as many, else Welch's (1947).
    """
    from scipy.stats import t

    if min(len(baseline), len(other)) < 2:
        return None
    mean = float(other.mean() - baseline.mean())
    if len(baseline) == len(other):
        difference = other - baseline
        freedom = len(difference) - 1.0
        error = float(difference.std(ddof=1)) / math.sqrt(len(difference))
    else:
        of = [float(values.var(ddof=1)) / len(values) for values in (baseline, other)]
        error = math.sqrt(sum(of))
        within = sum(v * v / (len(values) - 1) for v, values in zip(of, (baseline, other), strict=True))
        freedom = sum(of) ** 2 / within if within else 1.0
    half = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    return Estimate(mean, max(-1.0, mean - half), min(1.0, mean + half))


def score_interval(won: int, lost: int, num_problems: int) -> Estimate:
    """The difference of two paired shares, (won - lost) / n, with Tango's score interval (Tango, 1998, equation 9).

    It holds each difference that a score test does not reject, and has a width where nothing flipped.
    """
    if min(won, lost) < 0 or num_problems < max(1, won + lost):
        raise InputError(f"{won} won and {lost} lost of {num_problems} problems is not possible")
    value = (won - lost) / num_problems
    return Estimate(value, _score_limit(won, lost, num_problems), -_score_limit(lost, won, num_problems))


def _score_limit(won: int, lost: int, n: int) -> float:
    """The lower limit: the difference d below the observed one at which the score statistic is z."""
    from scipy.optimize import brentq

    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

    def excess(d: float) -> float:
        # The most likely share of lost problems if the difference is d: the larger root of 2n q^2 + b q - c = 0.
        b = -won - lost + (2 * n - won + lost) * d
        q = (math.sqrt(max(0.0, b * b + 8 * n * lost * d * (1 - d))) - b) / (4 * n)
        return won - lost - n * d - z * math.sqrt(max(0.0, n * (2 * q + d * (1 - d))))

    # Not to the observed difference itself, which is a root as well where all flips go one way.
    nearest = (won - lost) / n - 1e-9
    return float(brentq(excess, -1.0, nearest)) if nearest > -1 else -1.0


def holm(ps: Sequence[float]) -> list[float]:
    """The p values adjusted for their number (Holm, 1979): below 5% all together, not each."""
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = largest
    return adjusted
