"""Pass@k with confidence intervals.

In: per problem, how many candidates were judged (n) and how many of them passed (c). Out: an Estimate.
Candidates that ended as SANDBOX_ERROR are not judged: they are neither in n nor in c.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

from rrtf_ray.errors import InputError


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value in [-1, 1] with its confidence interval [low, high]."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        return {k: round(v, 6) for k, v in asdict(self).items()}

    def __str__(self) -> str:
        return f"{self.value:.1%} [{self.low:.1%}, {self.high:.1%}]"


def pass_at_k(num_candidates: int, num_passed: int, k: int) -> float:
    """The unbiased estimator 1 - C(n - c, k) / C(n, k) (Chen et al., 2021, equation 1).

    Raises InputError if k is not in 1..n or c not in 0..n.
    """
    n, c = num_candidates, num_passed
    if not 1 <= k <= n or not 0 <= c <= n:
        raise InputError(f"pass@{k} is not defined for {n} candidates of which {c} passed; use 1 <= k <= {n}")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def mean_pass_at_k(counts: Sequence[tuple[int, int]], k: int, confidence: float = 0.95) -> Estimate:
    """Mean pass@k over problems, given (n, c) of each.

    The interval is Wilson's score interval with the effective number of trials that the spread between problems
    implies: p (1 - p) / se^2. With one candidate per problem this is exactly Wilson's interval over problems, and it
    stays honest if all problems failed or all passed, where a bootstrap would give a width of zero.

    Raises InputError without problems, or as pass_at_k does.
    """
    if not counts:
        raise InputError("pass@k of no problems is not defined; at least one judged problem is needed")
    return interval_of_mean([pass_at_k(n, c, k) for n, c in counts], confidence)


def interval_of_mean(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Wilson's interval of the mean of at least one value in [0, 1] (Wilson, 1927); see `mean_pass_at_k`."""
    size = len(values)
    mean = math.fsum(values) / size
    variance_of_mean = math.fsum((v - mean) ** 2 for v in values) / size / size
    trials = mean * (1 - mean) / variance_of_mean if variance_of_mean > 1e-15 else float(size)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (mean + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(mean * (1 - mean) / trials + z * z / (4 * trials * trials))
    return Estimate(mean, max(0.0, centre - half), min(1.0, centre + half))


def paired_difference(before: Sequence[float], after: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean of after - before over the same problems, with a normal interval of the paired differences.

    Raises InputError if the two differ in length or are empty.
    """
    if len(before) != len(after) or not before:
        raise InputError(f"paired values are needed, but there are {len(before)} before and {len(after)} after")
    differences = [b - a for a, b in zip(before, after, strict=True)]
    size = len(differences)
    mean = math.fsum(differences) / size
    spread = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / max(1, size - 1) / size)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    return Estimate(mean, mean - z * spread, mean + z * spread)
