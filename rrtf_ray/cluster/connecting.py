"""The Ray cluster of a run: connected to, or started on this machine and ended with the block."""

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

from rrtf_ray.cluster.internals import session_dir
from rrtf_ray.config import ClusterConfig, Config
from rrtf_ray.errors import ConfigError, first_line
from rrtf_ray.store.files import is_local, join, resolve

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
    # By name, as Ray Serve's proxies import it when they start.
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "rrtf_ray.deployments.door.install",
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
    try:
        yield None if address else session_dir()
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
    """Raise OSError at once if nothing listens; Ray itself would keep trying for many minutes."""
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
