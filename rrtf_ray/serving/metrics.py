"""What the gateway counts, for Prometheus.

In: a call for each thing that happens, and two functions that return the gate's state. Out: the text of a scrape.
`model` is the name that the engine was asked for: an adapter's counts are never its base model's. Labels take known
values only: routes are templates, and an unknown route or model counts as "other", so no client can make the server
keep a time series for every name it invents. Instances share nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from rrtf_ray.serving.limits import Reason

OTHER = "other"
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)


class Metrics:
    """The metrics of one gateway.

    routes, models: the known label values; looked up at every call, so they may change.
    ongoing, queued: called at every scrape.
    """

    def __init__(
        self,
        routes: Container[str],
        models: Container[str],
        ongoing: Callable[[], float],
        queued: Callable[[], float],
    ) -> None:
        self._routes = routes
        self._models = models
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "rrtf_requests_total", "Requests answered.", ["route", "model", "status"], registry=registry
        )
        self._seconds = Histogram(
            "rrtf_request_duration_seconds",
            "From a request's arrival to the end of its answer; answers with an error status are left out.",
            ["route", "model"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._first_token = Histogram(
            "rrtf_time_to_first_token_seconds",
            "From a checked request to the first token of its streamed answer, the wait for an engine included; of a "
            "middle that is not streamed, without the wait.",
            ["model"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._prompt_tokens = Counter(
            "rrtf_prompt_tokens_total", "Tokens of prompts.", ["model", "key"], registry=registry
        )
        self._generated_tokens = Counter(
            "rrtf_generated_tokens_total", "Tokens that engines generated.", ["model", "key"], registry=registry
        )
        self._rejections = Counter(
            "rrtf_rejections_total",
            f"Requests rejected by a limit ({', '.join(Reason)}).",
            ["reason"],
            registry=registry,
        )
        for reason in Reason:  # a series that exists from the start shows its first increase
            self._rejections.labels(reason.value)
        self._disconnects = Counter(
            "rrtf_disconnects_total", "Requests whose client left before the answer ended.", registry=registry
        )
        Gauge("rrtf_ongoing_requests", "Requests that engines work on.", registry=registry).set_function(ongoing)
        Gauge("rrtf_queued_requests", "Requests that wait for an engine.", registry=registry).set_function(queued)

    def answered(self, route: str, model: str | None, status: int, seconds: float) -> None:
        """A request was answered, with any status, or its client left (499). route: a template such as /v1/models."""
        labels = (route if route in self._routes else OTHER, self._model(model))
        self._requests.labels(*labels, str(status) if 100 <= status <= 599 else OTHER).inc()
        if status < 400:  # refusals take no time and would make an overloaded server look fast
            self._seconds.labels(*labels).observe(seconds)

    def first_token(self, model: str, seconds: float) -> None:
        self._first_token.labels(self._model(model)).observe(seconds)

    def tokens(self, model: str, key: str = "", *, prompt: int = 0, generated: int = 0) -> None:
        """key: the name of the key that asked; empty for an open endpoint."""
        labels = (self._model(model), key)
        self._prompt_tokens.labels(*labels).inc(prompt)
        self._generated_tokens.labels(*labels).inc(generated)

    def rejected(self, reason: Reason) -> None:
        """Call it in addition to `answered`, which counts the status that the client got."""
        self._rejections.labels(reason.value).inc()

    def disconnected(self) -> None:
        self._disconnects.inc()

    def render(self) -> tuple[bytes, str]:
        """The text of a scrape and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def _model(self, model: str | None) -> str:
        return model if model is not None and model in self._models else OTHER
