"""The forms in which people have comparisons of two programs, told by the fields of a row.

Pure: from a row to a Comparison, or to None where the two answers are to different prompts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rrtf_ray.errors import DataError
from rrtf_ray.identity import program_digest
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Choice, Vote
from rrtf_ray.schemas import from_row

EXTRA = ("prompt", "left_code", "right_code")
"""What a row of ours has besides the fields of its vote."""
_IDS = ("problem_id", "task_id")
_TIMES = ("tstamp", "timestamp", "at")
_WINNERS = {
    "model_a": Choice.LEFT,
    "model_b": Choice.RIGHT,
    "tie": Choice.BOTH_GOOD,
    "tie (bothbad)": Choice.BOTH_BAD,
    "both_bad": Choice.BOTH_BAD,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a row says. problem_id, annotator: empty where it does not say. at: 0 where it does not say.

    vote: of our own form, which has one already.
    """

    prompt: str
    left: str
    right: str
    choice: Choice
    problem_id: str = ""
    annotator: str = ""
    at: float = 0.0
    vote: Vote | None = None


def form_of(row: Row) -> Callable[[Row], Comparison | None]:
    """The reader of the form that a row has; raises DataError where it has none."""
    for fields, read, _ in _FORMS:
        if set(fields) <= row.fields.keys():
            return read
    known = "; ".join(f"{meaning} ({', '.join(fields)})" for fields, _, meaning in _FORMS)
    raise row.error(
        f"has {', '.join(row.fields) or 'no fields'}, which is none of the forms that are known: {known}; "
        "rename the fields to those of one of them"
    )


def _own(row: Row) -> Comparison:
    fields = {name: row.fields.get(name) for name in Vote.__dataclass_fields__}
    try:
        vote = from_row(Vote, fields)
    except DataError as error:
        raise row.error(str(error)) from None
    if not (math.isfinite(vote.at) and math.isfinite(vote.seconds)):
        raise row.error(f"at={vote.at}, seconds={vote.seconds}: both have to be finite numbers; correct them")
    prompt, left, right = (_text(row, name) for name in EXTRA)
    for side, digest, code in (("left", vote.left, left), ("right", vote.right, right)):
        if program_digest(code) != digest:
            raise row.error(
                f"{side}_code is not the program that {side}={digest!r} stands for: the code was changed; export the "
                "votes again"
            )
    return Comparison(prompt, left, right, vote.choice, vote.problem_id, vote.annotator, vote.at, vote)


def _chosen(row: Row) -> Comparison:
    """A better and a worse answer, as texts or as chats, which may hold the prompt as well."""
    prompt = _asked(row, "prompt") if row.fields.get("prompt") else _before_answer(row, "chosen")
    return _comparison(row, prompt, _answer(row, "chosen"), _answer(row, "rejected"), Choice.LEFT)


def _battle_of_chats(row: Row) -> Comparison | None:
    prompt = _before_answer(row, "conversation_a")
    if prompt != _before_answer(row, "conversation_b"):
        return None  # from the second turn on, what was said before differs
    return _comparison(row, prompt, _answer(row, "conversation_a"), _answer(row, "conversation_b"), _winner(row))


def _battle(row: Row) -> Comparison:
    return _comparison(row, _asked(row, "prompt"), _answer(row, "response_a"), _answer(row, "response_b"), _winner(row))


_FORMS: tuple[tuple[tuple[str, ...], Callable[[Row], Comparison | None], str], ...] = (
    (("id", "left", "right", "choice", *EXTRA[1:]), _own, "our own export"),
    (("chosen", "rejected"), _chosen, "pairs"),
    (("winner", "conversation_a", "conversation_b"), _battle_of_chats, "arena battles"),
    (("winner", "prompt", "response_a", "response_b"), _battle, "arena battles"),
)


def _comparison(row: Row, prompt: str, left: str, right: str, choice: Choice) -> Comparison:
    problem_id = next((row.id(name) for name in _IDS if row.fields.get(name) is not None), "")
    return Comparison(prompt, left, right, choice, problem_id, _annotator(row), _moment(row))


def _annotator(row: Row) -> str:
    name = next((name for name in ("annotator", "judge") if row.fields.get(name)), None)
    return row.id(name) if name else ""


def _moment(row: Row) -> float:
    """When it was, in seconds since 1970; 0 where the row does not say."""
    value = next((row.fields[name] for name in _TIMES if row.fields.get(name) is not None), 0.0)
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _winner(row: Row) -> Choice:
    value = row.text("winner")
    if value not in _WINNERS:
        raise row.error(f"winner={value!r} is none of {', '.join(_WINNERS)}; correct it or leave the row out")
    return _WINNERS[value]


def _text(row: Row, name: str) -> str:
    """The field as it is: line ends are part of a program."""
    row.text(name)
    return str(row.fields[name])


def _answer(row: Row, name: str) -> str:
    """A text, or the last message of a chat."""
    return _messages(row, name)[-1]


def _asked(row: Row, name: str) -> str:
    """A text, or all messages of a chat."""
    return "\n\n".join(_messages(row, name))


def _before_answer(row: Row, name: str) -> str:
    """The messages of a chat before its last; raises DataError where there are none."""
    if asked := _messages(row, name)[:-1]:
        return "\n\n".join(asked)
    raise row.error(
        f"has no prompt: give the field 'prompt', or as {name!r} a chat that begins with the user's message"
    )


def _messages(row: Row, name: str) -> list[str]:
    """The texts of a chat's messages, or the field's text alone; raises DataError where it is neither."""
    if not isinstance(row.fields.get(name), list):
        return [_text(row, name)]
    chat = row.items(name)
    texts = [text for one in chat if isinstance(one, Mapping) and (text := _content(one.get("content"))) is not None]
    if not chat or len(texts) != len(chat):
        raise row.error(f"the field {name!r} is no chat: it needs messages, each with a text as its 'content'")
    return texts


def _content(content: Any) -> str | None:
    """A message's text, whose content may be in parts."""
    if isinstance(content, list) and all(isinstance(part, Mapping) for part in content):
        return "".join(str(part.get("text") or "") for part in content)
    return content if isinstance(content, str) else None
