"""Other models that answer, repair or judge."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from rrtf_ray.config.sampling import EngineArguments
from rrtf_ray.config.section import Draw, Section


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
