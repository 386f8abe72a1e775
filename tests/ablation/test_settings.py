"""The file of an ablation: what it gives each run, and what is refused."""

from pathlib import Path

import pytest

from rrtf_ray.ablation.command import check
from rrtf_ray.ablation.settings import AblationConfig
from rrtf_ray.config_file import load
from rrtf_ray.errors import ConfigError, InputError
from tests.conftest import ROOT

SHIPPED = str(ROOT / "jobs" / "ablations" / "demo.yaml")


@pytest.fixture
def written(tmp_path):
    """written(text): the path of an ablation's file."""

    def write(text):
        path = tmp_path / "ablation.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_every_run_of_the_shipped_file_differs_from_the_baseline_in_ranking_and_training_alone():
    ablation = load(AblationConfig, SHIPPED, ["output=runs/somewhere"])
    runs = check(ablation, SHIPPED)
    assert Path(runs.ablation.output).is_absolute()
    seed = ablation.seeds[0]
    for regime in ablation.regimes:
        shared = runs.config(seed, regime)
        places = set()
        for objective in ablation.objectives:
            config = runs.config(seed, regime, objective, 0.01)
            assert config.train.learning_rate == 0.01
            same = {name: getattr(shared, name) for name in ("train", "rank", "run_dir")}
            assert config.model_copy(update=same) == shared
            assert config.train.steps == shared.train.steps
            places.add(config.run_dir)
        assert len(places) == len(ablation.objectives)
    assert runs.config(seed, "no-teacher").sample.teacher == "none"
    assert runs.config(7, "no-teacher").seed == 7


def test_the_configuration_is_found_beside_the_file(written, tmp_path):
    (tmp_path / "run.yaml").write_text("train: {epochs: 2}\n")
    path = written("config: run.yaml\nregimes: {all: {rounds: 3}}\nobjectives: {sft: {train.loss.objective: sft}}\n")
    config = check(load(AblationConfig, path, []), path).config(0, "all", "sft")
    assert (config.train.epochs, config.rounds, config.train.loss.objective) == (2, 3, "sft")
    assert not config.serve


OBJECTIVES = "objectives: {sft: {train.loss.objective: sft}}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"regimes: {{all: {{}}}}\nbaseline: dpo\n{OBJECTIVES}", "baseline='dpo' is none of the objectives: sft"),
        (
            "regimes: {all: {}}\nobjectives: {sft: {sample.max_tokens: 9}}",
            r"'sample\.max_tokens'; only settings of `train`",
        ),
        (f"regimes: {{a/b: {{}}}}\n{OBJECTIVES}", "'a/b' is not a name"),
        (f"regimes: {{start: {{}}}}\n{OBJECTIVES}", "'start' is not a name: .* not start or shared"),
        (f"regimes: {{all: {{}}}}\nseeds: [4, 4, 5]\n{OBJECTIVES}", r"seeds=\[4, 4, 5\] names one twice"),
        (f"regimes: {{all: {{}}}}\nseeds: [1000, 2]\n{OBJECTIVES}", r"search\.seeds has the seeds \[1000\]"),
        (f"regimes: {{all: {{}}}}\nseeds: [1]\n{OBJECTIVES}", "seeds"),
        (f"regimes: {{}}\n{OBJECTIVES}", "regimes"),
        (f"regimes: {{all: {{}}}}\nsearch: {{regime: none}}\n{OBJECTIVES}", r"search\.regime='none' is none of"),
        (f"regimes: {{all: {{}}}}\nregime: {{}}\n{OBJECTIVES}", "unknown key 'regime'; did you mean 'regimes'"),
    ],
)
def test_what_cannot_be_compared_is_refused(written, text, says):
    with pytest.raises(ConfigError, match=says):
        load(AblationConfig, written(text), [])


def test_a_setting_that_no_run_takes_is_refused_before_anything_runs(written):
    path = written("regimes: {all: {sample.teachers: none}}\n" + OBJECTIVES)
    with pytest.raises(
        ConfigError,
        match=r"regime 'all' with objective 'sft': .*unknown key 'sample\.teachers'; did you mean 'teacher'",
    ):
        check(load(AblationConfig, path, []), path)


def test_an_output_that_is_no_local_directory_is_refused(written):
    path = written("output: s3://bucket/there\nregimes: {all: {}}\n" + OBJECTIVES)
    with pytest.raises(InputError, match="kept in a local directory"):
        check(load(AblationConfig, path, []), path)
