"""What one program may use: the zygote keeps the time, the kernel the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rrtf_ray.errors import InputError

MIN_MEMORY_MB = 64
"""The bare interpreter maps about 40 MB of address space."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one run of a program: of all its tests together, or of each test of kind STDIO.

    wall_s: seconds by the clock; only a backstop, because the clock also counts the machine's other work.
    cpu_s: seconds of processor time; the limit that decides TIMEOUT for a program that computes.
    memory_mb: address space in MiB, interpreter included; beyond it the program meets MemoryError.
    output_kb: standard output of a STDIO test, and each file that its program writes, in KiB. Some problems ask for
        megabytes of output.
    processes: threads at once (and processes, where the seccomp layer, which forbids them, is missing).
    """

    wall_s: float = 10.0
    cpu_s: float = 5.0
    memory_mb: int = 1024
    output_kb: int = 16 * 1024
    processes: int = 64

    def __post_init__(self) -> None:
        for name in ("wall_s", "cpu_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name}={value} is no limit; give a finite number of seconds above 0")
        for name, least in (("memory_mb", MIN_MEMORY_MB), ("output_kb", 1), ("processes", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise InputError(f"{name}={value!r} is no limit; give a whole number of at least {least}")
