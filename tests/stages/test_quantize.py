"""`rrtf quantize`: one real comparison by two vLLM engines, and outputs that are whole or as they were."""

import json

import pytest
import yaml

from rrtf_ray.config import Config
from rrtf_ray.errors import InputError
from rrtf_ray.stages import quantize as command
from rrtf_ray.stages.quantize import quantize


@pytest.fixture
def config(tmp_path):
    return Config(run_dir=str(tmp_path / "run"))


@pytest.mark.ray
def test_size_speed_and_pass_at_1_of_both_models(student, cluster, rrtf, tmp_path):
    settings = {
        "run_dir": str(tmp_path / "run"),
        "problems": {"num_train": 1, "num_held_out": 8},
        "model": {"max_model_len": 320, "dtype": "float32", "engine": {"enforce_eager": True}},
        "sample": {"max_tokens": 96},
        "evaluate": {"draws": [{"n": 1, "temperature": 0.0, "top_p": 1.0}]},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    output = tmp_path / "int8"
    arguments = ("quantize", "--model", student, "--output", output, "--config", tmp_path / "config.yaml", "--json")
    done = rrtf(*arguments, "--evaluate", address=cluster.address)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["int8_bytes"] < 0.4 * found["original_bytes"]
    assert found["quantized_layers"] == 16
    assert [s["requests"] for s in found["speeds"]] == [1, 8]
    assert all(s["ratio_min"] <= s["ratio"] <= s["ratio_max"] and s["second_ms"] > 0 for s in found["speeds"])
    assert found["pass_at_1"]["problems"] == 8
    # The same programs but for a token here and there: int8 is not another model.
    assert found["pass_at_1"]["same_text"] >= 5
    assert {p.name for p in output.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json", "manifest.json"}
    made = (output / "model.safetensors").stat().st_mtime_ns

    trained = rrtf("train", f"run_dir={tmp_path / 'other'}", f"model.student={output}", address=cluster.address)
    assert trained.returncode == 2
    assert "is quantized and cannot be trained" in trained.stderr

    assert (output / "model.safetensors").stat().st_mtime_ns == made


def test_an_output_that_holds_something_else_is_left_alone(student, config, tmp_path):
    output = tmp_path / "mine"
    output.mkdir()
    (output / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"mine is not empty, and not what `rrtf quantize` makes of"):
        quantize(config, str(student), str(output), evaluated=False)
    assert [p.name for p in output.iterdir()] == ["notes.txt"]


def test_an_interrupted_output_is_removed_and_a_finished_one_is_kept(student, tmp_path, monkeypatch):
    output = tmp_path / "int8"
    upload = command.upload_dir

    def interrupted(folder, uri, manifest):
        upload(folder, uri, manifest)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "upload_dir", interrupted)
    with pytest.raises(KeyboardInterrupt):
        command.make(str(student), str(output))
    assert not output.exists()

    monkeypatch.setattr(command, "upload_dir", upload)
    first = command.make(str(student), str(output))
    weights = (output / "model.safetensors").stat()
    assert command.make(str(student), str(output)) == first
    assert (output / "model.safetensors").stat().st_mtime_ns == weights.st_mtime_ns


@pytest.mark.parametrize(
    ("model", "message"),
    [("bigcode/starcoder", "hub id; download it first"), ("./nowhere", r"nowhere.* does not exist")],
)
def test_a_model_that_is_not_there_is_told_before_anything_starts(model, message, config, tmp_path):
    with pytest.raises(InputError, match=message):
        quantize(config, model, str(tmp_path / "int8"), evaluated=True)
    assert not (tmp_path / "run").exists()
