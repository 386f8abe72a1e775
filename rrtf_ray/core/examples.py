"""From rankings to tokens: which responses of a ranking enter the loss, and what the model sees of them."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rrtf_ray.config import TrainConfig
from rrtf_ray.records import Outcome, RankedCandidate, Ranking, Reason, Source


@dataclass(frozen=True, slots=True)
class Example:
    """One problem as tokens.

    prompt: shared by all responses.
    responses: what follows it; each ends with EOS unless it was cut off before.
    scores, is_teacher: one per response, as in the ranking.
    target: index of the response that L_ft imitates.
    reference: summed log-probability of each response before training (DPO only).
    """

    problem_id: str
    prompt: array[int]
    responses: tuple[array[int], ...]
    scores: tuple[float, ...]
    is_teacher: tuple[bool, ...]
    target: int
    reference: tuple[float, ...] = ()

    @property
    def num_tokens(self) -> int:
        """Tokens of the prompt and of all responses."""
        return len(self.prompt) + sum(map(len, self.responses))


def chosen_of(ranking: Ranking, config: TrainConfig) -> tuple[list[RankedCandidate], int] | Reason:
    """What `choose` takes of a ranking for the configured objective, or why the ranking is left out.

    Imitation alone (sft) needs no preference, so it takes rankings that are tied or have one candidate too.
    """
    supervised = config.loss.objective == "sft"
    if ranking.reason is not None and not (supervised and ranking.reason in (Reason.TIED, Reason.TOO_FEW)):
        return ranking.reason
    chosen = choose(
        ranking,
        max_candidates=1 if supervised else config.max_candidates,
        ft_target=config.loss.ft_target,
        require_passing_target=config.loss.require_passing_target,
    )
    return Reason.NO_PASSING_TARGET if chosen is None else chosen


def choose(
    ranking: Ranking, *, max_candidates: int, ft_target: str, require_passing_target: bool
) -> tuple[list[RankedCandidate], int] | None:
    """The candidates to train on, best first, and the index of the target; None if nothing may be imitated.

    Kept are the target and, alternately, the worst and the best of the rest: far pairs carry most of L_rank.
    """
    allowed = [c for c in ranking.candidates if c.outcome is Outcome.PASSED or not require_passing_target]
    if ft_target == "teacher":
        # Humans are teachers too; without any, the paper's loss has nothing to imitate.
        allowed = [c for c in allowed if c.source is not Source.STUDENT]
    if not allowed:
        return None
    target = allowed[0]
    rest = [c for c in ranking.candidates if c is not target]
    kept = [target]
    while rest and len(kept) < max_candidates:
        kept.append(rest.pop() if len(kept) % 2 else rest.pop(0))
    kept.sort(key=ranking.candidates.index)
    return kept, kept.index(target)


def tokenize(
    ranking: Ranking,
    kept: Sequence[RankedCandidate],
    target: int,
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
    group of more than `max_tokens`.
    compares: the objective needs two responses with different scores.
    """
    prompt = array("i", encode_prompt(ranking.prompt))
    if not prompt:
        return Reason.EMPTY_PROMPT, Counter()
    dropped: Counter[Reason] = Counter()
    usable: list[tuple[int, array[int]]] = []
    for index, candidate in enumerate(kept):
        tokens = array("i", encode_response(ranking.prompt, candidate))
        if not candidate.truncated:
            tokens.append(eos)
        reason = None
        if not tokens:
            reason = Reason.EMPTY_RESPONSE
        elif len(prompt) + len(tokens) > max_length:
            reason = Reason.TOO_LONG
        if reason and index == target:
            return reason, Counter()
        if reason:
            dropped[reason] += 1
        else:
            usable.append((index, tokens))
    while len(prompt) + sum(len(tokens) for _, tokens in usable) > max_tokens and len(usable) > 1:
        others = [place for place, (index, _) in enumerate(usable) if index != target]
        del usable[others[(len(others) - 1) // 2]]  # of two the better one, as in `choose`
        dropped[Reason.TOO_LONG] += 1
    scores = tuple(kept[index].score for index, _ in usable)
    if compares and len(set(scores)) < 2:
        if dropped:
            return max(dropped, key=lambda reason: dropped[reason]), dropped
        return (Reason.TOO_FEW if len(usable) < 2 else Reason.TIED), dropped
    example = Example(
        problem_id=ranking.problem_id,
        prompt=prompt,
        responses=tuple(tokens for _, tokens in usable),
        scores=scores,
        is_teacher=tuple(kept[index].source is not Source.STUDENT for index, _ in usable),
        target=[index for index, _ in usable].index(target),
    )
    return example, dropped


def schedule(num_examples: int, epochs: int, batch_groups: int, seed: int) -> list[list[int]]:
    """The examples of each optimizer step, in a new order every epoch; the same for all workers with the same seed. An
    epoch's last step may be smaller."""
    steps = []
    for epoch in range(epochs):
        order = list(range(num_examples))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        steps += [order[start : start + batch_groups] for start in range(0, num_examples, batch_groups)]
    return steps


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
