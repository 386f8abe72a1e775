"""What a row of samples says in the forms in which people have them: which problem it is for, and the samples.

Pure: from a row's fields to an id, a prompt and texts. `rrtf_ray.problems.samples` lists the forms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rrtf_ray.problems.source import Row

WHOLE = ("solution", "code_list")
"""Fields with whole programs."""
RESPONSES = (
    *("completion", "completions", "generation", "generations", "response", "responses", "output", "outputs"),
    *("prediction", "predictions", "generated_text", "messages", "resps", "filtered_resps", "result"),
)
"""Fields with responses: what follows the prompt, or a whole answer."""
IDS = ("task_id", "question_id", "problem_id", "custom_id")
WEAK_IDS = ("name", "id")
"""Often of the row, not of its problem: asked only where there is no prompt."""

_ID = re.compile(r"[\w.-]+/\d+")


def id_of(row: Row) -> str | int | None:
    """The problem's id as the row has it; None where only its prompt or its place say which problem it is."""
    names = IDS if prompt_of(row) else IDS + WEAK_IDS
    for fields in (row.fields, _doc(row)):
        for name in names:
            value = fields.get(name)
            if value is None:
                continue
            if not isinstance(value, str | int) or isinstance(value, bool):
                raise row.error(f"{name}={value!r} is not a text or a whole number; give the problem's task_id")
            return value
    gold = row.fields.get("gold")  # OpenCompass
    return gold if "prediction" in row.fields and isinstance(gold, str) and _ID.fullmatch(gold) else None


def prompt_of(row: Row) -> str:
    """The problem's prompt; empty where there is none, or none that is a text."""
    prompt = row.fields.get("prompt")
    if prompt is None:
        prompt = _doc(row).get("prompt")
    if isinstance(prompt, str):
        return prompt
    if prompt is None or isinstance(prompt, list):  # a chat
        return ""
    raise row.error(f"prompt={prompt!r} is not a text; give the problem's prompt")


def number_of(row: Row, key: str | None) -> int | None:
    """The problem's place in its file, from 0, where the row is numbered: `doc_id`, or its key in an object of rows."""
    number = row.fields.get("doc_id")
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    return int(key) if key is not None and key.isascii() and key.isdigit() else None


def texts_of(row: Row) -> tuple[list[str], bool]:
    """The samples, and whether they are whole programs. A null stands for a request that failed: an empty sample."""
    names = [name for name in ("samples", *WHOLE, *RESPONSES) if name in row.fields]
    name = next((name for name in names if row.fields[name] is not None), None)
    if name is None:
        if names:
            return [""], False
        raise row.error(_needs(row, ""))
    texts = _texts(row.fields[name])
    if texts is None or (name == "samples" and not isinstance(row.fields[name], list)):
        raise row.error(_needs(row, f"; {name!r} is {str(row.fields[name])[:60]!r}"))
    return texts, name in WHOLE


def _needs(row: Row, found: str) -> str:
    known = ", ".join(map(repr, RESPONSES[1:]))
    return (
        "needs 'samples' (a list of texts), 'completion' or 'solution' (a text or a list of them), 'code_list', or one "
        f"of {known}; the row has {', '.join(row.fields) or 'no fields'}{found}: rename the field with the samples"
    )


def _doc(row: Row) -> Mapping[str, Any]:
    """The problem that the row has with it (lm-eval)."""
    doc = row.fields.get("doc")
    return doc if isinstance(doc, dict) else {}


def _texts(value: Any, depth: int = 0) -> list[str] | None:
    """The samples in a value: a text, a chat, an API's answer, or a list of them; None where it is none of these."""
    if value is None or isinstance(value, str):
        return [value or ""]
    if isinstance(value, dict):
        return _texts_of_answer(value, depth)
    if not isinstance(value, list) or depth > 3:
        return None
    if value and all(isinstance(one, dict) and "role" in one for one in value):
        said = [one.get("content") for one in value if one["role"] in ("assistant", "model")]
        return [_content(said[-1])] if said else None
    found: list[str] = []
    for one in value:
        texts = _texts(one, depth + 1)
        if texts is None:
            return None
        found += texts
    return found


def _texts_of_answer(value: dict[str, Any], depth: int) -> list[str] | None:
    if depth > 3:
        return None
    if isinstance(value.get("body"), dict):
        value = value["body"]
    if isinstance(value.get("choices"), list):
        return _texts(value["choices"], depth + 1)
    if isinstance(value.get("output"), list):  # OpenAI's responses, with the reasoning as an item of its own
        said = [one for one in value["output"] if isinstance(one, dict) and one.get("type") == "message"]
        return ["".join(_content(one.get("content")) for one in said)]
    if isinstance(value.get("message"), dict):
        return [_content(value["message"].get("content"))]
    for name in ("content", "text", "generated_text"):
        if isinstance(value.get(name), str | list):
            return [_content(value[name])]
    return [""] if value.get("error") else None


def _content(content: Any) -> str:
    """The text of a message, whose content may be in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
