"""The run directory, on any filesystem that pyarrow or fsspec can reach (local, s3://, gs://, ...).

A stage's rows are a folder of Parquet parts and a manifest:

    stage.json          written first: the fingerprint of the settings that the rows belong to
    part-<name>.parquet each published whole, so that a reader never sees a torn file
    manifest.json       written last: the stage is complete exactly when it is there

A part is written under a temporary name and renamed on a local filesystem; an object store publishes an object
only when it is complete. Parts may repeat a row (a retried task): `drop_repetitions` removes them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from rrtf_ray.errors import InputError, StageError
from rrtf_ray.schemas import from_table, schema_of, to_table

R = TypeVar("R")

STARTED = "stage.json"
MANIFEST = "manifest.json"


def resolve(uri: str) -> tuple[pafs.FileSystem, str]:
    """The filesystem and the path in it. Raises InputError where the scheme is unknown."""
    if "://" not in uri:
        return pafs.LocalFileSystem(), absolute(uri)
    try:
        return pafs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        import fsspec  # slow to import, and only for schemes that pyarrow does not know

        try:
            filesystem, path = fsspec.url_to_fs(uri)
        except (ValueError, ImportError) as error:
            raise InputError(
                f"{uri!r} cannot be opened: {error}; use a local path or an installed filesystem"
            ) from None
        return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), path
    except OSError as error:
        raise InputError(f"{uri!r} cannot be opened: {error}; check the bucket and your credentials") from None


def absolute(uri: str) -> str:
    """The same place for every process, whatever its working directory; a URI is that already."""
    return uri if "://" in uri else str(Path(uri).expanduser().absolute())


def join(uri: str, *parts: str) -> str:
    """A place below `uri`; a query (`?endpoint_override=...`) stays at the end."""
    if "://" not in uri:
        return str(Path(uri, *parts))
    # Not urllib's urlunsplit, which loses the `//` of a scheme that it does not know.
    scheme, _, rest = uri.partition("://")
    place, mark, query = rest.partition("?")
    return f"{scheme}://" + "/".join([place.rstrip("/"), *parts]) + mark + query


def is_local(uri: str) -> bool:
    """Whether the place is on this machine's own filesystem."""
    return "://" not in uri or uri.startswith("file://")


def exists(uri: str) -> bool:
    filesystem, path = resolve(uri)
    return filesystem.get_file_info(path).type != pafs.FileType.NotFound


def read_bytes(uri: str) -> bytes:
    """Raises InputError where the file does not exist."""
    filesystem, path = resolve(uri)
    try:
        with filesystem.open_input_stream(path) as stream:
            return stream.read()
    except FileNotFoundError:
        raise InputError(f"{uri} does not exist; check the path, or run the stage that writes it") from None
    except OSError as error:
        raise InputError(f"{uri} cannot be read: {error}; check the path and its permissions") from None


def write_bytes(uri: str, data: bytes) -> None:
    """Publish a file whole or not at all."""
    filesystem, path = resolve(uri)
    _publish(filesystem, path, data)


def read_json(uri: str) -> Any:
    """Raises InputError where the file does not exist or is not JSON."""
    try:
        return json.loads(read_bytes(uri))
    except ValueError as error:
        raise InputError(f"{uri} is not valid JSON ({error}); mend the file, or remove it to make it again") from None


def write_json(uri: str, value: Any) -> None:
    write_bytes(uri, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def make_dir(uri: str) -> None:
    """Raises InputError where it cannot be made."""
    filesystem, path = resolve(uri)
    try:
        filesystem.create_dir(path, recursive=True)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}; choose another place") from error


def remove(uri: str) -> None:
    """Remove a file or a folder with all that is in it; fine if there is none."""
    filesystem, path = resolve(uri)
    kind = filesystem.get_file_info(path).type
    if kind == pafs.FileType.Directory:
        filesystem.delete_dir(path)
    elif kind == pafs.FileType.File:
        filesystem.delete_file(path)


def upload_dir(local_dir: Path, uri: str, manifest: dict[str, Any]) -> None:
    """Publish a folder of files (a checkpoint): all files, then the manifest that makes it complete.

    What an earlier, interrupted upload left at `uri` is removed first.
    """
    remove(uri)
    for source in sorted(p for p in local_dir.rglob("*") if p.is_file()):
        filesystem, path = resolve(join(uri, *source.relative_to(local_dir).parts))
        with source.open("rb") as data, _publishing(filesystem, path) as stream:
            shutil.copyfileobj(data, stream, 16 * 2**20)
    write_json(join(uri, MANIFEST), manifest)


