"""The sandbox's own processes: started once, replaced when they fail, and gone when their owner is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from rrtf_ray.errors import SandboxError
from rrtf_ray.records import Outcome, ProblemKind, TestStatus
from rrtf_ray.sandbox import Limits, Sandbox

from .conftest import DOUBLE, GOOD, LIMITS, descendants, run_function, wait_until, zygotes

ENDLESS = "while True: pass"


def kill_zygotes(stop: threading.Event, others: set[int], once: bool) -> None:
    while not stop.is_set():
        for pid in set(zygotes()) - others:
            if once and len(descendants(pid)) < 2:  # the candidate does not run yet
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            if once:
                return


def test_close_ends_all_processes_and_may_be_repeated():
    before = descendants(os.getpid())
    sandbox = Sandbox(LIMITS)
    assert run_function(sandbox, GOOD).outcome is Outcome.PASSED
    assert descendants(os.getpid()) - before
    sandbox.close()
    sandbox.close()
    assert not descendants(os.getpid()) - before
    with pytest.raises(SandboxError, match="closed"):
        run_function(sandbox, GOOD)


def test_killed_zygote_is_replaced_between_calls():
    others = set(zygotes())
    with Sandbox(LIMITS) as sandbox:
        for pid in set(zygotes()) - others:
            os.kill(pid, signal.SIGKILL)
        assert run_function(sandbox, GOOD).outcome is Outcome.PASSED


def run_while_killing(sandbox: Sandbox, others: set[int], once: bool):
    stop = threading.Event()
    killer = threading.Thread(target=kill_zygotes, args=(stop, others, once))
    killer.start()
    try:
        return run_function(sandbox, ENDLESS)
    finally:
        stop.set()
        killer.join()


def test_zygote_killed_during_a_run_is_replaced_and_the_program_run_again():
    others = set(zygotes())
    with Sandbox(LIMITS) as sandbox:
        if not sandbox.isolation["pid_namespace"]:
            pytest.skip("without a pid namespace the zygote has no first process to tell it apart by")
        assert run_while_killing(sandbox, others, once=True).outcome is Outcome.TIMEOUT
        assert run_function(sandbox, GOOD).outcome is Outcome.PASSED


def test_zygote_that_keeps_dying_is_an_error_of_the_machinery():
    others = set(zygotes())
    with Sandbox(Limits(wall_s=60.0, cpu_s=60.0)) as sandbox:
        verdict = run_while_killing(sandbox, others, once=False)
        assert verdict.outcome is Outcome.SANDBOX_ERROR
        assert verdict.tests == (TestStatus.NOT_RUN,) * 2
        assert verdict.detail
        assert run_function(sandbox, GOOD).outcome is Outcome.PASSED


SUPERVISOR = """
from rrtf_ray.records import ProblemKind, Test, TestKind
from rrtf_ray.sandbox import Limits, Sandbox

sandbox = Sandbox(Limits(wall_s=300, cpu_s=300), without={without!r})
tests = [Test(TestKind.ASSERT, "assert f()")]
sandbox.run(["import time\\nwhile True: time.sleep(60)"], tests, kind=ProblemKind.FUNCTION, entry_point="f")
"""


@pytest.mark.parametrize("without", [(), ("pid_namespace",)])
def test_supervisor_killed_leaves_no_process(without):
    with Sandbox(LIMITS, without=without) as probed:
        # the zygote, the keeper of its namespace, and the candidate
        num_processes = 3 if probed.isolation["pid_namespace"] else 2
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR.format(without=without)])

    def started() -> bool:
        return len(descendants(supervisor.pid)) >= num_processes

    try:
        assert wait_until(started)
        left = descendants(supervisor.pid)
    finally:
        supervisor.kill()
        supervisor.wait()
    assert wait_until(lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in left))
    assert wait_until(lambda: not any(_alive(pid) for pid in left))


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def test_sandbox_outlives_the_thread_that_made_it():
    made: list[Sandbox] = []
    maker = threading.Thread(target=lambda: made.append(Sandbox(LIMITS)))
    maker.start()
    maker.join()
    outcomes: list[Outcome] = []
    user = threading.Thread(target=lambda: outcomes.append(run_function(made[0], GOOD).outcome))
    user.start()
    user.join()
    assert outcomes == [Outcome.PASSED]
    made[0].close()


def test_calls_from_several_threads_take_turns(sandbox):
    outcomes: list[list[Outcome]] = []

    def work(number: int) -> None:
        programs = [f"{GOOD}# {number} {i}" for i in range(10)]
        verdicts = sandbox.run(programs, DOUBLE, kind=ProblemKind.FUNCTION, entry_point="double")
        outcomes.append([verdict.outcome for verdict in verdicts])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [[Outcome.PASSED] * 10] * 4


def test_descriptors_do_not_accumulate(sandbox):
    run_function(sandbox, GOOD)
    before = len(os.listdir("/proc/self/fd"))
    programs = [f"{GOOD}# fd {i}" for i in range(300)]  # more than a process may open, if the zygote leaked them
    verdicts = sandbox.run(programs, DOUBLE, kind=ProblemKind.FUNCTION, entry_point="double")
    assert {verdict.outcome for verdict in verdicts} == {Outcome.PASSED}
    assert len(os.listdir("/proc/self/fd")) == before


def test_many_results_fit_into_the_message(sandbox):
    from rrtf_ray.records import Test, TestKind

    tests = [Test(TestKind.VALUE, f"({i},)", str(2 * i)) for i in range(10_000)]
    verdict = run_function(sandbox, GOOD, tests)
    assert verdict.outcome is Outcome.PASSED, verdict.detail
    assert len(verdict.tests) == 10_000


def test_importing_the_sandbox_brings_no_third_party_package():
    code = "import sys, rrtf_ray.sandbox; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"ray", "torch", "numpy", "pydantic", "yaml"} & set(listed.strip("[]\n").replace("'", "").split(", "))
