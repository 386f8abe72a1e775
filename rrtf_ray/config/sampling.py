"""Problems, the student, and how it is sampled."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from rrtf_ray.config.section import Draw, Section


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
    """A run is refused where a held-out problem is as similar as this to a train problem, as `rrtf problems
    decontaminate` measures it, and has the same numbers; null refuses the same ids and words only."""
    asserts: int = Field(7, ge=1, le=7)
    """For the quickstart: asserts of a train problem. Seven tell the right program from all with one step wrong; with
    fewer, more wrong programs pass."""
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
