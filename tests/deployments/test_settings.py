"""What a run's settings become when it serves its model, without starting anything."""

from pathlib import Path

import pytest

from rrtf_ray.config import EngineArguments, ModelConfig
from rrtf_ray.config_file import load_config
from rrtf_ray.deployments.applications import settings_of

CONFIGS = sorted((Path(__file__).parents[2] / "jobs" / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_run_can_serve_its_model(path):
    model = load_config(str(path), []).model
    settings = settings_of("/a/checkpoint", model, max_tokens=2000, gpus=1.0)
    assert settings.engine.model == "/a/checkpoint"
    assert settings.engine.gpus == 1.0
    assert settings.gateway.max_tokens == 2000
    for name in EngineArguments.model_fields:
        assert getattr(settings.engine, name) == getattr(model, name), name


def test_what_only_a_run_knows_is_left_out():
    assert settings_of("x", ModelConfig(student="y", chat="on"), max_tokens=1).gateway.max_tokens == 1024
