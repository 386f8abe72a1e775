"""Judged samples as files of inspect_ai and NeMo Evaluator."""

import json
from pathlib import Path

import pytest

from rrtf_ray.compare.exporting import INSPECT, NEMO, export
from rrtf_ray.errors import DataError, InputError
from rrtf_ray.store.files import read_json
from tests.compare.inputs import results

OUTCOMES = {"p/0": "pf", "p/1": "pp", "p/2": "fs"}


def test_a_log_of_inspect(tmp_path):
    (place,) = export(results(tmp_path / "a.results.jsonl", OUTCOMES), INSPECT, str(tmp_path / "out"))
    log = read_json(place)
    assert (log["version"], log["status"], log["eval"]["config"]["epochs"]) == (2, "success", 2)
    found = {(s["id"], s["epoch"]): s["scores"]["tests"]["value"] for s in log["samples"] if "scores" in s}
    assert found == {("p/0", 1): "C", ("p/0", 2): "I", ("p/1", 1): "C", ("p/1", 2): "C", ("p/2", 1): "I"}
    # What the machinery failed on is an error, not a wrong answer.
    (unjudged,) = [s for s in log["samples"] if "error" in s]
    assert (unjudged["id"], unjudged["epoch"], log["results"]["completed_samples"]) == ("p/2", 2, 5)
    assert log["results"]["scores"][0]["metrics"]["accuracy"]["value"] == pytest.approx((0.5 + 1 + 0) / 3)


def test_inspect_itself_reads_the_log(tmp_path):
    read_eval_log = pytest.importorskip("inspect_ai.log", reason="inspect_ai is not installed").read_eval_log
    (place,) = export(results(tmp_path / "a.results.jsonl", OUTCOMES), INSPECT, str(tmp_path / "out"))
    log = read_eval_log(place)
    assert [sample.epoch for sample in log.samples] == [1, 2, 1, 2, 1, 2]


def test_a_bundle_of_nemo_pairs_by_whole_numbers(tmp_path):
    def rows(name, outcomes):
        bundle, lines = export(results(tmp_path / f"{name}.results.jsonl", outcomes), NEMO, str(tmp_path / name))
        scores = read_json(bundle)["benchmark"]["scores"]["pass@1"]
        return scores, [json.loads(line) for line in Path(lines).read_text().splitlines()]

    scores, first = rows("a", OUTCOMES)
    assert scores["value"] == pytest.approx(0.5)
    assert scores["ci_lower"] < 0.5 < scores["ci_upper"]
    assert [(r["metadata"]["task_id"], r["repeat"], r["reward"]) for r in first] == [
        ("p/0", 0, 1.0),
        ("p/0", 1, 0.0),
        ("p/1", 0, 1.0),
        ("p/1", 1, 1.0),
        ("p/2", 0, 0.0),
    ]
    _, second = rows("b", {"p/1": "p"})  # another file with fewer problems: the same numbers
    assert isinstance(second[0]["problem_idx"], int)
    assert second[0]["problem_idx"] == first[2]["problem_idx"] != first[0]["problem_idx"]


def test_what_cannot_be_exported_is_refused(tmp_path):
    judged = results(tmp_path / "a.results.jsonl", OUTCOMES)
    with pytest.raises(InputError, match="is a file; name a folder"):
        export(judged, INSPECT, judged)
    unjudged = results(tmp_path / "b.results.jsonl", {"p/0": "s"})
    with pytest.raises(DataError, match="no sample of samples was judged"):
        export(unjudged, NEMO, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
