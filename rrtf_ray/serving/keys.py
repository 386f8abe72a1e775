"""Bearer keys: who may use the server, and each key's own limits.

A key file has a line per key, `NAME sha256:HEX rate=60 concurrency=4` (the settings are optional), and comments after
`#`. It holds hashes, so reading it gives no access; `rrtf key NAME` makes a key and its line.
The environment variable RRTF_API_KEYS holds plain keys, `NAME=KEY,NAME=KEY` or `KEY,KEY`; they are hashed when read.

The hash is SHA-256 without salt, which is enough for long random keys but not for words that people choose. A file or
variable without a key is refused, lest a mistake opens the server to everyone.
No message and no `repr` shows a key or a hash. A running server reads a changed file again (`KeyFile`).
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rrtf_ray.errors import DataError, InputError

ENVIRONMENT = "RRTF_API_KEYS"
MIN_LENGTH = 16

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_KEY = re.compile(r"[!-~]+", re.ASCII)
_HASH = "sha256:"
_LINE = "`NAME sha256:HEX rate=N concurrency=N`"
_NAME_RULE = "use up to 64 letters, digits, dots, hyphens and underscores, and begin with a letter or digit"
_REMEDY = "`rrtf key NAME` makes a key and its line"


@dataclass(frozen=True, slots=True)
class Key:
    """A key that the server knows: everything but the key itself."""

    name: str
    """Stands for the key in logs, limits and messages."""
    digest: bytes = field(repr=False)
    """SHA-256 of the key."""
    rate: float | None = None
    """Requests per minute; None is the server's default."""
    concurrency: int | None = None
    """Requests at once; None is the server's default."""


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys of a server."""

    keys: tuple[Key, ...] = ()

    @property
    def open(self) -> bool:
        """Without keys, the server answers everyone."""
        return not self.keys

    def find(self, authorization: str | None, api_key: str | None = None) -> Key | None:
        """The key in the header `Authorization: Bearer KEY`, or else `X-Api-Key: KEY`; None if it is unknown.

        The time does not depend on which key it is, nor on how much of one was guessed.
        """
        presented = _bearer(authorization) or (api_key or "").strip()
        if not presented:
            return None
        digest = _digest(presented)
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


class KeyFile:
    """A key file that may change while a server runs. fixed: keys from elsewhere, which stay."""

    def __init__(self, path: str, fixed: Keys) -> None:
        self._path = path
        self._fixed = fixed
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> Keys | None:
        """All keys, the first time and if the file is another since the last call; None if it is the same, or is gone.

        Raises InputError or DataError, once for each change, for a file that is invalid: the server keeps its keys.
        """
        state = self._state()
        if state is None or state == self._seen:
            return None
        self._seen = state
        return Keys(load_keys(self._path, None).keys + self._fixed.keys)

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = Path(self._path).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def new_key(name: str, rate: float | None = None, concurrency: int | None = None) -> tuple[str, str]:
    """A new random key, and the line for the key file that lets it in. Raises InputError."""
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is not a name for a key; {_NAME_RULE}")
    settings = {"rate": rate, "concurrency": concurrency}
    texts = [f"{setting}={value:.12g}" for setting, value in settings.items() if value is not None]
    for text in texts:
        _setting(text)
    key = f"rrtf-{secrets.token_urlsafe(32)}"
    return key, " ".join([name, _HASH + _digest(key).hex(), *texts])


def load_keys(path: str | None, environment: str | None) -> Keys:
    """The keys of a file and of the value of RRTF_API_KEYS, either of which may be None.

    Raises InputError or DataError naming the file and line, or the entry of the variable, and the remedy.
    """
    found: list[tuple[str, Key]] = []
    if path is not None:
        found += _of_file(path)
    if environment is not None:
        found += _of_environment(environment)
    _refuse_duplicates(found)
    return Keys(tuple(key for _, key in found))


def _of_file(path: str) -> list[tuple[str, Key]]:
    """Each key with its place, for messages."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"key file {path!r} does not exist; {_REMEDY}") from None
    except UnicodeDecodeError:
        raise InputError(f"key file {path!r} is not text in UTF-8; {_REMEDY}") from None
    except OSError as error:
        raise InputError(f"key file {path!r} cannot be read: {error.strerror}") from None
    found = []
    for number, line in enumerate(lines, start=1):
        fields = list(_before_comment(line.split()))
        if fields:
            place = f"{path}:{number}"
            try:
                found.append((place, _of_line(fields)))
            except InputError as error:
                raise DataError(f"{place}: {error}") from None
    if not found:
        raise InputError(f"key file {path!r} holds no key; {_REMEDY}, and without a key file the server is open")
    return found


