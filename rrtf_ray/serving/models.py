"""The models behind the gateway: what is known of each, and which of its engines answers.

Input: the engines' descriptions of themselves. Output: the engine for the `model` of a request.

A model has one engine; during a rollout it has two, of which the one with the lower number answers until the other is
promoted. Adapters are further names of the same engine.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from tokenizers import Tokenizer

from rrtf_ray.fim.encoding import beginning_of_text
from rrtf_ray.fim.families import Markers, find_markers
from rrtf_ray.serving.limits import Admission
from rrtf_ray.serving.refusals import Refusal, invalid

Answer = list[str] | str | dict[str, Any]
"""Events of a stream, a whole answer as JSON text, or an error."""


class Ask(Protocol):
    """How an engine is asked. call: completions or chat. body: a request in vLLM's format."""

    def __call__(self, call: str, body: dict[str, Any]) -> AsyncGenerator[Answer, None]: ...


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What an engine's server says of itself; it crosses a process border.

    adapters: names. context: prompt and completion together, in tokens. chat: whether the model has a chat template.
    capacity: requests that one replica works on at once. tokenizer: as JSON. created: when the engine started, in
    seconds since 1970.
    """

    adapters: tuple[str, ...]
    context: int
    vocab_size: int
    chat: bool
    capacity: int
    tokenizer: str
    created: int = 0


@dataclass(frozen=True, slots=True)
class Engine:
    """A running checkpoint: its description with the tokenizer loaded, and how to ask it.

    number: of the rollout that brought it. bos: the token that the tokenizer begins every text with, if any.
    """

    number: int
    ask: Ask
    adapters: tuple[str, ...]
    context: int
    vocab_size: int
    chat: bool
    capacity: int
    tokenizer: Tokenizer
    markers: Markers | None
    bos: int | None
    created: int


def engine_from(description: EngineDescription, number: int, ask: Ask) -> Engine:
    """An Engine from what its server says of itself (`EngineServer.describe`)."""
    tokenizer = Tokenizer.from_str(description.tokenizer)
    return Engine(
        number=number,
        ask=ask,
        adapters=description.adapters,
        context=description.context,
        vocab_size=description.vocab_size,
        chat=description.chat,
        capacity=description.capacity,
        tokenizer=tokenizer,
        markers=find_markers(tokenizer),
        created=description.created,
        bos=beginning_of_text(tokenizer),
    )


@dataclass(slots=True)
class Model:
    """A name and its engines by number. answered_at: when one of them last answered (monotonic clock)."""

    name: str
    admission: Admission
    engines: dict[int, Engine] = field(default_factory=dict)
    promoted: int | None = None
    answered_at: float = -1e9

    @property
    def engine(self) -> Engine | None:
        """The one that answers."""
        number = self.promoted if self.promoted in self.engines else min(self.engines, default=None)
        return None if number is None else self.engines[number]


class Models:
    """All models by name."""

    def __init__(self, make_admission: Callable[[], Admission]) -> None:
        self._models: dict[str, Model] = {}
        self._make_admission = make_admission

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def __contains__(self, name: object) -> bool:
        """Whether this is the name of a model or of an adapter."""
        return any(name == m.name or (m.engine and name in m.engine.adapters) for m in self)

    def get(self, name: str) -> Model | None:
        return self._models.get(name)

    def add(self, name: str, engine: Engine) -> None:
        model = self._models.setdefault(name, Model(name, self._make_admission()))
        model.engines[engine.number] = engine

    def remove(self, name: str, number: int) -> None:
        model = self._models[name]
        del model.engines[number]

    def forget(self, name: str) -> None:
        """A model that is no longer deployed."""
        del self._models[name]

    def find(self, name: str | None) -> tuple[Model, str]:
        """The model for a request, and the name that the engine is asked for (an adapter's, or the model's own).

        Without a name it is the only model. Raises Refusal: 404 for an unknown name, 400 for a missing one among
        several, 503 for a model that is not running.
        """
        serving = {m.name: (m, m.name) for m in self._models.values() if m.engine}
        for model in self._models.values():
            if model.engine:
                serving |= {adapter: (model, adapter) for adapter in model.engine.adapters}
        name = name or None  # an empty name is none: some editors always send the field
        if name is None and len(self._models) == 1:
            name = next(iter(self._models))
        if name in self._models and name not in serving:
            raise Refusal(503, f"the model {name!r} is not running now; try again", retry_after_s=5)
        if name in serving:
            return serving[name]
        if not serving:  # any name may turn out to be served
            raise Refusal(503, "no model is running yet; try again", retry_after_s=5)
        known = ", ".join(sorted(serving))
        if name is None:
            raise invalid("model", f"model: field required, as several models are served: {known}")
        raise Refusal(
            404, f"the model {name[:80]!r} does not exist; available: {known}", param="model", code="model_not_found"
        )
