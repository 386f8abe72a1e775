"""Steps with DeepSpeed: neither ZeRO's stage, nor the number of workers, nor how a step is cut into passes changes
what comes out. Each scenario is one process per worker (importing DeepSpeed takes seconds), which does many runs: two
workers first, then one, which also finds the state that they left."""

import json
import math
import os
import random
import socket
import subprocess
import sys
import time
from array import array
from dataclasses import replace
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
VOCAB = 96
POISON = 50  # a position that one problem only has tokens at
STEPS = 6
ALPHA = 20.0
LIMIT_S = 800
"""For all runs of a scenario; it only ends one that hangs."""


def groups(count=12, poisoned=None):
    """Random ragged groups; the one of index `poisoned` goes beyond the position POISON."""
    from rrtf_ray.core.examples import Example

    chooser = random.Random(0)

    def tokens(size):
        return array("i", [chooser.randrange(VOCAB) for _ in range(size)])

    found = []
    for at in range(count):
        size = 2 + at % 3
        responses = tuple(tokens(chooser.randrange(1, 14)) for _ in range(size))
        scores = tuple(1.0 - 0.3 * n for n in range(size))
        prompt = tokens(chooser.randrange(3, 12))
        if at == poisoned:
            prompt = tokens(POISON)
        first = tuple(n == 0 for n in range(size))
        found.append(Example(f"problem/{at}", prompt, responses, scores, first, tuple(map(float, first)), first))
    return found


class Worker:
    """Inside a worker's process: runs of the same steps, and the first worker's results as JSON."""

    def __init__(self, rank, world, folder):
        import torch

        torch.set_num_threads(1)
        self.rank, self.world, self.folder = rank, world, Path(folder)
        self.found = {}

    def trainer(self, model="model", **changes):
        """A fresh engine around the model."""
        import torch

        from rrtf_ray.config import TrainConfig
        from rrtf_ray.training import engine as engines
        from rrtf_ray.training.model import choose_path
        from rrtf_ray.training.trainer import Trainer

        # An untrained model has next to nothing to rank: with a margin every pair counts.
        loss = {"alpha": ALPHA, "margin": 1.0}
        defaults = {"max_length": 32, "tokens_per_pass": 4096, "learning_rate": 3e-3, "loss": loss}
        config = TrainConfig(**(defaults | changes))
        torch.manual_seed(5)  # for adapters
        engine = engines.start_engine(config, str(self.folder / model), STEPS)
        packed, why = choose_path(engine, engine.module.model, config)
        assert packed == (config.packing != "padded"), why
        return Trainer(engine, config, packed=packed, rank=self.rank, world=self.world)

    def steps(self):
        """Two epochs of 5, 5 and 2 groups, each in its own order."""
        from rrtf_ray.core.examples import schedule

        steps = schedule(12, 2, 5, seed=3)
        assert [len(step) for step in steps] == [5, 5, 2] * 2
        return steps

    def run(self, name, **changes):
        """All steps; keeps their metrics and the final weights."""
        trainer = self.trainer(**changes)
        examples = groups()
        if trainer.config.loss.objective == "dpo":
            examples = trainer.references(examples)
        curve = [trainer.step([examples[i] for i in step]) for step in self.steps()]
        self.keep(name, trainer, curve, references=[e.reference for e in examples])

    def keep(self, name, trainer, curve, **more):
        from rrtf_ray.training.engine import whole_weights

        weights = whole_weights(trainer.engine, trainer.config)
        assert bool(weights) == (self.rank == 0)
        flat = {key: value.double().flatten().tolist() for key, value in sorted(weights.items())}
        self.found[name] = {"curve": curve, "weights": flat, **more}

    def error(self, name, call):
        from rrtf_ray.errors import StageError

        try:
            call()
        except StageError as error:
            self.found[name] = str(error)
        else:
            self.found[name] = "no error"


