"""Read candidates from a file in place of sampling them.

One JSON object a line (gz too), with `task_id` or `prompt` to say which problem it is, and `samples` (a list),
`completion` or `solution`. Published samples often come from prompts without their documentation examples: a
prompt belongs to the problem that defines the same function last and holds all of the prompt's lines.

A row may also say whose responses these are (`source`: student, teacher or human) and what people think of them
(`preference`, from -1 to 1): this is how human feedback enters the ranking.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from rrtf_ray.artifacts import RowStore, read_bytes
from rrtf_ray.core.groups import Draft
from rrtf_ray.errors import DataError
from rrtf_ray.progress import say
from rrtf_ray.records import Problem, Source


def hash_of(path: str) -> str:
    """Changes with the file's content."""
    return hashlib.sha256(read_bytes(path)).hexdigest()[:16]


def load_replay(path: str, problems: RowStore[Problem], limit: int | None) -> dict[str, list[Draft]]:
    """Drafts by problem id, at most `limit` of each source.

    Raises DataError naming the file and line of a malformed row, or where no row belongs to any problem.
    """
    ids: set[str] = set()
    by_name: dict[str, list[tuple[str, set[str]]]] = defaultdict(list)
    for problem in problems.read():
        ids.add(problem.id)
        by_name[_last_name(problem.prompt)].append((problem.id, _lines(problem.prompt)))
    found: dict[str, list[Draft]] = defaultdict(list)
    unknown = 0
    for place, row in _rows(path):
        task_id, prompt = row.get("task_id", ""), row.get("prompt", "")
        fitting = [id_ for id_, lines in by_name.get(_last_name(prompt), []) if _lines(prompt) <= lines]
        problem_id = task_id if task_id in ids else fitting[0] if len(fitting) == 1 else None
        if problem_id is None:
            unknown += 1
            continue
        for draft in _drafts(place, row):
            if limit is None or sum(d.source is draft.source for d in found[problem_id]) < limit:
                found[problem_id].append(draft)
    if not found:
        raise DataError(
            f"{path}: none of its {unknown} rows belongs to a problem of {problems.uri}; is it another set?"
        )
    if unknown:
        say(f"replay: {unknown} rows of {path} belong to none of the problems and are left out")
    return dict(found)


def _rows(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    data = read_bytes(path)
    try:
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as (gzipped) UTF-8 text: {error}; write it again") from None
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
        for key in ("task_id", "prompt"):
            if not isinstance(row.get(key, ""), str):
                raise DataError(f"{place}: {key}={row[key]!r} is not a text; give the problem's {key}")
        yield place, row


def _drafts(place: str, row: dict[str, Any]) -> list[Draft]:
    texts = row.get("samples", [row.get("completion", row.get("solution"))])
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise DataError(f"{place}: needs 'samples' (a list of texts), 'completion' or 'solution' (a text)")
    preference = row.get("preference", 0.0)
    if not isinstance(preference, int | float) or not -1 <= preference <= 1:
        raise DataError(f"{place}: preference={preference!r} is not a number from -1 to 1")
    try:
        source = Source(row.get("source", "student"))
    except ValueError:
        raise DataError(f"{place}: source={row['source']!r} is none of {', '.join(Source)}") from None
    return [Draft(text, "given", source=source, preference=float(preference)) for text in texts]


def _last_name(prompt: str) -> str:
    names = re.findall(r"^(?:async )?def\s+(\w+)", prompt, re.MULTILINE)
    return names[-1] if names else ""


def _lines(prompt: str) -> set[str]:
    return {line.strip() for line in prompt.splitlines() if line.strip()}
