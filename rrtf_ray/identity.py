"""Hashes that tell whether two things are the same, in every process and on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def fingerprint(*parts: Any) -> str:
    """A short hash of plain values (what JSON can hold), equal exactly when they are."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def stable_seed(*parts: object) -> int:
    """A seed in [0, 2**31) that depends on nothing but the parts (not on the process, order or machine)."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def program_digest(code: str) -> str:
    """Stands for a program wherever it turns up: in any round, run or file. Space at its end does not count."""
    return hashlib.sha256(code.rstrip().encode(errors="surrogatepass")).hexdigest()[:32]
