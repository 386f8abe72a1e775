"""The folder of a filtered copy: what was found so far, line by line, and the problems that are good enough.

audits.jsonl      what was found of each problem, written when it was found; an interrupted audit goes on from it
left_out.jsonl, part-..., _manifest.json   the copy, see rrtf_ray.problems.filtered
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from rrtf_ray.audit.findings import ProblemAudit, from_row
from rrtf_ray.errors import InputError
from rrtf_ray.problems.filtered import write_filtered
from rrtf_ray.records import Problem
from rrtf_ray.store.files import is_local, write_bytes

AUDITS = "audits.jsonl"


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
    format_name: str,
    sha256: str,
) -> int:
    """Write the problems with a score of at least `min_score`, and why the others are left out; return their number.
    source, format_name, sha256: of the problem set that was audited.

    Raises InputError where no problem is good enough.
    """
    found = ((problem, audits[id_]) for id_, problem in problems.items())
    rows = (
        problem if one.score >= min_score else {"id": one.id, "score": one.score, "reasons": one.reasons}
        for problem, one in found
    )
    lineage = {"sha256": sha256, "rule": f"score >= {min_score:g}"}
    remedy = f"none has a score of {min_score:g} or more: give a lower --min-score"
    manifest = write_filtered(
        rows, folder, command="audit", source=source, format_name=format_name, lineage=lineage, remedy=remedy
    )
    return int(manifest["num_problems"])
