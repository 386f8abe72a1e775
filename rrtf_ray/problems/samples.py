"""Samples that people have, and the problems that they belong to.

One JSON object a line (or in any container of `rrtf_ray.problems.containers`), with `task_id` or `prompt` to say which
problem it is for, and one of

    samples      a list of responses
    solution     a whole program
    completion   a response: what follows the prompt, or a whole answer with fences and prose

(the first of these that is there). Read as well, by the fields that they have:

    LiveCodeBench          question_id, code_list
    lm-evaluation-harness  doc, resps (the responses as they came), filtered_resps
    batches of OpenAI and Anthropic   custom_id, response.body, result.message
    NeMo-Skills, others    generation, output, response, prediction, messages and their plurals, each a text or a list
    bigcode-evaluation-harness   one list of lists of whole programs, in the order of the problems
    OpenCompass            one object of rows with `prediction`, numbered in the order of the problems
    EvalPlus               a folder for each problem with N.py, and the rows of its `eval_results.json`

A null is an empty sample. Read by a replayed student and by `rrtf verify`.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from rrtf_ray.errors import DataError, InputError
from rrtf_ray.problems.containers import Entry, entries_in
from rrtf_ray.problems.sample_forms import id_of, number_of, prompt_of, texts_of
from rrtf_ray.problems.source import Row, row_of
from rrtf_ray.records import Problem
from rrtf_ray.store.files import resolve


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One row of a file of samples.

    row: the JSON object with its place, for messages and for fields that only some readers know.
    task_id: as the file has it; None where only the prompt or `number` say which problem it is. prompt: may be empty.
    texts: the samples, in order. whole: they are whole programs, no responses.
    number: the place of the problem among the problems, from 0, where the file says only that.
    """

    row: Row
    task_id: str | int | None
    prompt: str
    texts: tuple[str, ...]
    whole: bool
    number: int | None = None


def read_samples(path: str) -> Iterator[SampleRow]:
    """The rows of a file or URI, or of EvalPlus's folder, in order. Memory: one row.

    Raises:
        InputError: the file cannot be read.
        DataError: a row is malformed; the text names file and line.
    """
    if Path(path).is_dir():
        yield from _folder(Path(path))
        return
    with _opened(path) as stream:
        for entry in entries_in(path, stream):
            yield from _sample_rows(entry)


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    filesystem, place = resolve(path)
    try:
        stream = filesystem.open_input_file(place)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path, or run the stage that writes it") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}; check the path and its permissions") from None
    with stream:
        yield cast("IO[bytes]", stream)


def _folder(folder: Path) -> Iterator[SampleRow]:
    """EvalPlus: `HumanEval_0/0.py` and so on, each a whole program."""
    files = [path for path in folder.glob("*/*.py") if path.stem.isdigit()]
    if not files:
        raise DataError(
            f"{folder}: is a folder without files like HumanEval_0/0.py; give such a folder, or a file of samples"
        )
    for path in sorted(files, key=lambda path: (_natural(path.parent.name), int(path.stem))):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read ({error}); correct it or take it away") from error
        yield SampleRow(Row(str(path), {}), path.parent.name, "", (text,), whole=True)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _sample_rows(entry: Entry) -> Iterator[SampleRow]:
    value = entry.value
    if isinstance(value, list) and all(isinstance(text, str | None) for text in value):
        texts = tuple(text or "" for text in value)
        yield SampleRow(Row(entry.place, {}), None, "", texts, whole=True, number=entry.number)
        return
    row = row_of(entry.place, value)
    results = row.fields.get("eval")
    if isinstance(results, dict) and id_of(row) is None:  # EvalPlus's eval_results.json
        for name, rows in results.items():
            for result in rows if isinstance(rows, list) else [rows]:
                yield _sample_row(row_of(f"{entry.place} eval {name!r}", result), name)
        return
    yield _sample_row(row, entry.key)


def _sample_row(row: Row, key: str | None = None) -> SampleRow:
    task_id, prompt, number = id_of(row), prompt_of(row), number_of(row, key)
    if task_id is None and number is None:
        task_id = key
    if task_id is None and number is None and not (prompt or isinstance(row.fields.get("prompt"), str)):
        known = ", ".join(row.fields) or "no fields"
        raise row.error(f"has neither 'task_id' nor 'prompt', so its problem is unknown; it has {known}: add one")
    texts, whole = texts_of(row)
    return SampleRow(row, task_id, prompt, tuple(texts), whole, number)


class ProblemIndex:
    """Finds the problem that a row of samples is for.

    A task id may be written in other letter case (`Mbpp/2` for `mbpp/2`), as a folder's name (`HumanEval_2`), or as its
    number alone where only one problem has that number. Published samples often come from prompts without their
    documentation examples: a prompt belongs to the problem that defines the same function last and holds all of the
    prompt's lines. A row without an id and a prompt is found by its own number.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self._spellings: dict[str, list[str]] = defaultdict(list)
        self._by_name: dict[str, list[tuple[str, set[str]]]] = defaultdict(list)
        self._ids: list[str] = []
        for problem in problems:
            self._ids.append(problem.id)
            id_ = problem.id.casefold()
            for spelling in {id_, id_.rpartition("/")[2], id_.replace("/", "_")}:
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
        if sample.task_id is None and not sample.prompt and sample.number is not None:
            found = self._ids[sample.number : sample.number + 1]
        return found[0] if len(found) == 1 else None

    def why_not(self, sample: SampleRow) -> str:
        """Why `find` has no answer, and what to write instead."""
        if sample.task_id is None and not sample.prompt and sample.number is not None:
            return f"there is no problem number {sample.number} (from 0) among the {len(self._ids)}; give the task_id"
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
