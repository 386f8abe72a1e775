"""What README and the configurations claim is there."""

import re
from pathlib import Path

import pytest

from rrtf_ray.cli import parser
from rrtf_ray.problems import FORMATS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
NAMED = sorted(set(re.findall(r"jobs/configs/[\w-]+\.yaml|serve/config\.yaml|cluster\.yaml", README)))


def test_every_format_and_command_is_in_the_readme():
    for name in FORMATS:
        assert f"`{name}`" in README
    for command in re.findall(r"^    (\w+) ", parser().format_help(), re.MULTILINE):
        assert f"`{command}`" in README or f"rrtf {command}" in README, command


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"jobs/configs/[\w-]+\.yaml|serve/config\.yaml|cluster\.yaml", README)))
)
def test_files_that_the_readme_names_exist(path):
    assert (ROOT / path).is_file()


def test_every_room_of_the_package_is_in_the_table():
    table = README.split("## Files")[1]
    for path in (ROOT / "rrtf_ray").iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            assert f"`{path.name}/`" in table, path
        elif path.suffix == ".py" and not path.name.startswith("__"):
            assert f"`{path.name}`" in table, path


def test_nothing_of_this_machine_is_committed():
    import subprocess

    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in tracked:
        assert not name.endswith((".safetensors", ".parquet", ".bin", ".log")), name
