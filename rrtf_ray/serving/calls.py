"""From a client's request to the engine's: plain completions, chat, and middles.

Input: a checked body and the engine. Output: a request in vLLM's format. Raises Refusal (400) for what the model or
this service cannot do; `bodies` checks the bounds that need neither. Token limits are upper bounds: more than the
service gives, or the context has room for, is lowered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rrtf_ray.fim.prompt import fill_in_the_middle
from rrtf_ray.serving.bodies import (
    ChatBody,
    CompletionBody,
    FimBody,
    InfillBody,
    LlamaBody,
    LlamaSampling,
    OllamaBody,
    OllamaOptions,
    Sampling,
)
from rrtf_ray.serving.models import Engine
from rrtf_ray.serving.prompts import fitting
from rrtf_ray.serving.refusals import invalid
from rrtf_ray.serving.templated import parse_templated

DEFAULT_MAX_TOKENS = 16
"""OpenAI's default for completions."""
DEFAULT_MIDDLE_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one request may ask for. rewrites: whether a client's own template is rewritten."""

    max_tokens: int
    max_choices: int
    rewrites: bool = True


@dataclass(frozen=True, slots=True)
class MiddleWanted:
    """The code around a cursor, whatever form the client used.

    n: choices. is_plain: the prefix is a prompt to continue, without markers. limit_s: seconds from the first token
    after which a middle with a line end is ended.
    """

    prefix: str
    suffix: str
    max_tokens: int
    sampling: dict[str, Any]
    n: int = 1
    greedy: bool = False
    is_plain: bool = False
    limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """The engine's request.

    copies: how often each choice is answered; greedy choices are equal, and engines give one. cut: whether code was
    left out because the context is too short.
    """

    body: dict[str, Any]
    copies: int = 1
    cut: bool = False


def plain(body: CompletionBody, name: str, engine: Engine, bounds: Bounds) -> Call:
    """A completion without a suffix, as the engine takes it."""
    prompts = _tokens(body, engine)
    choices = (body.n or 1) * prompts
    if choices > bounds.max_choices:
        raise invalid("n", f"n: {prompts} prompts x n={body.n or 1} is more than {bounds.max_choices} completions")
    if body.best_of is not None and body.best_of != (body.n or 1):
        raise invalid("best_of", f"best_of={body.best_of} is not supported; leave it out or set it to n")
    if body.max_tokens == 0 and not body.echo:
        raise invalid("max_tokens", "max_tokens=0 gives no text; add echo: true to score the prompt")
    limit = _capped(body.max_tokens, DEFAULT_MAX_TOKENS, bounds)
    fitted = fitting(engine, body.prompt, limit, whole=bool(body.echo))
    copies, n = (body.n or 1, 1) if body.is_greedy else (1, body.n or 1)
    asked = {"model": name, "prompt": fitted.prompt, "max_tokens": fitted.max_tokens, "n": n}
    for field in ("echo", "logprobs", "ignore_eos"):
        if getattr(body, field) is not None:
            asked[field] = getattr(body, field)
    return Call(asked | _common(body), copies, fitted.cut)


