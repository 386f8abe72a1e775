"""Files on any filesystem that pyarrow or fsspec can reach (local, s3://, gs://, ...): whole or not there at all.

A file is written under a temporary name and renamed on a local filesystem; an object store publishes an object only
when it is complete. A folder of files (a checkpoint) is complete exactly when its manifest, written last, is there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from rrtf_ray.errors import InputError, StageError

MANIFEST = "_manifest.json"
"""Readers of Parquet folders (pandas, pyarrow, DuckDB, datasets) skip names that begin with an underscore."""


OLD_MANIFEST = "manifest.json"
"""Its name up to version 0.1."""


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


def is_folder(uri: str) -> bool:
    """Whether there is a folder at the place (on an object store: objects below it)."""
    filesystem, path = resolve(uri)
    return filesystem.get_file_info(path).type == pafs.FileType.Directory


def names_in(uri: str) -> list[str]:
    """The names of what is directly in a folder, sorted; none where there is no such folder."""
    filesystem, path = resolve(uri)
    found = filesystem.get_file_info(pafs.FileSelector(path, allow_not_found=True))
    return sorted(info.base_name for info in found)


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
    publish(filesystem, path, data)


def read_json(uri: str) -> Any:
    """Raises InputError where the file does not exist or is not JSON."""
    data = read_bytes(uri)
    try:
        return json.loads(data)
    except ValueError as error:
        raise InputError(f"{uri} is not valid JSON ({error}); fix the file, or remove it to make it again") from None


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


def publish(filesystem: pafs.FileSystem, path: str, data: bytes | pa.Buffer) -> None:
    """Write a file in one piece. The data is complete before the file is opened, because an object store's
    stream publishes what it has got when it is closed, after an error too."""
    with _publishing(filesystem, path) as stream:
        stream.write(data)


@contextlib.contextmanager
def writing(uri: str) -> Iterator[Any]:
    """An output stream whose file appears only when the block ends without an error; on an object store, in any case
    when it ends."""
    filesystem, path = resolve(uri)
    with _publishing(filesystem, path) as stream:
        yield stream


@contextlib.contextmanager
def _publishing(filesystem: pafs.FileSystem, path: str) -> Iterator[Any]:
    """An output stream whose file appears at `path` only when the block ends without an error."""
    local = isinstance(filesystem, pafs.LocalFileSystem)
    target = _temporary(path) if local else path
    try:
        if local:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        with filesystem.open_output_stream(target) as stream:
            yield stream
        if local:
            filesystem.move(target, path)
    except BaseException as error:
        if local:
            with contextlib.suppress(OSError):
                Path(target).unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StageError(
                f"no space left to write {path}; free some, or choose another place, and start the same command again: "
                "a run's finished rows are kept"
            ) from error
        if isinstance(error, PermissionError | NotADirectoryError | FileExistsError | FileNotFoundError):
            raise InputError(f"{path} cannot be written: {error.strerror or error}; choose another place") from error
        if not local:  # a store's errors carry no number, only a text
            raise StageError(f"{path} cannot be written: {error}; finished rows are kept") from error
        raise


def _temporary(path: str) -> str:
    """A name beside `path`, which readers of the folder skip and `remove_temporary` finds."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/_{name}.{uuid.uuid4().hex[:8]}.tmp"


def remove_temporary(uri: str) -> None:
    """Remove what a process that was killed had begun to write into the folder."""
    filesystem, path = resolve(uri)
    for info in filesystem.get_file_info(pafs.FileSelector(path, allow_not_found=True)):
        if info.base_name.endswith(".tmp"):
            filesystem.delete_file(info.path)
