"""From the runs' figures to what they say: each objective against the baseline, paired by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from rrtf_ray.ablation.cells import Measured
from rrtf_ray.core.metrics import Estimate
from rrtf_ray.core.paired import over_seeds
from rrtf_ray.core.power import detectable_with


@dataclass(frozen=True, slots=True)
class Row:
    """An objective in a regime.

    means: by figure (`pass@1, greedy`), over the seeds. differences: from the baseline, with Student's 95% interval
    over the seeds that both have; empty for the baseline itself and with fewer than two common seeds. detectable: the
    smallest difference that so many seeds would have found. steps, response_tokens, candidates: means over the seeds.
    """

    regime: str
    objective: str
    seeds: tuple[int, ...]
    learning_rate: float
    means: dict[str, float]
    differences: dict[str, Estimate]
    detectable: dict[str, float | None]
    steps: float
    response_tokens: float
    candidates: float


def rows_of(measured: Sequence[Measured], baseline: str) -> list[Row]:
    """A row for every objective of every regime, in the order given."""
    found = []
    regimes = list(dict.fromkeys(m.regime for m in measured))
    objectives = list(dict.fromkeys(m.objective for m in measured))
    ordered = sorted(measured, key=lambda m: (regimes.index(m.regime), objectives.index(m.objective), m.seed))
    for (regime, objective), runs in groupby(ordered, key=lambda m: (m.regime, m.objective)):
        base = {m.seed: m for m in measured if (m.regime, m.objective) == (regime, baseline)}
        found.append(_row(list(runs), {} if objective == baseline else base))
    return found


def _row(runs: list[Measured], base: dict[int, Measured]) -> Row:
    first = runs[0]
    common = [run for run in runs if run.seed in base]
    differences: dict[str, Estimate] = {}
    detectable: dict[str, float | None] = {}
    for figure in first.pass_at_k:
        before = np.array([base[run.seed].pass_at_k[figure] for run in common])
        after = np.array([run.pass_at_k[figure] for run in common])
        if estimate := over_seeds(before, after):
            differences[figure] = estimate
            detectable[figure] = detectable_with(float((after - before).std(ddof=1)) / len(common) ** 0.5)
    return Row(
        regime=first.regime,
        objective=first.objective,
        seeds=tuple(run.seed for run in runs),
        learning_rate=first.learning_rate,
        means={figure: _mean([run.pass_at_k[figure] for run in runs]) for figure in first.pass_at_k},
        differences=differences,
        detectable=detectable,
        steps=_mean([run.steps for run in runs]),
        response_tokens=_mean([run.response_tokens for run in runs]),
        candidates=_mean([run.candidates for run in runs]),
    )


def best_rates(measured: Sequence[Measured]) -> dict[str, float]:
    """For every objective the learning rate with the highest mean of the first figure; the smaller one of equals."""
    found: dict[str, float] = {}
    best: dict[str, float] = {}
    ordered = sorted(measured, key=lambda m: (m.objective, m.learning_rate))
    for (objective, rate), runs in groupby(ordered, key=lambda m: (m.objective, m.learning_rate)):
        value = _mean([next(iter(run.pass_at_k.values())) for run in runs])
        if objective not in found or value > best[objective]:
            found[objective], best[objective] = rate, value
    return found


def says(estimate: Estimate) -> str:
    """What an interval of a difference says."""
    if estimate.low > 0:
        return "better"
    return "worse" if estimate.high < 0 else "no difference found"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
