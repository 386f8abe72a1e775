"""The bodies that clients send: OpenAI's completions and chat, Mistral's FIM, llama.cpp's, Ollama's.

Input: the bytes of a body. Output: a checked, frozen request. Bounds that need neither engine nor settings are here;
`calls` checks the others. Of the fields that are not listed, those that would change the text are refused by name
(`NOT_SERVED`), and the others are ignored.

Limits: no tools, no structured output, no log-probabilities of a middle.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rrtf_ray.serving.refusals import Refusal, invalid

_INT64 = 2**63 - 1
_MOST_PROMPTS = 64
_GREEDY_BELOW = 1e-5
"""As vLLM: a temperature below this is 0."""
MOST_STOPS = 32

StopString = Annotated[str, Field(min_length=1, max_length=256)]
Stop = StopString | Annotated[tuple[StopString, ...], Field(max_length=MOST_STOPS)] | None
TokenName = Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]
TokenId = Annotated[int, Field(ge=0, lt=2**31)]
Tokens = tuple[TokenId, ...]
ResponseFields = Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(max_length=64)]


class Body(BaseModel):
    """Strict about types (a number is not a string), finite numbers only."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, extra="allow")


class StreamOptions(Body):
    include_usage: bool = False
    continuous_usage_stats: bool = False


class Sampling(Body):
    """The sampling fields of every form of request, by OpenAI's and vLLM's names; null is the engine's default."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=_INT64)
    min_p: float | None = Field(None, ge=0, le=1)
    seed: int | None = Field(None, ge=-_INT64 - 1, le=_INT64)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, gt=0, le=2)
    logit_bias: Annotated[dict[TokenName, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=1024)] | None = (
        None
    )
    min_tokens: int | None = Field(None, ge=0)
    stop_token_ids: Annotated[Tokens, Field(max_length=MOST_STOPS)] | None = None
    bad_words: Annotated[tuple[StopString, ...], Field(max_length=MOST_STOPS)] | None = None
    include_stop_str_in_output: bool | None = None
    skip_special_tokens: bool | None = None

    def sampling(self) -> dict[str, Any]:
        """The fields that are set. An empty list or table is none."""
        fields = self.model_dump(include=set(Sampling.model_fields), exclude_none=True)
        return {name: value for name, value in fields.items() if value not in ((), {})}

    @property
    def is_greedy(self) -> bool:
        return self.temperature is not None and self.temperature < _GREEDY_BELOW


class CompletionBody(Sampling):
    """POST /v1/completions. A `prompt` may be text, several texts, token ids, or several lists of them."""

    model: str | None = Field(None, max_length=256)
    prompt: (
        str
        | Annotated[Tokens, Field(min_length=1)]
        | Annotated[tuple[str, ...], Field(min_length=1, max_length=_MOST_PROMPTS)]
        | Annotated[tuple[Annotated[Tokens, Field(min_length=1)], ...], Field(min_length=1, max_length=_MOST_PROMPTS)]
    )
    suffix: str | None = None
    max_tokens: int | None = Field(None, ge=0)
    n: int | None = Field(None, ge=1)
    best_of: int | None = Field(None, ge=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: Stop = None
    echo: bool | None = None
    logprobs: int | None = Field(None, ge=0, le=5)
    ignore_eos: bool | None = None


class TextPart(Body):
    type: Literal["text"]
    text: str


class Message(Body):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[tuple[TextPart, ...], Field(max_length=256)]
    name: str | None = Field(None, max_length=64)


class ChatBody(Sampling):
    """POST /v1/chat/completions, text only."""

    model: str | None = Field(None, max_length=256)
    messages: tuple[Message, ...] = Field(min_length=1, max_length=1024)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    n: int | None = Field(None, ge=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: Stop = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=5)


class FimBody(Sampling):
    """POST /v1/fim/completions (Mistral's form): the code before the cursor is `prompt`, after it `suffix`."""

    model: str | None = Field(None, max_length=256)
    prompt: str
    suffix: str | None = None
    max_tokens: int | None = Field(None, ge=1)
    stream: bool | None = None
    stop: Stop = None
    random_seed: int | None = Field(None, ge=0, le=_INT64)


class ExtraFile(Body):
    filename: str = Field("", max_length=4096)
    text: str


class LlamaSampling(Sampling):
    """What both of llama.cpp's forms have. `n_predict: 0` only warms the prefix cache; -1 is the default.

    n_cmpl: more than one gives a list of answers. t_max_predict_ms: ends a middle that has a line end by then, counted
    from its first token. response_fields: only these, `timings/prompt_n` as a field of that name.
    """

    model: str | None = Field(None, max_length=256)
    n_predict: int | None = Field(None, ge=-1)
    n_cmpl: int | None = Field(None, ge=1)
    t_max_predict_ms: float | None = None
    response_fields: ResponseFields | None = None
    stream: bool | None = None
    stop: Stop = None


class InfillBody(LlamaSampling):
    """POST /infill: the code around the cursor, and other files."""

    input_prefix: str
    input_suffix: str
    input_extra: tuple[ExtraFile, ...] | None = Field(None, max_length=1024)
    prompt: str | None = None


class LlamaBody(LlamaSampling):
    """POST /completion, which Tabby speaks: one text, templated by the client or not."""

    prompt: str


class OllamaOptions(Sampling):
    """What of Ollama's options changes a text here; `num_predict` below 0 is the default."""

    repeat_penalty: float | None = Field(None, gt=0, le=2)
    num_predict: int | None = None
    stop: Stop = None


class OllamaBody(Body):
    """POST /api/generate: the code before the cursor is `prompt`, after it `suffix`. It streams unless told not to."""

    model: str | None = Field(None, max_length=256)
    prompt: str = ""
    suffix: str | None = None
    stream: bool | None = None
    options: OllamaOptions | None = None


AnyLlama = TypeVar("AnyLlama", bound=LlamaSampling)
AnyBody = TypeVar("AnyBody", bound=Body)


NOT_SERVED: dict[str, tuple[Any, ...]] = {
    "structured_outputs": (),
    "guided_json": (),
    "guided_regex": (),
    "guided_choice": (),
    "guided_grammar": (),
    "grammar": (),
    "json_schema": (),
    "response_format": ({"type": "text"},),
    "use_beam_search": (),
    "length_penalty": (1,),
    "allowed_token_ids": (),
    "truncate_prompt_tokens": (),
    "prompt_logprobs": (),
    "prompt_embeds": (),
    "return_token_ids": (),
    "logits_processors": (),
    "typical_p": (1,),
    "top_n_sigma": (-1,),
    "xtc_probability": (),
    "dynatemp_range": (),
    "mirostat": (),
    "dry_multiplier": (),
    "n_probs": (),
    "tools": (),
    "functions": (),
    "format": (),
    "images": (),
}
"""Fields that would change an answer, and the values beside null, false, 0 and empty that leave it as it is."""


def parse(kind: type[AnyBody], raw: bytes) -> AnyBody:
    """A checked request from a JSON body. Raises Refusal (400) naming the parameter, its value and what is allowed."""
    try:
        body = kind.model_validate_json(raw := raw.removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as error:
        raise _explain(error, raw) from None
    parts: list[Body] = [body, *(part for _, part in body if isinstance(part, Body))]
    for field, value in (item for part in parts for item in (part.model_extra or {}).items()):
        if value and value not in NOT_SERVED.get(field, (value,)):
            raise invalid(field, f"{field} is not supported (got {_short(value)}); leave it out")
    return body


_OTHER_KIND = ("string_type", "tuple_type", "int_type")


def _explain(error: ValidationError, raw: bytes) -> Refusal:
    """The first faulty parameter. Of a union's faults one about a value says more than one about its type, and a
    deeper one more than a shallower one."""
    found = error.errors(include_url=False, include_context=False)
    if found[0]["type"] == "json_invalid":
        return invalid(None, f"the body is not JSON: {found[0]['msg'].removeprefix('Invalid JSON: ')}")
    first = found[0]["loc"][0] if found[0]["loc"] else None
    if first is None:
        return invalid(None, "the body must be a JSON object")
    faults = [e for e in found if e["loc"][0] == first]
    shown = max(faults, key=lambda e: (e["type"] not in _OTHER_KIND, len(e["loc"])))
    inside = _inside(json.loads(raw)[first], shown["loc"][1:]) if len(shown["loc"]) > 1 else ""
    value = "" if shown["type"] == "missing" else f" (got {_short(shown['input'])})"
    return invalid(str(first), f"{first}{inside}: {shown['msg'][0].lower()}{shown['msg'][1:]}{value}")


def _inside(value: Any, parts: Sequence[int | str]) -> str:
    """The rest of a place. A union adds its members' names to it; a client knows only keys and indices."""
    found = ""
    for part in parts:
        if isinstance(value, dict) and part in value:
            found += f".{part}"
        elif isinstance(value, list) and isinstance(part, int):
            found += f"[{part}]"
        else:
            continue
        value = value[part]
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
