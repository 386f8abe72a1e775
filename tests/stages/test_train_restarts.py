"""Nothing is lost: killed workers and killed jobs end with the weights of an undisturbed training.

One small set of rankings is written here, so that training runs by itself; the cluster is the session's.
"""

import contextlib
import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from rrtf_ray.config import RankConfig, TrainConfig
from rrtf_ray.core.examples import split_validation
from rrtf_ray.core.ranking import rank
from rrtf_ray.quickstart import generate_problems
from rrtf_ray.records import Outcome
from rrtf_ray.store.files import MANIFEST
from rrtf_ray.store.prompting import Prompting
from rrtf_ray.store.run_dir import RunDir
from rrtf_ray.training.validation import imitation_loss
from rrtf_ray.training.worker import make_examples
from tests.conftest import LIMIT_S
from tests.records_for_tests import candidate, group

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3 * LIMIT_S)]

SETTINGS = [
    "problems.num_train=24",
    "problems.num_held_out=4",
    "model.max_model_len=512",
    "sample.max_tokens=64",
    "train.max_length=512",
    "train.tokens_per_pass=1024",
    "train.num_workers=2",
    "train.batch_groups=5",
    "train.epochs=4",
    "train.learning_rate=1e-3",
    "train.checkpoint_every_steps=3",
]
RESTARTED = "train 1: the workers were restarted after step"
RESUMED = "train 1: resumes after step"
STEPS = 20  # 24 problems, 5 a step: 5 steps an epoch, the last of 4


@pytest.fixture(scope="module")
def problems():
    return generate_problems(24, 1)[0]


def prepare(folder, problems):
    """A run directory whose first round is ranked."""
    run = RunDir(str(folder))
    rankings = []
    for number, problem in enumerate(problems):
        wrong = problem.reference.replace("return", "return not", 1)
        candidates = (
            candidate("t0", Outcome.PASSED, completion=problem.reference),
            candidate("s0", Outcome.FAILED, completion=wrong),
            candidate("s1", Outcome.COMPILE_ERROR, completion="    return (" * (1 + number % 4)),
        )
        rankings.append(rank(group(*candidates, id_=problem.id, prompt=problem.prompt), RankConfig()))
    store = run.rankings(1)
    store.begin("rankings", {})
    store.write(rankings)
    store.finish({"fingerprint": "rankings"})
    return run


def weights(run):
    from safetensors.torch import load_file

    return load_file(os.path.join(run.checkpoint(1), "model.safetensors"))


def metrics(run):
    return [json.loads(line) for line in Path(run.at("metrics.jsonl")).read_text().splitlines()]


