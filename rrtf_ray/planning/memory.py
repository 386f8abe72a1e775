"""How much memory training takes, and what to change if it does not fit: arithmetic on plain numbers.

What each worker holds, in bytes, with P parameters of e bytes (4 or 2), Q of them trained, over N workers:

    weights         P * e                        / N from ZeRO 3
    gradients       Q * e                        / N from ZeRO 2
    optimizer       Q * 12: fp32 copy, m and v   / N from ZeRO 1 (without ZeRO: m and v, 8)
    ZeRO's buffers  gradients in flight; under ZeRO 3 also the parameters that are gathered at a time

(ZeRO: Rajbhandari et al., arXiv 1910.02054), and during a pass over T tokens the activations. For each token a layer
keeps (Korthikanti et al., arXiv 2205.05198, without the attention matrix, which flash and flex attention never
store): the inputs of its two norms, of the projections and of the MLP, queries, keys, values, attention's output, and
the MLP's inner values before and after the nonlinearity. With 16 bits, an MLP of 4h and as many keys as queries that
is 32h bytes: their 34h without dropout masks, as RRTF trains without dropout. With gradient checkpointing all layers
keep only their input, and one at a time the rest.

The optimizer's step comes when the activations are freed; it needs an fp32 copy of its gradients instead. These are
estimates: `reserve` alone covers an allocator's fragments and a library's own needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

GIB = 2**30
GPU_RESERVE = 3 * GIB
"""CUDA's context, NCCL, and the allocator's fragments."""
CPU_RESERVE = GIB
"""Python and its libraries."""
# DeepSpeed's defaults, in elements: reduce_bucket_size, stage3_max_live_parameters, sub_group_size.
_BUCKET = 500_000_000
_LIVE = 1_000_000_000
_SUB_GROUP = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Model:
    """parameters: all, a tied output layer counted once.
    query_width, key_width: of all heads together, in one layer.
    mlp_values: inner values of the MLP that are kept per token (2 * width; gated: 4 * width).
    adapter_width: sum of in + out over the linear layers that LoRA would adapt.
    """

    parameters: int
    layers: int
    hidden: int
    query_width: int
    key_width: int
    mlp_values: int
    vocabulary: int
    adapter_width: int


@dataclass(frozen=True, slots=True)
class Training:
    """The settings of `train.*` that memory depends on; lora_rank 0 trains all weights."""

    num_workers: int
    use_gpu: bool
    zero_stage: int
    offload: str
    bytes_per_value: int
    lora_rank: int
    tokens_per_pass: int
    logits_chunk: int
    gradient_checkpointing: bool


@dataclass(frozen=True, slots=True)
class Part:
    """device, host: bytes per worker. when: `always`, during a `pass`, or at the optimizer's `step`."""

    name: str
    device: int
    host: int = 0
    when: str = "always"


@dataclass(frozen=True, slots=True)
class Memory:
    trainable: int
    parts: tuple[Part, ...]

    @property
    def device(self) -> int:
        """The most that a worker holds at once."""
        held = {"always": 0, "pass": 0, "step": 0}
        for part in self.parts:
            held[part.when] += part.device
        return held["always"] + max(held["pass"], held["step"])

    @property
    def host(self) -> int:
        """What offloading moves into the machine's memory, per worker."""
        return sum(part.host for part in self.parts)


