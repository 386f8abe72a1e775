"""Every setting, with its meaning and bounds: one strict, frozen section per stage. `config_file` reads them.

This module imports neither Ray nor a model library, so a mistake is reported at once.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """Base of all sections: strict about keys and types, immutable; defaults are validated too."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_default=True, use_attribute_docstrings=True
    )


class Draw(Section):
    """One way to sample: `n` candidates with the same parameters (vLLM's names)."""

    n: int = Field(1, ge=1, le=1000)
    """Candidates of this draw for each problem."""
    temperature: float = Field(0.8, ge=0.0, le=5.0)
    """0 is greedy."""
    top_p: float = Field(0.95, gt=0.0, le=1.0)
    """Nucleus sampling: the share of probability that is sampled from."""

    @model_validator(mode="after")
    def _greedy_is_single(self) -> Draw:
        if self.temperature == 0 and self.n > 1:
            raise ValueError(f"n={self.n} at temperature 0 gives n equal candidates; use n: 1 or a temperature above 0")
        return self


class ProblemsConfig(Section):
    source: str = "quickstart"
    """`quickstart`, or the directory or URI that `rrtf problems import` wrote."""
    held_out_source: str | None = None
    """Another directory for the held-out problems; null takes those with split `held_out` from `source`."""
    num_train: int | None = Field(None, ge=1)
    """Use only the first N train problems (for the quickstart: make N)."""
    num_held_out: int | None = Field(None, ge=1)
    """Use only the first N held-out problems (for the quickstart: make N)."""
    max_similarity: float | None = Field(0.9, gt=0.0, le=1.0)
    """A run is refused where a held-out problem's prompt shares this share of its runs of 5 words with a train
    problem's, and has the same numbers; null refuses the same ids and words only."""
    wrong_references: float = Field(0.0, ge=0.0, le=1.0)
    """For the quickstart: share of the train problems whose reference has a mistake that their tests do not see, as a
    teacher's answers have where tests are weak."""


class EngineArguments(Section):
    """What vLLM's engine is started with, for sampling and for serving alike."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """The engine's type of number."""
    max_model_len: int = Field(1024, ge=16)
    """Prompt and response together, in tokens."""
    tensor_parallel_size: int = Field(1, ge=1)
    """Devices that one engine spreads its weights over."""
    kv_cache_memory_bytes: int | None = Field(512 * 2**20, ge=2**20)
    """Size of the key-value cache; null leaves it to `gpu_memory_utilization` (GPU only)."""
    engine: dict[str, Any] = Field(default_factory=dict)
    """Any further argument of vLLM's engine, passed on as it is."""


class ModelConfig(EngineArguments):
    student: str = "quickstart"
    """`quickstart` (a tiny StarCoder-style model made on the spot), a local directory, a URI or a hub id."""
    chat: Literal["auto", "on", "off"] = "auto"
    """Whether problems are put to the model through its chat template. `auto`: where it has one and stops by itself
    where that ends a turn, as instruct models do; a base model's prompt is continued."""


