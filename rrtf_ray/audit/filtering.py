"""The folder of a filtered copy: what was found so far, line by line, and the problems that are good enough.

audits.jsonl      what was found of each problem, written when it was found; an interrupted audit goes on from it
left_out.jsonl    id, score and reasons of the problems that are not in the copy
part-..., _manifest.json   the copy, as `problems import` writes one
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from rrtf_ray.audit.findings import ProblemAudit, from_row
from rrtf_ray.errors import InputError
from rrtf_ray.problems import read_manifest, write_problems
from rrtf_ray.records import Problem
from rrtf_ray.store.files import MANIFEST, exists, is_local, join, write_bytes

AUDITS, LEFT_OUT = "audits.jsonl", "left_out.jsonl"


class Kept:
    """The audits of `folder` that are still valid, and those that are added. folder: local, or None to keep nothing.
    keys: of the problems that are asked for; a kept audit with another key is of another text, and forgotten."""

    def __init__(self, folder: str | None, keys: Mapping[str, str]) -> None:
        self.audits: dict[str, ProblemAudit] = {}
        self._keys = keys
        self._stream: IO[str] | None = None
        if folder is None:
            return
        if not is_local(folder):
            raise InputError(f"--output {folder} is not on this machine; name a local folder, and copy it then")
        path = Path(folder.removeprefix("file://"))
        try:
            path.mkdir(parents=True, exist_ok=True)
            lines = (path / AUDITS).read_text(encoding="utf-8").splitlines() if (path / AUDITS).exists() else []
            rows = [row for line in lines if (row := self._valid(line))]
            write_bytes(str(path / AUDITS), "".join(f"{json.dumps(row)}\n" for row in rows).encode())
            self._stream = (path / AUDITS).open("a", encoding="utf-8")
        except OSError as error:
            raise InputError(f"--output {folder} cannot be written ({error}); name a folder of this machine") from error

    def _valid(self, line: str) -> dict[str, Any] | None:
        try:  # the last line of a killed audit may be half a line
            row = json.loads(line)
            if self._keys.get(row["id"]) != row["key"]:
                return None
            self.audits[row["id"]] = from_row(row)
        except (ValueError, KeyError, TypeError):
            return None
        return dict(row)

    def add(self, found: ProblemAudit) -> None:
        self.audits[found.id] = found
        if self._stream:
            self._stream.write(json.dumps(found.row() | {"key": self._keys[found.id]}) + "\n")
            self._stream.flush()

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._stream:
            self._stream.close()


def write_copy(
    problems: Mapping[str, Problem],
    audits: Mapping[str, ProblemAudit],
    folder: str,
    min_score: float,
    source: str,
    about: Mapping[str, Any],
) -> int:
    """Write the problems with a score of at least `min_score`, and why the others are left out; return their number.
    A copy of the same problems by the same rule is left as it is. about: goes into the manifest.

    Raises InputError where no problem is good enough.
    """
    good = [problem for id_, problem in problems.items() if audits[id_].score >= min_score]
    if not good:
        raise InputError(f"no problem has a score of {min_score:g} or more; give a lower --min-score")
    out = [audits[id_] for id_ in problems if audits[id_].score < min_score]
    rows = ({"id": one.id, "score": one.score, "reasons": one.reasons} for one in out)
    write_bytes(join(folder, LEFT_OUT), "".join(f"{json.dumps(row)}\n" for row in rows).encode())
    about = {**about, "left_out": len(out), "ids_sha": _digest(good)}
    if exists(join(folder, MANIFEST)) and about.items() <= read_manifest(folder).items():
        return len(good)
    write_problems(good, folder, format_name="audit", source=source, about=about)
    return len(good)


def _digest(problems: list[Problem]) -> str:
    return hashlib.sha256("\0".join(problem.id for problem in problems).encode()).hexdigest()[:16]
