"""A run is not evaluated on what it is trained on."""

import pytest

from rrtf_ray.config import Config, ProblemsConfig
from rrtf_ray.errors import InputError
from rrtf_ray.problems import write_problems
from rrtf_ray.records import Split
from rrtf_ray.stages.inputs import prepare_problems
from rrtf_ray.store.run_dir import RunDir
from tests.records_for_tests import problem

LONG = " ".join(f"word{number}" for number in range(120))


def prepare(tmp_path, held_out, max_similarity=0.9):
    source = str(tmp_path / "data")
    held = problem("held", prompt=held_out, split=Split.HELD_OUT)
    write_problems([problem("train", prompt=f"{LONG} up to 10"), held], source)
    run_dir = str(tmp_path / "run")
    config = Config(run_dir=run_dir, problems=ProblemsConfig(source=source, max_similarity=max_similarity))
    prepare_problems(config, RunDir(run_dir))


@pytest.mark.parametrize("text", [f"{LONG}, up to 10", f"{LONG} UP  TO 10."])
def test_the_same_words_are_refused_in_any_case(tmp_path, text):
    with pytest.raises(InputError, match="'held' is 'train'"):
        prepare(tmp_path, text, None)


def test_a_near_copy_is_refused_by_a_setting(tmp_path):
    near = f"{LONG} up to 10".replace("word50", "other")
    with pytest.raises(InputError, match=r"'held' is 'train' by 92%.*problems.max_similarity=0.9"):
        prepare(tmp_path, near)
    # The setting chooses no rows, so the same run directory goes on with another one.
    prepare(tmp_path, near, None)
    prepare(tmp_path, near, 0.95)


def test_other_numbers_are_another_problem(tmp_path):
    prepare(tmp_path, f"{LONG} up to 3000")


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_the_demo_is_not_refused(tmp_path, seed):
    """Its problems share most of their form; seed 4 has pairs that differ in one word at the end."""
    problems = ProblemsConfig(num_train=300, num_held_out=100)
    config = Config(run_dir=str(tmp_path / "run"), seed=seed, problems=problems)
    prepare_problems(config, RunDir(config.run_dir))
