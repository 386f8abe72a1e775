"""Who may import whom, and how fast the command line answers."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rrtf_ray"

# Each room and what it may import, the lowest first. A room may use what stands above it here, never below: no circle.
# errors, records, schemas and identity are for everyone (but for the sandbox's inside, which has nothing else).
EVERYONE = {"errors", "records", "schemas", "identity"}
MAY_IMPORT = {
    "errors": set(),
    "records": {"errors"},
    "schemas": {"errors"},
    "identity": set(),
    "progress": set(),
    "config": set(),
    "config_file": {"config"},
    "store": set(),
    "fim": set(),
    "sandbox/shared": set(),
    "sandbox/inside": {"sandbox/shared"},
    "sandbox": {"sandbox/shared"},
    "core": {"config"},
    "execution": {"core", "sandbox"},
    "behaviour": {"core", "sandbox", "execution"},
    "problems": {"store", "core", "sandbox", "execution"},
    "curation": {"store", "core", "execution", "problems"},
    "quickstart": set(),
    "verify": {"progress", "store", "core", "sandbox", "execution", "problems"},
    "compare": {"progress", "config", "config_file", "store", "core", "problems"},
    "audit": {"progress", "store", "core", "sandbox", "execution", "behaviour", "problems", "verify"},
    "report": {"progress", "config", "config_file", "store", "core", "sandbox", "execution", "audit"},
    "cluster": {"config", "store"},
    "engines": {"config"},
    "training": {"progress", "config", "store", "core"},
    "planning": {"progress", "config", "store", "problems", "quickstart"},
    "serving": {"config", "fim"},
    "feedback": {"progress", "config", "config_file", "store", "core", "problems", "serving"},
    "deployments": {"progress", "config", "config_file", "store", "cluster", "engines", "serving", "feedback"},
    "teachers": {"progress", "config", "store", "core", "feedback"},
    "evolve": {"config", "store", "core", "sandbox", "execution", "behaviour", "problems", "audit", "teachers"},
    "stages": {"progress", "config", "config_file", "store", "fim", "core", "sandbox", "execution", "behaviour"}
    | {"problems", "quickstart", "report", "feedback", "cluster", "engines", "training", "deployments", "teachers"}
    | {"evolve"},
    "quantize": {"progress", "config", "store", "core", "cluster", "engines", "stages"},
    "benchmark": {"progress", "config", "config_file", "store", "core", "sandbox", "problems", "verify", "cluster"}
    | {"stages"},
    "ablation": {"progress", "config", "config_file", "store", "core", "cluster", "stages"},
    "cli": {"progress", "config_file", "store", "sandbox", "problems", "verify", "compare", "audit", "report"}
    | {"planning", "curation", "feedback", "quantize", "benchmark", "serving", "deployments", "stages", "ablation"}
    | {"evolve"},
}
# Rooms whose modules may load Ray, vLLM, DeepSpeed or Transformers, and modules that may load torch.
HEAVY_ROOMS = {"cluster", "engines", "training", "deployments", "stages", "quantize", "benchmark", "ablation"}
USES_TORCH = {"rrtf_ray.core.losses", "rrtf_ray.core.head", "rrtf_ray.core.packing"}
HEAVY = ("ray", "vllm", "deepspeed", "transformers", "torch")


def room_of(module: str) -> str:
    """`rrtf_ray.sandbox.shared.wire` -> `sandbox/shared`; a module outside all rooms is one by itself."""
    parts = module.split(".")[1:]
    return "/".join(parts[:2]) if "/".join(parts[:2]) in MAY_IMPORT else parts[0] if parts else ""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = sorted(module_of(path) for path in PACKAGE.rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    """Every module of this package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in named}
    return {name for name in found if name.partition(".")[0] == "rrtf_ray"}


def test_the_table_knows_every_room_and_has_no_circle():
    rooms = {room_of(module) for module in MODULES} - {"", "__main__"}
    assert rooms == set(MAY_IMPORT)
    above = set()
    for room, allowed in MAY_IMPORT.items():
        assert allowed <= above, f"{room} may import {allowed - above}, which stands below it in the table"
        above.add(room)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_the_table_allows(room):
    everyone = set() if room in EVERYONE or room.startswith("sandbox/") else EVERYONE
    for path in PACKAGE.rglob("*.py"):
        if room_of(module_of(path)) != room:
            continue
        arrows = {room_of(name) for name in imports_of(path)} - {room, ""}
        assert arrows <= MAY_IMPORT[room] | everyone, (
            f"{path.relative_to(ROOT)}: {arrows - MAY_IMPORT[room] - everyone}"
        )


def test_what_ray_does_not_publish_is_used_in_one_file_only():
    uses = {path.name for path in PACKAGE.rglob("*.py") if "ray._private" in path.read_text()}
    assert uses == {"internals.py"}


def test_no_module_outside_the_heavy_rooms_imports_a_heavy_library():
    """One fresh interpreter for all light modules, one for those that may use torch."""
    # Alembic alone can run its env.py.
    light = [
        m for m in MODULES if room_of(m) not in HEAVY_ROOMS | {"sandbox/inside"} and not m.endswith("migrations.env")
    ]
    for modules, allowed in (([m for m in light if m not in USES_TORCH], ()), (sorted(USES_TORCH), ("torch",))):
        code = (
            f"import sys, importlib\n"
            f"for name in {modules!r}:\n"
            f"    importlib.import_module(name)\n"
            f"    found = (set({HEAVY!r}) - set({allowed!r})) & set(sys.modules)\n"
            f"    assert not found, f'{{name}} imports {{found}}'\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT)
        assert done.returncode == 0, done.stderr


def test_help_and_import_need_no_third_party_package():
    """Fast because there is nothing to load: a claim about imports, which a busy machine cannot upset."""
    code = (
        "import sys, rrtf_ray.cli as c; c.parser().format_help(); "
        "print(*{'pydantic', 'pyarrow', 'numpy', 'rich', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
