"""Samples made elsewhere under a protocol: what is written, continued and refused. No model, no Ray."""

import json
from pathlib import Path

import pytest

from rrtf_ray import cli
from rrtf_ray.benchmark.directory import Directory
from rrtf_ray.errors import DataError, InputError
from tests.problems import rows

GOOD, BAD = "    return 3 * x\n", "    return x\n"
PAIRS = "name: pairs\ndraws:\n  - {n: 2, temperature: 0.2, k: [1, 2]}\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with three problems, and the samples of two protocols."""
    monkeypatch.chdir(tmp_path)
    rows.write_jsonl(tmp_path / "p.jsonl", [rows.humaneval(task_id=f"own/{i}") for i in range(3)])
    texts = {"own/0": [GOOD, GOOD], "own/1": [GOOD, BAD], "own/2": [BAD, BAD]}
    samples = [{"task_id": id_, "completion": text} for id_, both in texts.items() for text in both]
    rows.write_jsonl(tmp_path / "two.jsonl", samples)
    rows.write_jsonl(tmp_path / "one.jsonl", samples[::2])
    (tmp_path / "pairs.yaml").write_text(PAIRS)
    return tmp_path


def benchmark(*arguments, problems="p.jsonl"):
    given = ["benchmark", "--problems", problems, "--output", "out", "--workers", "1", *arguments]
    args = cli.parser().parse_args(given)
    return args.run(args)


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_what_is_written(place, capsys):
    assert benchmark("--samples", "two.jsonl", "--protocol", "pairs.yaml", "--model", "mine") == 0
    result = json.loads((place / "out" / "benchmark.json").read_text())
    assert (result["kind"], result["model"], result["suite"]) == ("benchmark", "mine", "custom")
    assert (result["num_problems"], result["problems"]) == (3, str(place / "p.jsonl"))
    assert result["protocol"]["name"] == "pairs"
    assert len(result["protocol_hash"]) == len(result["data_sha256"]) == 64
    [draw] = result["draws"]
    assert {key: draw[key] for key in ("name", "temperature", "top_p", "n", "samples", "results")} == {
        "name": "T=0.2",
        "temperature": 0.2,
        "top_p": 0.95,
        "n": 2,
        "samples": "T=0.2.jsonl",
        "results": "T=0.2.results.jsonl",
    }
    # (1 + 1/2 + 0) / 3, and (1 + 1 + 0) / 3.
    assert draw["pass_at_k"]["1"]["value"] == pytest.approx(0.5, abs=1e-6)
    assert draw["pass_at_k"]["2"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert draw["pass_at_k"].keys() == {"1", "2"}
    assert draw["outcomes"] == {"passed": 3, "failed": 3}
    assert draw["num_truncated"] is None
    samples, results = lines("out/T=0.2.jsonl"), lines("out/T=0.2.results.jsonl")
    assert [(s["task_id"], s["index"], s["completion"]) for s in samples[:3]] == [
        ("own/0", 0, GOOD),
        ("own/0", 1, GOOD),
        ("own/1", 0, GOOD),
    ]
    assert [(r["task_id"], r["index"], r["passed"]) for r in results[2:5]] == [
        ("own/1", 0, True),
        ("own/1", 1, False),
        ("own/2", 0, False),
    ]
    shown = capsys.readouterr().out
    assert f"protocol pairs, hash {result['protocol_hash'][:16]}" in shown
    assert "published" not in shown


def test_verify_reads_the_samples_and_accepts_the_rows(place):
    benchmark("--samples", "two.jsonl", "--protocol", "pairs.yaml")
    before = (place / "out" / "T=0.2.results.jsonl").read_bytes()
    args = ["verify", "--problems", "p.jsonl", "--samples", "out/T=0.2.jsonl", "--output", "out/T=0.2.results.jsonl"]
    assert cli.main(args) == 0
    assert (place / "out" / "T=0.2.results.jsonl").read_bytes() == before


def test_ids_are_the_problems_own(place):
    rows.write_jsonl(place / "loud.jsonl", [{"task_id": f"OWN_{i}", "completion": GOOD} for i in range(3)])
    benchmark("--samples", "loud.jsonl")
    for name in ("greedy.jsonl", "greedy.results.jsonl"):
        assert [row["task_id"] for row in lines(f"out/{name}")] == ["own/0", "own/1", "own/2"]


def test_a_second_start_answers_from_what_is_there(place, capsys):
    benchmark("--samples", "one.jsonl")
    result = (place / "out" / "benchmark.json").read_bytes()
    first = capsys.readouterr().out
    (place / "out" / "greedy.results.jsonl").unlink()  # not needed any more
    assert benchmark("--samples", "one.jsonl") == 0
    again = capsys.readouterr().out
    assert "complete already" in again
    assert again.splitlines()[1:] == first.splitlines()[1:]
    assert (place / "out" / "benchmark.json").read_bytes() == result


def test_an_interrupted_one_is_continued(place, capsys):
    benchmark("--samples", "one.jsonl")
    result = (place / "out" / "benchmark.json").read_bytes()
    (place / "out" / "benchmark.json").unlink()
    rows_ = (place / "out" / "greedy.results.jsonl").read_text().splitlines(keepends=True)
    (place / "out" / "greedy.results.jsonl").write_text(rows_[0] + rows_[1][:20])
    capsys.readouterr()
    assert benchmark("--samples", "one.jsonl") == 0
    assert "1 results of an earlier start are kept" in capsys.readouterr().out
    assert (place / "out" / "benchmark.json").read_bytes() == result


def test_another_benchmark_is_not_written_over(place):
    benchmark("--samples", "one.jsonl", "--model", "a")
    before = sorted(p.name for p in (place / "out").iterdir())
    for changed, says in (
        (["--samples", "one.jsonl", "--model", "b"], r"out holds another benchmark \(model: 'b', before 'a'\)"),
        (
            ["--samples", "two.jsonl", "--model", "a", "--protocol", "pairs.yaml"],
            r"protocol.name: 'pairs', before 'greedy'",
        ),
        (["--samples", "one.jsonl", "--model", "a", "--limit", "2"], r"problems.limit: 2, before None"),
    ):
        with pytest.raises(InputError, match=says):
            benchmark(*changed)
    assert sorted(p.name for p in (place / "out").iterdir()) == before


def test_a_folder_with_something_else_is_left_alone(place):
    (place / "out").mkdir()
    (place / "out" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="out is not empty and holds no benchmark"):
        benchmark("--samples", "one.jsonl")
    assert [p.name for p in (place / "out").iterdir()] == ["notes.txt"]


def test_a_wrong_number_of_samples_is_refused_and_can_be_corrected(place):
    with pytest.raises(
        DataError, match=r"one.jsonl: problem 'own/0' has 1 samples, but the protocol 'pairs' draws n=2"
    ):
        benchmark("--samples", "one.jsonl", "--protocol", "pairs.yaml")
    # The problems, which may have taken long to make, are kept.
    assert [p.name for p in (place / "out").iterdir()] == ["problems"]
    with pytest.raises(DataError, match=r"two.jsonl: problem 'own/0' has 2 samples, .* n=1 .*3 of 3 problems differ"):
        benchmark("--samples", "two.jsonl")
    assert benchmark("--samples", "one.jsonl") == 0


def test_a_broken_row_is_refused_before_anything_is_run(place):
    rows.write_jsonl(
        place / "bad.jsonl", [{"task_id": "own/0", "completion": GOOD}, {"task_id": "own/9", "completion": GOOD}]
    )
    with pytest.raises(DataError, match=r"bad.jsonl:2: task_id 'own/9' is none of the 3 problems"):
        benchmark("--samples", "bad.jsonl")
    assert not list((place / "out").glob("*.jsonl"))


def test_a_limit_takes_the_first_problems_and_their_samples(place, capsys):
    assert benchmark("--samples", "one.jsonl", "--limit", "2") == 0
    result = json.loads((place / "out" / "benchmark.json").read_text())
    assert (result["num_problems"], result["limit"]) == (2, 2)
    assert [r["task_id"] for r in lines("out/greedy.results.jsonl")] == ["own/0", "own/1"]
    assert "1 rows are of problems beyond --limit" in capsys.readouterr().out


def test_the_data_s_hash_is_that_of_an_import(place):
    benchmark("--samples", "one.jsonl")
    assert cli.main(["problems", "import", "--input", "p.jsonl", "--output", "set"]) == 0
    manifest = json.loads((place / "set" / "_manifest.json").read_text())
    assert json.loads((place / "out" / "benchmark.json").read_text())["data_sha256"] == manifest["sha256"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "neither --model nor --samples"),
        (["--samples", "one.jsonl", "model.dtype=auto"], "leave them out with --samples"),
        (
            ["--samples", "one.jsonl", "--protocol", "paper"],
            r"1 files .* give --samples once for each.*T=0.2 \(n=200\), T=1.2",
        ),
        (["--samples", "nothing.jsonl"], "nothing.jsonl does not exist"),
        (["--samples", "one.jsonl", "--suite", "humanevl"], "unknown suite 'humanevl'; there are humaneval"),
        (["--samples", "one.jsonl", "--protocol", "gredy"], "unknown protocol 'gredy'; there are greedy"),
        (["--model", "m"], "--workers is for --samples"),
    ],
)
def test_wrong_options_are_refused_and_leave_nothing(place, arguments, says):
    with pytest.raises(InputError, match=says):
        benchmark(*arguments)
    assert not (place / "out").exists()


def test_missing_options_are_named(place, capsys):
    assert cli.main(["benchmark", "--samples", "one.jsonl", "--output", "out"]) == 2
    assert "--problems is missing" in capsys.readouterr().err


def test_the_lists(capsys):
    assert cli.main(["benchmark", "--list"]) == 0
    shown = capsys.readouterr().out
    for name in ("greedy", "paper", "humaneval-fix", "humaneval-infilling", "custom"):
        assert name in shown


def test_a_directory_is_complete_with_its_figures(place):
    assert Directory(str(place / "out")).finished() is None
    benchmark("--samples", "one.jsonl")
    assert Directory(str(place / "out")).finished()["kind"] == "benchmark"
