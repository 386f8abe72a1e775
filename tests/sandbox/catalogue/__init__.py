"""Hostile and awkward programs: what each attacks, and whether it must pass. Data only; nothing here is run on import.

Every attack is bounded (so many children, so many bytes, so many seconds of sleep): should the sandbox have a
hole, the machine that runs the tests survives it.
"""

from __future__ import annotations

from . import (
    early_exits,
    files,
    forgery,
    honest,
    messages,
    network,
    odd_sources,
    processes,
    resources,
    results,
    secrets_,
    time_,
)
from .entry import Entry

FAMILIES: dict[str, tuple[Entry, ...]] = {
    "resources": resources.ENTRIES,
    "time": time_.ENTRIES,
    "processes": processes.ENTRIES,
    "files": files.ENTRIES,
    "network": network.ENTRIES,
    "secrets": secrets_.ENTRIES,
    "early exits": early_exits.ENTRIES,
    "forgery": forgery.ENTRIES,
    "messages": messages.ENTRIES,
    "results": results.ENTRIES,
    "odd sources": odd_sources.ENTRIES,
    "honest": honest.ENTRIES,
}
