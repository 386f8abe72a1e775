"""A data set made of a part of another one, or of a run's problems.

part-..., _manifest.json   as `write_problems` writes them; the manifest's `lineage` says what it was made from, and how
left_out.jsonl             a line for each problem that is not in it: its id, and why
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rrtf_ray.errors import InputError
from rrtf_ray.problems.dataset import read_manifest, write_problems
from rrtf_ray.records import Problem
from rrtf_ray.store.files import join, writing

LEFT_OUT = "left_out.jsonl"


def write_filtered(
    rows: Iterable[Problem | Mapping[str, Any]],
    dir_uri: str,
    *,
    command: str,
    source: str,
    format_name: str,
    lineage: Mapping[str, Any],
    remedy: str,
) -> dict[str, Any]:
    """Write what is kept, and why the rest is not; return the manifest. An existing data set is replaced when all is
    written; the same rows give the same files.

    rows: a problem that is kept, or what left_out.jsonl says of one that is not. command: that was started. source,
    format_name: of what the rows are from. lineage: how they were chosen. remedy: what to do where nothing is kept.

    Raises:
        InputError: nothing is kept.
        DataError, StageError: see `write_problems`.
    """
    made: dict[str, Any] = {"command": command, "from": source, **lineage, "left_out": 0}
    with writing(join(dir_uri, LEFT_OUT)) as file:

        def kept() -> Iterator[Problem]:
            nothing = True
            for row in rows:
                if isinstance(row, Problem):
                    nothing = False
                    yield row
                else:
                    made["left_out"] += 1
                    file.write(json.dumps(row, ensure_ascii=True).encode() + b"\n")
            if nothing:
                raise InputError(f"no problem of {source} would be kept; {remedy}. Nothing was written to {dir_uri}")

        return write_problems(kept(), dir_uri, format_name=format_name, source=source, about={"lineage": made})


def lineage_of(directory: str) -> dict[str, Any]:
    """Of a data set: its hash, and its own lineage if it has one."""
    manifest = read_manifest(directory)
    earlier = {"earlier": manifest["lineage"]} if "lineage" in manifest else {}
    return {"sha256": manifest["sha256"], **earlier}