def assert_equal(run, other):
    import torch

    ours, theirs = weights(run), weights(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(
            value, theirs[name], rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.fixture(scope="module")
def train(rrtf, cluster, student):
    def run_it(run, *overrides, start=False):
        arguments = ["train", f"run_dir={run.uri}", f"model.student={student}", *SETTINGS, *overrides]
        return rrtf(*arguments, address=cluster.address, start=start)

    return run_it


@pytest.fixture(scope="module")
def undisturbed(train, problems, tmp_path_factory):
    run = prepare(tmp_path_factory.mktemp("undisturbed") / "run", problems)
    done = train(run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [m["step"] for m in metrics(run)] == list(range(1, STEPS + 1))
    return run


@pytest.fixture(scope="module")
def disturbed(train, problems, tmp_path_factory):
    """One training that loses first a worker and then its driver, and is finished by another: the run, what the first
    driver said, how a start with another number of workers ended, and how the last start did."""
    run = prepare(tmp_path_factory.mktemp("disturbed") / "run", problems)
    driver = train(run, start=True)
    wait_for(lambda: saved_step(run) and newest_training_worker(), driver, "a training state")
    newest_training_worker().send_signal(signal.SIGKILL)
    lines = []
    while not any(RESTARTED in line for line in lines):
        lines.append(driver.stdout.readline())
        assert lines[-1], "".join(lines)
    again = saved_step(run)
    # A state of the second workers, so that the weights in the end are theirs too.
    wait_for(lambda: saved_step(run) > again, driver, "another training state")
    driver.kill()
    rest, _ = driver.communicate(timeout=LIMIT_S)
    refused = train(run, "train.num_workers=1")
    return run, "".join(lines) + rest, refused, train(run)


def wait_for(condition, driver, what):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert driver.poll() is None, driver.stdout.read()
        assert time.monotonic() < deadline, f"{what} did not come within {LIMIT_S} s"
        time.sleep(0.05)


def saved_step(run):
    """The step of the newest published state that Ray Train has recorded, which is what a new start begins from; 0
    where there is none."""
    steps = [0]
    for snapshot in Path(run.training_state(1)).glob("*/checkpoint_manager_snapshot.json"):
        with contextlib.suppress(json.JSONDecodeError):  # it is being written
            steps += [found["metrics"]["step"] for found in json.loads(snapshot.read_text())["checkpoint_results"]]
    return max(steps)


def newest_training_worker():
    """One of the cluster's Ray Train worker processes, by the title that Ray gives them; None where there is none."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any("RayTrainWorker" in part for part in process.cmdline()):
                found.append((process.create_time(), process))
    return max(found, key=lambda pair: pair[0], default=(0, None))[1]


def test_a_killed_worker_is_restarted_and_the_weights_are_the_same(undisturbed, disturbed):
    run, output, _, _ = disturbed
    assert RESTARTED in output
    assert [m["step"] for m in metrics(run)] == list(range(1, STEPS + 1))
    assert_equal(run, undisturbed)


def test_a_killed_job_goes_on_and_another_number_of_workers_is_refused(undisturbed, disturbed):
    run, _, refused, done = disturbed
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "train.num_workers=2" in refused.stderr
    assert "remove the round's training-state folder" in refused.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert RESUMED in done.stdout
    assert_equal(run, undisturbed)
    assert not os.path.exists(run.training_state(1))


def test_a_learning_rate_that_breaks_the_model_names_problems_and_exports_nothing(train, problems, tmp_path):
    run = prepare(tmp_path / "run", problems)
    done = train(run, "train.learning_rate=1e30", "train.warmup_ratio=0")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "on the problems " in done.stderr
    assert any(problem.id in done.stderr for problem in problems)
    assert "lower train.learning_rate" in done.stderr
    assert not os.path.exists(run.checkpoint(1))


def test_training_stops_where_the_validation_loss_rises_and_keeps_the_best_weights(train, problems, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = prepare(tmp_path / "run", problems)
    overfits = ["train.learning_rate=0.01", "train.epochs=30", "train.validation_share=0.25"]
    done = train(run, *overfits, "train.validate_every_steps=2", "train.patience=2")
    assert done.returncode == 0, done.stdout + done.stderr
    measured = {m["step"]: m["validation_loss"] for m in metrics(run) if "validation_loss" in m}
    manifest = json.loads(Path(run.checkpoint(1), MANIFEST).read_text())
    best = min(measured, key=measured.__getitem__)
    assert manifest["validation"]["best"] == {"loss": measured[best], "step": best}
    assert manifest["steps"] == max(measured) == best + 4 < 30 * 4
    # The checkpoint has the loss that was the lowest, by Transformers alone.
    tokenizer = AutoTokenizer.from_pretrained(run.checkpoint(1))
    model = AutoModelForCausalLM.from_pretrained(run.checkpoint(1))
    examples, _ = make_examples(run.rankings(1).read(), tokenizer, Prompting(), TrainConfig(max_length=512))
    trained, validated = split_validation(examples, 0.25, seed=0)
    assert len(validated) == manifest["validation"]["problems"]
    assert len(trained) == manifest["examples"]
    assert imitation_loss([scored(model, example) for example in validated]) == pytest.approx(measured[best], rel=1e-3)


def scored(model, example):
    """The example with the summed log-probability of each response."""
    import torch

    sums = []
    for response in example.responses:
        tokens = torch.tensor([[*example.prompt, *response]])
        with torch.no_grad():
            logprobs = model(tokens).logits[0, :-1].log_softmax(1)
        of_response = logprobs.gather(1, tokens[0, 1:, None])[-len(response) :]
        sums.append(float(of_response.sum()))
    return replace(example, reference=tuple(sums))
