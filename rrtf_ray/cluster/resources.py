"""What the cluster has, or its autoscaler may get: checked before anything waits for it."""

from __future__ import annotations

import ray

from rrtf_ray.cluster.internals import autoscaler_limits
from rrtf_ray.errors import ResourceError


def require(
    what: str, *, cpus: float = 0.0, gpus: float = 0.0, largest_cpus: float = 0.0, largest_gpus: float = 0.0
) -> None:
    """Raise ResourceError at once where the cluster does not have these, and its autoscaler can never get them.

    what: the configuration keys to change. largest_*: what one worker needs on a single node.
    """
    have = _ceiling()
    for kind, need in (("CPU", cpus), ("GPU", gpus)):
        if need > have.get(kind, 0.0) + 1e-6:
            raise ResourceError(
                f"{what} needs {need:g} {kind}s, but the cluster has {have.get(kind, 0.0):g} and cannot get more; "
                f"lower {what}, or use a larger cluster (cluster.address, cluster.num_cpus)"
            )
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not _autoscales() and not any(
        n.get("CPU", 0) >= largest_cpus and n.get("GPU", 0) >= largest_gpus for n in nodes
    ):
        raise ResourceError(
            f"{what}: one worker needs {largest_cpus:g} CPUs and {largest_gpus:g} GPUs, but no node has that much"
        )


def _autoscales() -> bool:
    return autoscaler_limits() is not None


def _ceiling() -> dict[str, float]:
    """What the cluster has, or what its autoscaler may grow it to."""
    limits = autoscaler_limits() or {}
    have = ray.cluster_resources()
    return {kind: max(float(have.get(kind, 0.0)), float(limits.get(kind, 0.0))) for kind in ("CPU", "GPU")}
