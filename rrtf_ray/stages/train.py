"""Fine-tuning by RRTF: Ray Train starts the workers, `train_worker` is what each of them runs.

In: complete rankings and the student. Out: a Hugging Face checkpoint, complete or absent, and a line of metrics
for every optimizer step. A run that was killed continues from the last training state.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import ray
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.queue import Empty, Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rrtf_ray.cluster.failures import explained
from rrtf_ray.cluster.resources import require
from rrtf_ray.config import Config, TrainConfig, resolved
from rrtf_ray.errors import InputError, StageError
from rrtf_ray.identity import fingerprint
from rrtf_ray.progress import bar, say
from rrtf_ray.stages.preflight import check_training, prompting_for
from rrtf_ray.store.files import MANIFEST, exists, join, read_json, remove, resolve
from rrtf_ray.store.models import model_identity
from rrtf_ray.store.run_dir import RunDir, label, model_name
from rrtf_ray.training.messages import Failed, Message, Started, Step, TrainTask
from rrtf_ray.training.tracking import tracker
from rrtf_ray.training.worker import train_worker

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


def train(
    config: Config,
    run: RunDir,
    model: str,
    round: int,
    on_metrics: Callable[[dict[str, Any]], None],
    name: str = "",
) -> str:
    """Train round `round` from `model`; returns the checkpoint's place. `on_metrics` gets every step's metrics, and
    so does the tracker that `train.tracking` names. name: what a person sees; `train 1` and so on by default.

    Raises InputError where the rankings or the model cannot be used, StageError where training fails.
    """
    rankings = run.rankings(round)
    target = run.checkpoint(round)
    if not rankings.is_complete():
        raise InputError(f"{rankings.uri} is not complete; run `rrtf rank` first")
    settings = config.train.model_dump(mode="json", exclude=_NOT_THE_RESULT) | {
        "model": model_name(config.run_dir, model),
        "model_files": model_identity(model),
        "seed": config.seed,
        "prompting": asdict(prompting_for(config, model)),
    }
    identity = fingerprint(settings, rankings.manifest()["fingerprint"])
    name = name or f"train {round}"
    if exists(join(target, MANIFEST)):
        before = read_json(join(target, MANIFEST))
        if before["fingerprint"] != identity:
            raise InputError(
                f"{target} was trained with other settings or rankings; use another run_dir, or remove that folder"
            )
        say(f"{name}: complete already, {before['steps']} steps")
        remove(run.training_state(round))
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
    with tracker(config.train.tracking, label(round), run.tracking(), resolved(config)) as track:

        def both(metrics: dict[str, Any]) -> None:
            on_metrics(metrics)
            track(metrics, metrics["step"])

        task = TrainTask(
            config=config.train,
            model=model,
            model_name=model_name(config.run_dir, model),
            rankings=rankings.uri,
            target=target,
            prompting=prompting_for(config, model),
            seed=config.seed,
            identity=identity,
        )
        _fit(config, task, run.training_state(round), both, name)
    remove(run.training_state(round))
    return target


def _fit(
    config: Config, task: TrainTask, state_dir: str, on_metrics: Callable[[dict[str, Any]], None], name: str
) -> None:
    """Run Ray Train to the end of the training. state_dir: of what a restart continues from."""
    started = time.monotonic()
    # On the driver's own node: a spot machine may go at any time, and the metrics with it.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    queue = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
    trainer = _trainer(config.train, task, state_dir, queue)
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
        raise explained(failure[0], name)
    if not exists(join(task.target, MANIFEST)):
        raise StageError(f"{name} ended without a checkpoint; the workers' logs are in run_dir/logs")
    counts = read_json(join(task.target, MANIFEST))
    metrics = last.metrics if last else {}
    say(
        f"{name}: {counts['examples']} problems, {counts['steps']} steps, loss {metrics.get('loss', math.nan):.3f}, "
        f"ranking accuracy {metrics.get('ranking_accuracy', math.nan):.0%}, left out: {counts['left_out'] or 'none'} "
        f"({time.monotonic() - started:.1f} s)"
    )


def _trainer(config: TrainConfig, task: TrainTask, state_dir: str, queue: Queue) -> TorchTrainer:
    filesystem, path = resolve(state_dir)
    filesystem.create_dir(path, recursive=True)
    return TorchTrainer(
        train_worker,
        train_loop_config={"task": task, "queue": queue},
        scaling_config=ScalingConfig(
            num_workers=config.num_workers,
            use_gpu=config.use_gpu,
            resources_per_worker={"CPU": config.cpus_per_worker} | ({"GPU": 1.0} if config.use_gpu else {}),
        ),
        torch_config=TorchConfig(backend="nccl" if config.use_gpu else "gloo", timeout_s=1800),
        run_config=RunConfig(
            name=task.identity,  # a restart with the same settings finds its own state, and no other
            storage_path=path,
            storage_filesystem=filesystem,
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            failure_config=FailureConfig(max_failures=config.max_failures),
        ),
    )


def _follow(
    queue: Queue,
    thread: threading.Thread,
    on_metrics: Callable[[dict[str, Any]], None],
    name: str,
    start_limit_s: float,
) -> Step | None:
    """Pass on rank 0's metrics as they come, until the trainer's thread ends; returns the last step.

    Raises the error that the worker reports at once: trying again would not help.
    """
    message = _first(queue, thread, name, start_limit_s)
    last: Step | None = None
    starts, done = 0, 0
    with bar(name, message.total_steps if isinstance(message, Started) else 0) as shown:
        while True:
            alive = thread.is_alive()
            match message:
                case Failed(error):
                    raise error
                case Started():
                    _say_start(message, name, again=starts > 0)
                    starts += 1
                    shown.advance(message.first_step - done)
                    done = message.first_step
                case Step():
                    last = message
                    on_metrics(message.as_row())
                    shown.advance(message.step - done, _note(message))
                    done = message.step
                case None if not alive:
                    return last
            message = _next(queue)


def _first(queue: Queue, thread: threading.Thread, name: str, limit_s: float) -> Message | None:
    """What the workers report first; None if they end without a word. Raises StageError after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while thread.is_alive():
        if message := _next(queue):
            return message
        if time.monotonic() > deadline:
            raise StageError(
                f"{name}: the workers did not start within cluster.resource_timeout_s={limit_s:g} s; "
                "raise it, or lower train.num_workers"
            )
    return None


def _say_start(started: Started, name: str, again: bool) -> None:
    if again:
        say(f"{name}: the workers were restarted after step {started.first_step} of {started.total_steps}")
    elif started.first_step:
        say(f"{name}: resumes after step {started.first_step} of {started.total_steps}")
    if started.padded_because and not again:
        say(f"{name}: each response takes a row of its own, which is slower: {started.padded_because}")


def _note(step: Step) -> str:
    metrics = step.metrics
    return (
        f"epoch {step.epoch:.2f}  loss {metrics['loss']:.3f} = rank {metrics['rank_loss']:.3f} & "
        f"ft {metrics['ft_loss']:.3f}  {metrics['tokens_per_s']:.0f} tokens/s"
    )


def _next(queue: Queue) -> Message | None:
    try:
        message: Message = queue.get(timeout=0.5)
    except Empty:
        return None
    except ray.exceptions.RayActorError:
        time.sleep(0.5)  # the queue is gone, training may still end well
        return None
    return message
