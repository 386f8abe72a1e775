"""`rrtf report` on runs that are whole, cut off, damaged, elsewhere, or no runs at all."""

import json
import os
import shutil
from pathlib import Path

import fsspec
import pytest

from rrtf_ray.cli import main
from rrtf_ray.core.ranking import digest_of
from rrtf_ray.records import Choice, Group, Split, Vote
from rrtf_ray.report.command import MAX_CANDIDATES, report, report_at_the_end
from rrtf_ray.report.contents import part_of
from rrtf_ray.report.reading import read_run
from rrtf_ray.store.run_dir import RunDir
from tests.records_for_tests import candidate, problem
from tests.report.run_for_tests import finished_run, train_groups, write, write_config, write_round


@pytest.fixture
def run(tmp_path):
    return finished_run(tmp_path / "run")


@pytest.fixture
def output(tmp_path):
    return str(tmp_path / "report.html")


def test_a_whole_run_has_no_notices(run, output, capsys):
    assert main(["report", run.uri, "--output", output, "--audit", "2"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [f"report: {output} (0.1 MiB)"]
    assert "A sample of 2 of 5 problems" in Path(output).read_text()


def test_nothing_is_run_where_that_is_asked(run, output):
    assert main(["report", run.uri, "--output", output, "--no-audit-runs"]) == 0
    text = Path(output).read_text()
    assert "Not looked at: whether references pass" in text
    assert "A sample of" not in text


def test_what_people_said_and_where_they_contradict_the_tests(tmp_path, output):
    run, groups = RunDir(str(tmp_path / "voted")), train_groups()
    by_id = {c.id: digest_of(c) for c in groups[0].candidates}
    votes = [Vote(f"v{i}", "t/0", by_id["s0"], by_id["s3"], Choice.LEFT, f"a{i}") for i in range(30)]
    write_round(run, write_config(run), groups, votes)
    assert main(["report", run.uri, "--output", output, "--no-audit-runs"]) == 0
    text = Path(output).read_text()
    assert "People clearly order programs of 1 problem against the tests, which may be wrong there: <code>t/0" in text
    assert "(30 votes, " in text
    assert "<td>teacher</td>" in text
    assert "<td>tests</td>" in text


def test_two_runs_side_by_side(run, tmp_path, output):
    other = finished_run(tmp_path / "other")
    write_config(other, seed=7)
    report([run.uri, other.uri], output, audit=0)
    text = Path(output).read_text()
    for part in ("Report of 2 runs", "run: base", "other: round-01", "Settings that differ"):
        assert part in text
    assert "<code>seed</code></th><td><code>0</code></td><td><code>7</code></td>" in text
    assert (
        "run_dir</code></th><td><code>" + run.uri not in text.partition("Settings that differ")[2].partition("<h3>")[0]
    )


def test_runs_of_one_name_are_told_apart(run, tmp_path, output):
    other = finished_run(tmp_path / "elsewhere" / "run")
    report([run.uri, other.uri], output, audit=0)
    text = Path(output).read_text()
    assert f"{run.uri}: base" in text
    assert f"{other.uri}: base" in text


def test_a_folder_that_is_no_run_is_refused(tmp_path, output, capsys):
    (tmp_path / "src").mkdir()
    assert main(["report", str(tmp_path / "src"), "--output", output]) == 2
    assert "is no run directory" in capsys.readouterr().err
    assert not os.path.exists(output)
    assert main(["report", str(tmp_path / "nowhere"), "--output", output]) == 2


def test_an_output_that_is_a_folder_is_refused_before_anything_is_read(tmp_path, capsys):
    assert main(["report", "nowhere", "--output", str(tmp_path)]) == 2
    assert f"name a file, such as {tmp_path}/report.html" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gone", "notice"),
    [
        ("config.yaml", "left out: config.yaml ("),
        ("environment.json", "left out: environment.json ("),
        ("summary.json", "the run has not ended"),
        ("evaluations/base/evaluation.json", "the evaluation of base has begun and is not complete"),
        ("evaluations/round-01", "there is no evaluation both before and after"),
        ("evaluations", "no evaluation is complete yet"),
        ("problems", "the problems are not there"),
        ("round-01/groups/_manifest.json", "round-01/groups is not complete"),
        ("round-01/rankings", None),
        ("round-01/checkpoint", None),
        ("round-01", None),
        ("metrics.jsonl", None),
    ],
)
def test_what_is_missing_is_left_out_and_said(run, output, gone, notice, capsys):
    place = Path(run.at(gone))
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    report([run.uri], output, audit=0)
    said = capsys.readouterr().out
    if notice:
        assert f"run: {notice}" in said
        assert notice in Path(output).read_text()
    else:
        assert said.startswith("report:")


SMALL_FILES = (
    "config.yaml",
    "environment.json",
    "seconds.json",
    "evaluations/base/evaluation.json",
    "evaluations/round-01/groups/_stage.json",
    "round-01/checkpoint/_manifest.json",
    "metrics.jsonl",
)


@pytest.mark.parametrize("content", ["{", "[1, 2]", "null", '{"a": "b"}', "\udcff"])
def test_damaged_files_cost_their_part_only(run, output, content):
    for name in SMALL_FILES:
        Path(run.at(name)).write_bytes(content.encode(errors="surrogateescape"))
    report([run.uri], output, audit=0)
    text = Path(output).read_text()
    assert "the same code again" in text
    assert "Settings, environment and time" in text


@pytest.mark.parametrize("name", SMALL_FILES)
def test_a_damaged_file_is_named(run, name):
    Path(run.at(name)).write_bytes(b"{")
    (notice,) = [n for n in part_of(run.uri, "run-1", audit=0).facts.notices if n.startswith("left out: ")]
    assert name.partition("/_")[0].removesuffix("/groups") in notice or "comparison" in notice


@pytest.mark.parametrize("store", ["round-01/groups", "round-01/rankings", "evaluations/base/groups", "problems/train"])
def test_a_damaged_part_of_a_store_costs_its_section_only(run, output, store, capsys):
    (part,) = Path(run.at(store)).glob("part-*.parquet")
    part.write_bytes(b"not parquet")
    report([run.uri], output, audit=5)
    assert "left out: " in capsys.readouterr().out
    assert "Settings, environment and time" in Path(output).read_text()


def test_metrics_that_are_not_finite_are_gaps_and_counted(run):
    rows = [{"round": 1, "step": 1, "loss": float("nan")}, {"round": 1, "step": 2, "loss": float("inf")}]
    Path(run.at("metrics.jsonl")).write_text(
        "".join(json.dumps(row) + "\n" for row in [*rows, {"round": 1, "loss": 2}])
    )
    facts = read_run(run.uri)
    assert facts.notices == ["2 of 3 steps have a metric that is not finite: gaps in the curves"]
    assert [row["loss"] == row["loss"] for row in facts.metrics] == [False, False, True]


def test_a_run_that_only_ranks(tmp_path, output, capsys):
    run = RunDir(str(tmp_path / "ranks"))
    groups = train_groups()
    write(run.problems(Split.TRAIN), [group.problem for group in groups])
    write(run.problems(Split.HELD_OUT), [])
    write_round(run, write_config(run, until="rank"), groups)
    report([run.uri], output, audit=1)
    assert "the run ends at until=rank" in capsys.readouterr().out
    text = Path(output).read_text()
    assert "Nothing has been trained." in text
    assert "There is no complete evaluation." in text


def test_a_round_that_is_only_sampled(tmp_path, output, capsys):
    run = RunDir(str(tmp_path / "samples"))
    write_config(run)
    write(run.samples(1), [Group(problem(), (candidate("s0", None),))])
    report([run.uri], output, audit=0)
    assert "round-01 has been sampled and not executed yet" in capsys.readouterr().out
    assert "not executed yet: 1 candidate" in Path(output).read_text()


def test_a_run_on_another_filesystem(run):
    memory = fsspec.filesystem("memory")
    memory.put(run.uri, "/runs/far", recursive=True)
    report(["memory://runs/far"], "memory://reports/one.html", audit=2)
    text = memory.cat("/reports/one.html").decode()
    assert "1 fixed, 1 broken" in text
    assert "has not ended" not in text


def test_the_report_at_the_end_of_a_run(run, capsys):
    report_at_the_end(run.uri, 4)
    assert "1 fixed, 1 broken" in Path(run.at("report.html")).read_text()
    assert capsys.readouterr().out.startswith(f"report: {run.at('report.html')}")


def test_a_large_run_does_not_wait_for_its_report(run, capsys):
    report_at_the_end(run.uri, MAX_CANDIDATES + 1)
    assert not Path(run.at("report.html")).exists()
    assert f"`rrtf report {run.uri}` makes it" in capsys.readouterr().out


def test_a_report_that_cannot_be_made_does_not_fail_the_run(run, capsys):
    Path(run.at("report.html")).mkdir()
    report_at_the_end(run.uri, 4)
    (line,) = capsys.readouterr().out.splitlines()
    assert "could not be made" in line
