"""Sets for reinforcement learning: Eurus-2 and PRIME (`reward_model.ground_truth`), and DeepCoder of rllm (`tests`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rrtf_ray.problems.formats.apps import solutions_of
from rrtf_ray.problems.formats.judged import is_wrapped, judged_problem, listed, paired
from rrtf_ray.problems.formats.usable import unusable, usable
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem

PRIME_FIELDS = ("data_source", "prompt", "reward_model")
DEEPCODER_FIELDS = ("problem", "tests")


def prime(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row about code; the same sets have rows about mathematics, which are left out."""
    return usable("prime", rows, _prime)


def deepcoder(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row, numbered from 0."""
    return usable("deepcoder", rows, _deepcoder)


def _prime(row: Row, number: int) -> Problem:
    if row.text("ability", "code") != "code":
        raise unusable(row, f"its ability is {row.fields['ability']!r}, not 'code'; remove the row")
    model = row.json("reward_model")
    truth: Any = model.get("ground_truth") if isinstance(model, dict) else None
    try:
        truth = json.loads(truth) if isinstance(truth, str) else truth
    except (ValueError, RecursionError) as error:
        raise unusable(row, f"reward_model.ground_truth is no JSON with tests ({error}); remove the row") from error
    cases, function = _cases(row, truth)
    return judged_problem(
        row,
        id=f"{row.text('data_source')}/{_index(row, number)}",
        statement=_asked(row),
        cases=cases,
        function=function,
        wrapped=is_wrapped(function, cases),
    )


def _index(row: Row, number: int) -> Any:
    extra = row.json("extra_info")
    index = extra.get("index") if isinstance(extra, dict) else None
    return number if index is None else index


def _asked(row: Row) -> str:
    """The last thing that the user says in `prompt`."""
    prompt = row.fields["prompt"]
    if isinstance(prompt, str):
        return prompt
    messages = [one for one in prompt if isinstance(one, dict)] if isinstance(prompt, list) else []
    said = [one.get("content") for one in messages if one.get("role") == "user"]
    if not said or not isinstance(said[-1], str):
        raise row.error("the field 'prompt' has no message of the role 'user' with a text; correct it")
    return said[-1]


def _deepcoder(row: Row, number: int) -> Problem:
    metadata = row.json("metadata")
    name = metadata.get("func_name") if isinstance(metadata, dict) else None
    cases, function = _cases(row, row.json("tests"), name if isinstance(name, str) else "")
    return judged_problem(
        row,
        id=f"deepcoder/{number}",
        statement=row.text("problem"),
        cases=cases,
        function=function,
        starter=row.text("starter_code", ""),
        solutions=solutions_of(row, "solutions"),
        wrapped=is_wrapped(function, cases),
    )


def _cases(row: Row, tests: Any, function: str = "") -> tuple[list[tuple[Any, Any]], str]:
    return listed(row, tests, function) if isinstance(tests, list) else paired(row, tests)
