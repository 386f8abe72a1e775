"""An endpoint's key: from the environment, to the request, and nowhere else."""

from __future__ import annotations

import os

from rrtf_ray.config import TeacherConfig
from rrtf_ray.errors import ConfigError

OPENAI = "https://api.openai.com/v1"
_HIDDEN = "[key]"


class Key:
    """A key that shows itself in no text; empty where the endpoint needs none."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return f"Key({_HIDDEN})"

    __str__ = __repr__

    def reveal(self) -> str:
        """For the client that sends it."""
        return self._value

    def scrubbed(self, text: str) -> str:
        """A text of the server's without the key, which some repeat in their errors."""
        return text.replace(self._value, _HIDDEN) if self._value else text


def variable_of(config: TeacherConfig) -> str | None:
    """The environment variable that has the key; None where none is sent."""
    return config.key_variable or ("OPENAI_API_KEY" if config.base_url is None else None)


def key_of(name: str, config: TeacherConfig) -> Key:
    """The key of an endpoint. Raises ConfigError where its variable is not set, or has what no header can carry."""
    variable = variable_of(config)
    if variable is None:
        return Key("")
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(
            f"teachers.{name}: the environment variable {variable} is not set; set it to the endpoint's key, or name "
            f"another with teachers.{name}.key_variable"
        )
    if not value.isascii() or not value.isprintable():
        raise ConfigError(f"teachers.{name}: the key in {variable} has characters that no HTTP header can carry")
    return Key(value)
