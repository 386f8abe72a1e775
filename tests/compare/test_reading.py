"""What may be named, and what is said of each input that cannot be used."""

import json

import pytest

from rrtf_ray.compare.reading import read, read_arms
from rrtf_ray.config import Draw
from rrtf_ray.errors import DataError, InputError
from rrtf_ray.records import Outcome
from tests.compare import inputs
from tests.problems.rows import write_jsonl


def lines(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read().splitlines()


def test_results_with_the_programs_beside_them(tmp_path):
    found = read(inputs.results(tmp_path / "a.results.jsonl", {"p/0": "pf", "p/1": "sr"}))
    (draw,) = found.draws
    assert (draw.name, draw.n, draw.temperature, draw.num_errors) == ("samples", 2, None, 1)
    assert [s.outcome for s in draw.samples["p/1"]] == [Outcome.SANDBOX_ERROR, Outcome.RUNTIME_ERROR]
    assert draw.samples["p/0"][1].program == inputs.program("a", "f", 1)
    assert draw.samples["p/0"][1].detail == "test 1: failed"
    assert not found.notices


def test_results_without_their_samples_have_no_programs(tmp_path):
    found = read(inputs.results(tmp_path / "a.results.jsonl", {"p/0": "p"}, with_samples=False))
    assert found.draws[0].samples["p/0"][0].program == ""
    assert "samples are not beside it" in found.notices[0]


def test_samples_that_are_others_are_not_shown(tmp_path):
    path = inputs.results(tmp_path / "a.results.jsonl", {"p/0": "p", "p/1": "f"})
    write_jsonl(tmp_path / "a.jsonl", [{"task_id": f"q/{i}", "completion": "x"} for i in range(2)])
    assert "holds other samples than were judged" in read(path).notices[0]
    write_jsonl(tmp_path / "a.jsonl", [{"nothing": 1}])
    assert "no programs can be shown" in read(path).notices[0]


def test_an_interrupted_verify_is_noticed(tmp_path):
    path = inputs.results(tmp_path / "a.results.jsonl", {"p/0": "p", "p/1": "f", "p/2": "p"})
    (tmp_path / "a.results.jsonl").write_text("\n".join(lines(path)[:2]) + "\n")
    found = read(path)
    assert found.notices == ("1 of 3 samples were not judged; run `rrtf verify` to its end",)
    assert list(found.draws[0].samples) == ["p/0", "p/1"]


def test_a_last_line_that_is_cut_off_is_left_out_with_a_notice(tmp_path):
    path = inputs.results(tmp_path / "a.results.jsonl", {"p/0": "p", "p/1": "f"}, with_samples=False)
    whole = (tmp_path / "a.results.jsonl").read_text()
    (tmp_path / "a.results.jsonl").write_text(whole[:-40])
    found = read(path)
    assert list(found.draws[0].samples) == ["p/0"]
    assert found.notices[0] == f"the last line ({path}:2) is cut off and left out"


def test_a_file_of_samples_is_not_taken_for_one_that_was_cut_off(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"task_id": "p/0", "completion": "x"}')
    with pytest.raises(DataError, match=r"a\.jsonl:1: .*give the file of results, not of samples"):
        read(f"{tmp_path}/a.jsonl")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: "", "holds no results"),
        (lambda rows: "\n\n", "holds no results"),
        (lambda rows: rows[0][:20] + "\n" + rows[1] + "\n", r":1: is not JSON"),
        (lambda rows: rows[0].replace("0.01", "NaN") + "\n" + rows[1] + "\n", r":1: holds NaN"),
        (lambda rows: rows[0] + "\n[]\n", r":2: is not a row that `rrtf verify` writes"),
        (lambda rows: rows[0] + '\n{"task_id": "p/1", "completion": "x"}\n', r":2: .*not of samples"),
        (lambda rows: rows[0] + "\n" + rows[0] + "\n", r"row 2 repeats task_id 'p/0', index 0"),
        (lambda rows: rows[0].replace('"passed"', '"splendid"') + "\n", r":1: the outcome 'splendid' is none of"),
        (lambda rows: rows[0].replace('"index": 0', '"index": "0"') + "\n", r":1: index='0'"),
    ],
)
def test_results_that_cannot_be_used(tmp_path, change, says):
    path = inputs.results(tmp_path / "a.results.jsonl", {"p/0": "p", "p/1": "f"}, with_samples=False)
    (tmp_path / "a.results.jsonl").write_text(change(lines(path)))
    with pytest.raises(DataError, match=says) as raised:
        read(path)
    assert path in str(raised.value)


