"""Protocols: everything besides model and problems that can change a figure, as a frozen record with a hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from rrtf_ray.config import Draw, Section
from rrtf_ray.config_file import load
from rrtf_ray.core.evaluation import draw_name
from rrtf_ray.errors import ConfigError


class BenchmarkDraw(Draw):
    """A draw, and which pass@k is read from it."""

    k: tuple[int, ...] = (1,)
    """pass@k for each of these; at most `n`."""

    @model_validator(mode="after")
    def _enough(self) -> BenchmarkDraw:
        if not self.k:
            raise ValueError("k is empty: nothing would be read from this draw; give at least one, e.g. [1]")
        if min(self.k) < 1:
            raise ValueError(f"k={min(self.k)} is not a number of candidates; use 1 or more")
        if max(self.k) > self.n:
            raise ValueError(f"n={self.n} is less than k={max(self.k)}: pass@{max(self.k)} needs as many candidates")
        return self

    @property
    def name(self) -> str:
        """`greedy`, or the temperature: `T=0.2`."""
        return draw_name(self.temperature)


class Protocol(Section):
    """How a model is measured. The hash covers every field but `name`."""

    name: str = Field(pattern=r"^[\w.+-]+$")
    """What people call it."""
    prompt: Literal["completion", "docstring-first", "chat"] = "completion"
    """`completion`: the model continues the prompt as it is. `docstring-first`: the text of a function's docstring goes
    before its signature, in triple quotes. `chat`: through the model's own chat template. Infilling problems go through
    the model's markers in each of them."""
    draws: tuple[BenchmarkDraw, ...] = (BenchmarkDraw(n=1, temperature=0.0, top_p=1.0),)
    """How to sample, and what is read from each draw; temperatures differ."""
    max_tokens: int = Field(512, ge=1)
    """Most tokens of one response."""
    stop: tuple[str, ...] = ()
    """Texts that end a response. Without any, what follows the answer is left out when the program is looked for."""
    system: str = ""
    """In a chat: the system message; empty for none."""
    instruction: str = ""
    """In a chat: the user's message with `{prompt}` in it; empty for the suite's."""
    thinking: bool = False
    """In a chat: handed to the chat template as `enable_thinking`."""
    cpu_s: float = Field(3.0, gt=0)
    """Processor time of a program, in seconds."""
    wall_s: float = Field(12.0, gt=0)
    """Time of a program by the clock, in seconds; only a backstop."""
    memory_mb: int = Field(1024, ge=64)
    """Address space of a program, in MiB."""
    preload: tuple[str, ...] = ()
    """Modules besides the standard library that programs and tests may import."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the candidates."""

    @model_validator(mode="after")
    def _distinct(self) -> Protocol:
        names = [draw.name for draw in self.draws]
        if not names:
            raise ValueError("draws is empty; give at least one, e.g. [{n: 1, temperature: 0}]")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two draws are {twice}; give each another temperature, or make them one")
        if self.instruction and "{prompt}" not in self.instruction:
            raise ValueError(f"instruction={self.instruction!r} does not contain {{prompt}}; add it")
        if self.wall_s < self.cpu_s:
            raise ValueError(f"wall_s={self.wall_s} is below cpu_s={self.cpu_s}; raise it")
        return self

    @property
    def hash(self) -> str:
        """sha256 of the canonical JSON of all fields but the name."""
        fields = self.model_dump(mode="json", exclude={"name"})
        return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


SHIPPED = {
    protocol.name: protocol
    for protocol in (
        Protocol(name="greedy"),
        # PanGu-Coder2 (arXiv 2307.14936): 200 samples at one temperature for pass@1, at another for pass@10 and 100.
        Protocol(
            name="paper",
            prompt="docstring-first",
            draws=(
                BenchmarkDraw(n=200, temperature=0.2, top_p=0.95, k=(1,)),
                BenchmarkDraw(n=200, temperature=1.2, top_p=0.95, k=(10, 100)),
            ),
        ),
        Protocol(name="chat", prompt="chat", max_tokens=1024),
    )
}
ABOUT = {
    "greedy": "one response at temperature 0 continues the prompt; pass@1",
    "paper": "PanGu-Coder2's: 200 at T=0.2 for pass@1, 200 at T=1.2 for pass@10 and 100, top-p 0.95, docstring first",
    "chat": "one response at temperature 0 through the model's chat template; pass@1",
}


def protocol_of(name: str) -> Protocol:
    """A shipped protocol by name, or the one in a YAML file.

    Raises ConfigError for a name that is neither, and for a file with a wrong key or value, with file, line and key.
    """
    if name in SHIPPED:
        return SHIPPED[name]
    if not name.endswith((".yaml", ".yml")) and not Path(name).is_file():
        raise ConfigError(f"unknown protocol {name!r}; there are {', '.join(SHIPPED)}, or give a FILE.yaml of your own")
    protocol = load(Protocol, name, ())
    shipped = SHIPPED.get(protocol.name)
    if shipped and shipped.hash != protocol.hash:
        raise ConfigError(f"{name}: name={protocol.name!r} is a shipped protocol that differs; give it another name")
    return protocol
