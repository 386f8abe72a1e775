"""What became of a round's candidates, stage by stage: every loss with its reason and count.

In: the groups and rankings of a round, one after the other, and what train recorded. Out: a list of stages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from rrtf_ray.config import TrainConfig
from rrtf_ray.core.examples import chosen_of
from rrtf_ray.records import Group, Outcome, Ranking, Reason


@dataclass(frozen=True, slots=True)
class Loss:
    """What was left out at a stage. None: not recorded in this unit."""

    reason: str
    candidates: int | None
    problems: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """What is left after a stage. exact: false where `candidates` is an upper bound."""

    name: str
    candidates: int
    problems: int
    losses: tuple[Loss, ...] = ()
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Trained:
    """Train's own counts: problems, what was left out by the reason, and responses (None in older checkpoints)."""

    examples: int
    left_out: Mapping[str, int]
    responses: int | None = None


@dataclass(slots=True)
class GroupCounts:
    """Counts of groups. errors: why groups have fewer candidates than asked for. unjudged: have no verdict."""

    problems: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    unjudged: int = 0

    def add(self, group: Group) -> None:
        self.problems += 1
        self.sources.update(c.source.value for c in group.candidates)
        self.outcomes.update(c.verdict.outcome.value for c in group.candidates if c.verdict)
        self.unjudged += sum(c.verdict is None for c in group.candidates)
        if group.error:
            self.errors[group.error] += 1

    @property
    def candidates(self) -> int:
        return self.sources.total()

    @property
    def sandbox_errors(self) -> int:
        return self.outcomes[Outcome.SANDBOX_ERROR.value]


@dataclass(slots=True)
class RankingCounts:
    """Counts of rankings, with what `train` would take of them.

    problems_by_reason, candidates_by_reason: what is kept out of training. not_chosen: candidates of the others that
    are not in the loss.
    """

    problems: int = 0
    candidates: int = 0
    dropped: int = 0
    chosen_problems: int = 0
    chosen_candidates: int = 0
    problems_by_reason: Counter[Reason] = field(default_factory=Counter)
    candidates_by_reason: Counter[Reason] = field(default_factory=Counter)
    not_chosen: int = 0

    def add(self, ranking: Ranking, config: TrainConfig) -> None:
        self.problems += 1
        self.candidates += len(ranking.candidates)
        self.dropped += ranking.dropped
        chosen = chosen_of(ranking, config)
        if isinstance(chosen, Reason):
            self.problems_by_reason[chosen] += 1
            self.candidates_by_reason[chosen] += len(ranking.candidates)
        else:
            self.chosen_problems += 1
            self.chosen_candidates += len(chosen[0])
            self.not_chosen += len(ranking.candidates) - len(chosen[0])


def stages_of(
    groups: GroupCounts, rankings: RankingCounts | None, trained: Trained | None, config: TrainConfig
) -> list[Stage]:
    """The stages that are there. trained: what the round's checkpoint says."""
    errors = tuple(Loss(f"the engine: {text}", None, number) for text, number in groups.errors.most_common())
    stages = [Stage("sampled or given", groups.candidates, groups.problems, errors)]
    executed = groups.candidates - groups.unjudged - groups.sandbox_errors
    losses = _losses((Loss("sandbox_error: the machinery failed", groups.sandbox_errors),))
    losses += _losses((Loss("not executed yet", groups.unjudged),))
    stages.append(Stage("judged by tests", executed, groups.problems, losses))
    if rankings is None or groups.unjudged:
        return stages
    # `dropped` counts repetitions and sandbox errors of the groups that have a ranking.
    waiting = groups.candidates - rankings.candidates - rankings.dropped
    repeated = executed - waiting - rankings.candidates
    losses = _losses((Loss("the same code again, among students or among teachers", repeated),))
    losses += _losses((Loss("not ranked yet", waiting, groups.problems - rankings.problems),))
    stages.append(Stage("distinct", rankings.candidates, rankings.problems, losses))
    by_target = {Reason.NO_PASSING_TARGET}
    stages.append(_after("ranked", stages[-1], rankings, set(Reason) - by_target))
    beyond = Loss(_beyond(config), rankings.not_chosen)
    chosen = _after("chosen for the loss", stages[-1], rankings, by_target, *_losses((beyond,)))
    stages.append(chosen)
    if trained is not None:
        stages.append(_trained(chosen, rankings, trained))
    return stages


def _losses(found: tuple[Loss, ...]) -> tuple[Loss, ...]:
    return tuple(loss for loss in found if loss.candidates or loss.problems)


def _beyond(config: TrainConfig) -> str:
    if config.loss.objective == "sft":
        return "only targets are imitated (train.loss.objective=sft)"
    return f"beyond train.max_candidates={config.max_candidates}"


def _after(name: str, before: Stage, rankings: RankingCounts, reasons: set[Reason], *more: Loss) -> Stage:
    found = tuple(
        Loss(reason.value, rankings.candidates_by_reason[reason], number)
        for reason, number in rankings.problems_by_reason.most_common()
        if reason in reasons
    )
    candidates = before.candidates - sum(loss.candidates or 0 for loss in (*found, *more))
    problems = before.problems - sum(loss.problems or 0 for loss in found)
    return Stage(name, candidates, problems, (*found, *more))


def _trained(before: Stage, rankings: RankingCounts, trained: Trained) -> Stage:
    """What the tokens cost: train's own reasons, without those that the rankings show already."""
    left_out = Counter(trained.left_out)
    left_out.subtract({reason.value: number for reason, number in rankings.problems_by_reason.items()})
    losses = [
        Loss(f"{reason.removeprefix('response_')}, a response", number)
        if reason.startswith("response_")
        else Loss(f"{reason}, found by train", None, number)
        for reason, number in left_out.most_common()
        if number > 0
    ]
    certain = sum(loss.candidates or 0 for loss in losses)
    responses = trained.responses
    whole = responses is not None or all(loss.candidates is not None for loss in losses)
    candidates = responses if responses is not None else before.candidates - certain
    return Stage("trained on", candidates, trained.examples, tuple(losses), exact=whole)
