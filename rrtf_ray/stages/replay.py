"""Read candidates from a file in place of sampling them (`rrtf_ray.problems.samples` has the file's form).

A row may also say whose responses these are (`source`: student, teacher or human) and what people think of them
(`preference`, from -1 to 1): this is how human feedback enters the ranking.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict

from rrtf_ray.core.groups import Draft
from rrtf_ray.errors import DataError
from rrtf_ray.problems.samples import ProblemIndex, SampleRow, read_samples
from rrtf_ray.progress import say
from rrtf_ray.records import Problem, Source
from rrtf_ray.store.files import read_bytes
from rrtf_ray.store.rows import RowStore


def hash_of(path: str) -> str:
    """Changes with the file's content."""
    return hashlib.sha256(read_bytes(path)).hexdigest()[:16]


def load_replay(path: str, problems: RowStore[Problem], limit: int | None) -> dict[str, list[Draft]]:
    """Drafts by problem id, at most `limit` of each source.

    Raises DataError naming the file and line of a malformed row, or where no row belongs to any problem.
    """
    index = ProblemIndex(problems.read())
    found: dict[str, list[Draft]] = defaultdict(list)
    unknown = 0
    for sample in read_samples(path):
        problem_id = index.find(sample)
        if problem_id is None:
            unknown += 1
            continue
        for draft in _drafts(sample):
            if limit is None or sum(d.source is draft.source for d in found[problem_id]) < limit:
                found[problem_id].append(draft)
    if not found:
        raise DataError(
            f"{path}: none of its {unknown} rows belongs to a problem of {problems.uri}; is it another set?"
        )
    if unknown:
        say(f"replay: {unknown} rows of {path} belong to none of the problems and are left out")
    return dict(found)


def _drafts(sample: SampleRow) -> list[Draft]:
    fields = sample.row.fields
    preference = fields.get("preference", 0.0)
    if not isinstance(preference, int | float) or not -1 <= preference <= 1:
        raise sample.row.error(f"preference={preference!r} is not a number from -1 to 1")
    try:
        source = Source(fields.get("source", "student"))
    except ValueError:
        raise sample.row.error(f"source={fields['source']!r} is none of {', '.join(Source)}") from None
    return [Draft(text, "given", source=source, preference=float(preference)) for text in sample.texts]
