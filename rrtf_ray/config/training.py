"""The loss and how it is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rrtf_ray.config.section import Section


class LossConfig(Section):
    """The RRTF loss: L = alpha * L_rank + L_ft (PanGu-Coder2, section 3; RRHF by `pairs: all`), and two baselines."""

    objective: Literal["rrtf", "sft", "dpo"] = "rrtf"
    """`sft`: L_ft alone, on the target; `dpo`: direct preference optimisation against the model as it was before
    training, on the same pairs (of the settings below only `pairs`, `ft_target`, `problem_weight` and `beta` count)."""
    pairs: Literal["teacher", "passing", "all"] = "teacher"
    """`teacher`: only pairs of a teacher's and a student's response (paper); `passing`: only pairs of a response that
    passes all tests and one that does not; `all`: every pair (RRHF)."""
    gap_weight: bool = True
    """Weight a pair by the gap of its scores (paper); off in RRHF."""
    margin: float = Field(0.0, ge=0.0)
    """Ask for p_i - p_j >= margin; the paper has none."""
    alpha: float = Field(1.0, ge=0.0)
    """Weight of the ranking term."""
    ft_reduction: Literal["sum", "token_mean"] = "sum"
    """L_ft as a sum over the target's tokens (paper) or as their mean."""
    ft_target: Literal["teacher", "best", "all"] = "all"
    """Which responses are imitated: the best teacher's (paper), the best-scored (RRHF), or all distinct ones, which
    share L_ft equally (with `require_passing_target`, rejection-sampling fine-tuning). With `rank.agreement_weight`,
    all that agree with the best."""
    require_passing_target: bool = True
    """Imitate only a response that passes all tests; other groups are left out and counted."""
    length_normalize: bool = True
    """p_i is the mean log-probability of the response's tokens (paper), else their sum."""
    prefix_weight: float = Field(1.0, ge=0.0, le=1.0)
    """Weight of the tokens that two responses share before they first differ, in their pair's term; 1 is the paper,
    0 compares only what follows (the idea of Focused-DPO)."""
    problem_weight: Literal["equal", "failure_rate"] = "equal"
    """`failure_rate` weights a problem by the share of the student's own candidates that fail its tests, so that what
    it can do already takes little of the training; the mean weight stays 1."""
    link: Literal["hinge", "logistic"] = "hinge"
    """What a pair's difference d = p_i - p_j costs: max(0, margin - d) (paper), or log(1 + exp(margin - d)), which
    still pushes where the order is right."""
    compare: Literal["response", "first_token"] = "response"
    """p_i is that of the whole response (paper), or the log-probability of the first token that the other response of
    the pair does not share; `length_normalize` and `prefix_weight` do not count then."""
    beta: float = Field(0.1, gt=0.0)
    """DPO's: how far the model may go from where it began."""


