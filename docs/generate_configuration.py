"""Write docs/configuration.md from the settings themselves.

    python docs/generate_configuration.py            write the page
    python docs/generate_configuration.py --check    exit with 1 if the committed page differs

The meaning of a key is its docstring in `rrtf_ray/config/` or `rrtf_ray/serving/settings.py`; type, default and
bounds are what pydantic enforces. A test compares the page with what this prints.
"""

from __future__ import annotations

import json
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import annotated_types
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rrtf_ray.config import Config, Section
from rrtf_ray.serving.settings import ServeSettings

PAGE = Path(__file__).with_name("configuration.md")
BASE_DOCUMENTATION = Section.__doc__
_BOUNDS = {
    annotated_types.Ge: ("ge", "≥"),
    annotated_types.Gt: ("gt", ">"),
    annotated_types.Le: ("le", "≤"),
    annotated_types.Lt: ("lt", "<"),
}
_NAMES = {str: "text", bool: "true or false", int: "integer", float: "number", type(None): "null", Any: "any value"}

HEADER = """\
# Configuration

Every setting of a run and of the server: key, type, default, bounds and meaning. This page is generated from
`rrtf_ray/config/` and `rrtf_ray/serving/settings.py` by `python docs/generate_configuration.py`; edit the docstrings
there, not this page.

A value comes from the defaults below, then from the YAML file named by `--config`, then from `section.key=value` on
the command line; the last one wins. An unknown key, a wrong type or a value out of bounds is refused before anything
starts, and the message names the file and line, the value and the remedy. So are combinations that cannot work, such as
`train.offload` without a GPU. A run writes all its settings, defaults included, to `config.yaml` in its run directory.

- [Settings of a run](#settings-of-a-run): `rrtf run`, `sample`, `execute`, `rank`, `train`, `evaluate`, `plan` and
  `quantize`
- [Settings of the server](#settings-of-the-server): `rrtf serve` and `serve/config.yaml`
"""
RUN = "The top level of a configuration file such as `jobs/configs/demo.yaml`."
SERVER = (
    "`rrtf serve` takes these as `engine.key=value` and `gateway.key=value`; `serve/config.yaml` gives them as the "
    "arguments of its applications, without the prefix."
)


def page() -> str:
    """The whole page."""
    parts = [HEADER, "## Settings of a run\n", RUN + "\n", *_sections(Config, "", intro=False)]
    parts += ["## Settings of the server\n", SERVER + "\n", *_sections(ServeSettings, "", intro=False)]
    return "\n".join(parts).rstrip() + "\n"


def _sections(section: type[Section], prefix: str, *, intro: bool = True) -> Iterator[str]:
    """A section's table, then its subsections, each under a heading of its own."""
    if prefix:
        yield f"### {prefix}\n"
    text = section.__doc__
    if intro and text and text != BASE_DOCUMENTATION:
        yield _one_line(text) + "\n"
    plain, nested = [], []
    for name, field in section.model_fields.items():
        inner = _section_in(field.annotation)
        if inner is None or not _is_bare(field.annotation):
            plain.append((name, field))
        if inner is not None:
            nested.append((name, inner))
    if plain:
        yield _table(plain, prefix)
    seen: set[type[Section]] = set()
    for name, inner in nested:
        if inner not in seen:
            seen.add(inner)
            by_name = typing.get_origin(section.model_fields[name].annotation) is dict
            yield from _sections(inner, ".".join(filter(None, (prefix, name, "NAME" if by_name else ""))))


def _table(fields: list[tuple[str, FieldInfo]], prefix: str) -> str:
    rows = ["| key | type | default | bounds | meaning |", "|---|---|---|---|---|"]
    for name, field in fields:
        key = f"{prefix}.{name}" if prefix else name
        kind = _type(field.annotation, key.replace(".", "").lower())
        cells = [f"`{key}`", kind, _default(field), _bounds(field), _one_line(field.description)]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _section_in(annotation: Any) -> type[Section] | None:
    """The section that an annotation holds, alone, in a tuple or beside null."""
    if isinstance(annotation, type) and not typing.get_origin(annotation):
        return annotation if issubclass(annotation, Section) else None
    return next(filter(None, map(_section_in, typing.get_args(annotation))), None)


def _is_bare(annotation: Any) -> bool:
    return isinstance(annotation, type) and not typing.get_origin(annotation)


def _type(annotation: Any, anchor: str) -> str:
    """anchor: of the heading below which a section's own keys are."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(arguments[0], anchor)
    if origin is typing.Literal:
        return ", ".join(f"`{_yaml(value)}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(argument, anchor) for argument in arguments)
    if origin is tuple:
        return f"list of {_type(arguments[0], anchor)}"
    if origin is dict:
        return f"mapping of {_type(arguments[0], anchor)} to {_type(arguments[1], f'{anchor}name')}"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return f"[section](#{anchor})"
    return _NAMES[annotation]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return "required" if value is PydanticUndefined else f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    """The value as a person would write it in a configuration file."""
    if isinstance(value, Section):
        return "{" + ", ".join(f"{name}: {_yaml(v)}" for name, v in value) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_yaml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w./-]+", value) else json.dumps(value)
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    return json.dumps(value)


def _bounds(field: FieldInfo) -> str:
    found = []
    for limit in field.metadata:
        if type(limit) in _BOUNDS:
            attribute, sign = _BOUNDS[type(limit)]
            found.append(f"{sign} {_yaml(getattr(limit, attribute))}")
        elif isinstance(limit, annotated_types.MinLen):
            found.append("not empty" if limit.min_length == 1 else f"at least {limit.min_length} long")
        elif isinstance(limit, annotated_types.MaxLen):
            found.append(f"at most {limit.max_length} characters")
        elif pattern := getattr(limit, "pattern", None):
            found.append(f"`{pattern}`")
    return ", ".join(found)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        print(f"{PAGE.name} is {'current' if current else 'out of date: run python docs/generate_configuration.py'}")
        return 0 if current else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
