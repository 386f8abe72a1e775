"""What all sections of settings have in common, and a draw of candidates."""

from __future__ import annotations

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
