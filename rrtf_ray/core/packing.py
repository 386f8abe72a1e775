"""From a few examples to one Batch of tensors: packed into one row, or each response in a row of its own.

Packed, a group is its prompt once and its responses after it, each with positions that continue the prompt's:

    tokens     x1 x2 x3 | a1 a2 a3 | b1 b2 |      (next group)
    positions   0  1  2 |  3  4  5 |  3  4 |

and each response may see the prompt and itself (`Layout`, `may_see`). The last token of the prompt predicts the
first token of every response.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from rrtf_ray.core.examples import Example
from rrtf_ray.core.head import plan_chunks
from rrtf_ray.core.losses import Responses


@dataclass(frozen=True, slots=True)
class Layout:
    """How a packed row is made: for each group the length of its prompt and of each of its responses."""

    groups: tuple[tuple[int, tuple[int, ...]], ...]

    def may_see(self, device: torch.device | str = "cpu") -> Callable[[Tensor, Tensor], Tensor]:
        """Which query sees which key, as a function of positions (tensors of indices, broadcast), for FlexAttention and
        tests: the same group, not later, and either the prompt or the same response."""
        group_T = torch.tensor([g for g, (p, rs) in enumerate(self.groups) for _ in range(p + sum(rs))], device=device)
        part_T = torch.tensor(
            [n for p, rs in self.groups for n, size in enumerate((p, *rs)) for _ in range(size)], device=device
        )

        def rule(query: Tensor, key: Tensor) -> Tensor:
            part = part_T[key]
            return (key <= query) & (group_T[query] == group_T[key]) & ((part == 0) | (part == part_T[query]))

        return rule


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some whole groups of a batch: their response tokens are start..end of the batch's.

    rows_n, columns_n: each token's response and place in it: logprobs_BT[rows_n, columns_n] = logprobs_n.
    """

    start: int
    end: int
    rows_n: Tensor
    columns_n: Tensor
    responses: Responses

    def spread(self, logprobs_n: Tensor) -> Tensor:
        """(B, T) from (n,), zero beyond each response's end."""
        out_BT = logprobs_n.new_zeros(len(self.responses.lengths_B), int(self.columns_n.max()) + 1)
        return out_BT.index_put((self.rows_n, self.columns_n), logprobs_n)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one forward pass needs; R rows of T tokens.

    tokens_RT, positions_RT: the model's input.
    mask_RT: 1 for tokens, 0 for padding (padded); None if `layout` decides who sees whom (packed).
    predict_N: index into the R * T positions whose hidden state predicts each response token; targets_N: that token.
    chunks: the response tokens in runs of whole groups.
    num_tokens: tokens without padding.
    """

    tokens_RT: Tensor
    positions_RT: Tensor
    mask_RT: Tensor | None
    layout: Layout | None
    predict_N: Tensor
    targets_N: Tensor
    chunks: tuple[Chunk, ...]
    num_tokens: int
    problem_ids: tuple[str, ...]

    def to(self, device: torch.device | str) -> Batch:
        """The same with all tensors on `device`."""
        chunks = tuple(replace(_moved(c, device), responses=_moved(c.responses, device)) for c in self.chunks)
        return replace(_moved(self, device), chunks=chunks)


def pack(
    examples: Sequence[Example], weights: Sequence[float], *, chunk: int, pad: int = 0, multiple: int = 1
) -> Batch:
    """One row, filled up with `pad` to a multiple of `multiple` tokens (GPU kernels are compiled per shape).

    weights: one per group, 0 to exclude it from the loss. chunk: see head_loss.
    """
    tokens: list[int] = []
    positions: list[int] = []
    predict: list[int] = []
    for example in examples:
        start, prompt = len(tokens), len(example.prompt)
        tokens += example.prompt
        positions += range(prompt)
        for response in example.responses:
            predict += [start + prompt - 1, *range(len(tokens), len(tokens) + len(response) - 1)]
            positions += range(prompt, prompt + len(response))
            tokens += response
    groups = [(len(e.prompt), tuple(map(len, e.responses))) for e in examples]
    real = len(tokens)
    if filler := -real % multiple:
        tokens += [pad] * filler
        positions += range(filler)
        groups.append((filler, ()))
    return Batch(
        tokens_RT=torch.tensor([tokens]),
        positions_RT=torch.tensor([positions]),
        mask_RT=None,
        layout=Layout(tuple(groups)),
        num_tokens=real,
        **_loss_inputs(examples, weights, predict, chunk),
    )


def pad_rows(examples: Sequence[Example], weights: Sequence[float], *, chunk: int, pad: int = 0) -> Batch:
    """Each response in a row of its own after a copy of its prompt, padded on the right."""
    rows = [(e.prompt, response) for e in examples for response in e.responses]
    width = max(len(prompt) + len(response) for prompt, response in rows)
    predict = [
        row * width + len(prompt) - 1 + at for row, (prompt, response) in enumerate(rows) for at in range(len(response))
    ]
    lengths_R = torch.tensor([len(prompt) + len(response) for prompt, response in rows])
    return Batch(
        tokens_RT=torch.tensor([[*p, *r, *[pad] * (width - len(p) - len(r))] for p, r in rows]),
        positions_RT=torch.arange(width).expand(len(rows), width),
        mask_RT=(torch.arange(width) < lengths_R[:, None]).long(),
        layout=None,
        num_tokens=int(lengths_R.sum()),
        **_loss_inputs(examples, weights, predict, chunk),
    )


def shared_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two responses share before they first differ."""
    size = min(len(one), len(other))
    return next((at for at in range(size) if one[at] != other[at]), size)


