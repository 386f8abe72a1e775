"""The Ray cluster: connect or start, check its size before anything waits for it, and take errors out of it."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rrtf_ray.artifacts import is_local, join, resolve
from rrtf_ray.config import ClusterConfig, Config
from rrtf_ray.errors import ConfigError, ResourceError, RRTFError, StageError, first_line

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
ENVIRONMENT = {
    # A killed worker takes the processes that it started with it.
    "RAY_process_group_cleanup_enabled": "1",
    "RAY_DATA_LOG_LEVEL": "WARNING",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@contextlib.contextmanager
def connected(config: Config) -> Iterator[None]:
    """A block with a cluster for a run, whose logs are kept in `run_dir/logs/ray` if it was started here."""
    session = None
    try:
        with joined(config.cluster) as session:
            _quieten_data()
            _check_shared(config.run_dir)
            yield
    finally:  # when all has ended that writes logs
        if session and is_local(config.run_dir):
            _keep_logs(session, Path(resolve(join(config.run_dir, "logs", "ray"))[1]))


@contextlib.contextmanager
def joined(config: ClusterConfig) -> Iterator[Path | None]:
    """A block with a cluster: an existing one is left as it was, one that was started here is ended.

    Gives the session's folder of one that was started here. Raises ConfigError where none answers.
    """
    if ray.is_initialized():
        yield None
        return
    address = config.address or os.environ.get("RAY_ADDRESS")
    if address:
        _connect(address)
    else:
        _start(config)
    node = ray._private.worker.global_worker.node
    try:
        yield Path(node.get_session_dir_path()) if node and not address else None
    finally:
        ray.shutdown()


def _connect(address: str) -> None:
    try:
        _reach(address)
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": ENVIRONMENT},
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"cluster.address={address!r}: no Ray cluster answers there ({first_line(error)}); "
            "start one with `ray start --head`, or leave the key out to use this machine"
        ) from None


def _reach(address: str) -> None:
    """Raise OSError at once where nothing listens; Ray itself would go on trying for many minutes."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()


def _start(config: ClusterConfig) -> None:
    os.environ.update({k: os.environ.get(k, v) for k, v in ENVIRONMENT.items()})
    ray.init(
        address="local",
        num_cpus=config.num_cpus or max(4, os.cpu_count() or 1),
        object_store_memory=config.object_store_mb * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=True,
    )


def _check_shared(run_dir: str) -> None:
    """Raise ConfigError where another node does not see the driver's local run directory."""
    here = ray.get_runtime_context().get_node_id()
    others = [n["NodeID"] for n in ray.nodes() if n["Alive"] and n["NodeID"] != here]
    if not others or not is_local(run_dir):
        return
    place = resolve(run_dir)[1]
    see = ray.remote(os.path.isdir).options(
        num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(others[0], soft=False)
    )
    try:
        shared = ray.get(see.remote(place), timeout=60)
    except (ray.exceptions.RayError, TimeoutError) as error:
        log.warning("could not ask another node for run_dir", exc_info=error)
        return
    if not shared:
        raise ConfigError(
            f"run_dir={run_dir!r} is a folder of the driver's machine that the cluster's other nodes do not see; "
            "use a URI (s3://, gs://) or a shared folder"
        )


def _quieten_data() -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)


def _keep_logs(session: Path, target: Path) -> None:
    source = session / "logs"
    for path in source.rglob("*"):
        if path.is_file() and path.stat().st_size:
            to = target / session.name / path.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # a log that vanishes meanwhile is no loss
                shutil.copyfile(path, to)


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
    return ray._private.state.state.get_max_resources_from_cluster_config() is not None


def _ceiling() -> dict[str, float]:
    """What the cluster has, or what its autoscaler may grow it to."""
    limits = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    have = ray.cluster_resources()
    return {kind: max(float(have.get(kind, 0.0)), float(limits.get(kind, 0.0))) for kind in ("CPU", "GPU")}


@contextlib.contextmanager
def unwrapped(stage: str) -> Iterator[None]:
    """Turn what Ray wraps around an error of ours back into that error; anything else becomes a StageError."""
    try:
        yield
    # Also where Ray's error is one of ours by inheritance: its text is a remote traceback then.
    except ray.exceptions.RayError as error:
        ours = _ours(error)
        if ours is not None:
            raise ours from error
        log.error("%s failed", stage, exc_info=error)
        last = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise StageError(
            f"{stage} failed: {last}; finished rows are kept; the cause stands in run_dir/logs/driver.log "
            "and in the workers' logs"
        ) from error


def _ours(error: BaseException | None) -> RRTFError | None:
    """Our own error among the causes of a Ray error, if there is one."""
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, RRTFError) and not isinstance(error, ray.exceptions.RayError):
            return error
        inner = getattr(error, "cause", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__
        seen += 1
    return None
