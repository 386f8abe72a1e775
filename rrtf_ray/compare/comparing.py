"""From pairs to findings: pass@k of both sides, the paired difference, and Holm's correction. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from rrtf_ray.compare.records import Compared, Drawn, JudgedSample, Pair
from rrtf_ray.core.metrics import Estimate, interval_of_mean, pass_at_k
from rrtf_ray.core.paired import Finding, Values, compare_flips, compare_values, holm


def compare_pairs(pairs: Sequence[Pair], ks: Iterable[int]) -> tuple[list[Compared], list[str]]:
    """All comparisons that the samples allow, with p adjusted over those of one k; and what was left out, in lines."""
    found: list[Compared] = []
    left_out: list[str] = []
    wanted = sorted(set(ks))
    for pair in pairs:
        most = min(drawn.n for drawn in (*pair.baseline, *pair.other))
        for k in (k for k in wanted if k <= most):
            problems = [id_ for id_ in pair.problems if _fewest(pair, id_) >= k]
            where = f"pass@{k}, {pair.draw}, {pair.other_arm}"
            if len(problems) < 2:
                left_out.append(f"{where}: left out, {len(problems)} problems have {k} judged samples on both sides")
                continue
            if short := len(pair.problems) - len(problems):
                left_out.append(f"{where}: {short} problems are left out, with fewer than {k} judged samples on a side")
            found.append(_compared(pair, problems, k))
    missing = [k for k in wanted if all(k > min(d.n for d in (*p.baseline, *p.other)) for p in pairs)]
    if missing:
        left_out.append(f"{', '.join(f'pass@{k}' for k in missing)}: left out, for too few samples a problem")
    return _adjusted(found), left_out


def _fewest(pair: Pair, problem_id: str) -> int:
    """How many samples of the problem are judged, on the side and seed with the fewest."""
    return min(len(judged(drawn, problem_id)) for drawn in (*pair.baseline, *pair.other))


def judged(drawn: Drawn, problem_id: str) -> list[JudgedSample]:
    """The problem's samples that are in pass@k."""
    return [sample for sample in drawn.samples[problem_id] if sample.counts]


def _compared(pair: Pair, problems: Sequence[str], k: int) -> Compared:
    baseline, other = (_values(side, problems, k) for side in (pair.baseline, pair.other))
    finding = _finding(pair, baseline, other)
    published = {model: figures[k] for model, figures in pair.baseline[0].suite.published.items() if k in figures}
    return Compared(
        pair.other_arm,
        pair.draw,
        k,
        len(problems),
        _estimate(baseline),
        _estimate(other),
        published,
        finding,
        finding.p,
    )


def _values(side: Sequence[Drawn], problems: Sequence[str], k: int) -> Values:
    """(seeds, problems)"""
    counts = [[judged(drawn, id_) for id_ in problems] for drawn in side]
    return np.array([[pass_at_k(len(its), sum(s.passed for s in its), k) for its in seed] for seed in counts])


def _estimate(values: Values) -> Estimate:
    """The mean with an interval over problems; seeds are averaged first."""
    return interval_of_mean(values.mean(axis=0).tolist())


def _finding(pair: Pair, baseline: Values, other: Values) -> Finding:
    """One sample a problem and one seed give flips, all else gives values."""
    if len(baseline) == len(other) == 1 and pair.baseline[0].n == pair.other[0].n == 1:
        won, lost = int((other > baseline).sum()), int((other < baseline).sum())
        return compare_flips(won, lost, baseline.shape[1])
    return compare_values(baseline, other)


def _adjusted(found: list[Compared]) -> list[Compared]:
    p_of: dict[tuple[str, str, int], float] = {}
    for k in {compared.k for compared in found}:
        family = [compared for compared in found if compared.k == k]
        adjusted = holm([compared.finding.p for compared in family])
        p_of |= {(c.other_arm, c.draw, k): p for c, p in zip(family, adjusted, strict=True)}
    return [replace(c, p_adjusted=p_of[c.other_arm, c.draw, c.k]) for c in found]
