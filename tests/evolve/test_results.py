"""What is left behind, and which settings are refused."""

import json
import re

import pytest

from rrtf_ray import cli
from rrtf_ray.config_file import load, validate
from rrtf_ray.errors import ConfigError
from rrtf_ray.evolve.records import Card, JudgedDraft, Rejection
from rrtf_ray.evolve.results import none_accepted, write_results
from rrtf_ray.evolve.settings import EvolveConfig
from rrtf_ray.problems import read_manifest, read_problems
from tests.evolve.answers import draft
from tests.records_for_tests import problem

CARD = Card(4, 3, 2, 9, 1, (), (), 20, 19, 0.95, 0.01, 900)
GIVEN = {"instructions": "i.jsonl", "teachers": {"big": {"model": "m"}}}


def row(id_, rejection=None, detail=""):
    made = draft()
    if rejection:
        return JudgedDraft(id_, made, rejection, detail)
    return JudgedDraft(id_, made, problem=problem(id_), card=CARD)


def test_problems_lineage_and_rejected_drafts_are_written(tmp_path):
    rows = [row("a"), row("b", Rejection.WEAK, "half"), row("c", Rejection.WEAK), row("d", Rejection.FLAKY)]
    counts = write_results(str(tmp_path), rows, rows[:1], {"rounds": 1})
    assert (counts.drafts, counts.accepted, dict(counts.reasons)) == (4, 1, {Rejection.WEAK: 2, Rejection.FLAKY: 1})
    assert counts.examples[Rejection.WEAK].id == "b"
    assert [p.id for p in read_problems(str(tmp_path))] == ["a"]
    assert read_manifest(str(tmp_path))["drafts"] == 4
    lineage = json.loads((tmp_path / "lineage.jsonl").read_text())
    assert (lineage["id"], lineage["seed"], lineage["operation"]) == ("a", "s", "steps")
    assert lineage["card"]["mutation_score"] == 0.95
    first, *_ = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert (first["id"], first["reason"], first["detail"]) == ("b", "weak", "half")
    assert "def runs" in first["statement"]
    assert len(first["solutions"]) == 4


def test_where_nothing_is_accepted_the_earlier_problems_stay(tmp_path):
    write_results(str(tmp_path), [row("a")], [row("a")], {})
    counts = write_results(str(tmp_path), [row("b", Rejection.WEAK, "half")], [], {})
    assert [p.id for p in read_problems(str(tmp_path))] == ["a"]
    assert re.search(r"none of 1 drafts .* 'weak' \(half\).*rejected.jsonl", str(none_accepted("x", counts)))


def test_the_shipped_file_is_valid():
    config = load(EvolveConfig, "jobs/evolve/endpoint.yaml", [])
    assert config.run_config().teachers["big"].draws[0].temperature == config.temperature


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"problems": "p"}, "either problems=DIR or instructions=FILE"),
        ({"instructions": None}, "either problems=DIR or instructions=FILE"),
        ({"agree": 2}, "agree=2 of 4 solutions is no majority; use 3"),
        ({"agree": 5}, "agree=5 is more than the 4 solutions"),
        ({"min_inputs": 40}, "min_inputs=40 is above max_inputs=30"),
        ({"temperature": 0.0}, "temperature=0"),
        ({"teachers": {}}, "teachers"),
        ({"operations": ["harder"]}, "operations.0='harder'"),
        ({"rounds": 0}, "rounds=0"),
        ({"min_mutation_score": 1.5}, "min_mutation_score=1.5"),
        ({"seeds": 3}, "unknown key 'seeds'; did you mean 'seed'"),
    ],
)
def test_settings_that_cannot_work(changes, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        validate(EvolveConfig, GIVEN | changes)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["instructions=none.jsonl"], "none.jsonl: cannot be read"),
        (["problems=nowhere"], "nowhere"),
        (["instructions=bad.jsonl"], "bad.jsonl:2: the field 'instruction' is missing"),
        (["instructions=good.jsonl", "against=[nowhere]"], "nowhere"),
        (["instructions=good.jsonl", "teachers.big.key_variable=NOT_SET_HERE"], "NOT_SET_HERE is not set"),
    ],
)
def test_what_cannot_be_used_is_named_before_anything_starts(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.jsonl").write_text('{"instruction": "Sort numbers."}\n')
    (tmp_path / "bad.jsonl").write_text('{"instruction": "Sort."}\n{"prompt": "x"}\n')
    given = ["evolve", "output=out", "teachers.big={model: m, base_url: 'http://localhost:1/v1'}", *arguments]
    assert cli.main(given) == 2
    assert said in capsys.readouterr().err
