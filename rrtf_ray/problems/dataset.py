"""Our own data set: a folder of Parquet parts with the schema of `Problem`, and a manifest written last.

part-00000.parquet ...   at most 1000 problems each
_manifest.json           format, source, number and sha256 of the rows, version: present = complete
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from rrtf_ray.errors import DataError
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem
from rrtf_ray.schemas import from_row, schema_of, to_row
from rrtf_ray.store.files import (
    MANIFEST,
    OLD_MANIFEST,
    exists,
    join,
    read_json,
    remove,
    resolve,
    write_bytes,
    write_json,
)

ROWS_PER_PART = 1000
FIELDS = ("id", "prompt", "kind", "entry_point", "tests")


def write_problems(
    problems: Iterable[Problem],
    dir_uri: str,
    *,
    format_name: str = "parquet",
    source: str = "",
    about: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the data set and return its manifest; an existing data set is replaced when the new one is whole, and the
    same problems give the same files. An error, of `problems` too, leaves nothing of the new one.

    about: more for the manifest, read when the last problem is written.

    Raises:
        DataError: there are no problems, or two of them have the same id.
        StageError: there is no space left.
    """
    parts: list[str] = []
    try:
        num_problems, sha256 = _write_parts(problems, dir_uri, parts)
        if not parts:
            raise DataError(f"there are no problems to write to {dir_uri}; check the source {source!r}")
        manifest = {
            "format": format_name,
            "source": source,
            "num_problems": num_problems,
            "parts": parts,
            "sha256": sha256,
            "version": metadata.version("rrtf-ray"),
            **(about or {}),
        }
        write_json(join(dir_uri, MANIFEST), manifest)
    except BaseException:
        for name in set(parts) - _parts_in(dir_uri):
            remove(join(dir_uri, name))
        raise
    remove(join(dir_uri, OLD_MANIFEST))
    _remove_other_parts(dir_uri, set(parts))
    return manifest


def _write_parts(problems: Iterable[Problem], dir_uri: str, parts: list[str]) -> tuple[int, str]:
    """Write, and add the names of the parts to `parts`. Returns the number of problems and the sha256 of their rows."""
    digest, seen = hashlib.sha256(), set[str]()
    rest = iter(problems)
    while chunk := list(islice(rest, ROWS_PER_PART)):
        rows = [to_row(problem) for problem in chunk]
        for row in rows:
            if row["id"] in seen:
                raise DataError(f"two problems have the id {row['id']!r}; rename one of them")
            seen.add(row["id"])
            digest.update(canonical(row))
        table = pa.Table.from_pylist(rows, schema=schema_of(Problem))
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        data = sink.getvalue().to_pybytes()
        # A name for each content: the existing data set stays whole until the new manifest takes its place.
        parts.append(f"part-{len(parts):05d}-{hashlib.sha256(data).hexdigest()[:12]}.parquet")
        write_bytes(join(dir_uri, parts[-1]), data)
    return len(seen), digest.hexdigest()


def _parts_in(dir_uri: str) -> set[str]:
    """Of the complete data set that is in a folder."""
    try:
        return set(read_manifest(dir_uri).get("parts", []))
    except DataError:
        return set()


def canonical(row: dict[str, Any]) -> bytes:
    """A problem's row as the line that the sha256 of a data set is made of: all but its date, which changes nothing in
    what is asked and tested."""
    row = {name: value for name, value in row.items() if name != "date"}
    return json.dumps(row, sort_keys=True, ensure_ascii=True).encode() + b"\n"


def read_manifest(dir_uri: str) -> dict[str, Any]:
    """The manifest of a data set; raises DataError if there is none."""
    places = [place for name in (MANIFEST, OLD_MANIFEST) if exists(place := join(dir_uri, name))]
    if not places:
        raise DataError(
            f"{dir_uri} holds no complete problem data set (no {MANIFEST}); "
            "write it with `rrtf problems import`, or check the path"
        )
    try:
        return dict(read_json(places[0]))
    except (ValueError, TypeError) as error:
        raise DataError(f"{places[0]}: malformed JSON ({error}); import the problems again") from error


def read_problems(dir_uri: str) -> Iterator[Problem]:
    """The problems of a data set, in the order in which they were written. Memory: one part.

    Raises:
        DataError: the data set is not complete, or a row of it is not a problem.
    """
    for _, problem in read_rows_of(dir_uri):
        yield problem


def read_rows_of(dir_uri: str) -> Iterator[tuple[Row, Problem]]:
    """As `read_problems`, with each problem's place; a single Parquet file is accepted too (no manifest)."""
    if dir_uri.endswith(".parquet") or Path(dir_uri).is_file():
        places = [dir_uri]
    else:
        places = [join(dir_uri, name) for name in read_manifest(dir_uri).get("parts", [])]
    for place in places:
        for number, fields in enumerate(_table(place).to_pylist(), 1):
            row = Row(f"{place}:row {number}", fields)
            try:
                yield row, from_row(Problem, fields)
            except DataError as error:
                raise row.error(str(error)) from error


def _table(place: str) -> pa.Table:
    filesystem, path = resolve(place)
    try:
        return pq.read_table(path, filesystem=filesystem)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{place}: cannot be read as Parquet ({error}); import the problems again") from error


def _remove_other_parts(dir_uri: str, keep: set[str]) -> None:
    """Remove the parts of other data sets from this folder."""
    filesystem, path = resolve(dir_uri)
    for info in filesystem.get_file_info(pafs.FileSelector(path)):
        if info.base_name.startswith("part-") and info.base_name not in keep:
            filesystem.delete_file(info.path)