def _before_comment(fields: Iterable[str]) -> Iterator[str]:
    for text in fields:
        if text.startswith("#"):
            return
        yield text


def _of_line(fields: list[str]) -> Key:
    if len(fields) == 1:
        raise InputError(f"a line is {_LINE}, but this one has a single field; {_REMEDY}")
    name, hashed, *settings = fields
    if not hashed.startswith(_HASH):
        raise InputError(f"the second field is not sha256:HEX; a key file holds no plain keys: {_REMEDY}")
    if not _NAME.fullmatch(name):
        raise InputError(f"{_shown(name)} is not a name for a key; {_NAME_RULE}")
    digits = hashed.removeprefix(_HASH)
    if not re.fullmatch("[0-9a-fA-F]{64}", digits):
        raise InputError(f"sha256: takes 64 hexadecimal digits, but {len(digits)} characters follow it; {_REMEDY}")
    values: dict[str, float] = {}
    for text in settings:
        setting, value = _setting(text)
        if setting in values:
            raise InputError(f"{setting} is set twice; leave one out")
        values[setting] = value
    concurrency = values.get("concurrency")
    return Key(name, bytes.fromhex(digits), values.get("rate"), None if concurrency is None else int(concurrency))


def _setting(text: str) -> tuple[str, float]:
    setting, _, value = text.partition("=")
    if setting == "rate":
        try:
            rate = float(value)
        except ValueError:
            rate = math.nan
        if not (math.isfinite(rate) and rate > 0):
            raise InputError(f"{_shown(text)}: rate takes a number of requests per minute above 0, as in rate=60")
        return setting, rate
    if setting == "concurrency":
        if not (value.isascii() and value.isdecimal() and 0 < len(value) < 10 and int(value) > 0):
            raise InputError(f"{_shown(text)}: concurrency takes a number of requests from 1, as in concurrency=4")
        return setting, int(value)
    raise InputError(f"{_shown(text)} is not a setting of a key; a line is {_LINE}")


def _of_environment(value: str) -> list[tuple[str, Key]]:
    """Each key with its place. A key without a name is called `key-` and its number."""
    found = []
    for number, entry in enumerate(value.split(","), start=1):
        place = f"{ENVIRONMENT}, entry {number}"
        if not entry.strip():
            continue
        before, equals, after = entry.strip().partition("=")
        name, key = (before, after) if equals else (f"key-{number}", before)
        if not _NAME.fullmatch(name) or not key.strip("="):  # `before` may be a key: it is not shown
            raise InputError(f"{place}: not NAME=KEY; give it a name ({_NAME_RULE}), also if a key contains a `=`")
        if key.startswith(_HASH):
            raise InputError(f"{place}: a hash belongs in a key file; {ENVIRONMENT} takes the key itself")
        if len(key) < MIN_LENGTH:
            raise InputError(f"{place}: a key of {len(key)} characters; use {MIN_LENGTH} or more, as `rrtf key` does")
        if not _KEY.fullmatch(key):
            raise InputError(f"{place}: a key with blanks or characters outside ASCII, which no header can carry")
        found.append((place, Key(name, _digest(key))))
    if not found:
        raise InputError(f"{ENVIRONMENT} is set but holds no key; set NAME=KEY, or unset it for an open server")
    return found


def _refuse_duplicates(found: Iterable[tuple[str, Key]]) -> None:
    names: dict[str, str] = {}
    digests: dict[bytes, str] = {}
    for place, key in found:
        if key.name in names:
            raise DataError(f"{place}: the name {_shown(key.name)} is also at {names[key.name]}; rename one of them")
        if key.digest in digests:
            raise DataError(f"{place}: the same key is at {digests[key.digest]}; leave one of them out")
        names[key.name] = digests[key.digest] = place


def _bearer(authorization: str | None) -> str:
    scheme, _, key = (authorization or "").strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _shown(text: str) -> str:
    """What a message may quote: a text too short to be a key, in case a key is in the wrong place."""
    return repr(text) if len(text) < MIN_LENGTH else f"a text of {len(text)} characters (not shown, it may be a key)"
