"""`rrtf quantize`: outputs are complete or unchanged. tests/test_e2e.py compares real engines."""

import errno

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from rrtf_ray.config import Config
from rrtf_ray.errors import InputError, StageError
from rrtf_ray.quantize.command import make, quantize
from rrtf_ray.stages.preflight import check_training
from rrtf_ray.store.run_dir import RunDir

pytestmark = pytest.mark.slow  # for the student


@pytest.fixture
def config(tmp_path):
    return Config(run_dir=str(tmp_path / "run"))


def test_an_output_that_holds_something_else_is_left_alone(student, config, tmp_path):
    output = tmp_path / "mine"
    output.mkdir()
    (output / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"mine is not empty and not what `rrtf quantize` makes of"):
        quantize(config, str(student), str(output), evaluated=False)
    assert [p.name for p in output.iterdir()] == ["notes.txt"]


class FullStore(LocalFileSystem):
    """This machine's files as a store that is full when a manifest is written."""

    protocol = "full"

    def __init__(self, **options):
        super().__init__(auto_mkdir=True, **options)  # a store has no folders that must be made

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("full://"))

    def _open(self, path, mode="rb", **options):
        if "w" in mode and path.endswith("_manifest.json"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return super()._open(path, mode, **options)


def test_an_output_that_cannot_be_finished_is_removed(student, tmp_path):
    fsspec.register_implementation("full", FullStore)
    with pytest.raises(StageError, match=r"no space left to write .*int8/_manifest\.json"):
        make(str(student), f"full://{tmp_path}/int8")
    assert not (tmp_path / "int8").exists()


def test_a_finished_output_is_kept_and_cannot_be_trained(student, tmp_path):
    output = tmp_path / "int8"
    first = make(str(student), str(output))
    weights = (output / "model.safetensors").stat()
    assert make(str(student), str(output)) == first
    assert (output / "model.safetensors").stat().st_mtime_ns == weights.st_mtime_ns
    with pytest.raises(InputError, match="int8' is quantized and cannot be trained"):
        check_training(Config(), RunDir(str(tmp_path)), str(output))


@pytest.mark.parametrize("place", ["file", "file/int8"])
def test_an_output_that_cannot_be_written_is_told_before_the_model_is_read(place, student, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=f"{place} cannot be written.*choose another place"):
        make(str(student), str(tmp_path / place))
    assert "reading" not in capsys.readouterr().out
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("model", "message"),
    [("bigcode/starcoder", "hub id; download it first"), ("./nowhere", r"nowhere.* does not exist")],
)
def test_a_model_that_is_not_there_is_told_before_anything_starts(model, message, config, tmp_path):
    with pytest.raises(InputError, match=message):
        quantize(config, model, str(tmp_path / "int8"), evaluated=True)
    assert not (tmp_path / "run").exists()