def local_copy(uri: str) -> str:
    """A local folder with the files of `uri`: the folder itself where it is local, else a download.

    Downloads lie in the machine's temporary folder, one for each state of the source's files, and are shared by
    all processes of the machine.
    """
    if is_local(uri):
        return resolve(uri)[1]
    filesystem, path = resolve(uri)
    infos = filesystem.get_file_info(pafs.FileSelector(path, recursive=True))
    state = sorted((i.path, i.size, i.mtime_ns or 0) for i in infos if i.is_file)
    name = hashlib.sha256(repr((uri, state)).encode()).hexdigest()[:16]
    target = Path(tempfile.gettempdir()) / "rrtf-models" / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=target.parent))
        pafs.copy_files(path, str(part), source_filesystem=filesystem, destination_filesystem=pafs.LocalFileSystem())
        try:
            part.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(part)
    return str(target)


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
                differs = [_first_difference(k, settings[k], before["settings"].get(k)) for k in changed] or [
                    "its input"
                ]
                raise InputError(
                    f"{self.uri} holds rows that were made with other settings ({', '.join(differs)}); "
                    "use another run_dir, or remove that folder to make them again"
                )
            self._remove_unfinished()
        else:
            write_json(place, {"fingerprint": fingerprint, "settings": settings})

    def _remove_unfinished(self) -> None:
        """Temporary files of a run that was killed."""
        filesystem, path = resolve(self.uri)
        for info in filesystem.get_file_info(pafs.FileSelector(path, allow_not_found=True)):
            if info.base_name.endswith(".tmp"):
                filesystem.delete_file(info.path)

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
        _publish(filesystem, path, _parquet(table))
        return table.num_rows

    def parts(self) -> list[str]:
        """Paths of the parts within the filesystem, sorted."""
        filesystem, path = resolve(self.uri)
        infos = filesystem.get_file_info(pafs.FileSelector(path, allow_not_found=True))
        return sorted(i.path for i in infos if i.base_name.startswith("part-") and i.base_name.endswith(".parquet"))

    def ids(self) -> list[str]:
        """The ids of all rows, part by part; repeated where a part repeats a row."""
        return [i for part in self.parts() for i in self._ids_of(part).to_pylist()]

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
        """Is every id there once? Arrow's arrays of ids are small next to Python's."""
        ids = pa.chunked_array([self._ids_of(part) for part in self.parts()], pa.string())
        return bool(pc.count_distinct(ids).as_py() == len(ids))

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write the manifest: from here on the stage is complete. Repeated rows must be dropped before."""
        write_json(join(self.uri, MANIFEST), manifest)

    def drop_repetitions(self) -> None:
        """Rewrite the parts that repeat a row of an earlier part (a retried task writes its rows twice)."""
        if self._is_distinct():
            return
        filesystem, _ = resolve(self.uri)
        seen: set[str] = set()
        for part in self.parts():
            keep = []
            for row_id in self._ids_of(part).to_pylist():
                keep.append(row_id not in seen)
                seen.add(row_id)
            self._keep(filesystem, part, keep)

    def drop(self, ids: set[str]) -> None:
        """Remove rows, so that they can be made again."""
        filesystem, _ = resolve(self.uri)
        for part in self.parts() if ids else ():
            self._keep(filesystem, part, [row_id not in ids for row_id in self._ids_of(part).to_pylist()])

    def _keep(self, filesystem: pafs.FileSystem, part: str, keep: list[bool]) -> None:
        if all(keep):
            return
        table = pq.read_table(part, filesystem=filesystem, schema=schema_of(self.record)).filter(pa.array(keep))
        if table.num_rows:
            _publish(filesystem, part, _parquet(table))
        else:
            filesystem.delete_file(part)

    def _ids_of(self, part: str) -> pa.Array:
        filesystem, _ = resolve(self.uri)
        # One column only: with long responses the rest is most of the file.
        with filesystem.open_input_file(part) as file:
            return ids_of(pq.ParquetFile(file).read(columns=[self.id_column]), self.id_column)


def ids_of(table: pa.Table, id_column: str) -> pa.Array:
    """The ids of a table's rows; dots in `id_column` lead into structs."""
    first, *rest = id_column.split(".")
    ids = table.column(first).combine_chunks()
    return pc.struct_field(ids, rest) if rest else ids


def _first_difference(name: str, now: Any, before: Any) -> str:
    """`train.epochs: 3, before 2`: the first setting within a section that is not as it was."""
    if isinstance(now, dict) and isinstance(before, dict):
        for key in now:
            if now[key] != before.get(key):
                return _first_difference(f"{name}.{key}", now[key], before.get(key))
    return f"{name}: {now!r}, before {before!r}"


def _parquet(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue()


def _publish(filesystem: pafs.FileSystem, path: str, data: bytes | pa.Buffer) -> None:
    """Write a file in one piece. The data is complete before the file is opened, because an object store's
    stream publishes what it has got when it is closed, after an error too."""
    with _publishing(filesystem, path) as stream:
        stream.write(data)


@contextlib.contextmanager
def _publishing(filesystem: pafs.FileSystem, path: str) -> Iterator[Any]:
    """An output stream whose file appears at `path` only when the block ends without an error."""
    local = isinstance(filesystem, pafs.LocalFileSystem)
    target = f"{path}.{uuid.uuid4().hex[:8]}.tmp" if local else path
    try:
        if local:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        with filesystem.open_output_stream(target) as stream:
            yield stream
        if local:
            filesystem.move(target, path)
    except OSError as error:
        if local:
            with contextlib.suppress(OSError):
                Path(target).unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StageError(
                f"no space left to write {path}; free some, or use another run_dir, and start the same command "
                "again: finished rows are kept"
            ) from error
        if isinstance(error, PermissionError | NotADirectoryError | FileExistsError | FileNotFoundError):
            raise InputError(f"{path} cannot be written: {error.strerror or error}; choose another place") from error
        if not local:  # a store's errors carry no number, only a text
            raise StageError(f"{path} cannot be written: {error}; finished rows are kept") from error
        raise