def test_an_evaluation_of_a_run(tmp_path):
    draws = (Draw(temperature=0.0, n=1), Draw(temperature=0.8, n=2), Draw(temperature=0.8, top_p=0.5, n=2))
    place = inputs.evaluation(
        tmp_path / "run", "round-01", [{"p/1": "p", "p/0": "f"}, {"p/0": "pf", "p/1": "ff"}, {"p/0": "rr"}], draws
    )
    found = read(place)
    assert read(f"{tmp_path}/run:round-01") == found
    assert [(d.name, d.n) for d in found.draws] == [("greedy", 1), ("T=0.8", 2), ("T=0.8, top_p=0.5", 2)]
    assert [s.outcome.value for s in found.draws[1].samples["p/0"]] == ["passed", "failed"]
    assert list(found.draws[2].samples) == ["p/0"]  # p/1 was not sampled
    assert found.suites[0].prompts == {"p/0": "def double(x):\n", "p/1": "def double(x):\n"}
    assert found.draws[0].samples["p/1"][0].program.endswith(inputs.program("round-01", "p", 0))


def test_the_protocol_is_that_of_sampling_and_the_data_that_of_problems(tmp_path):
    greedy = {"p/0": "p"}
    places = [
        inputs.evaluation(tmp_path / "run", "base", [greedy]),
        inputs.evaluation(tmp_path / "other", "round-01", [greedy]),
        inputs.evaluation(tmp_path / "run", "longer", [greedy], max_tokens=256),
        inputs.evaluation(tmp_path / "run", "asked", [greedy], prompt="def twice(x):\n"),
    ]
    base, tuned, longer, asked = (read(place).suites[0] for place in places)
    assert base.protocol_hash == tuned.protocol_hash != longer.protocol_hash
    assert base.data == tuned.data == longer.data != asked.data


def test_a_benchmark(tmp_path):
    draws = {"greedy": (0.0, {"p/0": "p", "p/1": "f"}), "T=0.2": (0.2, {"p/0": "pf", "p/1": "ff"})}
    published = {"source": "a paper", "pass_at_k": {"another model": {"1": 0.31, "10": 0.5}}}
    found = read(inputs.benchmark(tmp_path / "m", draws, published=published))
    (suite,) = found.suites
    assert (found.model, suite.name, suite.data) == ("m", "tiny", "ab" * 32)
    assert [(d.name, d.temperature, d.n) for d in found.draws] == [("greedy", 0.0, 1), ("T=0.2", 0.2, 2)]
    assert suite.prompts == {"p/0": "def double(x):\n", "p/1": "def double(x):\n"}
    assert suite.published == {"another model": {1: 0.31, 10: 0.5}}
    assert found.draws[0].samples["p/1"][0].program == inputs.program("greedy", "f", 0)


def test_several_benchmarks_of_one_model(tmp_path):
    (tmp_path / "m").mkdir()
    for suite in ("humaneval", "mbpp"):
        inputs.benchmark(tmp_path / "m" / suite, {"greedy": (0.0, {f"{suite}/0": "p"})}, suite=suite, model="m")
    found = read(f"{tmp_path}/m/")
    assert [(d.name, d.suite.name) for d in found.draws] == [
        ("humaneval/greedy", "humaneval"),
        ("mbpp/greedy", "mbpp"),
    ]
    inputs.benchmark(tmp_path / "m" / "other", {"greedy": (0.0, {"q/0": "p"})}, suite="mbpp", model="m")
    with pytest.raises(InputError, match=r"holds benchmarks of m \(humaneval, mbpp, mbpp\); give a folder with one"):
        read(f"{tmp_path}/m")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "other"}, r"is not what `rrtf benchmark` writes"),
        ({"protocol_hash": 3}, r"protocol_hash=3 is missing or of another type"),
        ({"draws": []}, r"has no draws"),
        ({"draws": [3]}, r"draws\[0\]: 3 is not an object"),
        ({"draws": [{"name": "greedy"}]}, r"draws\[0\]: results=None is missing"),
        ({"published": 3}, r"published: pass_at_k=None is missing"),
        ({"published": {"pass_at_k": {"m": {"1": 31}}}}, r"published: m: 1=31 is not pass@k as a share"),
        ({"published": {"pass_at_k": {"m": 0.3}}}, r"published: m: =0.3 is not pass@k"),
        ({"published": {"pass_at_k": {"m": {"1": float("nan")}}}}, r"holds NaN"),
    ],
)
def test_benchmarks_that_cannot_be_used(tmp_path, changes, says):
    place = inputs.benchmark(tmp_path / "m", {"greedy": (0.0, {"p/0": "p"})}, **changes)
    with pytest.raises(DataError, match=rf"benchmark\.json: .*{says}|benchmark\.json: {says}"):
        read(place)