class SampleConfig(Section):
    engine: Literal["vllm", "replay", "scripted"] = "vllm"
    """`vllm` samples; `replay` reads candidates from `replay_path`; `scripted` echoes references (for tests)."""
    draws: tuple[Draw, ...] = (
        Draw(n=2, temperature=0.5),
        Draw(n=4, temperature=0.8),
        Draw(n=2, temperature=1.1),
    )
    """Temperatures are not stated in the paper, only that there are several."""
    max_tokens: int = Field(256, ge=1)
    """Most tokens of one response."""
    stop: tuple[str, ...] = ()
    """Texts that end a response."""
    logprobs: bool = False
    """Keep each candidate's log-probability under the model: with it `rrtf prefer` asks first about programs between
    which the model itself is undecided."""
    prompt_template: str = "{prompt}"
    """How a problem's prompt is put to the model. The paper puts instructions in triple quotes."""
    system: str = ""
    """In a chat: the system message; empty for none."""
    instruction: str = (
        "Write the code for the following task. Answer with the complete code in one code block.\n\n{prompt}"
    )
    """In a chat: the user's message with the problem's prompt in it."""
    thinking: bool = False
    """In a chat: handed to the chat template as `enable_thinking`. What a model thinks is never part of the program,
    nor of what is imitated."""
    teacher: Literal["reference", "responses", "both", "none"] = "both"
    """What counts as a teacher's response: the problem's reference, its responses (the data set's, and answers of
    `teachers`), both or none."""
    teacher_fraction: float = Field(1.0, ge=0.0, le=1.0)
    """Share of the problems (chosen by seed) whose teacher is used."""
    replay_path: str | None = None
    """JSONL with `task_id` or `prompt`, and `samples` (a list) or `completion` or `solution`."""
    replay_limit: int | None = Field(None, ge=1)
    """At most this many replayed candidates a problem."""
    min_engines: int = Field(1, ge=1)
    """Engines that are there from the start."""
    max_engines: int = Field(1, ge=1)
    """The pool of engines grows with the load up to this many."""
    cpus_per_engine: float = Field(1.0, gt=0)
    """CPUs that one engine takes from the cluster."""
    gpus_per_engine: float = Field(0.0, ge=0)
    """GPUs that one engine takes from the cluster."""
    rows_per_task: int = Field(8, ge=1)
    """Problems that travel together to an engine. The driver keeps some 45 KiB for each such group of them: raise it
    where there are millions of problems."""
    tasks_per_engine: int = Field(16, ge=2)
    """Tasks in flight at one engine; times rows_per_task it is the number of problems that the engine sees."""

    @model_validator(mode="after")
    def _consistent(self) -> SampleConfig:
        if self.max_engines < self.min_engines:
            raise ValueError(f"max_engines={self.max_engines} is below min_engines={self.min_engines}; raise it")
        if self.engine == "replay" and not self.replay_path:
            raise ValueError("engine 'replay' needs replay_path: the file with the candidates")
        if "{prompt}" not in self.prompt_template:
            raise ValueError(f"prompt_template={self.prompt_template!r} does not contain {{prompt}}; add it")
        if "{prompt}" not in self.instruction:
            raise ValueError(f"instruction={self.instruction!r} does not contain {{prompt}}; add it")
        if not self.draws:
            raise ValueError("draws is empty; give at least one, e.g. [{n: 4, temperature: 0.8}]")
        return self


class ExecuteConfig(Section):
    min_workers: int = Field(1, ge=1)
    """Workers that are there from the start."""
    max_workers: int = Field(1, ge=1)
    """The pool of CPU actors grows with the load up to this many; each runs one sandbox."""
    wall_s: float = Field(10.0, gt=0)
    """Limit of time by the clock for a program, in seconds; only a backstop behind `cpu_s`."""
    cpu_s: float = Field(3.0, gt=0)
    """CPU time limit of a program, in seconds; `wall_s` is the backstop."""
    memory_mb: int = Field(1024, ge=64)
    """Limit of address space for a program, interpreter included, in MiB."""
    isolation: Literal["best_effort", "required"] = "best_effort"
    """`required` refuses to run where a layer of isolation is missing."""
    fail_fast: bool = False
    """Stop a program's tests at the first failure; partial passes are then not graded."""
    calibrate: bool = True
    """A program gets processor time in proportion to that of its problem's reference, never more than `cpu_s`."""
    preload: tuple[str, ...] = ()
    """Modules besides the standard library that programs and tests may import, e.g. [numpy]; loaded once a worker."""
    cache: bool = True
    """Remember verdicts in run_dir/cache, if that is a local directory, and run equal programs once in all rounds."""
    max_sandbox_error_rate: float = Field(0.05, ge=0.0, le=1.0)
    """Stop the stage when more than this share of the candidates ends as SANDBOX_ERROR."""

    @model_validator(mode="after")
    def _consistent(self) -> ExecuteConfig:
        if self.max_workers < self.min_workers:
            raise ValueError(f"max_workers={self.max_workers} is below min_workers={self.min_workers}; raise it")
        if self.wall_s < self.cpu_s:
            raise ValueError(f"wall_s={self.wall_s} is below cpu_s={self.cpu_s}; raise it")
        return self


