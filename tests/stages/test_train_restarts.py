"""Nothing is lost: killed workers and killed jobs end with the weights of an undisturbed training.

One small set of rankings is written here, so that training runs by itself; the cluster is the session's.
"""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from rrtf_ray.config import RankConfig
from rrtf_ray.core.ranking import rank
from rrtf_ray.quickstart import generate_problems
from rrtf_ray.records import Outcome
from rrtf_ray.store.run_dir import RunDir
from tests.records_for_tests import candidate, group

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

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
        return rrtf(*arguments, address=cluster.address, start=start, **({} if start else {"timeout": 280}))

    return run_it


@pytest.fixture(scope="module")
def undisturbed(train, problems, tmp_path_factory):
    run = prepare(tmp_path_factory.mktemp("undisturbed") / "run", problems)
    done = train(run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [m["step"] for m in metrics(run)] == list(range(1, STEPS + 1))
    return run


def wait_for(condition, driver, what, limit_s=200):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert driver.poll() is None, driver.stdout.read()
        assert time.monotonic() < deadline, f"{what} did not come within {limit_s} s"
        time.sleep(0.05)


def has_state(run):
    """Ray Train has recorded a published state, which is what a new start begins from."""
    for snapshot in Path(run.training_state(1)).glob("*/checkpoint_manager_snapshot.json"):
        with contextlib.suppress(json.JSONDecodeError):  # it is being written
            if json.loads(snapshot.read_text())["checkpoint_results"]:
                return True
    return False


def newest_training_worker():
    """One of Ray Train's worker processes, by the title that Ray gives them; None where there is none."""
    running = psutil.process_iter(["cmdline", "create_time"])
    found = [p for p in running if any("RayTrainWorker" in part for part in p.info["cmdline"] or ())]
    return max(found, key=lambda p: p.info["create_time"], default=None)


def test_a_killed_worker_is_restarted_and_the_weights_are_the_same(undisturbed, train, problems, tmp_path):
    run = prepare(tmp_path / "run", problems)
    driver = train(run, start=True)
    wait_for(lambda: has_state(run) and newest_training_worker(), driver, "a training state")
    newest_training_worker().send_signal(signal.SIGKILL)
    output, _ = driver.communicate(timeout=280)
    assert driver.returncode == 0, output
    assert "train 1: the workers were restarted after step" in output
    assert [m["step"] for m in metrics(run)] == list(range(1, STEPS + 1))
    assert_equal(run, undisturbed)


def test_a_killed_job_goes_on_and_another_number_of_workers_is_refused(undisturbed, train, problems, tmp_path):
    run = prepare(tmp_path / "run", problems)
    driver = train(run, start=True)
    wait_for(lambda: has_state(run), driver, "a training state")
    driver.kill()
    driver.communicate(timeout=30)
    refused = train(run, "train.num_workers=1")
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "train.num_workers=2" in refused.stderr
    assert "remove the round's training-state folder" in refused.stderr
    done = train(run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "train 1: resumes after step" in done.stdout
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
