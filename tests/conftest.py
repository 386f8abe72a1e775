"""What the tests share: one Ray cluster and one small student for the session, and running `rrtf` as users do.

With several processes (`pytest -n 2`) one of them runs everything that needs Ray or an engine: there is one cluster,
one student, and one engine at a time that computes. The tests of any other file stay together too.
"""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

# One thread for whatever computes here and in the processes that are started from here. Two that wait for each other
# take minutes for a second's work where other processes want the same cores.
os.environ["OMP_NUM_THREADS"] = "1"

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
LIMIT_S = 600
"""For a command. It only ends one that hangs: on a busy machine a minute's work may take five."""


TOGETHER = (
    "tests/deployments/",
    "tests/stages/",
    "tests/teachers/test_run.py",
    "tests/benchmark/test_sampled.py",
    "tests/store/test_object_store.py",
    "tests/test_e2e.py",
    "tests/planning/test_plan.py",
    "tests/quantize/test_command.py",
)
"""What uses the cluster or the student, and so runs in one process."""


def _group(nodeid):
    """The name of the tests that run in the same process: a file, or all of TOGETHER."""
    return "together" if nodeid.startswith(TOGETHER) else nodeid.partition("::")[0]


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(config, items):
    for item in items:
        if "cluster" in item.fixturenames:
            item.add_marker("ray")
    if hasattr(config, "workerinput"):  # one process of several
        items.sort(key=lambda item: _group(item.nodeid) != "together")  # the longest group begins first


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """How `-n` spreads the tests. (`--dist loadgroup` ignores its groups with pytest 9 and pytest-xdist 3.8.)"""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return _group(nodeid)

    config.option.loadscopereorder = False  # in the order of the items
    return ByGroup(config, log)


@pytest.fixture(scope="session")
def shared_data():
    if not DATA.is_dir():
        pytest.skip("the public data sets are not on this machine")
    return DATA


@pytest.fixture(scope="session")
def cluster():
    """A head node with the Jobs API, in the care of this process; drivers of tests connect to it."""
    os.environ["RAY_AUTH_MODE"] = "disabled"
    # As in an activated environment: jobs are started as `python -m ...`.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    from rrtf_ray.cluster.connecting import ENVIRONMENT

    os.environ.update(ENVIRONMENT)
    # For tests/store/test_object_store.py: the workers of the cluster write to its bucket too.
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_EC2_METADATA_DISABLED="true")
    # So that replicas come and go within seconds.
    for side in ("HANDLE", "REPLICA"):
        os.environ[f"RAY_SERVE_{side}_AUTOSCALING_METRIC_PUSH_INTERVAL_S"] = "1"
    import ray

    context = ray.init(
        address="local",
        num_cpus=4,
        object_store_memory=512 * 2**20,
        include_dashboard=True,
        dashboard_port=0,
        log_to_driver=False,
    )
    yield SimpleNamespace(address=context.address_info["gcs_address"], dashboard=f"http://{context.dashboard_url}")
    ray.shutdown()


@pytest.fixture(scope="session")
def student(tmp_path_factory):
    """A student that knows the form of a program and little else: enough for everything but figures."""
    from rrtf_ray.quickstart import student as made

    folder = tmp_path_factory.mktemp("student")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made, "NUM_THREADS", 1)
        made.make_student(folder, seed=1, steps=100)
    return folder


@pytest.fixture(scope="session")
def rrtf():
    """Run the command line in a process of its own; `address` connects it to a cluster."""

    def run(*arguments, address=None, timeout=LIMIT_S, start=False):
        environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | {"RAY_AUTH_MODE": "disabled"}
        if address:
            environment["RAY_ADDRESS"] = address
        command = [sys.executable, "-m", "rrtf_ray", *map(str, arguments)]
        options = {"cwd": ROOT, "env": environment, "text": True}
        if start:
            # Ctrl+C must reach it also if the tests themselves were started in the background, which ignores it.
            interruptible = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
            options |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "preexec_fn": interruptible}
            return subprocess.Popen(command, **options)
        return subprocess.run(command, capture_output=True, timeout=timeout, **options)

    return run