class RankConfig(Section):
    """The paper orders the outcomes and names no numbers; these are CodeRL's, with RLTF's grading."""

    compile_error: float = -1.0
    """Score of a program that is not valid source, and of a response without code."""
    runtime_error: float = -0.6
    """Also for timeouts and exhausted memory, whose place the paper does not state."""
    failed: float = -0.3
    """Score of a program that ran and failed a test."""
    passed: float = 1.0
    """Score of a program that passed all tests."""
    grade_failed: bool = True
    """Grade `failed` by the share of passed tests: failed + (passed - failed) * ratio (RLTF)."""
    teacher_bonus: float = Field(0.1, ge=0.0)
    """Ranks the teacher's response above a student's of the same level (the paper states no size)."""
    human_weight: float = Field(0.1, ge=0.0)
    """Times people's preference, in [-1, 1]: of their votes, and of a replayed file. So people order what tests tie,
    and overrule tests only where two scores differ by less than twice this."""
    judge_weight: float = Field(0.05, ge=0.0)
    """Times the preference that models' votes as judges give."""
    editor_weight: float = Field(0.05, ge=0.0)
    """Times the preference that votes from editors' events give."""
    vote_prior: float = Field(1.0, gt=0.0)
    """Standard deviation of a program's strength before any vote (Bradley-Terry with ties). Less of it needs more votes
    to move a program; with 1.0 a single vote gives a preference of 0.25."""
    drop_teacher_below_student: bool = True
    """The paper filters out problems whose teacher scores lower than the student."""

    @model_validator(mode="after")
    def _ordered(self) -> RankConfig:
        if not self.compile_error < self.runtime_error < self.failed < self.passed:
            raise ValueError(
                "the levels must rise: compile_error < runtime_error < failed < passed, but are "
                f"{self.compile_error}, {self.runtime_error}, {self.failed}, {self.passed}"
            )
        return self


class FeedbackConfig(Section):
    """Votes of people, judges and editors; what they weigh is in `rank`."""

    database: str | None = None
    """The URL of the database of votes (any that SQLAlchemy speaks), without a password: PostgreSQL takes it from
    PGPASSWORD or ~/.pgpass. Null is feedback.sqlite in a local run directory, where there is one."""
    min_votes: int = Field(0, ge=0)
    """A round waits for this many votes of people on its own programs before it is ranked."""
    wait_s: float = Field(86400.0, ge=0)
    """After this long it goes on with the votes that there are."""

    @model_validator(mode="after")
    def _no_password(self) -> FeedbackConfig:
        if self.database and re.search(r"://[^/@]*:[^/@]+@|[?&]password=", self.database):
            raise ValueError(
                "database holds a password, which would be written to the run directory; leave it out of the URL and "
                "give it as PGPASSWORD or in ~/.pgpass"
            )
        return self


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
    ft_target: Literal["teacher", "best", "all"] = "teacher"
    """Which responses are imitated: the best teacher's (paper), the best-scored (RRHF), or all distinct ones, which
    share L_ft equally (with `require_passing_target`, rejection-sampling fine-tuning)."""
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
        if self.tokens_per_pass < self.max_length:
            raise ValueError(
                f"tokens_per_pass={self.tokens_per_pass} cannot hold one response of max_length={self.max_length}; "
                "raise the first (twice the second holds any pair) or lower the second"
            )
        return self


class EvaluateConfig(Section):
    draws: tuple[Draw, ...] = (Draw(n=1, temperature=0.0, top_p=1.0), Draw(n=5, temperature=0.8))
    """The first is what `*_pass_at_1` in summary.json reports."""
    k: tuple[int, ...] = (1,)
    """pass@k for each of these that a draw has enough candidates for; pass@1 always."""

    @model_validator(mode="after")
    def _something_to_measure(self) -> EvaluateConfig:
        if not self.draws:
            raise ValueError("draws is empty; give at least one, e.g. [{n: 1, temperature: 0}]")
        if min(self.k, default=1) < 1:
            raise ValueError(f"k={min(self.k)} is not a number of candidates; use 1 or more")
        return self


