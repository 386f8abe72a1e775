import os
import subprocess
import sys

from rrtf_ray.engines.environment import ENVIRONMENT, served_engine_environment
from rrtf_ray.engines.watch import NICE
from tests.test_structure import PACKAGE


def test_a_served_engine_has_what_every_engine_has_and_is_nice_on_a_cpu_only():
    on_cpu, on_gpu = (served_engine_environment(threads=2, on_cpu=cpu, max_stop_strings=32) for cpu in (True, False))
    assert on_cpu == on_gpu | {NICE: "4"}
    assert on_gpu == ENVIRONMENT | {"OMP_NUM_THREADS": "2", "VLLM_MAX_STOP_STRINGS": "32"}


def test_what_a_person_has_set_wins_for_engines_of_this_process():
    code = (
        "import os; from rrtf_ray.engines.environment import set_engine_environment; set_engine_environment(); "
        "print(os.environ['VLLM_LOGGING_LEVEL'], os.environ['VLLM_CPU_OMP_THREADS_BIND'])"
    )
    environment = os.environ | {"VLLM_LOGGING_LEVEL": "DEBUG"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert done.stdout.split() == ["DEBUG", "nobind"], done.stderr


def test_what_vllm_is_started_with_is_set_in_one_place():
    names = {*ENVIRONMENT, "VLLM_MAX_STOP_STRINGS"}
    users = {path.name for path in PACKAGE.rglob("*.py") if any(name in path.read_text() for name in names)}
    assert users == {"environment.py"}
