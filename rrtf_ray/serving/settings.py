"""The settings of serving: one section for an engine, one for the gateway in front of all engines.

`serve/config.yaml` has them as its applications' arguments, `rrtf serve` takes them as `engine.key=value` and
`gateway.key=value`.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from rrtf_ray.config import EngineArguments, Section

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"


class EngineSettings(EngineArguments):
    """A checkpoint and the replicas that serve it."""

    model: str
    """A folder, a URI or a hub id."""
    name: str = Field("rrtf", pattern=f"^{NAME}$", max_length=64)
    """What clients put into `model`."""
    adapters: dict[str, str] = Field(default_factory=dict)
    """LoRA adapters: the name that clients put into `model`, and the folder that peft wrote."""
    gpus: float = Field(0.0, ge=0)
    """GPUs of a replica."""
    cpus: float = Field(1.0, gt=0)
    """CPUs of a replica, and threads of its engine."""
    max_ongoing_requests: int = Field(32, ge=1)
    """Requests that a replica works on at once; further ones wait in the gateway."""
    min_replicas: int = Field(1, ge=1)
    """Replicas that are there from the start."""
    max_replicas: int = Field(1, ge=1)
    """Ray Serve adds replicas with the load, up to this many."""
    target_ongoing_requests: float = Field(16.0, gt=0)
    """Replicas are added while they average more requests than this, and removed while they average fewer."""
    upscale_delay_s: float = Field(10.0, ge=0)
    """How long the load must be above the target before a replica is added."""
    downscale_delay_s: float = Field(300.0, ge=0)
    """How long it must be below before one is removed."""

    @model_validator(mode="after")
    def _consistent(self) -> EngineSettings:
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"max_replicas={self.max_replicas} is below min_replicas={self.min_replicas}; raise it")
        if self.target_ongoing_requests > self.max_ongoing_requests:
            raise ValueError(
                f"target_ongoing_requests={self.target_ongoing_requests:g} is above "
                f"max_ongoing_requests={self.max_ongoing_requests}, so no load would ever add a replica; lower it"
            )
        if self.name in self.adapters:
            raise ValueError(f"adapters: {self.name!r} is the model's own name; give the adapter another")
        return self


class GatewaySettings(Section):
    """Keys and limits in front of all engines."""

    keys_file: str | None = None
    """Lines that `rrtf key NAME` prints, one per key; the environment variable RRTF_API_KEYS adds more keys. Without
    any the endpoint is open. A changed file is read again while the service runs."""
    rate: float | None = Field(None, gt=0)
    """Requests per minute of a key that does not set its own."""
    concurrency: int | None = Field(None, ge=1)
    """Requests at once of a key that does not set its own."""
    max_queued: int = Field(64, ge=0)
    """Requests that wait for an engine; further ones get 429."""
    queue_timeout_s: float = Field(30.0, gt=0)
    """A request that has waited this long gets 429."""
    answer_timeout_s: float = Field(120.0, gt=0)
    """An engine that sends nothing for this long gives 503. It bounds the wait for one that is being replaced, and for
    an answer that is not streamed: raise it if completions take minutes."""
    max_body_bytes: int = Field(4 * 2**20, ge=1024)
    """A larger body gets 413."""
    max_tokens: int = Field(1024, ge=1)
    """Most tokens per completion; a request for more gets this many."""
    max_choices: int = Field(16, ge=1)
    """Most completions per request: prompts times n."""
    rewrite_templates: bool = True
    """A prompt that a client has templated with a family's markers is rewritten to the model's own. `false` passes it
    on unchanged, for models that have a template of their own, such as those for next edits."""
    allowed_origins: tuple[str, ...] = ()
    """Origins whose pages may use the endpoint from a browser, such as `https://app.example.org`; `*` for all. The
    endpoint's own page needs none."""
    events: str | None = None
    """A folder for what editors say became of a completion (POST /v1/events); null takes no events."""
    events_code: bool = False
    """Keep the code with an event, so that `rrtf prefer --import-events` can make votes of it. `false` keeps digests
    and lengths only."""
    events_days: int = Field(30, ge=1)
    """Days that events are kept."""
    drain_s: float = Field(5.0, ge=0)
    """On the way out, how long requests in progress may take; then their streams end with an error event."""


class ServeSettings(Section):
    """What `rrtf serve` starts."""

    engine: EngineSettings
    gateway: GatewaySettings = GatewaySettings()
