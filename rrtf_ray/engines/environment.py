"""The environment variables that vLLM's engines are started with."""

from __future__ import annotations

import os

from rrtf_ray.engines.watch import ACTOR_PID


def set_engine_environment() -> None:
    """For engines that this process starts: they end with it, and say warnings only. Before vLLM is imported."""
    os.environ[ACTOR_PID] = str(os.getpid())
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    # Bound to cores, every engine of a machine would take the same ones.
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
