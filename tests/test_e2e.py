"""The whole loop with the real parts: vLLM, the sandbox, DeepSpeed, Ray Data, Train and Serve."""

import contextlib
import json
import math
import os
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest

from rrtf_ray.records import Source
from rrtf_ray.store.files import MANIFEST, read_json
from rrtf_ray.store.run_dir import RunDir
from tests.conftest import LIMIT_S

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3 * LIMIT_S)]

TRAIN, HELD_OUT, MAX_TOKENS = 32, 16, 96
STEPS = 8  # of a round: 4 an epoch
QUANTIZED_LAYERS = 16
ROUNDING = 0.01
"""How much rounding to 255 equal steps changes a matrix, relative to it: 1 / (127 * sqrt(12)) of its largest value,
which is less than 4.4 standard deviations in all but a few places."""

SMALL = [
    "--config",
    "jobs/configs/demo.yaml",
    f"problems.num_train={TRAIN}",
    f"problems.num_held_out={HELD_OUT}",
    "sample.draws=[{n: 2, temperature: 0.8}, {n: 2, temperature: 1.2}]",
    f"sample.max_tokens={MAX_TOKENS}",
    "sample.logprobs=true",
    "execute.probe_calls=8",
    "rank.agreement_weight=0.5",
    "evaluate.draws=[{n: 1, temperature: 0, top_p: 1.0}, {n: 2, temperature: 0.8}]",
    "evaluate.k=[1, 2]",
    "train.epochs=2",
    "train.steps=null",
    "train.learning_rate=2e-3",
    "train.batch_groups=8",
    "train.tokens_per_pass=1024",
    "train.checkpoint_every_steps=3",
    "serve=false",  # tests/deployments/test_service.py serves
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
    baseline = "baseline={train.loss.objective: sft, rank.failed: -0.2}"
    driver = rrtf("run", *SMALL, baseline, f"model.student={student}", "rounds=2", f"run_dir={folder}", start=True)
    seen: dict[int, str] = {}
    deadline = time.monotonic() + 2 * LIMIT_S
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
    deadline = time.monotonic() + LIMIT_S
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
    assert summary["num_problems"] == TRAIN
    assert summary["num_candidates"] == sum(summary["outcomes"].values()) == 2 * TRAIN * 5
    assert summary["num_rankings"] + sum(summary["not_ranked"].values()) == 2 * TRAIN
    assert [r["num_candidates"] for r in summary["per_round"]] == [TRAIN * 5, TRAIN * 5]
    assert {"student", "evaluate base", "sample+execute 1", "train 2"} <= summary["seconds"].keys()
    metrics = [json.loads(line) for line in Path(run.at("metrics.jsonl")).read_text().splitlines()]
    assert [(m["round"], m["step"]) for m in metrics] == [(r, s) for r in (1, 2) for s in range(1, STEPS + 1)]
    losses = [m["loss"] for m in metrics if m["round"] == 1]
    assert sum(losses[-4:]) < sum(losses[:4])


def test_the_baseline_is_another_training_on_the_same_candidates(finished):
    run, output, _ = finished
    gains = read_json(run.at("summary.json"))["gain_over_baseline"]
    assert gains.keys() == {"greedy", "T=0.8"}
    assert all(-1 <= gain["low"] <= gain["value"] <= gain["high"] <= 1 for gain in gains.values())
    assert f"train baseline: {TRAIN} problems, {STEPS} steps" in output
    assert "gain over the baseline (train.loss.objective=sft, rank.failed=-0.2)" in output
    own, other = ({r.problem_id: r for r in place.rankings(2).read()} for place in (run, RunDir(run.at("baseline"))))
    assert own.keys() == other.keys()
    scores = [{c.test_score for r in rankings.values() for c in r.candidates} for rankings in (own, other)]
    assert -0.3 in scores[0] - scores[1]
    assert -0.2 in scores[1] - scores[0]
    for id_, ranking in own.items():
        assert {c.candidate_id for c in ranking.candidates} == {c.candidate_id for c in other[id_].candidates}
    manifests = [read_json(os.path.join(place.checkpoint(2), MANIFEST)) for place in (run, RunDir(run.at("baseline")))]
    # Imitation reads the targets alone, in as many steps.
    assert manifests[0]["response_tokens"] > manifests[1]["response_tokens"] > 0
    assert manifests[0]["steps"] == manifests[1]["steps"] == STEPS
    assert manifests[0]["base"] == manifests[1]["base"] == "round-01/checkpoint"


def test_the_groups_say_how_each_candidate_came_about(finished):
    run, _, _ = finished
    for group in run.groups(2).read():
        assert [c.id for c in group.candidates] == ["s0", "s1", "s2", "s3", "t0"]
        assert group.candidates[0].model == "round-01/checkpoint"
        assert group.candidates[4].source is Source.TEACHER
        assert group.candidates[4].verdict.outcome == "passed"
        assert group.candidates[1].sampling.seed == group.candidates[0].sampling.seed + 1
        assert group.candidates[0].num_tokens > 0
        assert group.candidates[0].logprob < 0
        assert group.candidates[4].logprob is None
        passing = {c.id for c in group.candidates if c.verdict.outcome == "passed"}
        assert {c.id for c in group.candidates if c.behaviour} == (passing if len(passing) > 1 else set())


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
    tokens = model.generate(**inputs, max_new_tokens=MAX_TOKENS, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    greedy = group.candidates[0]
    assert tokenizer.decode(tokens, skip_special_tokens=True) == greedy.response
    # And on its probability.
    ids = torch.cat([inputs["input_ids"][0], tokens[: greedy.num_tokens]])[None]
    with torch.no_grad():
        logprobs = model(ids).logits[0, :-1].log_softmax(dim=-1).gather(1, ids[0, 1:, None])
    assert greedy.logprob == pytest.approx(logprobs[-greedy.num_tokens :].sum().item(), abs=0.01)


def rounded_input(_, inputs):
    """A layer's input as W8A8 takes it: for each token the nearest of 255 equal steps from -max to max."""
    scale = inputs[0].abs().amax(dim=-1, keepdim=True) / 127
    return ((inputs[0] / scale).round() * scale, *inputs[1:])


def int8_model(checkpoint, int8):
    """The model with the weights of `int8`, in float32, and inputs rounded as an int8 engine rounds them."""
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    stored = load_file(int8 / "model.safetensors")
    for name, module in model.named_modules():
        if f"{name}.weight_scale" in stored:
            stored[f"{name}.weight"] = stored[f"{name}.weight"] * stored.pop(f"{name}.weight_scale")
            module.register_forward_pre_hook(rounded_input)
    missing, unexpected = model.load_state_dict(stored, strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}  # tied to the embedding
    return model


def check_int8(checkpoint, int8, pairs):
    """Int8 is the same model but for rounding, on whatever processor: the logits change by no more than rounding every
    layer's weights and inputs explains, and the engine's texts part only where the two best tokens were that close.

    pairs: a prompt, and the greedy candidates that the engine wrote to it with the checkpoint's and with int8 weights.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    models = AutoModelForCausalLM.from_pretrained(checkpoint), int8_model(checkpoint, int8)

    def tokens(candidate):
        end = [tokenizer.eos_token_id] if candidate.finish_reason == "stop" else []
        return [*tokenizer.encode(candidate.response), *end]

    logits, changes, parted = [], [], {}
    for prompt, ours, theirs in pairs:
        begin, written, other = tokenizer.encode(prompt), tokens(ours), tokens(theirs)
        with torch.no_grad():
            before, after = (m(torch.tensor([begin + written])).logits[0, len(begin) - 1 : -1].double() for m in models)
        logits.append((before, after))
        best, second = before.topk(2).indices.T[..., None]
        changes.append((after - before).gather(1, best) - (after - before).gather(1, second))
        for at, (token, instead) in enumerate(zip(written, other, strict=False)):
            if token != instead:
                parted[prompt] = (before[at, token] - before[at, instead]).item()
                break
    before, after = (torch.cat(part) - torch.cat(part).mean(dim=1, keepdim=True) for part in zip(*logits, strict=True))
    # Independent errors add up by their squares; each layer has one in its weights and one in its inputs.
    assert (after - before).norm() < ROUNDING * math.sqrt(2 * QUANTIZED_LAYERS) * before.norm()
    limit = 6 * torch.cat(changes).std().item()
    assert all(margin < limit for margin in parted.values()), (parted, limit)


def test_an_int8_checkpoint_is_compared_with_the_tuned_model(finished, rrtf, cluster, student, tmp_path):
    run, _, _ = finished
    settings = [*SMALL, f"model.student={student}", "rounds=2", f"run_dir={run.uri}"]
    places = ["--model", run.checkpoint(2), "--output", tmp_path / "int8"]
    done = rrtf("quantize", *places, "--evaluate", "--json", *settings, address=cluster.address)
    assert done.returncode == 0, done.stderr
    assert "evaluate round-02: complete already" in done.stderr
    found = json.loads(done.stdout)
    assert found["int8_bytes"] < 0.4 * found["original_bytes"]
    assert found["quantized_layers"] == QUANTIZED_LAYERS
    assert [s["requests"] for s in found["speeds"]] == [1, 8]
    assert all(0 < s["ratio_min"] <= s["ratio"] <= s["ratio_max"] for s in found["speeds"])
    assert found["pass_at_1"]["problems"] == HELD_OUT
    (name,) = (path.name for path in Path(run.evaluation("int8")).parent.glob("int8-*"))
    first, second = ({g.problem.id: g for g in run.evaluated_groups(label).read()} for label in ("round-02", name))
    pairs = [(g.problem.prompt, g.candidates[0], second[id_].candidates[0]) for id_, g in first.items()]
    assert found["pass_at_1"]["same_text"] == sum(ours.response == theirs.response for _, ours, theirs in pairs)
    check_int8(run.checkpoint(2), tmp_path / "int8", pairs)
    assert {p.name for p in (tmp_path / "int8").iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}


def test_a_killed_driver_continues_with_the_same_rankings(finished, rrtf, cluster, student, tmp_path):
    """Killed when its first rows are stored; tests/stages/test_train_restarts.py kills it while it trains."""
    whole, _, _ = finished
    when = "round-01/groups/part-*.parquet"
    arguments = ["run", *SMALL, f"model.student={student}", f"run_dir={tmp_path}/run", "until=train"]
    driver = rrtf(*arguments, address=cluster.address, start=True)
    deadline = time.monotonic() + LIMIT_S
    while not list((tmp_path / "run").glob(when)):
        assert driver.poll() is None, driver.stdout.read()
        assert time.monotonic() < deadline, f"{when} did not appear"
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait(timeout=LIMIT_S)
    driver.stdout.close()
    done = rrtf(*arguments, address=cluster.address)
    assert done.returncode == 0, done.stdout + done.stderr
    run = RunDir(str(tmp_path / "run"))
    assert {r.problem_id: r for r in run.rankings(1).read()} == {r.problem_id: r for r in whole.rankings(1).read()}
    metrics = [json.loads(line) for line in Path(run.at("metrics.jsonl")).read_text().splitlines()]
    assert [m["step"] for m in metrics] == list(range(1, STEPS + 1))
    assert not os.path.exists(run.training_state(1))
    assert _weights(run) == pytest.approx(_weights(whole), rel=1e-4)


CHAT = "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}<|endoftext|>{% endif %}{% endfor %}"
"""The plainest chat: what the user says is the prompt, and the answer ends as the student ends its programs."""


def test_a_chat_model_is_sampled_and_trained_through_its_template(finished, rrtf, cluster, student, tmp_path):
    """With the plainest template the engine sees the tokens of a plain run, and so writes the same responses."""
    whole, _, _ = finished
    chatty = tmp_path / "chatty"
    shutil.copytree(student, chatty)
    (chatty / "chat_template.jinja").write_text(CHAT)
    settings = [*SMALL, f"model.student={chatty}", "sample.instruction='{prompt}'", "until=train"]
    done = rrtf("run", *settings, f"run_dir={tmp_path}/run", address=cluster.address)
    assert done.returncode == 0, done.stdout + done.stderr
    run = RunDir(str(tmp_path / "run"))
    sampled, plain = ({(g.problem.id, c.id): c.response for g in found.groups(1).read() for c in g.candidates}
                      for found in (run, whole))  # fmt: skip
    assert sampled == plain
    metrics = [json.loads(line) for line in Path(run.at("metrics.jsonl")).read_text().splitlines()]
    assert [m["step"] for m in metrics] == list(range(1, STEPS + 1))
    assert (Path(run.checkpoint(1)) / "chat_template.jinja").read_text() == CHAT
    # Imitated is the whole code in a block, which this student has never seen.
    before = [json.loads(line) for line in Path(whole.at("metrics.jsonl")).read_text().splitlines()]
    assert metrics[0]["loss"] > before[0]["loss"] + 0.1


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
        (
            ["model.max_model_len=5000", f"sample.max_tokens={MAX_TOKENS}"],
            "model.max_model_len=5000 is more than the 1024",
        ),
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