def chat(body: ChatBody, name: str, engine: Engine, bounds: Bounds) -> Call:
    """A chat, for models with a chat template."""
    if not engine.chat:
        raise invalid("messages", f"the model {name!r} has no chat template; use /v1/completions")
    if (body.n or 1) > bounds.max_choices:
        raise invalid("n", f"n={body.n} is more than {bounds.max_choices} completions")
    if body.top_logprobs is not None and not body.logprobs:
        raise invalid("top_logprobs", "top_logprobs needs logprobs: true")
    wanted = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    copies, n = (body.n or 1, 1) if body.is_greedy else (1, body.n or 1)
    messages = [m.model_dump(include={"role", "content", "name"}, exclude_none=True) for m in body.messages]
    asked = {
        "model": name,
        "messages": messages,
        "max_tokens": _capped(wanted, min(bounds.max_tokens, engine.context // 2), bounds),
        "n": n,
    }
    for name_ in ("logprobs", "top_logprobs"):
        if getattr(body, name_) is not None:
            asked[name_] = getattr(body, name_)
    return Call(asked | _common(body), copies)


def wanted(body: CompletionBody, bounds: Bounds) -> MiddleWanted | None:
    """The middle that a completion asks for, by `suffix` or by a family's markers; None for plain prompts."""
    if not isinstance(body.prompt, str):
        if body.suffix:
            raise invalid("suffix", "suffix needs a prompt that is one text")
        return None
    if body.suffix is not None:
        prefix, suffix = body.prompt, body.suffix
    elif templated := parse_templated(body.prompt) if bounds.rewrites else None:
        prefix, suffix = templated.prefix, templated.suffix
    else:
        return None
    if body.max_tokens == 0:
        raise invalid("max_tokens", "max_tokens=0 gives no middle; ask for 1 or more")
    for field in ("echo", "logprobs"):
        if getattr(body, field):
            raise invalid(field, f"{field} cannot be combined with a suffix; leave one of them out")
    if (body.n or 1) > bounds.max_choices:
        raise invalid("n", f"n={body.n} is more than {bounds.max_choices} completions")
    limit = _capped(body.max_tokens, DEFAULT_MIDDLE_TOKENS, bounds)
    return MiddleWanted(prefix, suffix, limit, _common(body), body.n or 1, body.is_greedy)


def wanted_by_fim(body: FimBody, bounds: Bounds) -> MiddleWanted:
    """Mistral's form."""
    sampling = _common(body)
    if body.random_seed is not None:
        sampling["seed"] = body.random_seed
    limit = _capped(body.max_tokens, DEFAULT_MIDDLE_TOKENS, bounds)
    return MiddleWanted(body.prompt, body.suffix or "", limit, sampling)


def wanted_by_infill(body: InfillBody, bounds: Bounds) -> MiddleWanted:
    """llama.cpp's form. Other files go before the prefix, so they are the first to be cut."""
    extra = "".join(f"{file.filename}\n{file.text}\n" for file in body.input_extra or ())
    return MiddleWanted(extra + body.input_prefix + (body.prompt or ""), body.input_suffix, **_of_llama(body, bounds))


def wanted_by_llama(body: LlamaBody, bounds: Bounds) -> MiddleWanted:
    """llama.cpp's form of a completion: a middle where the client has templated one."""
    return _around(body.prompt, None, bounds, _of_llama(body, bounds))


def wanted_by_ollama(body: OllamaBody, bounds: Bounds) -> MiddleWanted:
    """Ollama's form. An empty suffix is none, as its clients send it."""
    options = body.options or OllamaOptions()
    asked = None if options.num_predict is None or options.num_predict < 0 else max(1, options.num_predict)
    sampling = _common(options)
    if options.repeat_penalty is not None:
        sampling["repetition_penalty"] = options.repeat_penalty
    limit = _capped(asked, DEFAULT_MIDDLE_TOKENS, bounds)
    return _around(body.prompt, body.suffix or None, bounds, {"max_tokens": limit, "sampling": sampling})


def _around(prompt: str, suffix: str | None, bounds: Bounds, rest: dict[str, Any]) -> MiddleWanted:
    """A middle by its suffix or where the client has templated one, else the prompt's continuation."""
    if suffix is not None:
        return MiddleWanted(prompt, suffix, **rest)
    templated = parse_templated(prompt) if bounds.rewrites else None
    if templated is None:
        return MiddleWanted(prompt, "", is_plain=True, **rest)
    return MiddleWanted(templated.prefix, templated.suffix, **rest)


def _of_llama(body: LlamaSampling, bounds: Bounds) -> dict[str, Any]:
    """What both of llama.cpp's forms ask for."""
    if (body.n_cmpl or 1) > bounds.max_choices:
        raise invalid("n_cmpl", f"n_cmpl={body.n_cmpl} is more than {bounds.max_choices} completions")
    asked = None if body.n_predict in (None, -1) else max(1, body.n_predict or 0)
    limit_ms = body.t_max_predict_ms or 0
    return {
        "max_tokens": _capped(asked, DEFAULT_MIDDLE_TOKENS, bounds),
        "sampling": _common(body),
        "n": body.n_cmpl or 1,
        "greedy": body.is_greedy,
        "limit_s": limit_ms / 1000 if limit_ms > 0 else None,
    }


def middle(wanted: MiddleWanted, name: str, engine: Engine) -> Call:
    """The engine's request for a middle; always streamed, to end one that repeats the suffix early."""
    copies, n = (wanted.n, 1) if wanted.greedy else (1, wanted.n)
    asked = wanted.sampling | {
        "model": name,
        "n": n,
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }
    if engine.markers is None or wanted.is_plain:
        if wanted.suffix:
            raise invalid(
                "suffix",
                f"the model {name!r} has no fill-in-the-middle markers in its tokenizer and cannot take a suffix; "
                "leave it out",
            )
        plain_ = fitting(engine, wanted.prefix, wanted.max_tokens)
        return Call(asked | {"prompt": plain_.prompt, "max_tokens": plain_.max_tokens}, copies, plain_.cut)
    try:
        fitted = fill_in_the_middle(
            engine.tokenizer,
            engine.markers,
            wanted.prefix,
            wanted.suffix,
            context=engine.context,
            max_tokens=wanted.max_tokens,
            bos=engine.bos,
        )
    except ValueError as error:
        raise invalid("prompt", str(error)) from None
    stops = engine.markers.stop_ids | set(asked.get("stop_token_ids", ()))
    return Call(
        asked | {"prompt": fitted.prompt_ids, "max_tokens": fitted.max_tokens, "stop_token_ids": sorted(stops)},
        copies,
        cut=bool(fitted.dropped_prefix_tokens or fitted.dropped_suffix_tokens),
    )


def _tokens(body: CompletionBody, engine: Engine) -> int:
    """The number of prompts. Raises Refusal for token ids that the model does not have."""
    prompt = body.prompt
    if isinstance(prompt, str):
        return 1
    lists = [prompt] if isinstance(prompt[0], int) else [p for p in prompt if not isinstance(p, str)]
    for tokens in lists:
        worst = max(tokens)
        if worst >= engine.vocab_size:
            raise invalid("prompt", f"prompt: token id {worst} is not below the vocabulary size of {engine.vocab_size}")
    return 1 if isinstance(prompt[0], int) else len(prompt)


def _capped(asked: int | None, default: int, bounds: Bounds) -> int:
    return min(default if asked is None else asked, bounds.max_tokens)


def _common(body: Sampling) -> dict[str, Any]:
    """Sampling and stop strings, which all forms share."""
    asked = body.sampling()
    stop = getattr(body, "stop", None)
    if stop:
        asked["stop"] = [stop] if isinstance(stop, str) else list(stop)
    return asked
