"""The whole loop with the real parts: vLLM, the sandbox, DeepSpeed, Ray Data, Train and Serve."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from rrtf_ray.records import Source
from rrtf_ray.store.files import read_json
from rrtf_ray.store.run_dir import RunDir

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SMALL = [
    "--config",
    "jobs/configs/demo.yaml",
    "problems.num_train=48",
    "problems.num_held_out=24",
    "sample.draws=[{n: 2, temperature: 0.8}, {n: 2, temperature: 1.2}]",
    "sample.max_tokens=96",
    "evaluate.draws=[{n: 1, temperature: 0, top_p: 1.0}, {n: 2, temperature: 0.8}]",
    "evaluate.k=[1, 2]",
    "train.epochs=2",
    "train.learning_rate=2e-3",
    "train.batch_groups=8",
    "train.tokens_per_pass=1024",
    "train.checkpoint_every_steps=3",
    "serve=false",  # tests/serving/test_service.py serves
]


def descendants(pid):
    """Ids of all processes below `pid`, with their command lines; those that end meanwhile are passed over."""
    found = {}
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                found[process.pid] = " ".join(process.cmdline())[:80]
    return found


@pytest.fixture(scope="module")
def finished(rrtf, student, tmp_path_factory):
    """One undisturbed run of two rounds on a cluster of its own, as `make demo` starts it."""
    folder = tmp_path_factory.mktemp("e2e") / "run"
    driver = rrtf("run", *SMALL, f"model.student={student}", "rounds=2", f"run_dir={folder}", start=True)
    seen: dict[int, str] = {}
    deadline = time.monotonic() + 840
    while driver.poll() is None:
        assert time.monotonic() < deadline, "the run did not end in time"
        seen |= descendants(driver.pid)
        time.sleep(0.5)
    output = driver.stdout.read()
    driver.stdout.close()
    assert driver.returncode == 0, output
    return RunDir(str(folder)), output, seen


def test_what_a_person_sees(finished):
    _, output, _ = finished
    for part in ("Before and after", "pass@1, greedy", "round-02", "Where the time went", "run directory:"):
        assert part in output
    # Framework noise is in the log file.
    for noise in ("WARNING", "raylet", "DeprecationWarning", "EngineCore"):
        assert noise not in output


def test_no_process_is_left(finished):
    _, _, seen = finished
    assert any("raylet" in command for command in seen.values())
    deadline = time.monotonic() + 30
    while left := {pid: c for pid, c in seen.items() if _alive(pid)}:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_the_summary_and_the_metrics(finished):
    run, _, _ = finished
    summary = read_json(run.at("summary.json"))
    for key in ("base_pass_at_1", "tuned_pass_at_1"):
        assert 0 <= summary[key]["low"] <= summary[key]["value"] <= summary[key]["high"] <= 1
    assert summary["num_problems"] == 48
    assert summary["num_candidates"] == sum(summary["outcomes"].values()) == 2 * 48 * 5
    assert summary["num_rankings"] + sum(summary["not_ranked"].values()) == 2 * 48
    assert [r["num_candidates"] for r in summary["per_round"]] == [48 * 5, 48 * 5]
    assert {"student", "evaluate base", "sample+execute 1", "train 2"} <= summary["seconds"].keys()
    metrics = [json.loads(line) for line in Path(run.at("metrics.jsonl")).read_text().splitlines()]
    assert [(m["round"], m["step"]) for m in metrics] == [(r, s) for r in (1, 2) for s in range(1, 13)]
    losses = [m["loss"] for m in metrics if m["round"] == 1]
    assert sum(losses[-4:]) < sum(losses[:4])


def test_the_groups_say_how_each_candidate_came_about(finished):
    run, _, _ = finished
    for group in run.groups(2).read():
        assert [c.id for c in group.candidates] == ["s0", "s1", "s2", "s3", "t0"]
        assert group.candidates[0].model == "round-01/checkpoint"
        assert group.candidates[4].source is Source.TEACHER
        assert group.candidates[4].verdict.outcome == "passed"
        assert group.candidates[1].sampling.seed == group.candidates[0].sampling.seed + 1
        assert group.candidates[0].num_tokens > 0


def test_the_checkpoint_loads_and_continues_a_prompt(finished, student):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run, _, _ = finished
    model = AutoModelForCausalLM.from_pretrained(run.checkpoint(2))
    tokenizer = AutoTokenizer.from_pretrained(run.checkpoint(2))
    before = AutoModelForCausalLM.from_pretrained(student)
    assert not torch.equal(model.transformer.wte.weight, before.transformer.wte.weight)
    # vLLM and Transformers agree on the greedy completion of a held-out problem.
    group = next(iter(run.evaluated_groups("round-02").read()))
    inputs = tokenizer(group.problem.prompt, return_tensors="pt")
    tokens = model.generate(**inputs, max_new_tokens=96, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert tokenizer.decode(tokens, skip_special_tokens=True) == group.candidates[0].response


def test_an_int8_checkpoint_is_compared_with_the_tuned_model(finished, rrtf, cluster, student, tmp_path):
    run, _, _ = finished
    settings = [*SMALL, f"model.student={student}", "rounds=2", f"run_dir={run.uri}"]
    places = ["--model", run.checkpoint(2), "--output", tmp_path / "int8"]
    done = rrtf("quantize", *places, "--evaluate", "--json", *settings, address=cluster.address)
    assert done.returncode == 0, done.stderr
    assert "evaluate round-02: complete already" in done.stderr
    found = json.loads(done.stdout)
    assert found["int8_bytes"] < 0.4 * found["original_bytes"]
    assert found["quantized_layers"] == 16
    assert [s["requests"] for s in found["speeds"]] == [1, 8]
    assert all(0 < s["ratio_min"] <= s["ratio"] <= s["ratio_max"] for s in found["speeds"])
    assert found["pass_at_1"]["problems"] == 24
    # The same programs but for a token here and there: int8 is not another model.
    assert found["pass_at_1"]["same_text"] >= 16
    assert {p.name for p in (tmp_path / "int8").iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}


def test_a_killed_driver_continues_with_the_same_rankings(finished, rrtf, cluster, student, tmp_path):
    """Killed while it samples; tests/stages/test_train_restarts.py kills it while it trains."""
    whole, _, _ = finished
    when = "round-01/groups/part-*.parquet"
    arguments = ["run", *SMALL, f"model.student={student}", f"run_dir={tmp_path}/run", "until=train"]
    driver = rrtf(*arguments, address=cluster.address, start=True)
    deadline = time.monotonic() + 400
    while not list((tmp_path / "run").glob(when)):
        assert driver.poll() is None, driver.stdout.read()
        assert time.monotonic() < deadline, f"{when} did not appear"
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait(timeout=30)
    driver.stdout.close()
    done = rrtf(*arguments, address=cluster.address, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    run = RunDir(str(tmp_path / "run"))
    assert {r.problem_id: r for r in run.rankings(1).read()} == {r.problem_id: r for r in whole.rankings(1).read()}
    metrics = [json.loads(line) for line in Path(run.at("metrics.jsonl")).read_text().splitlines()]
    assert [m["step"] for m in metrics] == list(range(1, 13))
    assert not os.path.exists(run.training_state(1))
    assert _weights(run) == pytest.approx(_weights(whole), rel=1e-4)


def _weights(run):
    """A few weights of the first round's checkpoint."""
    from safetensors import safe_open

    with safe_open(os.path.join(run.checkpoint(1), "model.safetensors"), "pt") as file:
        return file.get_tensor("transformer.ln_f.weight")[:16].tolist()


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["model.student={tmp}"], "has no config.json and no weights and no a tokenizer"),
        (["model.student={tmp}/nowhere"], "nowhere' does not exist"),
        (["model.max_model_len=5000", "sample.max_tokens=96"], "model.max_model_len=5000 is more than the 1024"),
        (["sample.max_tokens=500"], "prompts are longer than model.max_model_len - sample.max_tokens = 12"),
    ],
)
def test_models_and_prompts_that_cannot_work_are_refused_before_an_engine_starts(
    rrtf, cluster, student, tmp_path, overrides, says
):
    given = [o.format(tmp=tmp_path) for o in overrides]
    arguments = ["run", *SMALL, f"model.student={student}", f"run_dir={tmp_path}/run", *given]
    done = rrtf(*arguments, address=cluster.address)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
