"""`rrtf quantize`: outputs are whole or as they were. tests/test_e2e.py compares by real engines."""

import pytest

from rrtf_ray.config import Config
from rrtf_ray.errors import InputError
from rrtf_ray.run_dir import RunDir
from rrtf_ray.stages import quantize as command
from rrtf_ray.stages.preflight import check_training
from rrtf_ray.stages.quantize import quantize


@pytest.fixture
def config(tmp_path):
    return Config(run_dir=str(tmp_path / "run"))


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

    with pytest.raises(InputError, match="int8' is quantized and cannot be trained"):
        check_training(Config(), RunDir(str(tmp_path)), str(output))


@pytest.mark.parametrize(
    ("model", "message"),
    [("bigcode/starcoder", "hub id; download it first"), ("./nowhere", r"nowhere.* does not exist")],
)
def test_a_model_that_is_not_there_is_told_before_anything_starts(model, message, config, tmp_path):
    with pytest.raises(InputError, match=message):
        quantize(config, model, str(tmp_path / "int8"), evaluated=True)
    assert not (tmp_path / "run").exists()
