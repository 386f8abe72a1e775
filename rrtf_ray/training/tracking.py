"""Metrics to TensorBoard, MLflow or Weights & Biases, in addition to metrics.jsonl.

Training comes first: a tracker's failure is reported once, and after a few failures in a row the tracker is no longer
used. Steps are numbered through the whole training, so a restart at most repeats some. MLflow and Weights & Biases
read their server, project and key from their own environment variables.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from rrtf_ray.errors import ConfigError, first_line
from rrtf_ray.identity import fingerprint
from rrtf_ray.progress import say
from rrtf_ray.store.files import exists, is_local, join, read_bytes, resolve, write_bytes

log = logging.getLogger(__name__)

Log = Callable[[Mapping[str, float], int], None]
_PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX"), "mlflow": ("mlflow",), "wandb": ("wandb",)}
_MOST_FAILURES = 3
_MLFLOW_RUN = "mlflow-run-id"


class _Tracker(Protocol):
    def log(self, metrics: Mapping[str, float], step: int) -> None: ...

    def close(self, failed: bool) -> None: ...


def check(kind: str, folder: str) -> None:
    """Raises ConfigError if `train.tracking` cannot work here; to be called before anything is started."""
    if kind == "none":
        return
    if not any(_is_installed(name) for name in _PACKAGES[kind]):
        package = _PACKAGES[kind][0]
        raise ConfigError(f"train.tracking={kind!r}: the package is not installed; pip install {package}")
    if kind == "tensorboard" and not is_local(folder):
        raise ConfigError(
            f"train.tracking='tensorboard' cannot append to files in {folder!r}; use a local run_dir, or "
            "mlflow or wandb"
        )


@contextmanager
def tracker(kind: str, run_name: str, folder: str, settings: Mapping[str, Any]) -> Iterator[Log]:
    """For the duration of the block, a function that passes on a step's metrics; it never raises.

    folder: for TensorBoard's event files, and what the others keep on this machine.
    settings: recorded with the run.
    """
    check(kind, folder)
    careful = _Careful(kind)
    opened: _Tracker | None = None
    if kind != "none":
        opened = careful.attempt(lambda: _OPEN[kind](run_name, folder, _flat(settings)))

    def log_step(metrics: Mapping[str, float], step: int) -> None:
        numbers = {k: float(v) for k, v in metrics.items() if isinstance(v, int | float)}
        if opened is not None and not careful.gave_up:
            careful.attempt(lambda: opened.log(numbers, step))

    failed = True
    try:
        yield log_step
        failed = False
    finally:
        if opened is not None:
            careful.attempt(lambda: opened.close(failed))


class _Careful:
    """Calls that may fail: the first failure is reported, several in a row end the attempts."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.gave_up = False
        self._in_a_row = 0
        self._reported = False

    def attempt(self, call: Callable[[], Any]) -> Any:
        try:
            result = call()
        except Exception as error:  # anything that a tracker's library or its server raises
            self._in_a_row += 1
            self.gave_up = self._in_a_row >= _MOST_FAILURES
            if not self._reported:
                self._reported = True
                log.warning("train.tracking=%r failed; training continues", self.kind, exc_info=True)
                text = f"train.tracking={self.kind!r} failed: {first_line(error)}"
                say(f"{text}; training continues, and metrics.jsonl has its metrics")
            return None
        self._in_a_row = 0
        return result


class _TensorBoard:
    def __init__(self, run_name: str, folder: str, settings: Mapping[str, str]) -> None:
        library = "torch.utils.tensorboard" if _is_installed("tensorboard") else "tensorboardX"
        place = resolve(join(folder, run_name))[1]
        # File names count in whole seconds: two starts within one would overwrite each other.
        self._writer = importlib.import_module(library).SummaryWriter(place, filename_suffix=f".{time.time_ns()}")
        rows = [f"| {key} | {value} |" for key, value in settings.items()]
        self._writer.add_text("settings", "\n".join(["| setting | value |", "|---|---|", *rows]))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        for key, value in metrics.items():
            self._writer.add_scalar(f"train/{key}", value, step)
        self._writer.flush()

    def close(self, failed: bool) -> None:
        self._writer.close()


class _MLflow:
    def __init__(self, run_name: str, folder: str, settings: Mapping[str, str]) -> None:
        import mlflow

        self._mlflow = mlflow
        place = join(folder, run_name, _MLFLOW_RUN)
        if exists(place):  # a restart continues the same curve
            try:
                mlflow.start_run(run_id=read_bytes(place).decode())
                return
            except Exception:  # removed in the meantime, or on another server
                log.info("MLflow does not know the previous run; it gets a new one", exc_info=True)
        run = mlflow.start_run(run_name=run_name)
        write_bytes(place, run.info.run_id.encode())
        try:
            mlflow.log_params(dict(settings))
        except Exception:  # e.g. a value too long for this server: the metrics matter more
            log.warning("MLflow did not accept the settings", exc_info=True)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics(dict(metrics), step=step)

    def close(self, failed: bool) -> None:
        self._mlflow.end_run("FAILED" if failed else "FINISHED")


class _Wandb:
    def __init__(self, run_name: str, folder: str, settings: Mapping[str, str]) -> None:
        import wandb

        place = {}
        if is_local(folder):
            filesystem, path = resolve(folder)
            filesystem.create_dir(path, recursive=True)
            place = {"dir": path}
        self._run = wandb.init(
            name=run_name,
            id=fingerprint(folder, run_name, dict(settings)),
            resume="allow",  # a restart continues the same curve
            config=dict(settings),
            settings={"login_timeout": 30},  # or it waits for a key at a terminal that nobody sees
            **place,
        )

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._run.log(dict(metrics), step=step)

    def close(self, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


_OPEN: dict[str, Callable[[str, str, Mapping[str, str]], _Tracker]] = {
    "tensorboard": _TensorBoard,
    "mlflow": _MLflow,
    "wandb": _Wandb,
}


def _is_installed(name: str) -> bool:
    """Whether it is a package, not a folder of that name in the working directory (wandb and mlflow leave some)."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """`train.loss.alpha`: one text for each setting, as trackers want them."""
    found: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = str(value)
    return found
