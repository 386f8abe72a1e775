"""`rrtf problems audit` from end to end."""

import json

import pytest

from rrtf_ray import cli
from rrtf_ray.audit import command
from rrtf_ray.problems import read_manifest, read_problems
from tests.problems import rows

STRONG = "def check(candidate):\n    assert candidate(2) == 6\n    assert candidate(-1) == -3\n"
WRONG = "def check(candidate):\n    assert candidate(2) == 7\n"
WEAK = "def check(candidate):\n    assert candidate(0) == 0\n"


@pytest.fixture
def given(tmp_path):
    tests = {"own/good": STRONG, "own/wrong": WRONG, "own/weak": WEAK}
    return rows.write_jsonl(tmp_path / "p.jsonl", [rows.humaneval(task_id=id_, test=t) for id_, t in tests.items()])


def run(*words):
    return cli.main(["problems", "audit", *map(str, words), "--workers", "1"])


def test_json_has_every_problem_the_worst_first(given, capsys):
    assert run(given, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in found["problems"]] == ["own/wrong", "own/weak", "own/good"]
    assert (found["num_looked_at"], found["num_without_finding"]) == (3, 1)
    assert found["reasons"]["reference_fails"] == found["reasons"]["trivial_passes"] == 1
    assert found["problems"][2]["score"] == 1.0


def test_the_table_and_the_copy(given, tmp_path, capsys):
    output = tmp_path / "copy"
    assert run(given, "--output", output) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "reference_fails: failed (test 1" in said
    assert "1 of 3 problems have a score of 0.5 or more" in said
    assert [problem.id for problem in read_problems(str(output))] == ["own/good"]
    lineage = read_manifest(str(output))["lineage"]
    assert (lineage["rule"], lineage["left_out"], lineage["from"]) == ("score >= 0.5", 2, given)
    out = [json.loads(line) for line in (output / "left_out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in out] == ["own/wrong", "own/weak"]
    assert "reference_fails" in out[0]["reasons"]


def test_again_changes_nothing_and_runs_nothing(given, tmp_path, monkeypatch):
    output = tmp_path / "copy"
    run(given, "--output", output)
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    monkeypatch.setattr(command, "look", lambda *_: pytest.fail("looked again"))
    assert run(given, "--output", output) == 0
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    assert run(given, "--output", output, "--min-score", "0") == 0
    assert len(list(read_problems(str(output)))) == 3


def test_an_interrupted_audit_goes_on(given, tmp_path, capsys, monkeypatch):
    output = tmp_path / "copy"
    run(given, "--output", output)
    lines = (output / "audits.jsonl").read_text().splitlines(keepends=True)
    (output / "audits.jsonl").write_text(lines[0] + lines[1][:30])  # killed in the middle of a row
    looked = []
    look = command.look
    monkeypatch.setattr(command, "look", lambda problem, *rest: looked.append(problem.id) or look(problem, *rest))
    assert run(given, "--output", output) == 0
    assert len(looked) == 2
    assert len((output / "audits.jsonl").read_text().splitlines()) == 3


def test_no_time_is_said_and_no_copy_is_written(given, tmp_path, capsys):
    assert run(given, "--seconds", "1e-9", "--output", tmp_path / "copy") == 0
    said = capsys.readouterr().out
    assert "3 of 3 problems were not looked at" in said
    assert "start again to go on" in said
    assert not (tmp_path / "copy" / "_manifest.json").exists()


def test_samples_are_used_and_a_sample_of_problems(given, tmp_path, capsys):
    wrong = [{"task_id": "own/weak", "completion": "    return 5 * x\n"}]
    samples = rows.write_jsonl(tmp_path / "s.jsonl", wrong)
    assert run(given, "--samples", samples, "--json") == 0
    found = {row["id"]: row for row in json.loads(capsys.readouterr().out)["problems"]}
    assert found["own/weak"]["wrong_samples"] == 1
    assert run(given, "--sample", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["num_asked"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--min-score", "2"), "--min-score 2 is no score"),
        (("--samples", "gone.jsonl"), "gone.jsonl does not exist"),
        (("--output", "s3://bucket/copy"), "--output s3://bucket/copy is not on this machine"),
    ],
)
def test_bad_input(given, words, said, capsys):
    assert run(given, *words) == 2
    assert said in capsys.readouterr().err


def test_a_copy_without_problems_is_refused_and_what_was_found_is_kept(tmp_path, capsys):
    given = rows.write_jsonl(tmp_path / "p.jsonl", [rows.humaneval(test=WRONG)])
    assert run(given, "--output", tmp_path / "copy") == 2
    assert "none has a score of 0.5 or more: give a lower --min-score" in capsys.readouterr().err
    assert len((tmp_path / "copy" / "audits.jsonl").read_text().splitlines()) == 1


def test_the_output_must_not_be_the_input(given, tmp_path, capsys):
    data = tmp_path / "data"
    cli.main(["problems", "import", "--input", given, "--output", str(data)])
    assert run(data, "--output", data) == 2
    assert "is the problem set itself" in capsys.readouterr().err
    assert len(list(read_problems(str(data)))) == 3
