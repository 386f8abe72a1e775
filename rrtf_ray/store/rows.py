"""The rows of a stage: a folder of Parquet parts and a manifest, on any filesystem.

    _stage.json         written first: the fingerprint of the settings that the rows belong to
    part-<name>.parquet each published whole, so a reader never sees a torn file
    _manifest.json      written last: the stage is complete exactly when it exists

`pandas.read_parquet`, pyarrow and DuckDB open such a folder: they skip names that begin with an underscore. Until a
stage is complete, parts may repeat a row (a retried task); `drop_repetitions` removes the copies.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from rrtf_ray.errors import InputError
from rrtf_ray.schemas import from_table, schema_of, to_table
from rrtf_ray.store.files import MANIFEST, exists, join, publish, read_json, remove_temporary, resolve, write_json

R = TypeVar("R")
P = TypeVar("P")
STARTED = "_stage.json"
_READERS = 8


class RowStore(Generic[R]):
    """The rows of one stage: records of one class, found by their id."""

    def __init__(self, uri: str, record: type[R], id_column: str) -> None:
        """id_column: the column of the unique id, with dots into structs (`problem.id`)."""
        self.uri = uri
        self.record = record
        self.id_column = id_column

    def begin(self, fingerprint: str, settings: dict[str, Any]) -> None:
        """Claim the folder for these settings.

        Raises InputError where it holds rows that were made with other settings, naming what differs.
        """
        place = join(self.uri, STARTED)
        if exists(place):
            before = read_json(place)
            if before["fingerprint"] != fingerprint:
                changed = [k for k in settings if settings[k] != before["settings"].get(k)]
                differs = [first_difference(k, settings[k], before["settings"].get(k)) for k in changed] or [
                    "its input"
                ]
                raise InputError(
                    f"{self.uri} holds rows that were made with other settings ({', '.join(differs)}); "
                    "use another run_dir (or output), or remove that folder to make them again"
                )
            remove_temporary(self.uri)
        else:
            write_json(place, {"fingerprint": fingerprint, "settings": settings})

    def settings(self) -> dict[str, Any]:
        """What `begin` recorded. Raises InputError where the stage was never begun."""
        return read_json(join(self.uri, STARTED))["settings"]

    def is_complete(self) -> bool:
        return exists(join(self.uri, MANIFEST))

    def manifest(self) -> dict[str, Any]:
        return read_json(join(self.uri, MANIFEST))

    def write(self, records: Iterable[R], name: str | None = None) -> int:
        """Publish one part; returns its number of rows."""
        return self.write_table(to_table(records, self.record), name)

    def write_table(self, table: pa.Table, name: str | None = None) -> int:
        """As write, for rows that are a table with the record's schema already."""
        filesystem, path = resolve(join(self.uri, f"part-{name or uuid.uuid4().hex[:16]}.parquet"))
        publish(filesystem, path, _parquet(table))
        return table.num_rows

    def parts(self) -> list[str]:
        """Paths of the parts within the filesystem, sorted."""
        filesystem, path = resolve(self.uri)
        infos = filesystem.get_file_info(pafs.FileSelector(path, allow_not_found=True))
        return sorted(i.path for i in infos if i.base_name.startswith("part-") and i.base_name.endswith(".parquet"))

    def ids(self) -> list[str]:
        """The ids of all rows, part by part; repeated if a part repeats a row."""
        return [i for ids in self._ids() for i in ids.to_pylist()]

    def columns(self, *leaves: str) -> Iterator[pa.Table]:
        """These columns of each part, and of nested columns these leaves only (`problem.id`,
        `candidates.list.element.num_tokens`): the long texts, most of a file, stay unread."""
        return self._of_parts(lambda file: file.read(columns=list(leaves)))

    def read(self) -> Iterator[R]:
        """All rows, part by part, each id once. Memory: one part, and the ids where a stage is not complete."""
        filesystem, _ = resolve(self.uri)
        seen: set[str] = set()
        distinct = self.is_complete() or self._is_distinct()
        for part in self.parts():
            table = pq.read_table(part, filesystem=filesystem, schema=schema_of(self.record))
            if distinct:
                yield from from_table(self.record, table)
                continue
            ids = ids_of(table, self.id_column).to_pylist()
            for row_id, row in zip(ids, from_table(self.record, table), strict=True):
                if row_id not in seen:
                    seen.add(row_id)
                    yield row

    def _is_distinct(self) -> bool:
        """Whether no id is repeated. Arrow's arrays of ids are small next to Python's."""
        ids = pa.chunked_array(list(self._ids()), pa.string())
        return bool(pc.count_distinct(ids).as_py() == len(ids))

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write the manifest, which completes the stage. Drop repeated rows first."""
        write_json(join(self.uri, MANIFEST), manifest)

    def drop_repetitions(self) -> None:
        """Rewrite the parts that repeat a row of an earlier part (a retried task writes its rows twice)."""
        if self._is_distinct():
            return
        filesystem, _ = resolve(self.uri)
        seen: set[str] = set()
        for part, ids in zip(self.parts(), self._ids(), strict=True):
            keep = []
            for row_id in ids.to_pylist():
                keep.append(row_id not in seen)
                seen.add(row_id)
            self._keep(filesystem, part, keep)

    def drop(self, ids: set[str]) -> None:
        """Remove rows, to be made again."""
        filesystem, _ = resolve(self.uri)
        for part, found in zip(self.parts(), self._ids(), strict=True) if ids else ():
            self._keep(filesystem, part, [row_id not in ids for row_id in found.to_pylist()])

    def _keep(self, filesystem: pafs.FileSystem, part: str, keep: list[bool]) -> None:
        if all(keep):
            return
        table = pq.read_table(part, filesystem=filesystem, schema=schema_of(self.record)).filter(pa.array(keep))
        if table.num_rows:
            publish(filesystem, part, _parquet(table))
        else:
            filesystem.delete_file(part)

    def _ids(self) -> Iterator[pa.Array]:
        """The ids of each part."""
        return self._of_parts(lambda file: ids_of(file.read(columns=[self.id_column]), self.id_column))

    def _of_parts(self, read: Callable[[pq.ParquetFile], P]) -> Iterator[P]:
        """What `read` finds in each part; several parts at once, because an object store takes its time for each."""
        filesystem, _ = resolve(self.uri)

        def of(part: str) -> P:
            with filesystem.open_input_file(part) as file:
                return read(pq.ParquetFile(file))

        with ThreadPoolExecutor(_READERS) as readers:
            yield from readers.map(of, self.parts())


def ids_of(table: pa.Table, id_column: str) -> pa.Array:
    """The ids of a table's rows; dots in `id_column` lead into structs."""
    first, *rest = id_column.split(".")
    ids = table.column(first).combine_chunks()
    return pc.struct_field(ids, rest) if rest else ids


def first_difference(name: str, now: Any, before: Any) -> str:
    """`train.epochs: 3, before 2`: the first setting within a section that is not as it was."""
    if isinstance(now, dict) and isinstance(before, dict):
        for key in now:
            if now[key] != before.get(key):
                return first_difference(f"{name}.{key}", now[key], before.get(key))
    return f"{name}: {now!r}, before {before!r}"


def _parquet(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue()
