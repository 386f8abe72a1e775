"""The programming language of a row, and what a prompt looks like in it."""

from __future__ import annotations

from rrtf_ray.problems.python_source import docstring
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Language


def language_of(row: Row) -> Language:
    """The field `language`; Python where it is missing. Raises DataError for any other language."""
    if row.fields.get("language") is None:
        return Language.PYTHON
    name = row.text("language")
    try:
        return Language(name.lower())
    except ValueError:
        raise row.error(f"the field 'language' is {name!r}; valid are {', '.join(Language)}") from None


def statement(text: str, language: Language) -> str:
    """`text` as the prompt that a program follows: a docstring, or a comment in JavaScript."""
    if language is Language.PYTHON:
        return docstring(text)
    text = text.strip("\n").replace("*/", "* /")
    return f"/*\n{text}\n*/\n"