def alone(worker):
    """One worker."""
    for zero in (0, 1, 2, 3):
        worker.run(f"zero{zero}", zero_stage=zero)
    worker.run("passes0", zero_stage=0, tokens_per_pass=48, logits_chunk=9)
    worker.run("passes3", zero_stage=3, tokens_per_pass=48, logits_chunk=9, gradient_checkpointing=True)
    worker.run("padded", zero_stage=2, tokens_per_pass=100, packing="padded")
    worker.run("dpo", zero_stage=2, loss={"objective": "dpo"})
    worker.run("lora0", zero_stage=0, lora={"rank": 4, "target_modules": ("c_attn", "c_proj")})
    worker.run("lora3", zero_stage=3, lora={"rank": 4, "target_modules": ("c_attn", "c_proj")}, tokens_per_pass=48)
    worker.run("bfloat16", zero_stage=2, dtype="bfloat16")
    interrupted(worker, 2)
    interrupted(worker, 3)

    def poisoned():
        trainer = worker.trainer("spoilt", zero_stage=2, tokens_per_pass=32)
        trainer.step(groups(poisoned=7))

    worker.error("poisoned", poisoned)

    def diverged():
        trainer = worker.trainer(zero_stage=2, learning_rate=1e30)
        for _ in range(4):
            trainer.step(groups())

    worker.error("diverged", diverged)
    refused(worker)


def interrupted(worker, zero):
    """Half of the steps, then the rest by another engine from the first one's state."""
    from rrtf_ray.training.engine import load_state, save_state

    examples, steps = groups(), worker.steps()
    folder = str(worker.folder / f"state{zero}")
    first = worker.trainer(zero_stage=zero)
    curve = [first.step([examples[i] for i in step]) for step in steps[:3]]
    save_state(first.engine, folder, 3, first.config, examples)
    second = worker.trainer(zero_stage=zero)
    done = load_state(second.engine, folder, second.config, examples)
    assert done == 3
    curve += [second.step([examples[i] for i in step]) for step in steps[done:]]
    worker.keep(f"interrupted{zero}", second, curve)
    if zero == 2:
        other = worker.trainer(zero_stage=1)
        worker.error("another_stage", lambda: load_state(other.engine, folder, other.config, examples))
        worker.error(
            "no_state", lambda: load_state(other.engine, str(worker.folder / "nothing"), other.config, examples)
        )
        shorter = worker.trainer(zero_stage=2, tokens_per_pass=64)
        assert load_state(shorter.engine, folder, shorter.config, examples) == 3
        fewer = [replace(e, responses=e.responses[:2]) for e in examples]
        worker.error("other_examples", lambda: load_state(shorter.engine, folder, shorter.config, fewer))


def pair(worker):
    """Two workers."""
    from rrtf_ray.training.engine import save_state

    for zero in (1, 2, 3):
        worker.run(f"zero{zero}", zero_stage=zero)
    worker.run("passes2", zero_stage=2, tokens_per_pass=48, logits_chunk=9)
    worker.run("passes3", zero_stage=3, tokens_per_pass=48, logits_chunk=9)
    worker.run("dpo", zero_stage=3, loss={"objective": "dpo"}, tokens_per_pass=64)
    trainer = worker.trainer(zero_stage=2)
    # One group for two workers: the second has nothing to do, and must take part.
    worker.keep("single", trainer, [trainer.step(groups()[:1])])
    save_state(trainer.engine, str(worker.folder / "state-of-two"), 1, trainer.config, groups())

    def poisoned():
        bad = worker.trainer("spoilt", zero_stage=3, tokens_per_pass=32)
        bad.step(groups(poisoned=7))

    worker.error("poisoned", poisoned)


def refused(worker):
    """One worker that finds the state of two."""
    from rrtf_ray.training.engine import load_state

    trainer = worker.trainer(zero_stage=2)
    worker.keep("single", trainer, [trainer.step(groups()[:1])])
    folder = str(worker.folder / "state-of-two")
    worker.error("refused", lambda: load_state(trainer.engine, folder, trainer.config, groups()))