class LoraConfig(Section):
    """Low-rank adapters instead of all weights; they are merged into the checkpoint, so anything can load it."""

    rank: int = Field(16, ge=1)
    """Rank of the adapters' matrices: more takes more memory and can learn more."""
    alpha: int = Field(32, ge=1)
    """The adapters are scaled by alpha / rank."""
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Names of the layers that get an adapter (peft's target_modules); `all-linear` is all but the output head."""


class TrainConfig(Section):
    loss: LossConfig = LossConfig()
    num_workers: int = Field(1, ge=1)
    """Workers that train together; with `use_gpu`, one GPU each."""
    use_gpu: bool = False
    """Train on GPUs (NCCL) rather than on CPUs (gloo)."""
    cpus_per_worker: float = Field(1.0, gt=0)
    """CPUs that one worker takes from the cluster."""
    zero_stage: Literal[0, 1, 2, 3] = 2
    """DeepSpeed's ZeRO: 1 partitions the optimizer's state over the workers, 2 the gradients too, 3 the weights too."""
    offload: Literal["none", "optimizer", "parameters"] = "none"
    """What DeepSpeed keeps in the host's memory: the optimizer's state, or (ZeRO 3) the parameters as well."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of number of weights and activations; with bfloat16 the optimizer keeps weights in float32."""
    lora: LoraConfig | None = None
    """Train adapters only, e.g. {rank: 16}; null trains all weights."""
    epochs: int = Field(3, ge=1)
    """The paper trains 6 epochs and finds 3 or 4 enough."""
    steps: int | None = Field(None, ge=1)
    """Optimizer steps in place of `epochs`: equal work for objectives that can use different numbers of problems."""
    batch_groups: int = Field(32, ge=1)
    """Problems in one optimizer step, over all workers."""
    validation_share: float = Field(0.0, ge=0.0, le=0.5)
    """Share of the train problems, chosen by seed, that is kept out of training to measure `validation_loss` on: nats
    per token of their targets."""
    validate_every_steps: int = Field(25, ge=1)
    """How often that is measured; at the last step always."""
    patience: int | None = Field(None, ge=1)
    """Stop when the validation loss has not fallen for so many measurements, and keep the weights where it was lowest;
    null trains to the end and keeps the last."""
    tokens_per_pass: int = Field(4096, ge=32)
    """Tokens in one forward pass of a worker: the problems of a step are packed up to it. It decides memory, and the
    result only where one problem alone is longer: that one loses its middle responses, which are counted."""
    packing: Literal["auto", "packed", "padded"] = "auto"
    """`packed` computes a prompt once for all its responses; `padded` gives each response a row of its own, which any
    architecture can take; `auto` tries the first on the model itself, and says so where it must take the second."""
    logits_chunk: int = Field(512, ge=1)
    """Response tokens whose logits are held at once."""
    max_candidates: int = Field(4, ge=2)
    """Responses of one problem in the loss: the target, and the best and worst of the others."""
    max_length: int = Field(1024, ge=16)
    """Prompt and response together, in tokens; a longer response is left out and counted."""
    learning_rate: float = Field(2e-5, gt=0)
    """Not stated in the paper; WizardCoder's on the same base model."""
    warmup_ratio: float = Field(0.05, ge=0.0, le=1.0)
    """Share of the steps in which the learning rate rises; after them it falls along a cosine."""
    weight_decay: float = Field(0.0, ge=0.0)
    """AdamW's."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients are clipped to this norm."""
    gradient_checkpointing: bool = False
    """Compute each layer's activations twice and keep none: a third more time, far less memory."""
    checkpoint_every_steps: int = Field(50, ge=1)
    """A restart continues from the last of these."""
    max_failures: int = Field(1, ge=0)
    """Restarts after a worker dies, before the stage gives up."""
    tracking: Literal["none", "tensorboard", "mlflow", "wandb"] = "none"
    """Where each step's metrics go besides metrics.jsonl; `mlflow` and `wandb` take their own environment variables."""

    @model_validator(mode="after")
    def _consistent(self) -> TrainConfig:
        if self.zero_stage == 0 and self.dtype == "bfloat16":
            raise ValueError("zero_stage 0 cannot keep fp32 master weights for bfloat16; use zero_stage 1, 2 or 3")
        if self.offload != "none" and not self.use_gpu:
            raise ValueError(f"offload={self.offload!r} without use_gpu: nothing can be offloaded; use offload: none")
        if self.offload == "optimizer" and self.zero_stage == 0:
            raise ValueError("offload='optimizer' needs zero_stage 1, 2 or 3, which partition the optimizer's state")
        if self.offload == "parameters" and self.zero_stage != 3:
            raise ValueError(f"offload='parameters' needs zero_stage 3, not {self.zero_stage}")
        if self.patience is not None and not self.validation_share:
            raise ValueError(f"patience={self.patience} without validation_share: nothing is measured; give a share")
        if self.tokens_per_pass < self.max_length:
            raise ValueError(
                f"tokens_per_pass={self.tokens_per_pass} cannot hold one response of max_length={self.max_length}; "
                "raise the first (twice the second holds any pair) or lower the second"
            )
        return self
