"""Fine-tuning by RRTF: Ray Train starts the workers, `train_worker` is what each of them runs.

In: complete rankings and the student. Out: a Hugging Face checkpoint, complete or absent, and a line of metrics
for every optimizer step. A run that was killed continues from the last training state.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.queue import Empty, Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rrtf_ray.cluster.resources import require
from rrtf_ray.config import Config, resolved
from rrtf_ray.errors import InputError, RRTFError, StageError
from rrtf_ray.identity import fingerprint
from rrtf_ray.progress import bar, say
from rrtf_ray.stages.preflight import check_training
from rrtf_ray.store.files import MANIFEST, exists, join, read_json, remove, resolve
from rrtf_ray.store.models import model_identity
from rrtf_ray.store.run_dir import RunDir, label, model_name
from rrtf_ray.training.tracking import tracker
from rrtf_ray.training.worker import train_worker

log = logging.getLogger(__name__)

# What a training may be continued with other values of: the result is the same but for rounding.
_NOT_THE_RESULT = {
    "num_workers",
    "use_gpu",
    "cpus_per_worker",
    "zero_stage",
    "offload",
    "tokens_per_pass",
    "packing",
    "logits_chunk",
    "gradient_checkpointing",
    "checkpoint_every_steps",
    "max_failures",
    "tracking",
}


def train(config: Config, run: RunDir, model: str, number: int, on_metrics: Callable[[dict[str, Any]], None]) -> str:
    """Train round `number` from `model`; returns the checkpoint's place. `on_metrics` gets every step's metrics, and
    so does the tracker that `train.tracking` names.

    Raises InputError where the rankings or the model cannot be used, StageError where training fails.
    """
    rankings = run.rankings(number)
    target = run.checkpoint(number)
    if not rankings.is_complete():
        raise InputError(f"{rankings.uri} is not complete; run `rrtf rank` first")
    settings = config.train.model_dump(mode="json", exclude=_NOT_THE_RESULT) | {
        "model": model_name(config.run_dir, model),
        "model_files": model_identity(model),
        "seed": config.seed,
        "template": config.sample.prompt_template,
    }
    identity = fingerprint(settings, rankings.manifest()["fingerprint"])
    name = f"train {number}"
    if exists(join(target, MANIFEST)):
        before = read_json(join(target, MANIFEST))
        if before["fingerprint"] != identity:
            raise InputError(
                f"{target} was trained with other settings or rankings; use another run_dir, or remove that folder"
            )
        say(f"{name}: complete already, {before['steps']} steps")
        remove(run.training_state(number))
        return target
    check_training(config, run, model)
    gpus = config.train.num_workers if config.train.use_gpu else 0
    require(
        "train.num_workers",
        cpus=config.train.num_workers * config.train.cpus_per_worker,
        gpus=gpus,
        largest_cpus=config.train.cpus_per_worker,
        largest_gpus=1 if gpus else 0,
    )
    with tracker(config.train.tracking, label(number), run.tracking(), resolved(config)) as track:

        def both(metrics: dict[str, Any]) -> None:
            on_metrics(metrics)
            track(metrics, metrics["step"])

        _fit(config, run, model, number, identity, both, name)
    remove(run.training_state(number))
    return target


def _fit(
    config: Config,
    run: RunDir,
    model: str,
    number: int,
    identity: str,
    on_metrics: Callable[[dict[str, Any]], None],
    name: str,
) -> None:
    started = time.monotonic()
    # On the driver's own node: a spot machine may go at any time, and the metrics with it.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    queue = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
    filesystem, path = resolve(run.training_state(number))
    filesystem.create_dir(path, recursive=True)
    trainer = TorchTrainer(
        train_worker,
        train_loop_config={
            "train": config.train,
            "model": model,
            "model_name": model_name(config.run_dir, model),
            "rankings": run.rankings(number).uri,
            "target": run.checkpoint(number),
            "template": config.sample.prompt_template,
            "seed": config.seed,
            "identity": identity,
            "queue": queue,
        },
        scaling_config=ScalingConfig(
            num_workers=config.train.num_workers,
            use_gpu=config.train.use_gpu,
            resources_per_worker={"CPU": config.train.cpus_per_worker} | ({"GPU": 1.0} if config.train.use_gpu else {}),
        ),
        torch_config=TorchConfig(backend="nccl" if config.train.use_gpu else "gloo", timeout_s=1800),
        run_config=RunConfig(
            name=identity,  # a restart with the same settings finds its own state, and no other
            storage_path=path,
            storage_filesystem=filesystem,
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            failure_config=FailureConfig(max_failures=config.train.max_failures),
        ),
    )
    failure: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as error:  # handed to the thread that waits
            failure.append(error)

    thread = threading.Thread(target=fit, name="ray-train", daemon=True)
    thread.start()
    try:
        last = _follow(queue, thread, on_metrics, name, config.cluster.resource_timeout_s)
    finally:
        queue.shutdown(force=True)
    if failure:
        raise _explained(failure[0], name)
    if not exists(join(run.checkpoint(number), MANIFEST)):
        raise StageError(f"{name} ended without a checkpoint; the workers' logs are in run_dir/logs")
    counts = read_json(join(run.checkpoint(number), MANIFEST))
    say(
        f"{name}: {counts['examples']} problems, {counts['steps']} steps, loss {last.get('loss', float('nan')):.3f}, "
        f"ranking accuracy {last.get('ranking_accuracy', float('nan')):.0%}, left out: {counts['left_out'] or 'none'} "
        f"({time.monotonic() - started:.1f} s)"
    )


def _follow(
    queue: Queue,
    thread: threading.Thread,
    on_metrics: Callable[[dict[str, Any]], None],
    name: str,
    start_limit_s: float,
) -> dict[str, Any]:
    """Pass on the metrics of rank 0 as they come, until the trainer's thread ends; returns the last.

    Raises the worker's own error, where it tells one, at once: trying again would not help.
    """
    last: dict[str, Any] = {}
    deadline = time.monotonic() + start_limit_s
    started: dict[str, Any] = {}
    while thread.is_alive() and not started:
        started = _next(queue)
        if not started and time.monotonic() > deadline:
            raise StageError(
                f"{name}: the workers did not start within cluster.resource_timeout_s={start_limit_s:g} s; "
                "raise it, or lower train.num_workers"
            )
    with bar(name, started.get("total_steps", 0)) as shown:
        done, message = 0, started
        while True:
            alive = thread.is_alive()
            if "error" in message:
                raise message["error"]
            if "total_steps" in message:
                _say_start(message, name, again=message is not started)
                shown.advance(message["first_step"] - done)
                done = message["first_step"]
            elif "step" in message:
                last = message
                on_metrics(message)
                shown.advance(message["step"] - done, _note(message))
                done = message["step"]
            elif not message and not alive:
                return last
            message = _next(queue)


def _say_start(message: dict[str, Any], name: str, again: bool) -> None:
    if again:
        say(f"{name}: the workers were started again, after step {message['first_step']} of {message['total_steps']}")
    elif message["first_step"]:
        say(f"{name}: goes on after step {message['first_step']} of {message['total_steps']}")
    if message["padded_because"] and not again:
        say(f"{name}: each response takes a row of its own, which is slower: {message['padded_because']}")


def _note(metrics: dict[str, Any]) -> str:
    return (
        f"epoch {metrics['epoch']:.2f}  loss {metrics['loss']:.3f} = rank {metrics['rank_loss']:.3f} & "
        f"ft {metrics['ft_loss']:.3f}  {metrics['tokens_per_s']:.0f} tokens/s"
    )


def _next(queue: Queue) -> dict[str, Any]:
    try:
        return queue.get(timeout=0.5)
    except Empty:
        return {}
    except ray.exceptions.RayActorError:
        time.sleep(0.5)  # the queue is gone, training may still end well
        return {}


def _explained(error: BaseException, name: str) -> BaseException:
    """The workers' own error where it is one of ours; otherwise the first failure, in one line."""
    failures = getattr(error, "worker_failures", None) or {}
    causes = [*failures.values(), error]
    for cause in causes:
        inner: BaseException | None = cause
        while inner is not None:
            if isinstance(inner, RRTFError):
                return inner
            inner = getattr(inner, "cause", None) or inner.__cause__
    log.error("%s failed", name, exc_info=error)
    text = str(causes[0]).strip().splitlines() or [type(causes[0]).__name__]
    return StageError(f"{name} failed: {text[-1]}; start the same command again to continue from the last state")
