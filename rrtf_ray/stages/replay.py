"""Read candidates from a file in place of sampling them.

One JSON object a line (gz too), with `task_id` or `prompt` to say which problem it is, and `samples` (a list),
`completion` or `solution`. Where prompts are the key, documentation examples in them do not matter, because
published samples often come from prompts without them.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from rrtf_ray.artifacts import RowStore, read_bytes
from rrtf_ray.errors import DataError
from rrtf_ray.progress import say
from rrtf_ray.records import Problem


def load_replay(path: str, problems: RowStore[Problem], limit: int | None) -> dict[str, list[str]]:
    """Responses by problem id, at most `limit` each.

    Raises DataError naming the file and line of a malformed row, or where no row belongs to any problem.
    """
    by_key: dict[str, str] = {}
    for problem in problems.read():
        by_key[problem.id] = problem.id
        by_key[_bare(problem.prompt)] = problem.id
    found: dict[str, list[str]] = defaultdict(list)
    unknown = 0
    for place, row in _rows(path):
        problem_id = by_key.get(row.get("task_id", "")) or by_key.get(_bare(row.get("prompt", "")))
        if problem_id is None:
            unknown += 1
            continue
        found[problem_id] += _responses(place, row)
    if not found:
        raise DataError(
            f"{path}: none of its {unknown} rows belongs to a problem of {problems.uri}; is it another set?"
        )
    if unknown:
        say(f"replay: {unknown} rows of {path} belong to none of the problems and are left out")
    return {problem_id: texts[:limit] for problem_id, texts in found.items()}


def _rows(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    data = read_bytes(path)
    text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{place}: not valid JSON ({error}); give one object a line") from None
        if not isinstance(row, dict) or not {"task_id", "prompt"} & row.keys():
            raise DataError(f"{place}: has neither 'task_id' nor 'prompt', so that its problem is unknown; add one")
        yield place, row


def _responses(place: str, row: dict[str, Any]) -> list[str]:
    texts = row.get("samples", [row.get("completion", row.get("solution"))])
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise DataError(f"{place}: needs 'samples' (a list of texts), 'completion' or 'solution' (a text)")
    return texts


def _bare(prompt: str) -> str:
    """A prompt without documentation examples, blank lines and indentation."""
    lines = [line.strip() for line in prompt.splitlines()]
    kept: list[str] = []
    in_example = False
    for line in lines:
        if line.startswith(">>>"):
            in_example = True
        elif in_example and (not line or line.startswith(('"""', "'''"))):
            in_example = False
        if not in_example and line:
            kept.append(re.sub(r"\s+", " ", line))
    return "\n".join(kept)
