"""`rrtf ablate` on a real cluster with real training; a scripted engine samples, as the figures do not matter here."""

import json
import os

import pytest

from rrtf_ray.store.run_dir import RunDir

pytestmark = pytest.mark.ray

FILE = """
output: {output}
settings:
  model.student: {student}
  problems.num_train: 12
  problems.num_held_out: 6
  sample.engine: scripted
  sample.draws: [{{n: 2}}, {{n: 2, temperature: 1.2}}]
  evaluate.draws: [{{n: 2}}]
  train.steps: 3
  train.batch_groups: 4
  train.max_length: 512
seeds: [3, 4]
regimes:
  no-teacher: {{sample.teacher: none}}
objectives:
  sft: {{train.loss.objective: sft, train.loss.ft_target: best}}
  rrtf: {{train.loss.pairs: all, train.loss.ft_target: best, rank.failed: -0.2}}
  impossible: {{train.loss.ft_target: teacher}}
"""
POSSIBLE = (
    "objectives={sft: {train.loss.objective: sft, train.loss.ft_target: best}, "
    "rrtf: {train.loss.pairs: all, train.loss.ft_target: best, rank.failed: -0.2}}"
)


def test_an_ablation_shares_samples_makes_equal_steps_and_resumes(rrtf, cluster, student, tmp_path):
    path, output = tmp_path / "ablation.yaml", tmp_path / "out"
    path.write_text(FILE.format(output=output, student=student))
    done = rrtf("ablate", "--config", path, address=cluster.address)
    # Without a teacher there is nothing that `ft_target: teacher` may imitate; that costs these runs only.
    assert done.returncode == 1
    assert "2 of 6 runs could not be made; the first: no-teacher, impossible, seed 3" in done.stderr
    assert "[5/6] no-teacher, rrtf, seed 4" in done.stdout
    assert "no difference found" in done.stdout
    result = json.loads((output / "ablation.json").read_text())
    assert [(r["objective"], r["seed"], r["steps"]) for r in result["runs"]] == [
        ("sft", 3, 3),
        ("rrtf", 3, 3),
        ("sft", 4, 3),
        ("rrtf", 4, 3),
    ]
    assert len(result["failures"]) == 2
    tokens = {(r["objective"], r["seed"]): r["response_tokens"] for r in result["runs"]}
    assert tokens["rrtf", 3] > tokens["sft", 3] > 0
    # A scripted engine answers alike whatever was trained: the same figures, so no difference.
    assert result["rows"][1]["says"] == {"pass@1, T=0.8": "no difference found"}
    shared = output / "seed-3" / "no-teacher" / "shared" / "round-01" / "groups"
    copied = output / "seed-3" / "no-teacher" / "rrtf" / "round-01" / "groups"
    parts = sorted(name for name in os.listdir(shared) if name.startswith("part-"))
    assert parts
    for name in parts:
        assert (shared / name).read_bytes() == (copied / name).read_bytes()

    def scores(objective):
        ranked = RunDir(str(output / "seed-3" / "no-teacher" / objective)).rankings(1).read()
        return {c.test_score for ranking in ranked for c in ranking.candidates}

    assert -0.3 in scores("sft")
    assert -0.2 in scores("rrtf")

    before = {p: p.stat().st_mtime_ns for p in output.rglob("checkpoint/model.safetensors")}
    assert len(before) == 4
    again = rrtf("ablate", "--config", path, POSSIBLE, address=cluster.address)
    assert again.returncode == 0, again.stdout + again.stderr
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert json.loads((output / "ablation.json").read_text())["runs"] == result["runs"]
