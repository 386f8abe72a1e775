"""From rankings to tokens: which responses of a ranking enter the loss, and what the model sees of them."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rrtf_ray.config import TrainConfig
from rrtf_ray.identity import stable_seed
from rrtf_ray.records import Outcome, RankedCandidate, Ranking, Reason, Source

_LEAST_WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class Example:
    """One problem as tokens.

    prompt: shared by all responses.
    responses: what follows it; each ends with EOS unless it was cut off before.
    scores, is_teacher: one per response, as in the ranking.
    imitate: weight of each response in L_ft; their sum is 1.
    passed: whether each response passed all tests.
    weight: of the problem in the loss; 1 on average over all of a training's (see `weighted`).
    reference: summed log-probability of each response before training (DPO only).
    """

    problem_id: str
    prompt: array[int]
    responses: tuple[array[int], ...]
    scores: tuple[float, ...]
    is_teacher: tuple[bool, ...]
    imitate: tuple[float, ...]
    passed: tuple[bool, ...]
    weight: float = 1.0
    reference: tuple[float, ...] = ()

    @property
    def num_tokens(self) -> int:
        """Tokens of the prompt and of all responses."""
        return len(self.prompt) + sum(map(len, self.responses))


def split_validation(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """The examples to train on, and at most `share` of all to validate on: those of problems chosen by seed, the same
    whatever other problems there are."""
    kept_out = {e.problem_id for e in examples if stable_seed("validation", seed, e.problem_id) < share * 2**31}
    return (
        [e for e in examples if e.problem_id not in kept_out],
        [e for e in examples if e.problem_id in kept_out],
    )


def chosen_of(ranking: Ranking, config: TrainConfig) -> tuple[list[RankedCandidate], list[bool]] | Reason:
    """What `choose` takes of a ranking for the configured objective, or why the ranking is left out.

    Imitation alone (sft) needs no preference, so it takes rankings that are tied or have one candidate too.
    """
    supervised = config.loss.objective == "sft"
    if ranking.reason is not None and not (supervised and ranking.reason in (Reason.TIED, Reason.TOO_FEW)):
        return ranking.reason
    chosen = choose(
        ranking,
        max_candidates=config.max_candidates,
        ft_target=config.loss.ft_target,
        require_passing_target=config.loss.require_passing_target,
        compares=not supervised,
    )
    return Reason.NO_PASSING_TARGET if chosen is None else chosen


def choose(
    ranking: Ranking, *, max_candidates: int, ft_target: str, require_passing_target: bool, compares: bool = True
) -> tuple[list[RankedCandidate], list[bool]] | None:
    """The candidates to train on, best first, and which of them are targets; None if nothing may be imitated.

    Kept are the first target and, alternately, the worst and the best of the rest: far pairs carry most of L_rank.
    compares: the objective compares responses; without, only targets are of use.
    """
    allowed = [c for c in ranking.candidates if c.outcome is Outcome.PASSED or not require_passing_target]
    if ft_target == "teacher":
        # Humans are teachers too; without any, the paper's loss has nothing to imitate.
        allowed = [c for c in allowed if c.source is not Source.STUDENT]
    if not allowed:
        return None
    targets = allowed[:1]
    if ft_target == "all":  # what fewer programs that pass do than what the best does contradicts it
        targets = [c for c in allowed if c.agreement_bonus == allowed[0].agreement_bonus]
    rest = [c for c in (ranking.candidates if compares else targets) if c is not targets[0]]
    kept = [targets[0]]
    while rest and len(kept) < max_candidates:
        kept.append(rest.pop() if len(kept) % 2 else rest.pop(0))
    kept.sort(key=ranking.candidates.index)
    return kept, [any(c is target for target in targets) for c in kept]


def tokenize(
    ranking: Ranking,
    kept: Sequence[RankedCandidate],
    is_target: Sequence[bool],
    *,
    encode_prompt: Callable[[str], list[int]],
    encode_response: Callable[[str, RankedCandidate], list[int]],
    eos: int,
    max_length: int,
    max_tokens: int,
    compares: bool = True,
) -> tuple[Example | Reason, Counter[Reason]]:
    """An Example of the usable responses, or why there is none; and why other responses were left out.

    encode_response gets the prompt as well. Both are encoded separately, as the engine sees them. A response that
    was cut off at its token limit gets no EOS: it never had one. One that does not fit into `max_length` together with
    the prompt is left out whole: truncated, it would teach the model never to stop. So are the middle responses of a
    group of more than `max_tokens`. Without its best target a group is of no use.
    compares: the objective needs two responses with different scores.
    """
    prompt = array("i", encode_prompt(ranking.prompt))
    if not prompt:
        return Reason.EMPTY_PROMPT, Counter()
    dropped: Counter[Reason] = Counter()
    usable: list[tuple[int, array[int]]] = []
    best = list(is_target).index(True)
    for index, candidate in enumerate(kept):
        tokens = array("i", encode_response(ranking.prompt, candidate))
        if not candidate.truncated:
            tokens.append(eos)
        reason = None
        if not tokens:
            reason = Reason.EMPTY_RESPONSE
        elif len(prompt) + len(tokens) > max_length:
            reason = Reason.TOO_LONG
        if reason and index == best:
            return reason, Counter()
        if reason:
            dropped[reason] += 1
        else:
            usable.append((index, tokens))
    while len(prompt) + sum(len(tokens) for _, tokens in usable) > max_tokens and len(usable) > 1:
        others = [place for place, (index, _) in enumerate(usable) if index != best]
        del usable[others[(len(others) - 1) // 2]]  # of two the better one, as in `choose`
        dropped[Reason.TOO_LONG] += 1
    scores = tuple(kept[index].score for index, _ in usable)
    if compares and len(set(scores)) < 2:
        if dropped:
            return max(dropped, key=lambda reason: dropped[reason]), dropped
        return (Reason.TOO_FEW if len(usable) < 2 else Reason.TIED), dropped
    num_targets = sum(is_target[index] for index, _ in usable)
    example = Example(
        problem_id=ranking.problem_id,
        prompt=prompt,
        responses=tuple(tokens for _, tokens in usable),
        scores=scores,
        is_teacher=tuple(kept[index].source is not Source.STUDENT for index, _ in usable),
        imitate=tuple(is_target[index] / num_targets for index, _ in usable),
        passed=tuple(kept[index].outcome is Outcome.PASSED for index, _ in usable),
    )
    return example, dropped


def weighted(examples: Sequence[Example], pass_rates: Sequence[float | None]) -> list[Example]:
    """The examples with weights in proportion to 1 - pass rate of the student: what it can do already counts little.

    That is the advantage of a passing response over its group's mean (as in REINFORCE with a baseline, Williams 1992).
    The floor keeps what is solved from being forgotten. pass_rates: None for a problem that the student did not try.
    """
    raw = [1.0 if rate is None else max(_LEAST_WEIGHT, 1.0 - rate) for rate in pass_rates]
    mean = sum(raw) / max(1, len(raw))
    return [replace(example, weight=weight / mean) for example, weight in zip(examples, raw, strict=True)]


def schedule(
    num_examples: int, epochs: int, batch_groups: int, seed: int, num_steps: int | None = None
) -> list[list[int]]:
    """The examples of each optimizer step, in a new order every epoch; the same for all workers with the same seed. An
    epoch's last step may be smaller. num_steps: that many steps, in place of whole epochs."""
    per_epoch = -(-num_examples // batch_groups)
    steps = []
    for epoch in range(epochs if num_steps is None else -(-num_steps // per_epoch)):
        order = list(range(num_examples))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        steps += [order[start : start + batch_groups] for start in range(0, num_examples, batch_groups)]
    return steps[:num_steps]


def plan_passes(costs: Sequence[int], budget: int, world: int) -> list[list[list[int]]]:
    """Spread one step's examples over passes and workers: found[pass][worker] are indices into `costs`.

    Each worker gets the same number of passes, as few as keep every pass within `budget` (a larger example has a pass
    to itself). The longest go first, each to the emptiest place (LPT, Graham 1969), so the workers of a pass have about
    the same amount of work. A place may stay empty.
    """
    passes = max(1, -(-sum(min(cost, budget) for cost in costs) // (budget * world)))
    while True:
        places: list[list[int]] = [[] for _ in range(passes * world)]
        loads = [0] * len(places)
        for index in sorted(range(len(costs)), key=lambda i: -costs[i]):
            lightest = loads.index(min(loads))
            places[lightest].append(index)
            loads[lightest] += costs[index]
        if all(load <= budget or len(place) == 1 for load, place in zip(loads, places, strict=True)):
            return [places[at : at + world] for at in range(0, len(places), world)]
        passes += 1
