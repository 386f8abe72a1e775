"""Text that was packed as base64 of zlib of a pickle: a pickle is a program, so it is read here and never run.

Accepted is the pickle of one text and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import pickletools
import zlib

MAX_BYTES = 1 << 29
"""The longest text that is unpacked."""
_TEXTS = frozenset({"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})
_AROUND = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"})


def unpacked_text(packed: str) -> str:
    """The text; raises ValueError with the reason where it is anything else."""
    try:
        data = _inflated(base64.b64decode(packed, validate=True))
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"it is neither JSON nor base64 of zlib of a pickled text ({error})") from error
    if data[:1] in (b"[", b"{"):
        return data.decode()
    return _pickled_text(data)


def _inflated(data: bytes) -> bytes:
    reader = zlib.decompressobj()
    inflated = reader.decompress(data, MAX_BYTES)
    if reader.unconsumed_tail:
        raise ValueError(f"it is longer than {MAX_BYTES >> 20} MiB when unpacked")
    if not reader.eof:
        raise ValueError("its end is missing")
    return inflated


def _pickled_text(data: bytes) -> str:
    texts: list[str] = []
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "STOP":
            break
        if opcode.name in _TEXTS and not texts:
            texts.append(str(argument))
        elif opcode.name not in _AROUND:
            raise ValueError(f"it is a pickle of something else than a text (it has {opcode.name}), which is not run")
    if not texts:
        raise ValueError("it is a pickle without a text")
    return texts[0]