def test_a_benchmark_whose_results_are_gone(tmp_path):
    place = inputs.benchmark(tmp_path / "m", {"greedy": (0.0, {"p/0": "p"})})
    (tmp_path / "m" / "greedy.results.jsonl").unlink()
    with pytest.raises(InputError, match=r"greedy\.results\.jsonl does not exist"):
        read(place)


def test_what_is_not_complete_or_nothing(tmp_path):
    inputs.evaluation(tmp_path / "run", "base", [{"p/0": "p"}])
    inputs.evaluation(tmp_path / "run", "round-01", [{"p/0": "p"}], finished=False)
    inputs.benchmark(tmp_path / "m", {"greedy": (0.0, {"p/0": "p"})})
    (tmp_path / "m" / "benchmark.json").unlink()
    (tmp_path / "empty").mkdir()
    cases = [
        ("run:round-01", r"round-01 is not complete \(no evaluation\.json.*wait for the run"),
        ("run:round-07", r"has no evaluation 'round-07'; it has base, round-01"),
        ("run", r"is a run directory; name one of its evaluations: .*run:base, .*run:round-01"),
        ("m", r"has neither benchmark\.json nor evaluation\.json: it is still being written"),
        ("empty", r"has neither benchmark\.json nor evaluation\.json"),
        ("nowhere", r"nowhere does not exist; check the path"),
    ]
    for name, says in cases:
        with pytest.raises(InputError, match=says):
            read(f"{tmp_path}/{name}")


def test_parts_that_are_not_parquet(tmp_path):
    place = inputs.evaluation(tmp_path / "run", "base", [{"p/0": "p"}])
    for part in (tmp_path / "run" / "evaluations" / "base" / "groups").glob("part-*"):
        part.write_bytes(b"torn")
    with pytest.raises(DataError, match=r"groups cannot be read"):
        read(place)


def test_names_and_seeds(tmp_path):
    for name in ("a1", "a2", "b,1"):
        inputs.results(tmp_path / f"{name}.results.jsonl", {"p/0": "p"}, with_samples=False)
    a, b = f"{tmp_path}/a1.results.jsonl,{tmp_path}/a2.results.jsonl", f"{tmp_path}/b,1.results.jsonl"
    arms = read_arms([a, b])
    assert [(arm.name, len(arm.seeds)) for arm in arms] == [("a1 (2 seeds)", 2), ("b,1", 1)]
    with pytest.raises(InputError, match="names no input, or one twice"):
        read_arms([f"{tmp_path}/a1.results.jsonl,{tmp_path}/a1.results.jsonl"])
    with pytest.raises(InputError, match="names no input"):
        read_arms([","])
    twice = read_arms([b, b])
    assert [arm.name for arm in twice] == ["b,1 #1", "b,1 #2"]
    inputs.evaluation(tmp_path / "x", "base", [{"p/0": "p"}])
    inputs.evaluation(tmp_path / "y", "base", [{"p/0": "p"}])
    assert [arm.name for arm in read_arms([f"{tmp_path}/x:base", f"{tmp_path}/y:base"])] == ["x/base", "y/base"]


def test_json_of_a_benchmark_that_is_cut_off(tmp_path):
    place = inputs.benchmark(tmp_path / "m", {"greedy": (0.0, {"p/0": "p"})})
    whole = json.dumps({"kind": "benchmark"})
    (tmp_path / "m" / "benchmark.json").write_text(whole[:-4])
    with pytest.raises(DataError, match=r"benchmark\.json: is not JSON"):
        read(place)
