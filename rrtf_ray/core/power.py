"""The smallest true difference that a paired comparison would find: 80% power, two-sided 5%."""

from __future__ import annotations

from statistics import NormalDist

ALPHA = 0.05
POWER = 0.8


def detectable_with(standard_error: float) -> float | None:
    """(z_0.975 + z_0.8) standard errors of the difference, about 2.8; None above 1, the largest difference there is."""
    z = NormalDist().inv_cdf
    found = (z(1 - ALPHA / 2) + z(POWER)) * standard_error
    return found if found <= 1 else None


def detectable_flips(num_problems: int, share: float) -> float | None:
    """The same for McNemar's exact test. share: of problems that flip, as observed.

    A difference larger than `share` needs more flips: then all flips go one way. None where even the largest
    difference, 1, would not be found (fewer than 6 problems).
    """
    from scipy.optimize import brentq

    def lacking(difference: float) -> float:
        return power_of_flips(num_problems, max(share, difference), difference) - POWER

    if lacking(1.0) < 0:
        return None
    return float(brentq(lacking, 1e-9, 1.0, xtol=1e-6))


def power_of_flips(num_problems: int, share: float, difference: float) -> float:
    """How often McNemar's exact test finds a true `difference` if `share` of the problems flip (Duffy, 1984).

    The number of flips is binomial, and so is, for each number, how many of them are won.
    """
    import numpy as np
    from scipy.stats import binom

    ends = binom.ppf([1e-10, 1 - 1e-10], num_problems, share)
    flips = np.arange(max(0, ends[0]), ends[1] + 1)
    # The most won, or lost, flips that are still too few: at most 2.5% of the cases without a difference.
    few = binom.ppf(ALPHA / 2, flips, 0.5)
    few = np.where(binom.cdf(few, flips, 0.5) > ALPHA / 2, few - 1, few)
    to_win = (1 + difference / share) / 2
    rejected = binom.cdf(few, flips, to_win) + binom.sf(flips - few - 1, flips, to_win)
    return float((binom.pmf(flips, num_problems, share) * rejected).sum())
