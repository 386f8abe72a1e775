"""The problems of a run from which its student still learns, as a data set for the next run.

A problem's pass rate is the share of the student's candidates in a round that pass all tests. Where all of them pass,
or none, a ranking has little to say; the problems between are those that are chosen by default.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from rrtf_ray.errors import InputError
from rrtf_ray.records import Group, Outcome, Problem, Source
from rrtf_ray.store.run_dir import RunDir

BANDS = ("0", "to 25%", "to 50%", "to 75%", "below 100%", "100%")
UNJUDGED = "no verdict"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which problems are chosen.

    low, high: of the pass rate, both included; None for all between 0 and 1, which are left out. outcomes: at least one
    of the student's candidates has one of these; empty for any. limit: at most so many, drawn with `seed`.
    """

    low: float | None = None
    high: float | None = None
    outcomes: tuple[Outcome, ...] = ()
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and not 0 <= self.low <= self.high <= 1:
            raise InputError(
                f"--pass-rate {self.low} {self.high} is no interval within 0 and 1; give the lower share first"
            )

    def fits(self, rate: float, outcomes: Iterable[Outcome]) -> bool:
        """Whether a problem with this pass rate and these outcomes is chosen."""
        inside = 0 < rate < 1 if self.low is None or self.high is None else self.low <= rate <= self.high
        return inside and (not self.outcomes or bool(set(self.outcomes) & set(outcomes)))

    def as_json(self) -> dict[str, Any]:
        """For the lineage."""
        return {
            "pass_rate": "above 0, below 1" if self.low is None else [self.low, self.high],
            "outcomes": [outcome.value for outcome in self.outcomes],
            "limit": self.limit,
            "seed": self.seed,
        }


@dataclass(frozen=True, slots=True)
class Selection:
    """problems: those that are chosen, in the run's order. left_out: of the others, id, pass rate and the reason.
    fitting: how many fit the rule, before the limit. bands: of all problems, how many have a pass rate in each band;
    chosen: of the chosen ones."""

    problems: list[Problem]
    left_out: list[dict[str, Any]]
    fitting: int
    bands: Counter[str]
    chosen: Counter[str]


def select(groups: Iterable[Group], rule: Rule) -> Selection:
    """Choose by the verdicts in executed groups. Memory: the problems that fit.

    Candidates that ended as SANDBOX_ERROR do not count; a problem without any other has no pass rate and is never
    chosen.
    """
    bands: Counter[str] = Counter()
    fitting: list[tuple[Problem, float]] = []
    left_out: list[dict[str, Any]] = []
    for group in groups:
        found = [c.verdict.outcome for c in group.candidates if c.source is Source.STUDENT and c.verdict]
        outcomes = [outcome for outcome in found if outcome is not Outcome.SANDBOX_ERROR]
        if not outcomes:
            bands[UNJUDGED] += 1
            left_out.append(_left_out(group.problem.id, None, UNJUDGED))
            continue
        rate = outcomes.count(Outcome.PASSED) / len(outcomes)
        bands[band_of(rate)] += 1
        if rule.fits(rate, outcomes):
            fitting.append((replace(group.problem, answers=()), rate))
        else:
            left_out.append(_left_out(group.problem.id, rate, "not by the rule"))
    drawn = set(range(len(fitting)))
    if rule.limit is not None and rule.limit < len(fitting):
        drawn = set(random.Random(rule.seed).sample(sorted(drawn), rule.limit))
    kept = [pair for place, pair in enumerate(fitting) if place in drawn]
    left_out += (
        _left_out(problem.id, rate, "not drawn") for place, (problem, rate) in enumerate(fitting) if place not in drawn
    )
    chosen = Counter(band_of(rate) for _, rate in kept)
    return Selection([problem for problem, _ in kept], left_out, len(fitting), bands, chosen)


def _left_out(id_: str, rate: float | None, reason: str) -> dict[str, Any]:
    return {"id": id_, "pass_rate": rate, "reason": reason}


def band_of(rate: float) -> str:
    """The band of a pass rate in [0, 1]."""
    if rate in (0.0, 1.0):
        return BANDS[-1] if rate else BANDS[0]
    return BANDS[next(number for number in (1, 2, 3, 4) if rate <= number / 4)]


def round_of(run: RunDir, wanted: int | None) -> int:
    """The round to read: `wanted`, or the last one whose programs have all been judged. Raises InputError."""
    judged = [round for round in run.rounds() if run.groups(round).is_complete()]
    if wanted is None and judged:
        return judged[-1]
    if wanted is not None and wanted in judged:
        return wanted
    there = f"judged are {', '.join(map(str, judged))}" if judged else "no round of it is judged to its end"
    what = f"round {wanted}" if wanted is not None else "a round with verdicts"
    raise InputError(f"{run.uri} has no {what}: {there}; check --from and --round, or let the run go on")
