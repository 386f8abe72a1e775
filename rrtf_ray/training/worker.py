"""Entry point of Ray Train's workers: rankings to examples, steps with checkpoints on a cadence, and the export."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rrtf_ray.config import TrainConfig
from rrtf_ray.core.examples import Example, chosen_of, schedule, split_validation, tokenize, weighted
from rrtf_ray.errors import RRTFError, StageError
from rrtf_ray.records import Ranking, Reason
from rrtf_ray.store.files import upload_dir
from rrtf_ray.store.models import local_folder
from rrtf_ray.store.prompting import Prompting
from rrtf_ray.store.rows import RowStore
from rrtf_ray.training.engine import load_state, save_state, start_engine
from rrtf_ray.training.messages import Failed, Message, Started, Step, TrainTask
from rrtf_ray.training.model import choose_path
from rrtf_ray.training.objective import plain_model
from rrtf_ray.training.trainer import Trainer
from rrtf_ray.training.validation import Validation

Tell = Callable[[Message], object]


def train_worker(settings: dict[str, Any]) -> None:
    """settings: `task`, a TrainTask, and `queue`, through which rank 0 sends Messages to the driver."""
    import ray.train

    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    tell: Tell = settings["queue"].put if rank == 0 else lambda _: None
    try:
        _train(settings["task"], rank, world, tell)
    except RRTFError as error:
        tell(Failed(error))
        raise


def _train(task: TrainTask, rank: int, world: int, tell: Tell) -> None:
    import ray.train
    from transformers import AutoTokenizer

    config = task.config
    folder = local_folder(task.model)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rankings = RowStore(task.rankings, Ranking, "problem_id").read()
    examples, left_out = make_examples(rankings, tokenizer, task.prompting, config)
    if not examples:
        raise StageError(
            f"no ranking can be trained on (left out: {dict(left_out)}); see train.loss and sample.teacher"
        )
    examples, validated = split_validation(examples, config.validation_share, task.seed)
    if config.validation_share and not (examples and validated):
        raise StageError(
            f"train.validation_share={config.validation_share} leaves {len(examples)} problems to train on and "
            f"{len(validated)} to validate on; there are too few for it"
        )
    steps = schedule(len(examples), config.epochs, config.batch_groups, task.seed, config.steps)
    torch.manual_seed(task.seed)  # adapters begin at random
    engine = start_engine(config, folder, len(steps))
    packed, why = choose_path(engine, engine.module.model, config)
    trainer = Trainer(engine, config, packed=packed, rank=rank, world=world)
    if config.loss.objective == "dpo":
        examples = trainer.references(examples)
    validation = Validation(trainer, validated, config)
    first = done = _restore(engine, ray.train.get_checkpoint(), config, examples, validation)
    tell(Started(len(steps), first, why))
    for number in range(first, len(steps)):
        if validation.is_over:  # also where a restart finds it so
            break
        metrics = trainer.step([examples[i] for i in steps[number]])
        done = number + 1
        metrics |= validation.after(done, done == len(steps))
        tell(Step(done, len(steps), round(sum(map(len, steps[:done])) / len(examples), 4), metrics))
        if done % config.checkpoint_every_steps == 0 and done < len(steps):
            _save(engine, config, done, examples, validation)
    counts = {
        "steps": done,
        "examples": len(examples),
        "response_tokens": sum(len(r) for step in steps[:done] for i in step for r in examples[i].responses),
        "responses": sum(len(example.responses) for example in examples),
        "left_out": dict(left_out),
        "packed": packed,
    }
    if validated:
        best = {"loss": validation.best_loss, "step": validation.best_step}
        counts["validation"] = {"problems": len(validated), "best": best}
    _export(engine, validation.weights(), task, tokenizer, counts, rank)


def make_examples(
    rankings: Any, tokenizer: Any, prompting: Prompting, config: TrainConfig
) -> tuple[list[Example], Counter[str]]:
    """All trainable examples in the order of their ids; and how many rankings, and (`response_*`) how many responses
    of the others, were left out for what reason. Padding needs no token of its own: it is never looked at."""
    left_out: Counter[str] = Counter()
    examples: list[Example] = []
    pass_rates: list[float | None] = []
    supervised = config.loss.objective == "sft"
    end = prompting.end(tokenizer)
    for ranking in rankings:
        chosen = chosen_of(ranking, config)
        if isinstance(chosen, Reason):
            left_out[chosen.value] += 1
            continue
        example, dropped = tokenize(
            ranking,
            *chosen,
            encode_prompt=lambda text: prompting.encode(tokenizer, text),
            encode_response=lambda prompt, candidate: tokenizer.encode(
                prompting.answer(prompt, candidate.completion, truncated=candidate.truncated), add_special_tokens=False
            ),
            eos=end,
            max_length=config.max_length,
            max_tokens=config.tokens_per_pass,
            compares=not supervised,
        )
        if isinstance(example, Reason):
            left_out[example.value] += 1
            continue
        left_out.update({f"response_{reason.value}": count for reason, count in dropped.items()})
        examples.append(example)
        pass_rates.append(ranking.pass_rate)
    if config.loss.problem_weight == "failure_rate":
        examples = weighted(examples, pass_rates)
    examples.sort(key=lambda e: e.problem_id)
    return examples, left_out


def _restore(engine: Any, checkpoint: Any, config: TrainConfig, examples: list[Example], validation: Validation) -> int:
    """The number of steps that are done already."""
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        done = load_state(engine, folder, config, examples)
        validation.load(folder)
        return done


def _save(engine: Any, config: TrainConfig, step: int, examples: list[Example], validation: Validation) -> None:
    """Publish the training state: Ray Train takes a checkpoint for one when every worker has reported its part."""
    import ray.train

    with tempfile.TemporaryDirectory(prefix="rrtf-state-") as folder:
        save_state(engine, folder, step, config, examples)
        validation.save(folder)
        ray.train.report({"step": step}, checkpoint=ray.train.Checkpoint.from_directory(folder))


def _export(
    engine: Any,
    weights: dict[str, torch.Tensor],
    task: TrainTask,
    tokenizer: Any,
    counts: dict[str, Any],
    rank: int,
) -> None:
    """Publish the checkpoint from rank 0: safetensors, tokenizer, generation config, and the manifest last."""
    if rank == 0:
        model = plain_model(engine.module.model)
        with tempfile.TemporaryDirectory(prefix="rrtf-checkpoint-") as local:
            model.config.use_cache = True
            model.save_pretrained(local, state_dict=weights)
            tokenizer.save_pretrained(local)
            manifest = {"fingerprint": task.identity, "base": task.model_name, **counts}
            upload_dir(Path(local), task.target, manifest)
    torch.distributed.barrier()