def _loss_inputs(
    examples: Sequence[Example], weights: Sequence[float], predict: list[int], chunk: int
) -> dict[str, Any]:
    group_tokens = [sum(map(len, e.responses)) for e in examples]
    starts = list(accumulate(group_tokens, initial=0))
    chunks = [
        _chunk(examples[first:end], weights[first:end], starts[first], starts[end])
        for first, end in plan_chunks(group_tokens, chunk)
    ]
    return {
        "predict_N": torch.tensor(predict),
        "targets_N": torch.tensor([token for e in examples for response in e.responses for token in response]),
        "chunks": tuple(chunks),
        "problem_ids": tuple(e.problem_id for e in examples),
    }


def _chunk(examples: Sequence[Example], weights: Sequence[float], start: int, end: int) -> Chunk:
    rows = [(g, i, response) for g, e in enumerate(examples) for i, response in enumerate(e.responses)]
    shared_BB = torch.zeros(len(rows), len(rows), dtype=torch.long)
    for a, (group, _, one) in enumerate(rows):
        for b, (other_group, _, other) in enumerate(rows):
            if group == other_group:
                shared_BB[a, b] = shared_prefix(one, other)
    responses = Responses(
        lengths_B=torch.tensor([len(response) for _, _, response in rows]),
        scores_B=torch.tensor([examples[g].scores[i] for g, i, _ in rows], dtype=torch.float32),
        group_B=torch.tensor([g for g, _, _ in rows]),
        is_teacher_B=torch.tensor([examples[g].is_teacher[i] for g, i, _ in rows]),
        passed_B=torch.tensor([examples[g].passed[i] for g, i, _ in rows]),
        imitate_B=torch.tensor([examples[g].imitate[i] for g, i, _ in rows], dtype=torch.float32),
        weight_B=torch.tensor([weights[g] for g, _, _ in rows], dtype=torch.float32),
        shared_BB=shared_BB,
        reference_B=torch.tensor(
            [examples[g].reference[i] if examples[g].reference else 0.0 for g, i, _ in rows], dtype=torch.float32
        ),
    )
    return Chunk(
        start=start,
        end=end,
        rows_n=torch.tensor([b for b, (_, _, response) in enumerate(rows) for _ in response]),
        columns_n=torch.tensor([at for _, _, response in rows for at in range(len(response))]),
        responses=responses,
    )


def _moved(record: Any, device: torch.device | str) -> Any:
    tensors = {f.name: getattr(record, f.name) for f in fields(record)}
    return replace(record, **{n: t.to(device, non_blocking=True) for n, t in tensors.items() if isinstance(t, Tensor)})
