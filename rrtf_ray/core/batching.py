"""From rankings to padded batches of tokens, the same for every worker from the same seed.

`choose` picks the responses of a ranking that enter the loss, `tokenize` turns them into an Example, `schedule`
lays out which example is seen in which step, and `collate` pads a few examples into one Batch.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rrtf_ray.records import Outcome, RankedCandidate, Ranking, Source


@dataclass(frozen=True, slots=True)
class Example:
    """One problem as tokens. `prompt` is shared; `responses` end with EOS; index `target` is imitated by L_ft."""

    problem_id: str
    prompt: array[int]
    responses: tuple[array[int], ...]
    scores: tuple[float, ...]
    is_teacher: tuple[bool, ...]
    target: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples padded to one rectangle; shapes (B, T) and (B,), B over all responses of all examples."""

    tokens_BT: Tensor
    attention_mask_BT: Tensor
    response_mask_BT: Tensor
    scores_B: Tensor
    group_B: Tensor
    is_teacher_B: Tensor
    is_target_B: Tensor
    weight_B: Tensor
    problem_ids: tuple[str, ...]


def choose(
    ranking: Ranking, *, max_candidates: int, ft_target: str, require_passing_target: bool
) -> tuple[list[RankedCandidate], int] | None:
    """The candidates to train on, best first, and the index of the target; None where nothing may be imitated.

    Kept are the target and, alternately, the worst and the best of the rest: far pairs carry most of L_rank.
    """
    allowed = [c for c in ranking.candidates if c.outcome is Outcome.PASSED or not require_passing_target]
    if ft_target == "teacher":
        # People are teachers too; without any, there is nothing that the paper's loss could imitate.
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
    encode_completion: Callable[[str], list[int]],
    eos: int,
    template: str,
    max_length: int,
) -> Example | None:
    """Tokens of the chosen responses; None where fewer than two, or not the target, fit into max_length.

    Prompt and response are encoded apart, as the engine sees them. A response that does not fit is left out
    whole: cut, it would teach the model never to end.
    """
    prompt = array("i", encode_prompt(template.replace("{prompt}", ranking.prompt)))
    fitting = []
    for index, candidate in enumerate(kept):
        tokens = array("i", [*encode_completion(candidate.completion), eos])
        if len(prompt) + len(tokens) <= max_length:
            fitting.append((index, candidate, tokens))
        elif index == target:
            return None
    if len(fitting) < 2 or not prompt:
        return None
    return Example(
        problem_id=ranking.problem_id,
        prompt=prompt,
        responses=tuple(tokens for _, _, tokens in fitting),
        scores=tuple(c.score for _, c, _ in fitting),
        is_teacher=tuple(c.source is not Source.STUDENT for _, c, _ in fitting),
        target=[index for index, _, _ in fitting].index(target),
    )


def schedule(num_examples: int, epochs: int, batch_groups: int, seed: int) -> list[list[int | None]]:
    """The examples of each optimizer step: every epoch a new order, each step of exactly `batch_groups` places.

    The last step of an epoch is filled with None, which weighs nothing, so that all workers always do the same
    number of passes (a collective operation would hang otherwise).
    """
    steps: list[list[int | None]] = []
    for epoch in range(epochs):
        order: list[int | None] = list(range(num_examples))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        for start in range(0, num_examples, batch_groups):
            places = order[start : start + batch_groups]
            steps.append(places + [None] * (batch_groups - len(places)))
    return steps


def collate(examples: Sequence[Example], weights: Sequence[float], pad: int) -> Batch:
    """Pad to the right. weights: one a group, as in rrtf_loss."""
    rows = [(g, i) for g, example in enumerate(examples) for i in range(len(example.responses))]
    texts = [examples[g].prompt + examples[g].responses[i] for g, i in rows]
    width = max(len(t) for t in texts)
    columns_T = torch.arange(width)
    lengths_B = torch.tensor([len(t) for t in texts])
    prompts_B = torch.tensor([len(examples[g].prompt) for g, _ in rows])
    attention_BT = columns_T < lengths_B[:, None]
    return Batch(
        tokens_BT=torch.tensor([list(t) + [pad] * (width - len(t)) for t in texts]),
        attention_mask_BT=attention_BT.long(),
        response_mask_BT=attention_BT & (columns_T >= prompts_B[:, None]),
        scores_B=torch.tensor([examples[g].scores[i] for g, i in rows], dtype=torch.float32),
        group_B=torch.tensor([g for g, _ in rows]),
        is_teacher_B=torch.tensor([examples[g].is_teacher[i] for g, i in rows]),
        is_target_B=torch.tensor([examples[g].target == i for g, i in rows]),
        weight_B=torch.tensor([weights[g] for g, _ in rows], dtype=torch.float32),
        problem_ids=tuple(e.problem_id for e in examples),
    )
