"""What an input of a comparison holds, whatever wrote it, and what a comparison of two arms says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rrtf_ray.core.metrics import Estimate
from rrtf_ray.core.paired import Finding
from rrtf_ray.records import Outcome


@dataclass(frozen=True, slots=True)
class JudgedSample:
    """One sample and its verdict. program: as it was run, or the sample's text; empty where it is not known."""

    outcome: Outcome
    detail: str
    program: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is in pass@k: a fault of the machinery is not."""
        return self.outcome is not Outcome.SANDBOX_ERROR

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED


@dataclass(frozen=True, slots=True)
class Suite:
    """A set of problems, and how a model was measured on it.

    name: the benchmark's; empty for results and runs. protocol: how it was measured, and a hash of that; both empty
    where the input does not say. data: a hash of the problems, empty likewise. prompts: by problem id, as far as known.
    published: others' pass@k under this protocol, by model and k. dates: when the problems were published, by id, as
    far as known.
    """

    name: str = ""
    protocol: Mapping[str, Any] = field(default_factory=dict)
    protocol_hash: str = ""
    data: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    dates: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The samples of one draw. temperature and top_p: None where the input does not say how they were sampled.

    samples: by problem id, in the order in which they were sampled.
    """

    name: str
    suite: Suite
    temperature: float | None
    top_p: float | None
    samples: Mapping[str, tuple[JudgedSample, ...]]

    @property
    def n(self) -> int:
        """Samples a problem."""
        return max(map(len, self.samples.values()), default=0)

    @property
    def num_errors(self) -> int:
        return sum(not sample.counts for samples in self.samples.values() for sample in samples)


@dataclass(frozen=True, slots=True)
class Measured:
    """One input: a model's samples, judged. notices: what a person should know of it."""

    path: str
    model: str
    draws: tuple[Drawn, ...]
    notices: tuple[str, ...] = ()

    @property
    def suites(self) -> tuple[Suite, ...]:
        """Each once, in order."""
        return tuple({draw.suite.name: draw.suite for draw in self.draws}.values())


@dataclass(frozen=True, slots=True)
class Arm:
    """What is compared: one input, or several that differ in nothing but their seed."""

    name: str
    seeds: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """One draw of two arms. baseline, other: a Drawn for each seed. problems: those that all of them have, in order.

    lacking: by input's path, how many of the problems of the others it lacks; only where there are some.
    """

    other_arm: str
    draw: str
    baseline: tuple[Drawn, ...]
    other: tuple[Drawn, ...]
    problems: tuple[str, ...]
    lacking: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Compared:
    """pass@k of both sides of a pair, and the finding. num_problems: with k judged samples on both sides.

    p_adjusted: Holm's, over all comparisons of this k. published: others' figures, by model.
    """

    other_arm: str
    draw: str
    k: int
    num_problems: int
    baseline: Estimate
    other: Estimate
    published: Mapping[str, float]
    finding: Finding
    p_adjusted: float

    @property
    def metric(self) -> str:
        return f"pass@{self.k}"

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `no difference found`: by the adjusted p and 5%."""
        if self.p_adjusted >= 0.05:
            return "no difference found"
        return "better" if self.finding.difference.value > 0 else "worse"


@dataclass(frozen=True, slots=True)
class Flip:
    """A problem of which the other passes more samples than the baseline (won), or fewer (lost).

    baseline_rate, other_rate: shares of judged samples that pass, over all seeds. baseline, other: one sample of each,
    of which one passed. diff: unified, with all lines, so both programs are in it.
    """

    problem_id: str
    won: bool
    baseline_rate: float
    other_rate: float
    prompt: str
    baseline: JudgedSample
    other: JudgedSample
    diff: str


@dataclass(frozen=True, slots=True)
class Flips:
    """The problems that a pair tells apart, and how its samples ended, position by position.

    won, lost: the largest changes first. num_same: problems of which both sides pass the same share.
    outcomes: (baseline's, other's) outcome to the number of samples.
    """

    other_arm: str
    draw: str
    won: tuple[Flip, ...]
    lost: tuple[Flip, ...]
    num_same: int
    outcomes: Counter[tuple[Outcome, Outcome]]
