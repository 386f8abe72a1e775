"""A configuration from `defaults < YAML file < section.key=value`.

Unknown keys, wrong types and values out of range are refused with the file, the line, the key, the value and
the remedy.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from rrtf_ray.config import Config, Section, resolved
from rrtf_ray.errors import ConfigError

AnySection = TypeVar("AnySection", bound=Section)


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, but with 1e-5 as a number, which YAML 1.2 has and 1.1 only with a dot."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def load_config(path: str | None, overrides: Sequence[str] = ()) -> Config:
    """The settings of a run: a YAML file with `section.key=value` overrides.

    Raises ConfigError naming the file and line (or the override), the key, the value and the remedy.
    """
    return load(Config, path, overrides)


def load(kind: type[AnySection], path: str | None, overrides: Sequence[str]) -> AnySection:
    """As `load_config`, for any kind of settings."""
    text = _read(path) if path else ""
    try:
        raw = yaml.load(text, Loader=_Loader) or {}
        lines = _key_lines(yaml.compose(text, Loader=_Loader)) if raw else {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}; fix the file") from None
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{path} holds a {type(raw).__name__}, not a mapping with the keys {', '.join(kind.model_fields)}"
        )
    places = {key: f"{path}:{line}" for key, line in lines.items()}
    for override in overrides:
        _apply(raw, override, places)
    return validate(kind, raw, places)


def validate(kind: type[AnySection], raw: Mapping[str, Any], places: Mapping[tuple, str] | None = None) -> AnySection:
    """Turn a plain mapping into settings: strictly, so "3" is no number and 3 is no text.

    Raises ConfigError with every fault, one per line.
    """
    try:
        # As JSON, whose lists pydantic takes for tuples although it is strict.
        return kind.model_validate_json(json.dumps(raw, default=_unfit))
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(kind, e, places or {}) for e in error.errors())) from None


def overridden(config: Config, settings: Mapping[str, Any], place: str) -> Config:
    """The configuration with other values of some settings, given as `section.key: value`.

    place: where they are from. Raises ConfigError as `load_config` does.
    """
    raw = resolved(config)
    places: dict[tuple, str] = {}
    for key, value in settings.items():
        _apply(raw, f"{key}={json.dumps(value)}", places)
    return validate(Config, raw, dict.fromkeys(places, place))


def _unfit(value: Any) -> str:
    """A date, say: as a text, which the setting accepts or refuses by its type."""
    return str(value)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"configuration file {path!r} does not exist; check the path (jobs/configs has examples of runs)"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path!r} cannot be read: {error}") from None


def _key_lines(node: yaml.Node | None, prefix: tuple = ()) -> dict[tuple, int]:
    """The line of each key in the file, for messages."""
    found: dict[tuple, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*prefix, key.value)
            found[here] = key.start_mark.line + 1
            found |= _key_lines(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = (*prefix, index)
            found[here] = value.start_mark.line + 1
            found |= _key_lines(value, here)
    return found


def _apply(raw: dict, override: str, places: dict[tuple, str]) -> None:
    key, separator, text = override.partition("=")
    path = tuple(key.strip().split("."))
    if not separator or not all(path):
        raise ConfigError(f"{override!r} is not of the form section.key=value, e.g. train.epochs=2")
    try:
        value = yaml.load(text, Loader=_Loader) if text else None
    except yaml.YAMLError:
        value = text
    target = raw
    for part in path[:-1]:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise ConfigError(f"{override!r}: {part!r} is a value, not a section")
    target[path[-1]] = value
    places[path] = f"override {override!r}"


def _explain(kind: type[Section], error: Any, places: Mapping[tuple, str]) -> str:
    location = tuple(error["loc"])
    place = next((places[location[:n]] for n in range(len(location), 0, -1) if location[:n] in places), None)
    key = ".".join(str(part) for part in location) or "configuration"
    where = f"{place}: " if place else ""
    if error["type"] == "extra_forbidden":
        valid = _valid_keys(kind, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), valid, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(valid)}"
        return f"{where}unknown key {key!r}; {hint}"
    value = "" if isinstance(error["input"], dict | BaseModel) else f"={error['input']!r}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{where}{key}{value}: {message[0].lower()}{message[1:]}"


def _valid_keys(kind: type[Section], location: tuple) -> list[str]:
    """The keys of the section at `location`, found by following the annotations."""
    model: Any = kind
    for part in location:
        inside = [a for a in get_args(model) if isinstance(a, type)]
        if isinstance(part, int) or get_origin(model) is dict:  # an item of a list, or of a mapping by name
            model = inside[-1]
        else:
            model = model.model_fields[part].annotation
    return list(model.model_fields)
