"""Samples that people have, and the problems that they belong to.

One JSON object a line (gz too), with `task_id` or `prompt` to say which problem it is for, and one of

    samples      a list of responses
    solution     a whole program
    completion   a response: what follows the prompt, or a whole answer with fences and prose

(the first of these that is there). Read by a replayed student and by `rrtf verify`.
"""

from __future__ import annotations

import difflib
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rrtf_ray.problems.source import Row, rows_in
from rrtf_ray.records import Problem
from rrtf_ray.store.files import read_bytes


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One row of a file of samples.

    row: the JSON object with its place, for messages and for fields that only some readers know.
    task_id: as the file has it; None where only the prompt says which problem it is. prompt: may be empty.
    texts: the samples, in order. whole: they are whole programs, no responses.
    """

    row: Row
    task_id: str | int | None
    prompt: str
    texts: tuple[str, ...]
    whole: bool


def read_samples(path: str) -> Iterator[SampleRow]:
    """The rows of a file or URI, in order. Memory: the file.

    Raises:
        InputError: the file cannot be read.
        DataError: a row is malformed; the text names file and line.
    """
    for row in rows_in(path, io.BytesIO(read_bytes(path))):
        yield _sample_row(row)


def _sample_row(row: Row) -> SampleRow:
    task_id, prompt = row.fields.get("task_id"), row.fields.get("prompt")
    if task_id is None and prompt is None:
        raise row.error("has neither 'task_id' nor 'prompt', so its problem is unknown; add one")
    if not isinstance(task_id, str | int | None) or isinstance(task_id, bool):
        raise row.error(f"task_id={task_id!r} is not a text or a whole number; give the problem's task_id")
    if not isinstance(prompt, str | None):
        raise row.error(f"prompt={prompt!r} is not a text; give the problem's prompt")
    name = next((n for n in ("samples", "solution", "completion") if row.fields.get(n) is not None), "")
    texts: Any = row.fields[name] if name == "samples" else [row.fields.get(name)]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise row.error("needs 'samples' (a list of texts), 'completion' or 'solution' (a text)")
    return SampleRow(row, task_id, prompt or "", tuple(texts), whole=name == "solution")


class ProblemIndex:
    """Finds the problem that a row of samples is for.

    A task id may be written in other letter case (`Mbpp/2` for `mbpp/2`), or as its number alone where only one
    problem has that number. Published samples often come from prompts without their documentation examples: a
    prompt belongs to the problem that defines the same function last and holds all of the prompt's lines.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self._spellings: dict[str, list[str]] = defaultdict(list)
        self._by_name: dict[str, list[tuple[str, set[str]]]] = defaultdict(list)
        self._ids: list[str] = []
        for problem in problems:
            self._ids.append(problem.id)
            for spelling in {problem.id.casefold(), problem.id.rpartition("/")[2].casefold()}:
                self._spellings[spelling].append(problem.id)
            self._by_name[_last_name(problem.prompt)].append((problem.id, _lines(problem.prompt)))
        self._known = frozenset(self._ids)

    def find(self, sample: SampleRow) -> str | None:
        """The problem's id; None if there is no such problem, or if it could be more than one."""
        spelled = str(sample.task_id)
        if spelled in self._known:
            return spelled
        by_id = self._spellings.get(spelled.casefold(), []) if sample.task_id is not None else []
        found = by_id or self._with_prompt(sample.prompt)
        return found[0] if len(found) == 1 else None

    def why_not(self, sample: SampleRow) -> str:
        """Why `find` has no answer, and what to write instead."""
        if sample.task_id is None:
            found = self._with_prompt(sample.prompt)
            fits = f"fits {len(found)} problems ({', '.join(found[:3])} ...)" if found else "fits no problem"
            first = sample.prompt.strip().split("\n", 1)[0][:60]
            return f"the prompt ({first!r} ...) {fits}; give the task_id"
        spelled = str(sample.task_id).casefold()
        if several := self._spellings.get(spelled):
            return f"task_id {sample.task_id!r} could be {', '.join(several[:3])}; give the whole id"
        near = difflib.get_close_matches(spelled, self._spellings, n=1)
        hint = f"did you mean {self._spellings[near[0]][0]!r}?" if near else f"the first one is {self._ids[0]!r}"
        return f"task_id {sample.task_id!r} is none of the {len(self._ids)} problems; {hint}"

    def _with_prompt(self, prompt: str) -> list[str]:
        lines = _lines(prompt)
        if not lines:
            return []
        fitting = [(id_, its) for id_, its in self._by_name.get(_last_name(prompt), []) if lines <= its]
        return [id_ for id_, its in fitting if its == lines] or [id_ for id_, _ in fitting]


def _last_name(prompt: str) -> str:
    names = re.findall(r"^(?:async )?def\s+(\w+)", prompt, re.MULTILINE)
    return names[-1] if names else ""


def _lines(prompt: str) -> set[str]:
    return {line.strip() for line in prompt.splitlines() if line.strip()}