def main(scenario, folder):
    import torch.distributed

    torch.distributed.init_process_group("gloo")
    worker = Worker(torch.distributed.get_rank(), torch.distributed.get_world_size(), folder)
    {"alone": alone, "pair": pair}[scenario](worker)
    Path(folder, f"{scenario}-{worker.rank}.json").write_text(json.dumps(worker.found))
    torch.distributed.destroy_process_group()


def start(scenario, world, folder):
    """The results of each of `world` processes; none of them outlives this."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world), "DS_ACCELERATOR": "cpu"}
    workers = []
    try:
        for rank in range(world):
            environment = os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
            with open(folder / f"{scenario}-{rank}.log", "w") as log:
                workers.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "tests.training.test_zero", scenario, str(folder)],
                        cwd=ROOT,
                        env=environment,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )
        deadline = time.monotonic() + LIMIT_S
        for worker in workers:
            worker.wait(timeout=max(1, deadline - time.monotonic()))
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
    for rank, worker in enumerate(workers):
        assert worker.returncode == 0, (folder / f"{scenario}-{rank}.log").read_text()[-4000:]
    return [json.loads((folder / f"{scenario}-{rank}.json").read_text()) for rank in range(world)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of one worker, of the first of two, and of one with the state of two."""
    import torch
    from transformers import AutoModelForCausalLM, GPTBigCodeConfig

    folder = tmp_path_factory.mktemp("zero")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        GPTBigCodeConfig(
            vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=0, eos_token_id=0
        )
    )
    model.save_pretrained(folder / "model")
    weights = model.state_dict()
    spoilt = weights | {"transformer.wpe.weight": weights["transformer.wpe.weight"].clone()}
    spoilt["transformer.wpe.weight"][POISON] = torch.nan
    model.save_pretrained(folder / "spoilt", state_dict=spoilt)
    two = start("pair", 2, folder)
    one = start("alone", 1, folder)[0]
    began = {name: value.double().flatten().tolist() for name, value in model.state_dict().items()}
    return {"one": one, "two": two[0], "second": two[1], "began": began}


LOSSES = ("loss", "rank_loss", "ft_loss", "ranking_accuracy", "active_pairs", "margin", "grad_norm", "learning_rate")


def same(results, found, expected, rtol=1e-4):
    began = results["began"]
    assert len(found["curve"]) == len(expected["curve"])
    for number, (one, other) in enumerate(zip(found["curve"], expected["curve"], strict=True)):
        for key in LOSSES:
            assert one[key] == pytest.approx(other[key], rel=rtol, abs=1e-5), (number, key)
    assert found["weights"].keys() == expected["weights"].keys()
    for name, weights in expected["weights"].items():
        moved = math.dist(weights, began[name])
        # Adam makes much of what is nothing but rounding, such as the gradient of a key's bias.
        assert math.dist(found["weights"][name], weights) <= 1e-3 * moved + 1e-7 * math.hypot(*weights), name


def test_the_steps_learn_something(results):
    curve = results["one"]["zero0"]["curve"]
    assert len(curve) == STEPS
    first, second = (sum(curve[at + n]["loss"] * (5, 5, 2)[n] for n in range(3)) for at in (0, 3))
    assert second < 0.95 * first  # of all 12 groups
    assert all(metrics["grad_norm"] > 0 for metrics in curve)
    assert all(metrics["rank_loss"] > 0 for metrics in curve)
    for metrics in curve:
        assert metrics["loss"] == pytest.approx(ALPHA * metrics["rank_loss"] + metrics["ft_loss"])
        assert metrics["padding_share"] == 0


@pytest.mark.parametrize("name", ["zero1", "zero2", "zero3"])
@pytest.mark.parametrize("workers", ["one", "two"])
def test_neither_the_stage_nor_the_number_of_workers_matters(results, workers, name):
    same(results, results[workers][name], results["one"]["zero0"])


