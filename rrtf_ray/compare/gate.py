"""`rrtf compare --gate`: from limits on a drop of pass@k to pass, block or inconclusive.

A policy is a YAML file with one key, `rules`; see `Rule` for what a rule says. A verdict is of the comparison's 95%
interval, not of its p value: a rule with a limit asks how large a drop may be, not whether there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from rrtf_ray.compare.records import Compared
from rrtf_ray.config import Section
from rrtf_ray.config_file import load
from rrtf_ray.errors import ConfigError


class Verdict(StrEnum):
    """Of a rule, of an arm, and of the whole."""

    PASS = "pass"
    """The interval excludes a drop beyond the limit."""
    INCONCLUSIVE = "inconclusive"
    """A drop beyond the limit is neither established nor excluded: more problems or samples are needed."""
    BLOCK = "block"
    """A drop beyond the limit is established: the whole interval is beyond it."""

    @property
    def exit_code(self) -> int:
        """0, 3 for block, 4 for inconclusive; 1 and 2 keep the meanings that they have in every command."""
        return {Verdict.PASS: 0, Verdict.BLOCK: 3, Verdict.INCONCLUSIVE: 4}[self]


class Rule(Section):
    """How far one figure may drop below the baseline's."""

    metric: str = Field(pattern=r"^pass@[1-9][0-9]*$")
    """As `pass@1`."""
    draw: str
    """The draw's name: greedy, T=0.8, or samples for a file of results."""
    tier: Literal["critical", "supporting", "advisory"] = "critical"
    """One established drop blocks (critical), two or more do (supporting), or it is only shown (advisory)."""
    max_drop: float | None = Field(None, ge=0.0, le=1.0)
    """The largest drop that is accepted, as a share: 0.01 is one point."""
    max_relative_drop: float | None = Field(None, ge=0.0, le=1.0)
    """The same as a share of the baseline's figure. With both, the smaller drop is the limit."""

    @model_validator(mode="after")
    def _has_a_limit(self) -> Rule:
        if self.max_drop is None and self.max_relative_drop is None:
            raise ValueError("a rule needs max_drop or max_relative_drop, or both")
        return self

    def limit(self, baseline: float) -> float:
        """The largest accepted drop, as a share; the baseline's figure is taken as it was measured."""
        relative = None if self.max_relative_drop is None else self.max_relative_drop * baseline
        return min(limit for limit in (self.max_drop, relative) if limit is not None)


class Policy(Section):
    """A file of `--gate`."""

    rules: tuple[Rule, ...] = Field(min_length=1)
    """All of them hold for every arm."""


@dataclass(frozen=True, slots=True)
class Ruled:
    """What a rule says of one arm. limit: the largest accepted drop, as a share."""

    rule: Rule
    compared: Compared
    limit: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Gate:
    """What a policy says of one arm."""

    other_arm: str
    rules: tuple[Ruled, ...]
    verdict: Verdict


def load_policy(path: str) -> Policy:
    """Raises ConfigError naming file, line, key, value and remedy."""
    return load(Policy, path, ())


def judge(policy: Policy, compared: Sequence[Compared], path: str) -> list[Gate]:
    """The verdict on each arm. Raises ConfigError where a rule is for a figure that was not compared."""
    arms = dict.fromkeys(one.other_arm for one in compared)
    return [_gate(policy, arm, [one for one in compared if one.other_arm == arm], path) for arm in arms]


def _gate(policy: Policy, arm: str, compared: Sequence[Compared], path: str) -> Gate:
    rules = []
    for number, rule in enumerate(policy.rules):
        fitting = [one for one in compared if (one.metric, one.draw) == (rule.metric, rule.draw)]
        if not fitting:
            known = ", ".join(f"{one.metric} of {one.draw}" for one in compared)
            raise ConfigError(
                f"{path}: rules.{number}: {rule.metric} of the draw {rule.draw!r} was not compared for {arm}; "
                f"there is {known}. Name one of these, or ask for it with --k"
            )
        limit = rule.limit(fitting[0].baseline.value)
        rules.append(Ruled(rule, fitting[0], limit, verdict_of(fitting[0], limit)))
    return Gate(arm, tuple(rules), _together(rules))


def verdict_of(compared: Compared, limit: float) -> Verdict:
    """Of one figure. limit: the largest accepted drop."""
    interval = compared.finding.difference
    if interval.high < -limit:
        return Verdict.BLOCK
    return Verdict.PASS if interval.low >= -limit else Verdict.INCONCLUSIVE


def _together(rules: Sequence[Ruled]) -> Verdict:
    """Block where a critical drop is established or two supporting ones are; inconclusive where what is undecided
    could make it so."""

    def number(tier: str, *verdicts: Verdict) -> int:
        return sum(ruled.rule.tier == tier and ruled.verdict in verdicts for ruled in rules)

    for verdicts in ((Verdict.BLOCK,), (Verdict.BLOCK, Verdict.INCONCLUSIVE)):
        if number("critical", *verdicts) or number("supporting", *verdicts) > 1:
            return verdicts[-1]
    return Verdict.PASS


def worst(gates: Sequence[Gate]) -> Verdict:
    """Of all arms: block before inconclusive before pass."""
    return max((gate.verdict for gate in gates), key=list(Verdict).index)
