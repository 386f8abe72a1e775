"""Attention over a packed row (core.packing.Layout): each response sees its prompt and itself.

On a CPU each response (the first one with the prompt) is a call of scaled_dot_product_attention over exactly the keys
that it may see, so no other response is computed and masked away; on a GPU FlexAttention takes the rule as a block
mask. Transformers' models use both through their attention interface.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as _attend

from rrtf_ray.core.packing import Layout

CPU_ATTENTION = "rrtf_packed"
GPU_ATTENTION = "flex_attention"
# FlexAttention's block: rows are padded to a multiple of it.
BLOCK = 128


def register() -> None:
    """Make CPU_ATTENTION known to Transformers."""
    from transformers import AttentionInterface

    AttentionInterface.register(CPU_ATTENTION, packed_attention)


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    layout: Layout | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Transformers' attention interface: query (1, heads, T, D), key, value (1, key heads, T, D) -> (1, T, heads, D).

    `layout` comes through the model's keyword arguments. Raises ValueError if a model does not pass it on, attends to
    less than its whole past, or changes its scores; `model.choose_path` then takes the padded path.
    """
    if layout is None:
        raise ValueError(f"{type(module).__name__} does not pass keyword arguments on to its attention")
    if softcap is not None or s_aux is not None:
        raise ValueError(f"{type(module).__name__} caps its scores or adds a sink to them")
    if sliding_window is not None and sliding_window < query.shape[2]:
        longest = max(p + max(rs, default=0) for p, rs in layout.groups)
        if sliding_window < longest:
            raise ValueError(f"{type(module).__name__} has a sliding window of {sliding_window} tokens")
    heads = query.shape[1]
    # The first response continues the prompt: one causal call for both. `split` rather than slices, each of whose
    # gradients would be as large as the whole row.
    sizes = [size for prompt, rs in layout.groups for size in (prompt + sum(rs[:1]), *rs[1:])]
    pieces = zip(query.split(sizes, 2), key.split(sizes, 2), value.split(sizes, 2), strict=True)
    found = []
    for prompt, responses in layout.groups:
        queries, first_keys, first_values = next(pieces)
        keys, values = _to_heads(first_keys, heads), _to_heads(first_values, heads)
        found.append(_attend(queries, keys, values, is_causal=True, scale=scaling))
        prompt_keys, prompt_values = first_keys[:, :, :prompt], first_values[:, :, :prompt]
        for size in responses[1:]:
            queries, own_keys, own_values = next(pieces)
            keys = _to_heads(torch.cat((prompt_keys, own_keys), 2), heads)
            values = _to_heads(torch.cat((prompt_values, own_values), 2), heads)
            mask = _behind(prompt, size, query.dtype)
            found.append(_attend(queries, keys, values, attn_mask=mask, scale=scaling))
    return torch.cat(found, 2).transpose(1, 2).contiguous(), None


def _to_heads(x: Tensor, heads: int) -> Tensor:
    """(1, heads, T, D) from (1, key heads, T, D): neighbouring heads share a key head."""
    repeats = heads // x.shape[1]
    return x if repeats == 1 else x[:, :, None].expand(-1, -1, repeats, -1, -1).flatten(1, 2)


@lru_cache(maxsize=512)
def _behind(prompt: int, response: int, dtype: torch.dtype) -> Tensor:
    """Additive mask of a response after its prompt, (response, prompt + response)."""
    mask = torch.zeros(response, prompt + response, dtype=dtype)
    mask[:, prompt:] = torch.full((response, response), float("-inf"), dtype=dtype).triu(1)
    return mask


def block_mask(layout: Layout, tokens: int, device: torch.device) -> Any:
    """FlexAttention's mask of a packed row of `tokens` tokens."""
    from torch.nn.attention.flex_attention import create_block_mask

    rule = layout.may_see(device)
    return create_block_mask(
        lambda _batch, _head, query, key: rule(query, key), None, None, tokens, tokens, device=device, BLOCK_SIZE=BLOCK
    )
