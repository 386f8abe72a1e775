"""The environment variables that vLLM's engines are started with."""

from __future__ import annotations

import os

from rrtf_ray.engines.watch import ACTOR_PID, NICE

ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "WARNING",
    # Bound to cores, all engines of a machine would share the same ones.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
"""Of every engine."""
_SERVED_NICE = 4
"""Where engines compute on the machine's CPUs, the gateway's short answers go before their long steps: rejections
arrive sooner, and the engine waits less for its next requests. Ray's own processes run at 15, and 19 is the limit."""


def set_engine_environment() -> None:
    """For engines that this process starts: they end with it and log warnings only. Call it before importing vLLM."""
    os.environ[ACTOR_PID] = str(os.getpid())
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def served_engine_environment(*, threads: int, on_cpu: bool, max_stop_strings: int) -> dict[str, str]:
    """What a served engine's replica is started with."""
    served = {
        "OMP_NUM_THREADS": str(threads),
        "VLLM_MAX_STOP_STRINGS": str(max_stop_strings),  # vLLM's default is 4, and editors send 9
    }
    return ENVIRONMENT | served | ({NICE: str(_SERVED_NICE)} if on_cpu else {})
