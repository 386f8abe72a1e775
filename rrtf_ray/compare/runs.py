"""Reads an evaluation of a run: `evaluations/<label>` with its groups."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from rrtf_ray.compare.records import Drawn, JudgedSample, Measured, Suite
from rrtf_ray.core.evaluation import draw_names
from rrtf_ray.errors import DataError, InputError
from rrtf_ray.identity import fingerprint
from rrtf_ray.records import Group, Source
from rrtf_ray.schemas import to_row
from rrtf_ray.store.files import exists, join
from rrtf_ray.store.rows import RowStore

EVALUATION = "evaluation.json"
_OF_THE_MODEL = ("model", "model_files", "replayed", "seed", "round")
"""Settings of an evaluation that say which model was measured, not how. Seeds differ between seeds of one arm."""
_OF_THE_PROBLEM = ("id", "kind", "prompt", "entry_point", "tests", "setup", "language", "suffix")


def read_evaluation(directory: str) -> Measured:
    """An evaluation that is complete. Raises InputError where it is not, DataError where its groups cannot be read."""
    store: RowStore[Group] = RowStore(join(directory, "groups"), Group, "problem.id")
    if not (exists(join(directory, EVALUATION)) and store.is_complete()):
        raise InputError(
            f"{directory} is not complete (no {EVALUATION}, or groups that are still being written); wait for the run, "
            "or continue it with the command that started it"
        )
    settings = store.settings()
    try:
        groups = sorted(store.read(), key=lambda group: group.problem.id)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{store.uri} cannot be read ({error}); evaluate again into another run_dir") from error
    if not groups:
        raise DataError(f"{store.uri} holds no groups; evaluate a run that has held-out problems")
    protocol = {name: value for name, value in settings.items() if name not in _OF_THE_MODEL}
    protocol["sample"] = {k: v for k, v in protocol["sample"].items() if not k.startswith("replay_")}
    prompts = {group.problem.id: group.problem.prompt for group in groups}
    dates = {group.problem.id: group.problem.date for group in groups if group.problem.date}
    suite = Suite("", protocol, fingerprint(protocol), _data(groups), prompts, dates=dates)
    return Measured(directory, str(settings["model"]), tuple(_draws(groups, protocol["sample"]["draws"], suite)))


def _draws(groups: Sequence[Group], draws: Sequence[dict[str, Any]], suite: Suite) -> list[Drawn]:
    """A group's students are in the order of the draws."""
    found: list[Drawn] = []
    start = 0
    names = draw_names((draw["temperature"], draw["top_p"]) for draw in draws)
    for name, draw in zip(names, draws, strict=True):
        temperature, top_p, end = draw["temperature"], draw["top_p"], start + draw["n"]
        samples = {group.problem.id: _judged(group, start, end) for group in groups}
        found.append(Drawn(name, suite, temperature, top_p, {id_: its for id_, its in samples.items() if its}))
        start = end
    return found


def _judged(group: Group, start: int, end: int) -> tuple[JudgedSample, ...]:
    students = [candidate for candidate in group.candidates if candidate.source is Source.STUDENT]
    return tuple(
        JudgedSample(candidate.verdict.outcome, candidate.verdict.detail, candidate.program)
        for candidate in students[start:end]
        if candidate.verdict
    )


def _data(groups: Sequence[Group]) -> str:
    """Changes with what the model is asked and judged by, not with where the problems lie."""
    digest = hashlib.sha256()
    for group in groups:
        row = to_row(group.problem)
        digest.update(json.dumps([row[name] for name in _OF_THE_PROBLEM], sort_keys=True).encode() + b"\n")
    return digest.hexdigest()