@pytest.mark.parametrize(
    ("workers", "name"), [("one", "passes0"), ("one", "passes3"), ("two", "passes2"), ("two", "passes3")]
)
def test_how_a_step_is_cut_into_passes_does_not_matter(results, workers, name):
    same(results, results[workers][name], results["one"]["zero0"])


def test_padded_rows_give_the_same(results):
    same(results, results["one"]["padded"], results["one"]["zero0"])
    assert any(metrics["padding_share"] > 0 for metrics in results["one"]["padded"]["curve"])


def test_lora_is_the_same_under_zero_3(results):
    same(results, results["one"]["lora3"], results["one"]["lora0"])
    # The merged weights go by the names of the base model, and most are what they were.
    assert results["one"]["lora0"]["weights"].keys() == results["one"]["zero0"]["weights"].keys()
    embedding = "transformer.wte.weight"
    assert results["one"]["lora0"]["weights"][embedding] != results["one"]["zero0"]["weights"][embedding]


def test_bfloat16_follows_float32(results):
    found, expected = results["one"]["bfloat16"]["curve"], results["one"]["zero0"]["curve"]
    for one, other in zip(found, expected, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=0.03)


def test_a_worker_without_a_group_takes_part(results):
    same(results, results["two"]["single"], results["one"]["single"])


def test_dpo_begins_at_log_2_and_needs_the_references_of_all_workers(results):
    one, two = results["one"]["dpo"], results["two"]["dpo"]
    same(results, two, one)
    assert one["curve"][0]["loss"] == pytest.approx(math.log(2) * pairs_per_group(first_step()), rel=1e-4)
    assert one["curve"][-1]["loss"] < one["curve"][0]["loss"]
    for found, expected in zip(two["references"], one["references"], strict=True):
        assert found == pytest.approx(expected, rel=1e-4)
    # Every worker has all of them, though each computed only its own.
    assert results["second"]["dpo"]["references"] == two["references"]
    for example, reference in zip(groups(), one["references"], strict=True):
        lengths = [len(response) for response in example.responses]
        # The model has learnt nothing yet: about log(1 / VOCAB) a token.
        assert reference == pytest.approx([-math.log(VOCAB) * length for length in lengths], rel=0.1)


def first_step():
    from rrtf_ray.core.examples import schedule

    return [groups()[i] for i in schedule(12, 2, 5, seed=3)[0]]


def pairs_per_group(examples):
    """Pairs of the one teacher's response and each other."""
    return sum(len(e.responses) - 1 for e in examples) / len(examples)


@pytest.mark.parametrize("zero", [2, 3])
def test_an_interrupted_training_ends_as_an_undisturbed_one(results, zero):
    same(results, results["one"][f"interrupted{zero}"], results["one"][f"zero{zero}"], rtol=1e-6)


def test_state_of_another_number_of_workers_is_refused(results):
    error = results["one"]["refused"]
    assert "train.num_workers=2" in error
    assert "train.num_workers=1" in error
    assert "to continue, or remove the round's training-state folder" in error


def test_state_of_another_stage_and_missing_state_are_refused(results):
    assert "set train.zero_stage=2 to continue" in results["one"]["another_stage"]
    assert "cannot be loaded; remove" in results["one"]["no_state"]


def test_state_goes_on_in_shorter_passes_unless_they_leave_out_other_responses(results):
    assert "set train.tokens_per_pass=4096 to continue" in results["one"]["other_examples"]


@pytest.mark.parametrize("workers", ["one", "two", "second"])
def test_a_loss_that_is_not_finite_names_its_problem(results, workers):
    error = results[workers]["poisoned"]
    assert "the loss is nan" in error
    assert "problem/7" in error
    assert error.count("problem/") < 12
    assert "the last training state is kept" in error


def test_a_training_that_diverges_is_stopped(results):
    error = results["one"]["diverged"]
    assert error.startswith(("the loss is", "the gradient is"))
    assert "lower train.learning_rate" in error


if __name__ == "__main__":
    main(*sys.argv[1:])
