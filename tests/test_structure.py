"""Who may import whom, and how fast the command line answers."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("ray", "vllm", "deepspeed", "transformers", "torch")
USES_TORCH = {"rrtf_ray.core.losses", "rrtf_ray.core.head", "rrtf_ray.core.packing"}
MODULES = sorted(
    str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for path in (ROOT / "rrtf_ray").rglob("*.py")
    if not {"stages", "training", "inside"} & set(path.parts)
)


def test_no_module_outside_stages_and_training_imports_a_heavy_library():
    """One fresh interpreter for all light modules, one for those that may use torch."""
    for modules, allowed in (
        ([m for m in MODULES if m not in USES_TORCH], ()),
        (sorted(USES_TORCH), ("torch",)),
    ):
        code = (
            f"import sys, importlib\n"
            f"for name in {modules!r}:\n"
            f"    importlib.import_module(name)\n"
            f"    found = (set({HEAVY!r}) - set({allowed!r})) & set(sys.modules)\n"
            f"    assert not found, f'{{name}} imports {{found}}'\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("room", ["core", "sandbox"])
def test_core_and_sandbox_do_not_know_each_other(room):
    other = {"core": "sandbox", "sandbox": "core"}[room]
    for path in (ROOT / "rrtf_ray" / room).rglob("*.py"):
        assert f"rrtf_ray.{other}" not in path.read_text(), path


def test_help_and_import_need_no_third_party_package():
    """Fast because there is nothing to load: a claim about imports, which a busy machine cannot upset."""
    code = (
        "import sys, rrtf_ray.cli as c; c.parser().format_help(); "
        "print(*{'pydantic', 'pyarrow', 'numpy', 'rich', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