class TeacherConfig(Section):
    """Another model that answers, repairs or judges: `teachers: {big: {model: ..., base_url: ...}}`, as many as wanted,
    each under a name of its own. They are asked one after the other, in the order of the file."""

    model: str = Field(min_length=1)
    """The name that the endpoint knows it by; for `vllm` a local directory, a URI or a hub id."""
    kind: Literal["endpoint", "vllm"] = "endpoint"
    """`endpoint`: anything that speaks OpenAI's API; `vllm`: our own engines, on the cluster's devices."""
    roles: tuple[Literal["answer", "repair", "judge"], ...] = Field(("answer",), min_length=1)
    """`answer`: solves the train problems before round 1; `repair`: sees programs that fail, and the test that they
    fail, after a round's execution; `judge`: orders programs that tests cannot order, before a round's ranking."""
    draws: tuple[Draw, ...] = Field((Draw(n=1, temperature=0.0, top_p=1.0),), min_length=1)
    """The answers of a problem. Repairs and judgements take the first draw's temperature, once."""
    max_tokens: int = Field(2048, ge=1)
    """Most tokens of one answer, reasoning included."""
    form: Literal["chat", "completion"] = "chat"
    """`completion` has a base model continue the prompt (an endpoint's /completions)."""
    system: str = ""
    """In a chat: the system message; empty for none."""
    instruction: str = (
        "Solve the following task in {language}. Answer with the complete code in one code block.\n\n{prompt}"
    )
    """In a chat: how a problem is put to it."""
    repairs_per_problem: int = Field(1, ge=1, le=100)
    """Failing programs of one problem that it is shown in a round, those that pass most tests first."""
    pairs_per_problem: int = Field(3, ge=1, le=1000)
    """Pairs of one problem's programs that it judges in a round, each in both orders."""
    base_url: str | None = None
    """Of the endpoint, e.g. http://localhost:8000/v1; null is OpenAI's own."""
    key_variable: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """The environment variable with the key, which is read where the run is started and written nowhere; null is
    OPENAI_API_KEY for OpenAI's own endpoint, and no key for any other."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Further fields of each request, e.g. {reasoning_effort: low}; null leaves one of ours out, as in
    {max_tokens: null, max_completion_tokens: 4096}."""
    concurrency: int = Field(16, ge=1, le=4096)
    """Requests in flight, over the whole cluster."""
    requests_per_minute: float | None = Field(None, gt=0)
    """Most requests in a minute, over the whole cluster; null for as many as the endpoint takes."""
    tokens_per_minute: float | None = Field(None, gt=0)
    """Most tokens in a minute, those of prompts included; null for as many as the endpoint takes."""
    timeout_s: float = Field(120.0, gt=0)
    """Limit of time of one request, in seconds, from its start to its last byte."""
    retries: int = Field(6, ge=0, le=100)
    """How often a request is sent again after a fault that may pass: overload, a lost connection, broken data."""
    when_down: Literal["stop", "go_on"] = "stop"
    """What happens when the endpoint answers nothing any more: the run stops, and continues from there when it is
    started again, or goes on without this teacher."""
    max_tokens_total: int | None = Field(None, ge=1)
    """Most tokens in all, those of prompts included; it holds over restarts."""
    max_cost: float | None = Field(None, gt=0)
    """Most money in all, in the currency of the prices; it holds over restarts."""
    price_per_million_input: float = Field(0.0, ge=0)
    """Price of a million tokens of prompts."""
    price_per_million_output: float = Field(0.0, ge=0)
    """Price of a million tokens of answers."""
    when_spent: Literal["go_on", "stop"] = "go_on"
    """What happens at one of the two limits: the run goes on with what it has, or stops."""
    cache: str | None = None
    """Local SQLite file with the answers and what was spent on them; null is run_dir/cache/teachers.sqlite. Runs that
    share a file share answers and limits."""
    engine: EngineArguments = EngineArguments()
    """For `vllm`: what its engines are started with."""
    min_engines: int = Field(1, ge=1)
    """For `vllm`: engines that are there from the start."""
    max_engines: int = Field(1, ge=1)
    """For `vllm`: the pool of engines grows with the load up to this many."""
    cpus_per_engine: float = Field(1.0, gt=0)
    """For `vllm`: CPUs that one engine takes from the cluster."""
    gpus_per_engine: float = Field(0.0, ge=0)
    """For `vllm`: GPUs that one engine takes from the cluster, and gives back before the student's engines start."""

    @model_validator(mode="after")
    def _consistent(self) -> TeacherConfig:
        if "{prompt}" not in self.instruction:
            raise ValueError(f"instruction={self.instruction!r} does not contain {{prompt}}; add it")
        if self.max_engines < self.min_engines:
            raise ValueError(f"max_engines={self.max_engines} is below min_engines={self.min_engines}; raise it")
        if self.max_cost and not (self.price_per_million_input or self.price_per_million_output):
            raise ValueError(
                f"max_cost={self.max_cost} without prices; give price_per_million_input and price_per_million_output"
            )
        if self.kind == "endpoint":
            self._check_url()
        elif self.max_tokens >= self.engine.max_model_len:
            raise ValueError(
                f"max_tokens={self.max_tokens} leaves no room for a prompt within "
                f"engine.max_model_len={self.engine.max_model_len}; lower the first or raise the second"
            )
        elif self.base_url:
            raise ValueError("base_url is of an endpoint, but kind is 'vllm'; use kind: endpoint, or leave it out")
        return self

    def _check_url(self) -> None:
        if self.base_url is None:
            return
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url is no address of a server; give one such as http://localhost:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError(
                "base_url has a name, password or query in it, which would be written to the run directory; put the "
                "key into the environment variable that key_variable names"
            )


