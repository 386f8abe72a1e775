"""A model under a protocol: the plan on a real cluster with a scripted student, and one middle from a real engine."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rrtf_ray.benchmark.directory import Directory
from rrtf_ray.benchmark.protocols import protocol_of
from rrtf_ray.benchmark.sampled import check_chat, check_complete, check_overrides, sampling_config, write_draws
from rrtf_ray.config import Config
from rrtf_ray.errors import ConfigError, InputError, StageError
from rrtf_ray.records import Group, Outcome
from rrtf_ray.stages.infilling import infilling_of
from tests.conftest import LIMIT_S
from tests.problems import rows
from tests.records_for_tests import candidate, problem

MINE = """\
name: mine
prompt: docstring-first
max_tokens: 24
draws:
  - {n: 2, temperature: 0.2, k: [1]}
  - {n: 4, temperature: 1.2, k: [2, 4]}
"""
SHORT = "name: short\nmax_tokens: 24\n"
NUM_PROBLEMS = 5


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


# --- settings


def test_the_protocol_decides_over_the_configuration():
    config = Config.model_validate(
        {"sample": {"max_tokens": 7, "stop": ["x"], "rows_per_task": 3}, "execute": {"cpu_s": 1.0}, "seed": 9},
        strict=False,
    )
    made = sampling_config(config, protocol_of("paper"), "m", "out")
    assert [(d.n, d.temperature, d.top_p) for d in made.sample.draws] == [(200, 0.2, 0.95), (200, 1.2, 0.95)]
    assert (made.run_dir, made.model.student, made.model.chat, made.seed) == ("out", "m", "off", 0)
    assert (made.sample.max_tokens, made.sample.stop, made.sample.teacher) == (512, (), "none")
    assert (made.execute.cpu_s, made.execute.wall_s, made.execute.calibrate) == (3.0, 12.0, False)
    assert made.sample.rows_per_task == 3
    long = Config.model_validate({"model": {"max_model_len": 2048}})
    assert sampling_config(long, protocol_of("chat"), "m", "out").model.chat == "on"


def test_a_context_that_is_too_short_for_the_protocol_is_refused():
    config = Config.model_validate({"model": {"max_model_len": 512}})
    with pytest.raises(ConfigError, match=r"with the protocol 'greedy': .*max_tokens=512 leaves no room for a prompt"):
        sampling_config(config, protocol_of("greedy"), "m", "out")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("run_dir=x", "given by --output"),
        ("model.student=x", "given by --model"),
        ("sample.max_tokens=9", "the protocol decides sample.max_tokens"),
        ("execute.cpu_s=9", "the protocol decides execute.cpu_s"),
        ("evaluate.k=[1]", "has no effect on a benchmark"),
    ],
)
def test_an_override_without_effect_is_refused(override, says):
    check_overrides(["model.dtype=float32", "sample.max_engines=2", "execute.max_workers=2", "cluster.num_cpus=4"])
    with pytest.raises(ConfigError, match=says):
        check_overrides([override])


@pytest.mark.slow  # for the student
def test_a_chat_needs_a_template(student):
    config = Config.model_validate({"model": {"max_model_len": 2048}})
    made = sampling_config(config, protocol_of("chat"), str(student), "out")
    with pytest.raises(InputError, match=r"the protocol 'chat' needs .* such as greedy, .* has no chat template"):
        check_chat(made, protocol_of("chat"), str(student))
    check_chat(made, protocol_of("greedy"), str(student))


# --- what a store of groups comes to


def test_lines_and_counts_of_groups_by_hand(tmp_path):
    directory, protocol = Directory(str(tmp_path)), protocol_of("greedy")
    first, second = (problem(f"own/{i}") for i in range(2))
    good = candidate("s0", Outcome.PASSED, completion="    return 2 * x\n")
    cut = replace(candidate("s0", Outcome.FAILED, completion="    return x"), finish_reason="length")
    directory.groups.write([Group(first, (good,)), Group(second, (cut,))])
    check_complete(directory, protocol)
    [figures] = write_draws(directory, protocol, "by hand")
    assert (figures.tally.counts, figures.truncated) == ({"own/0": (1, 1), "own/1": (1, 0)}, 1)
    assert [s["completion"] for s in lines(tmp_path / "greedy.jsonl")] == [good.response, cut.response]
    assert [r["outcome"] for r in lines(tmp_path / "greedy.results.jsonl")] == ["passed", "failed"]


def test_a_problem_that_was_not_sampled_is_no_smaller_benchmark(tmp_path):
    directory = Directory(str(tmp_path))
    good, none = Group(problem("own/0"), (candidate("s0", Outcome.PASSED),)), Group(problem("own/1"), (), "not today")
    directory.groups.write([good, none])
    with pytest.raises(StageError, match=r"1 problems could not be sampled, .* own/1 \(not today\)"):
        check_complete(directory, protocol_of("greedy"))


# --- the plan, with a scripted student: every second candidate is right


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    rows.write_jsonl(folder / "p.jsonl", [rows.humaneval(task_id=f"own/{i}") for i in range(NUM_PROBLEMS)])
    (folder / "mine.yaml").write_text(MINE)
    return folder


@pytest.fixture(scope="module")
def finished(place, rrtf, cluster):
    done = rrtf(*asked(place), address=cluster.address)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def asked(place, *more, protocol="mine.yaml"):
    known = ["--model", "scripted", "--problems", place / "p.jsonl", "--protocol", place / protocol]
    return ["benchmark", *known, "--output", place / "out", *more, "sample.engine=scripted"]


def test_figures_and_files_of_each_draw(finished, place):
    result = json.loads((place / "out" / "benchmark.json").read_text())
    assert (result["model"], result["num_problems"], result["suite"]) == ("scripted", NUM_PROBLEMS, "custom")
    first, second = result["draws"]
    assert first["pass_at_k"]["1"]["value"] == 0.5
    # Of 4 candidates 2 are right: 1 - C(2, 2) / C(4, 2) = 5/6.
    assert second["pass_at_k"]["2"]["value"] == pytest.approx(5 / 6, abs=1e-6)
    assert second["pass_at_k"]["4"]["value"] == 1.0
    assert (first["outcomes"], second["num_truncated"]) == ({"failed": 5, "passed": 5}, 0)
    for draw in result["draws"]:
        samples, results = lines(place / "out" / draw["samples"]), lines(place / "out" / draw["results"])
        ids = [(row["task_id"], row["index"]) for row in results]
        assert ids == [(row["task_id"], row["index"]) for row in samples]
        assert sorted(ids) == [(f"own/{i}", n) for i in range(NUM_PROBLEMS) for n in range(draw["n"])]
        assert [row["passed"] for row in results] == [row["index"] % 2 == 1 for row in results]
    assert "pass@4" in finished.stdout
    assert finished.stderr == ""


def test_the_model_gets_the_docstring_first(finished, place):
    first = next(Directory(str(place / "out")).problems.read())
    assert first.prompt == '"""\nThree times x.\n"""\ndef triple(x):\n'


def test_verify_says_the_same_of_the_samples(finished, place, rrtf):
    given = [
        "--problems",
        place / "p.jsonl",
        "--samples",
        place / "out" / "T=1.2.jsonl",
        "--output",
        place / "again.jsonl",
    ]
    done = rrtf("verify", *given)
    assert done.returncode == 0, done.stderr
    told = [(row["task_id"], row["index"], row["outcome"]) for row in lines(place / "again.jsonl")]
    assert told == [(r["task_id"], r["index"], r["outcome"]) for r in lines(place / "out" / "T=1.2.results.jsonl")]


def test_a_second_start_needs_no_cluster(finished, place, rrtf):
    done = rrtf(*asked(place), address="127.0.0.1:1")  # nothing answers there
    assert done.returncode == 0, done.stderr
    assert "complete already" in done.stdout
    assert "pass@4" in done.stdout


def test_other_settings_are_not_mixed_in(finished, place, rrtf):
    before = (place / "out" / "benchmark.json").read_bytes()
    done = rrtf(*asked(place, "model.dtype=bfloat16"))
    assert done.returncode == 2
    assert "holds another benchmark (engine.dtype: 'bfloat16', before 'auto')" in done.stderr
    done = rrtf(*asked(place, "--limit", "3"))
    assert "holds another benchmark (problems.limit: 3, before None" in done.stderr
    assert (place / "out" / "benchmark.json").read_bytes() == before


# --- a real engine


@pytest.mark.e2e
@pytest.mark.timeout(2 * LIMIT_S)
def test_a_middle_is_what_the_model_writes_between_its_markers(rrtf, cluster, student, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rrtf_ray.fim.middle import trim

    row = {
        "task_id": "SingleLineInfilling/HumanEval/900/L0",
        "prompt": "def double(x):\n    ",
        "suffix": "\n    return y\n",
        "entry_point": "double",
        "canonical_solution": "y = 2 * x",
        "test": "def check(candidate):\n    assert candidate(2) == 4\n",
    }
    source = rows.write_jsonl(tmp_path / "p.jsonl", [row])
    (tmp_path / "short.yaml").write_text(SHORT)
    given = ["--problems", source, "--protocol", tmp_path / "short.yaml", "--output", tmp_path / "out"]
    settings = ["--config", "jobs/configs/demo.yaml"]
    done = rrtf("benchmark", "--model", student, *given, *settings, address=cluster.address)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert (result["suite"], result["format"]) == ("humaneval-infilling", "infilling")
    [sample] = lines(tmp_path / "out" / "greedy.jsonl")

    infilling = infilling_of(str(student))
    ids = infilling.prompt(row["prompt"], row["suffix"], context=512, max_tokens=24).prompt_ids
    model = AutoModelForCausalLM.from_pretrained(student)
    end = {"eos_token_id": infilling.stop_ids, "pad_token_id": infilling.stop_ids[0]}
    written = model.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False, **end)[0, len(ids) :]
    text = AutoTokenizer.from_pretrained(student).decode(written, skip_special_tokens=True)
    assert sample["completion"] == trim(text, row["suffix"])[0]
