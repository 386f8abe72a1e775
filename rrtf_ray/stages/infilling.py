"""How a model is asked for the code between a prompt and a suffix: as the gateway asks it, by the same functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tokenizers import Tokenizer

from rrtf_ray.errors import InputError
from rrtf_ray.fim.encoding import beginning_of_text
from rrtf_ray.fim.families import Markers, find_markers
from rrtf_ray.fim.prompt import Fitted, fill_in_the_middle
from rrtf_ray.store.models import tokenizer_of


@dataclass(frozen=True, slots=True)
class Infilling:
    """A model's own way to fill in the middle. bos: the token that begins every text, if any."""

    tokenizer: Tokenizer
    markers: Markers
    bos: int | None

    def prompt(self, prefix: str, suffix: str, *, context: int, max_tokens: int) -> Fitted:
        """The prompt's tokens. context, max_tokens: see `fill_in_the_middle`. Raises InputError for a short context."""
        return fill_in_the_middle(
            self.tokenizer, self.markers, prefix, suffix, context=context, max_tokens=max_tokens, bos=self.bos
        )

    @property
    def stop_ids(self) -> list[int]:
        """The tokens that end a middle."""
        return sorted(self.markers.stop_ids)


@cache
def infilling_of(model: str) -> Infilling:
    """Raises InputError where the model's tokenizer has no markers of any family that is known."""
    tokenizer = getattr(tokenizer_of(model), "backend_tokenizer", None)
    markers = find_markers(tokenizer) if tokenizer else None
    if tokenizer is None or markers is None:
        raise InputError(
            f"the model {model!r} has no fill-in-the-middle markers in its tokenizer and cannot fill in infilling "
            "problems (those with a suffix); choose a model that was trained to, such as StarCoder2 or Qwen2.5-Coder, "
            "or leave such problems out"
        )
    return Infilling(tokenizer, markers, beginning_of_text(tokenizer))
