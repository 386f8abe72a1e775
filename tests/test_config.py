from pathlib import Path

import pytest

from rrtf_ray.config import Config, Draw, resolved
from rrtf_ray.config_file import load_config, overridden, validate
from rrtf_ray.errors import ConfigError

SHIPPED = sorted((Path(__file__).parents[1] / "jobs" / "configs").glob("*.yaml"))


@pytest.fixture
def write(tmp_path):
    def _write(text):
        path = tmp_path / "c.yaml"
        path.write_text(text)
        return str(path)

    return _write


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_every_shipped_config_loads(path):
    assert load_config(str(path)).run_dir


def test_defaults_then_file_then_overrides(write):
    path = write("train:\n  epochs: 5\n  learning_rate: 2e-5\nseed: 7\n")
    config = load_config(path, ["train.epochs=2", "sample.draws=[{n: 3}]", "run_dir=/somewhere"])
    assert (config.seed, config.train.epochs, config.train.learning_rate) == (7, 2, 2e-5)
    assert config.sample.draws == (Draw(n=3),)
    assert config.run_dir == "/somewhere"


@pytest.mark.parametrize("text", ["2e-5", "2.0e-5", "0.00002", "+2E-5"])
def test_a_number_may_be_written_as_people_write_it(write, text):
    assert load_config(write(f"train: {{learning_rate: {text}}}\n")).train.learning_rate == 2e-5
    assert load_config(None, [f"train.learning_rate={text}"]).train.learning_rate == 2e-5


def test_a_text_that_begins_like_a_number_stays_a_text(write):
    assert load_config(write("run_dir: 1e5_runs\n")).run_dir == "1e5_runs"


def test_resolved_config_loads_again_as_the_same():
    config = load_config(None, ["sample.draws=[{n: 3, temperature: 0.2}]", "train.num_workers=2"])
    assert validate(Config, resolved(config)) == config


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed: 1\ntrain:\n  epoch: 2\n", ["c.yaml:3", "train.epoch", "did you mean 'epochs'"]),
        (
            "sample:\n  draws:\n    - {n: 1, temprature: 1}\n",
            ["c.yaml:3", "draws.0.temprature", "'temperature'"],
        ),
        ("seed: -1\n", ["c.yaml:1", "seed=-1", "greater than or equal to 0"]),
        ("seed: many\n", ["seed='many'", "valid integer"]),
        ("sample:\n  draws:\n    - n: '3'\n", ["c.yaml:3", "sample.draws.0.n='3'", "valid integer"]),
        ("execute: {fail_fast: 'yes'}\n", ["execute.fail_fast='yes'", "valid boolean"]),
        ("run_dir: 7\n", ["run_dir=7", "valid string"]),
        ("seed: 1.0\n", ["seed=1.0", "valid integer"]),
        ("model: {engine: {enforce_eager: true}, max_model_len: true}\n", ["max_model_len=True", "valid integer"]),
        ("execute:\n  cpu_s: 5\n  wall_s: 2\n", ["c.yaml:1", "wall_s=2", "below cpu_s=5"]),
        ("train:\n  tokens_per_pass: 512\n", ["c.yaml:1", "tokens_per_pass=512", "max_length=1024"]),
        ("train: {zero_stage: 0, dtype: bfloat16}\n", ["zero_stage 0", "use zero_stage 1, 2 or 3"]),
        ("train: {offload: optimizer}\n", ["offload='optimizer'", "without use_gpu"]),
        ("train: {offload: parameters, use_gpu: true}\n", ["offload='parameters'", "zero_stage 3, not 2"]),
        ("sample:\n  engine: replay\n", ["replay_path"]),
        ("rank: {failed: 2.0}\n", ["levels must rise"]),
        ("sample: {max_tokens: 4000}\n", ["sample.max_tokens=4000", "max_model_len"]),
        ("baseline: {sample.max_tokens: 9}\n", ["baseline sets 'sample.max_tokens'", "before ranking"]),
        ("train: {patience: 2}\n", ["c.yaml:1", "patience=2", "without validation_share"]),
        ("a: [\n", ["not valid YAML"]),
        ("- 1\n", ["list", "mapping"]),
        ("until: rank\nrounds: 2\n", ["rounds=2"]),
        ("sample: {draws: [{n: 2, temperature: 0}]}\n", ["n=2", "temperature 0"]),
    ],
)
def test_mistakes_name_place_value_and_remedy(write, text, says):
    with pytest.raises(ConfigError) as caught:
        load_config(write(text))
    for part in says:
        assert part in str(caught.value)


def test_all_mistakes_are_told_at_once(write):
    with pytest.raises(ConfigError) as caught:
        load_config(write("sead: 1\ntrain: {epoch: 1}\n"))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("train.epochs", "section.key=value"),
        ("train.epochs=0", "override 'train.epochs=0'"),
        ("train.epocs=1", "did you mean 'epochs'"),
        ("seed.x=1", "seed"),
    ],
)
def test_overrides_are_checked(write, override, says):
    with pytest.raises(ConfigError, match=says):
        load_config(write("seed: 1\n"), [override])


def test_settings_of_a_configuration_are_overridden_and_checked():
    config = load_config(None, ["train.epochs=2"])
    assert overridden(config, {"train.loss.objective": "sft", "rank.passed": 2}, "x").train.loss.objective == "sft"
    assert overridden(config, {}, "x") == config
    with pytest.raises(ConfigError, match=r"^baseline: .*train\.loss\.objektive.*did you mean 'objective'"):
        overridden(config, {"train.loss.objektive": "sft"}, "baseline")


def test_missing_file():
    with pytest.raises(ConfigError, match=r"nowhere\.yaml.*does not exist"):
        load_config("nowhere.yaml")


@pytest.mark.parametrize("url", ["postgresql://ann:secret@host/votes", "postgresql://host/votes?password=secret"])
def test_a_password_does_not_reach_the_run_directory(url):
    with pytest.raises(ConfigError, match="PGPASSWORD") as caught:
        load_config(None, [f"feedback.database={url}"])
    assert "feedback" in str(caught.value)
    assert load_config(None, ["feedback.database=postgresql://ann@host/votes"]).feedback.database
