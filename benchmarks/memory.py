"""Resident memory of this process: now, and its peak over a piece of work."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

_INTERVAL_S = 0.005


def resident_bytes() -> int:
    """What the process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Peak:
    """`with Peak() as peak: ...`, then `peak.bytes`: the most that was resident at any time inside.

    It is the kernel's own high-water mark, which misses nothing; if that cannot be reset, a thread samples every 5 ms.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._done = threading.Event()
        self._sampler: threading.Thread | None = None

    def __enter__(self) -> Peak:
        self.bytes = resident_bytes()
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            self._sampler = threading.Thread(target=self._sample, daemon=True)
            self._sampler.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._sampler is None:
            self.bytes = max(self.bytes, _high_water_bytes())
            return
        self._done.set()
        self._sampler.join()

    def _sample(self) -> None:
        while not self._done.wait(_INTERVAL_S):
            self.bytes = max(self.bytes, resident_bytes())


def _high_water_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
