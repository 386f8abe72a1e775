"""Trackers: TensorBoard for real; MLflow and Weights & Biases through stand-in modules that record each call."""

import json
import sys

import pytest

from rrtf_ray.errors import ConfigError
from rrtf_ray.training import tracking
from rrtf_ray.training.tracking import check, tracker

RECORDER = """
import json, os
from types import SimpleNamespace

def _note(*call, **named):
    with open(os.environ["CALLS"], "a") as file:
        print(json.dumps([*call, named]), file=file)
    if os.environ.get("FAILS") == call[0]:
        raise RuntimeError("the server is away")
"""
MLFLOW = (
    RECORDER
    + """
def start_run(**named):
    _note("start_run", **named)
    return SimpleNamespace(info=SimpleNamespace(run_id="run-7"))

def log_params(params): _note("log_params", params)
def log_metrics(metrics, step): _note("log_metrics", metrics, step)
def end_run(status): _note("end_run", status)
"""
)
WANDB = (
    RECORDER
    + """
class _Run:
    def log(self, metrics, step): _note("log", metrics, step)
    def finish(self, exit_code): _note("finish", exit_code)

def init(**named):
    _note("init", **named)
    return _Run()
"""
)
SETTINGS = {"train": {"epochs": 2, "loss": {"alpha": 0.5}}, "seed": 3}
FLAT = {"train.epochs": "2", "train.loss.alpha": "0.5", "seed": "3"}


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Put the recording modules where Python finds them; returns a function that reads the calls."""
    folder = tmp_path / "modules"
    folder.mkdir()
    for name, text in (("mlflow", MLFLOW), ("wandb", WANDB)):
        (folder / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    yield lambda: [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    for name in ("mlflow", "wandb"):
        sys.modules.pop(name, None)


def read_scalars(folder):
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.glob("events*")):
        data, at = path.read_bytes(), 0
        while at < len(data):  # length (8), its checksum (4), the event, its checksum (4)
            size = int.from_bytes(data[at : at + 8], "little")
            event = Event.FromString(data[at + 12 : at + 12 + size])
            found += [(v.tag, event.step, v.simple_value) for v in event.summary.value if v.HasField("simple_value")]
            at += 16 + size
    return found


def test_tensorboard_files_hold_every_step_of_both_starts(tmp_path):
    for steps in ((1, 2), (2, 3)):
        with tracker("tensorboard", "round-01", str(tmp_path), SETTINGS) as log:
            for step in steps:
                log({"loss": step / 2, "left_out": None}, step)
    found = read_scalars(tmp_path / "round-01")
    assert sorted(found) == [("train/loss", step, step / 2) for step in (1, 2, 2, 3)]


def test_none_does_nothing(tmp_path):
    with tracker("none", "round-01", str(tmp_path), SETTINGS) as log:
        log({"loss": 1.0}, 1)
    assert not list(tmp_path.iterdir())


def test_mlflow_gets_settings_once_and_a_restart_goes_on_with_its_run(calls, tmp_path):
    for step in (1, 2):
        with tracker("mlflow", "round-01", str(tmp_path / "run"), SETTINGS) as log:
            log({"loss": 0.5}, step)
    assert calls() == [
        ["start_run", {"run_name": "round-01"}],
        ["log_params", FLAT, {}],
        ["log_metrics", {"loss": 0.5}, 1, {}],
        ["end_run", "FINISHED", {}],
        ["start_run", {"run_id": "run-7"}],
        ["log_metrics", {"loss": 0.5}, 2, {}],
        ["end_run", "FINISHED", {}],
    ]


def test_wandb_has_one_id_for_all_starts(calls, tmp_path):
    for step in (1, 2):
        with tracker("wandb", "round-01", str(tmp_path / "run"), SETTINGS) as log:
            log({"loss": 0.5}, step)
    (first, *_, done), (second, *_) = calls()[:3], calls()[3:]
    named = first[-1]
    assert (named["name"], named["resume"], named["config"]) == ("round-01", "allow", FLAT)
    assert named["dir"] == str(tmp_path / "run")
    assert second[-1]["id"] == named["id"]
    assert calls()[1] == ["log", {"loss": 0.5}, 1, {}]
    assert done == ["finish", 0, {}]


def test_a_training_that_fails_is_marked_so(calls, tmp_path):
    with pytest.raises(KeyError), tracker("wandb", "a", str(tmp_path), {}):
        raise KeyError
    assert calls()[-1] == ["finish", 1, {}]


@pytest.mark.parametrize("fails", ["init", "log", "finish"])
def test_a_tracker_that_fails_says_so_once_and_stops_nothing(calls, tmp_path, monkeypatch, capsys, caplog, fails):
    monkeypatch.setenv("FAILS", fails)
    with tracker("wandb", "a", str(tmp_path), {}) as log:
        for step in range(10):
            log({"loss": 0.5}, step)
    assert capsys.readouterr().out.count("the server is away") == 1
    assert len(caplog.records) == 1
    # Each attempt may cost a time-out: after three there are no more.
    assert sum(call[0] == "log" for call in calls()) == {"init": 0, "log": 3, "finish": 10}[fails]


@pytest.mark.parametrize("kind", ["mlflow", "wandb"])
def test_a_missing_package_is_named_with_its_remedy(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, kind, raising=False)
    (tmp_path / kind).mkdir()  # what a run of theirs leaves in the working directory is no package
    sys.path_importer_cache.clear()
    with pytest.raises(ConfigError, match=rf"train\.tracking='{kind}': the package is not .*pip install {kind}"):
        check(kind, str(tmp_path))


def test_tensorboard_needs_a_local_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"train\.tracking='tensorboard'.*s3://.*local run_dir"):
        check("tensorboard", "s3://bucket/run")
    check("tensorboard", tmp_path.as_uri())


def test_every_kind_of_the_configuration_is_known():
    from typing import get_args

    from rrtf_ray.config import TrainConfig

    kinds = get_args(TrainConfig.model_fields["tracking"].annotation)
    assert set(kinds) == {"none", *tracking._OPEN} == {"none", *tracking._PACKAGES}