class ClusterConfig(Section):
    address: str | None = None
    """A running Ray cluster (`auto`, `ray://host:10001`); null takes RAY_ADDRESS, or starts one on this machine."""
    num_cpus: int | None = Field(None, ge=1)
    """Logical CPUs of a cluster started here; null is the machine's, at least 4 (they are only an account)."""
    object_store_mb: int = Field(512, ge=80)
    """Object store of a cluster started here."""
    resource_timeout_s: float = Field(600.0, gt=0)
    """How long a stage may make no progress, waiting for resources that an autoscaler has promised."""


class Config(Section):
    run_dir: str = Field("runs/default", min_length=1)
    """A local directory or URI (s3://, gs://, any fsspec filesystem) for everything that the run writes."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the problems that are generated, the candidates, the order of training and the quickstart's student."""
    rounds: int = Field(1, ge=1, le=100)
    """Repeat sample, execute, rank and train, each round with the newest checkpoint as the student."""
    problems: ProblemsConfig = ProblemsConfig()
    model: ModelConfig = ModelConfig()
    sample: SampleConfig = SampleConfig()
    execute: ExecuteConfig = ExecuteConfig()
    teachers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")], TeacherConfig] = Field(
        default_factory=dict
    )
    """Other models that answer, repair or judge, by name."""
    rank: RankConfig = RankConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    cluster: ClusterConfig = ClusterConfig()
    until: Literal["rank", "train", "evaluate"] = "evaluate"
    """The last stage of `rrtf run`: `rank` makes rankings only, `train` leaves out the evaluations."""
    serve: bool = False
    """At the end of a run, serve the tuned model once and ask it for a completion."""

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if self.sample.max_tokens >= self.model.max_model_len:
            raise ValueError(
                f"sample.max_tokens={self.sample.max_tokens} leaves no room for a prompt within "
                f"model.max_model_len={self.model.max_model_len}; lower the first or raise the second"
            )
        if self.until == "rank" and self.rounds > 1:
            raise ValueError(f"rounds={self.rounds} with until='rank': a further round needs training; use rounds: 1")
        if self.sample.engine == "replay" and self.until != "rank":
            raise ValueError("a replayed student cannot be trained or evaluated; use until: rank")
        for name, teacher in self.teachers.items():
            writes = [role for role in teacher.roles if role != "judge"]
            if writes and self.sample.teacher in ("reference", "none"):
                raise ValueError(
                    f"teachers.{name} has the role {writes[0]!r}, but sample.teacher={self.sample.teacher!r} leaves "
                    "its programs out; use sample.teacher: both or responses, or take the role away"
                )
        return self


def resolved(config: Config) -> dict[str, Any]:
    """All settings as plain values, in the shape that load_config reads."""
    return config.model_dump(mode="json")
