"""The problems that two arms tell apart, with a program of each, and how their samples ended. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

from rrtf_ray.compare.comparing import judged
from rrtf_ray.compare.records import Drawn, Flip, Flips, JudgedSample, Pair
from rrtf_ray.records import Outcome

_ALL_LINES = 1_000_000


def flips_of(pair: Pair) -> Flips:
    """Problems of which no sample could be judged on one side are in neither list, but in the table of outcomes."""
    prompts = {id_: text for its in (*pair.other, *pair.baseline) for id_, text in its.suite.prompts.items()}
    changed: list[Flip] = []
    num_same = 0
    for id_ in pair.problems:
        baseline, other = _all(pair.baseline, id_), _all(pair.other, id_)
        if not (baseline and other):
            continue
        before, after = _rate(baseline), _rate(other)
        if before == after:
            num_same += 1
            continue
        won = after > before
        mine = next(sample for sample in baseline if sample.passed is not won)
        its = next(sample for sample in other if sample.passed is won)
        changed.append(Flip(id_, won, before, after, prompts.get(id_, ""), mine, its, _diff(id_, pair, mine, its)))
    changed.sort(key=lambda flip: -abs(flip.other_rate - flip.baseline_rate))
    wins, losses = (tuple(flip for flip in changed if flip.won is wanted) for wanted in (True, False))
    return Flips(pair.other_arm, pair.draw, wins, losses, num_same, _outcomes(pair))


def _all(side: Sequence[Drawn], problem_id: str) -> list[JudgedSample]:
    return [sample for drawn in side for sample in judged(drawn, problem_id)]


def _rate(samples: Sequence[JudgedSample]) -> float:
    return sum(sample.passed for sample in samples) / len(samples)


def _diff(problem_id: str, pair: Pair, baseline: JudgedSample, other: JudgedSample) -> str:
    lines = difflib.unified_diff(
        baseline.program.splitlines(),
        other.program.splitlines(),
        f"baseline/{problem_id}",
        f"{pair.other_arm}/{problem_id}",
        lineterm="",
        n=_ALL_LINES,
    )
    return "\n".join(lines)


def _outcomes(pair: Pair) -> Counter[tuple[Outcome, Outcome]]:
    """Samples side by side: seed by seed, problem by problem, in the order in which they were sampled."""
    return Counter(
        (mine.outcome, its.outcome)
        for baseline, other in zip(pair.baseline, pair.other, strict=False)
        for id_ in pair.problems
        for mine, its in zip(baseline.samples[id_], other.samples[id_], strict=False)
    )
