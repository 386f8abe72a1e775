"""The source distribution and the wheel hold what they need, and a wheel in an empty environment works.

Nothing is downloaded: the distributions are built with the setuptools that is installed, and the libraries of this
environment are lent to the new one by links, one by one, so that a library that is not named here is not there.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import rrtf_ray

ROOT = Path(__file__).parents[1]
# All that `rrtf verify` imports besides the standard library.
VERIFY_NEEDS = ("pyarrow", "fsspec", "rich")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """Built from the tracked files, in a folder of its own: the working tree keeps no trace of it."""
    folder = tmp_path_factory.mktemp("tree")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return built("sdist", folder, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory) -> Path:
    """Built from the source distribution alone, as an installer does."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return built("wheel", source, tmp_path_factory.mktemp("wheel"))


def built(kind: str, source: Path, target: Path) -> Path:
    """What setuptools' build backend makes of `source`."""
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(target)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = target.iterdir()
    return found


def tracked(*folders: str) -> set[str]:
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


def test_the_wheel_holds_every_file_of_its_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert tracked("rrtf_ray", "jobs", "serve") <= names
    assert {"rrtf_ray/py.typed", "rrtf_ray/serving/page.html", "rrtf_ray/sandbox/inside/program.js"} <= names
    assert {"jobs/configs/demo.yaml", "serve/config.yaml"} <= names
    top = {name.partition("/")[0] for name in names}
    assert top == {"rrtf_ray", "jobs", "serve", f"rrtf_ray-{rrtf_ray.__version__}.dist-info"}


def test_the_source_distribution_holds_tests_documents_and_benchmarks(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked("rrtf_ray", "jobs", "serve", "tests", "docs", "benchmarks") <= names
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile", "mkdocs.yml"):
        assert name in names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("runs/", "site/"))]


def test_the_version_is_the_same_everywhere(wheel):
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert declared == rrtf_ray.__version__ == wheel.name.split("-")[1]
    newest = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert newest.split()[1] == declared


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """An environment with the wheel and nothing else, not even pip."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        env=plain_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def plain_environment() -> dict[str, str]:
    """Without the variables that would bring this project's source into another interpreter."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}


def rrtf(environment: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed command, in a folder from which no source is to be seen."""
    command = [str(environment / "bin" / "rrtf"), *arguments]
    return subprocess.run(command, cwd=folder, env=plain_environment(), capture_output=True, text=True)


def test_help_needs_nothing_but_the_wheel(environment, tmp_path):
    done = rrtf(environment, tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    assert "verify" in done.stdout
    assert rrtf(environment, tmp_path, "--version").stdout.strip() == f"rrtf {rrtf_ray.__version__}"


def test_verify_works_with_light_libraries_alone(environment, tmp_path):
    lend(VERIFY_NEEDS, environment)
    problem = {
        "task_id": "mine/1",
        "prompt": "def add(a, b):\n",
        "entry_point": "add",
        "canonical_solution": "    return a + b\n",
        "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
    }
    bodies = ["    return a + b\n", "    return a - b\n"]
    samples = [{"task_id": "mine/1", "completion": body} for body in bodies]
    (tmp_path / "problems.jsonl").write_text(json.dumps(problem) + "\n")
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    done = rrtf(environment, tmp_path, "verify", "--problems", "problems.jsonl", "--samples", "samples.jsonl")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "samples.results.jsonl").read_text().splitlines()]
    assert [row["outcome"] for row in rows] == ["passed", "failed"]


def lend(packages: tuple[str, ...], environment: Path) -> None:
    """Link what these distributions of this environment installed into the other's site-packages."""
    (target,) = environment.glob("lib/python*/site-packages")
    for package in packages:
        found = importlib.metadata.distribution(package)
        for top in {file.parts[0] for file in found.files or () if ".." not in file.parts}:
            link = target / top
            if top != "__pycache__" and not link.exists():
                link.symlink_to(Path(str(found.locate_file(top))))
