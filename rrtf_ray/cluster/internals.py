"""The parts of Ray that are not public, all in this file: what to check for a new version of Ray."""

from __future__ import annotations

from pathlib import Path

import ray


def session_dir() -> Path | None:
    """The folder of this process's Ray session, with its logs; None for a driver without a node of its own."""
    node = ray._private.worker.global_worker.node
    return Path(node.get_session_dir_path()) if node else None


def autoscaler_limits() -> dict[str, int] | None:
    """What the autoscaler may grow the cluster to; None where none runs."""
    limits: dict[str, int] | None = ray._private.state.state.get_max_resources_from_cluster_config()
    return limits