def memory(model: Model, training: Training) -> Memory:
    """What one worker holds."""
    size, workers, stage = training.bytes_per_value, training.num_workers, training.zero_stage
    trained = training.lora_rank * model.adapter_width or model.parameters
    all_weights = model.parameters + (trained if training.lora_rank else 0)

    def share(total: int, from_stage: int) -> int:
        return -(-total // workers) if stage >= from_stage else total

    weights = share(all_weights * size, 3)
    gradients = share(trained * size, 2)
    optimizer = share(trained * (12 if stage else 8), 1)
    at_step = min(share(trained, 1), _SUB_GROUP if stage == 3 else trained) * 4 if stage else 0
    moves = training.offload != "none"
    moves_weights = training.offload == "parameters"
    head = _head(model, training)
    parts = (
        Part("weights", 0 if moves_weights else weights, weights if moves_weights else 0),
        # On the host DeepSpeed keeps them as they are, and once more in fp32 for the step.
        Part("gradients", 0, gradients + share(trained, 1) * 4) if moves else Part("gradients", gradients),
        Part("optimizer", 0, optimizer) if moves else Part("optimizer", optimizer),
        Part("ZeRO's buffers", _buffers(all_weights, trained, training)),
        Part("reserve", GPU_RESERVE if training.use_gpu else CPU_RESERVE),
        Part("activations", _activations(model, training), when="pass"),
        Part("logits", training.logits_chunk * model.vocabulary * (4 if size == 4 else 8), when="pass"),
        Part("output layer", head, when="pass"),
        Part("gradients in fp32", 0 if moves else at_step, when="step"),
    )
    return Memory(trained, parts)


def _activations(model: Model, training: Training) -> int:
    size, hidden = training.bytes_per_value, model.hidden
    values = 4 * hidden + 2 * model.query_width + 2 * model.key_width + model.mlp_values
    layer = size * values
    if training.gradient_checkpointing:
        return training.tokens_per_pass * (model.layers * size * hidden + layer)
    return training.tokens_per_pass * model.layers * layer


def _head(model: Model, training: Training) -> int:
    """The output layer's gradient in fp32, and one product in the type of training; frozen under LoRA."""
    if training.lora_rank:
        return 0
    return model.vocabulary * model.hidden * (4 if training.bytes_per_value == 4 else 4 + training.bytes_per_value)


def _buffers(weights: int, trained: int, training: Training) -> int:
    if training.zero_stage == 0:
        return 0
    buckets = 2 if training.use_gpu and training.zero_stage < 3 else 1
    gathered = min(weights, _LIVE) if training.zero_stage == 3 else 0
    # A GPU allocates the whole bucket, a CPU only the part that is touched.
    bucket = _BUCKET if training.use_gpu else min(trained, _BUCKET)
    return training.bytes_per_value * (buckets * bucket + gathered)


Change = dict[str, Any]


def remedies(
    training: Training, fits: Callable[[Training], bool], *, shortest_pass: int, lora_rank: int = 16
) -> list[Change]:
    """Changes to a training that does not fit, each of which makes it fit, with as few settings as possible.

    shortest_pass: tokens_per_pass must hold one response. The keys are fields of Training.
    """
    changes = list(_changes(training, fits, shortest_pass, lora_rank))
    for count in range(1, 5):
        found = []
        for chosen in combinations(changes, count):
            together: Change = {}
            for change in chosen:
                together |= change
            if (
                len(together) >= count
                and allowed(replace(training, **together))
                and fits(replace(training, **together))
            ):
                found.append(together)
        if found:
            return found
    return []


def allowed(training: Training) -> bool:
    """Whether the configuration accepts it."""
    if training.offload == "parameters" and training.zero_stage != 3:
        return False
    return not (training.zero_stage == 0 and (training.offload != "none" or training.bytes_per_value == 2))


def _changes(
    training: Training, fits: Callable[[Training], bool], shortest_pass: int, lora_rank: int
) -> Iterator[Change]:
    """Possible changes, the cheapest first."""
    if not training.gradient_checkpointing:
        yield {"gradient_checkpointing": True}
    if training.num_workers > 1:
        yield from ({"zero_stage": stage} for stage in range(training.zero_stage + 1, 4))
    yield from _shorter_passes(training, fits, shortest_pass)
    if training.logits_chunk > 128:
        yield {"logits_chunk": 128}
    if training.bytes_per_value == 4:
        yield {"bytes_per_value": 2}
    if training.use_gpu and training.offload == "none":
        yield {"offload": "optimizer"}
    if training.use_gpu and training.offload != "parameters":
        yield {"zero_stage": 3, "offload": "parameters"}
    if not training.lora_rank:
        yield {"lora_rank": lora_rank}
    if training.use_gpu and training.zero_stage:
        yield {"num_workers": training.num_workers * 2}
    elif not training.use_gpu and training.num_workers > 1:
        yield {"num_workers": 1}


def _shorter_passes(training: Training, fits: Callable[[Training], bool], shortest: int) -> Iterator[Change]:
    """The longest shorter pass that fits, by halving; if none does, the shortest."""
    tokens = training.tokens_per_pass
    while tokens > shortest:
        tokens = max(shortest, tokens // 2)
        if tokens == shortest or fits(replace(training, tokens_per_pass=tokens)):
            yield {"tokens_per_pass": tokens}
            return
