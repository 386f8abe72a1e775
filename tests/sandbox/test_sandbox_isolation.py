"""What a program can reach and what it can leave behind, in every tier of layers that this machine has."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import stat

import pytest

from rrtf_ray.errors import SandboxError
from rrtf_ray.records import Outcome
from rrtf_ray.sandbox import Limits, Sandbox, probe

from .conftest import GOOD, LIMITS, processes_named, run_function, run_script, wait_until

NAMESPACES = ("pid_namespace", "mount_namespace", "network_namespace", "ipc_namespace")
TIERS = {
    "all layers": (),
    "no seccomp": ("seccomp",),
    "no namespaces": NAMESPACES,
    "landlock": ("mount_namespace",),
    "next to nothing": (*NAMESPACES, "seccomp", "landlock", "unprivileged_user"),
}
RENAME = "import ctypes, os, time\nctypes.CDLL(None).prctl(15, b'{name}')\n"


@contextlib.contextmanager
def sandbox_without(layers, *needed, limits=LIMITS):
    """Skips where not even one of the `needed` layers is to be had."""
    with Sandbox(limits, without=layers) as sandbox:
        if needed and not any(sandbox.isolation.get(layer) for layer in needed):
            pytest.skip(f"this machine has none of {needed} without {layers}")
        yield sandbox


@pytest.fixture
def name():
    return "leak" + secrets.token_hex(5)


@pytest.mark.parametrize("tier", TIERS)
def test_verdicts_are_the_same_in_every_tier(tier):
    with sandbox_without(TIERS[tier]) as sandbox:
        assert run_function(sandbox, GOOD).outcome is Outcome.PASSED
        assert run_function(sandbox, "def double(x): return 1").outcome is Outcome.FAILED
        assert run_function(sandbox, "while True: pass").outcome is Outcome.TIMEOUT
        assert run_function(sandbox, "import sqlite3, zoneinfo\nx = [0] * 10**9").outcome is Outcome.OUT_OF_MEMORY
        assert run_script(sandbox, "print(input())", ("a", "a")).outcome is Outcome.PASSED


@pytest.mark.parametrize("tier", ["all layers", "no seccomp"])
def test_fork_bomb_leaves_nothing(tier, name):
    bomb = RENAME.format(name=name) + "while True:\n    try: os.fork()\n    except BlockingIOError: pass\n"
    with sandbox_without(TIERS[tier], "pid_namespace", limits=Limits(wall_s=0.5, processes=16)) as sandbox:
        assert run_function(sandbox, bomb).outcome in (Outcome.RUNTIME_ERROR, Outcome.TIMEOUT)
        assert not processes_named(name)
        assert run_function(sandbox, GOOD).outcome is Outcome.PASSED


@pytest.mark.parametrize("tier", ["all layers", "no seccomp", "no namespaces", "next to nothing"])
def test_daemonised_grandchild_leaves_nothing(tier, name):
    daemon = RENAME.format(name=name) + (
        "try:\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            os.closerange(0, 64)\n"
        "            time.sleep(600)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "except PermissionError:\n"
        "    pass\n" + GOOD
    )
    with sandbox_without(TIERS[tier]) as sandbox:
        assert run_function(sandbox, daemon).outcome is Outcome.PASSED
        assert wait_until(lambda: not processes_named(name), 5)


@pytest.mark.parametrize("tier", ["all layers", "no seccomp", "no namespaces"])
def test_network_is_refused(tier):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        program = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=3)\n" + GOOD
        with sandbox_without(TIERS[tier], "network_namespace", "seccomp") as sandbox:
            assert run_function(sandbox, program).outcome is Outcome.RUNTIME_ERROR
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("tier", ["all layers", "landlock", "no namespaces"])
def test_files_outside_are_out_of_reach(tier, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("whole")
    for path in (victim, *victim.parents):
        if path.stat().st_uid == os.getuid() and path != path.parent and str(path) not in ("/tmp", "/"):
            path.chmod(path.stat().st_mode | stat.S_IRWXO)
    attempts = [f"open({str(victim)!r}, 'w')", f"os.remove({str(victim)!r})", f"os.rmdir({str(tmp_path)!r})",
                "open(os.__file__, 'a')", "open('/left', 'w')", "os.mkdir('/tmp/left')",
                f"open({str(victim)!r})", "open('/etc/passwd')"]  # fmt: skip
    program = "import os\n" + "".join(
        f"try:\n    {attempt}\n    raise SystemError({i})\nexcept OSError: pass\n" for i, attempt in enumerate(attempts)
    )
    with sandbox_without(TIERS[tier], "mount_namespace", "landlock") as sandbox:
        verdict = run_function(sandbox, program + GOOD)
    assert verdict.outcome is Outcome.PASSED, verdict.detail
    assert victim.read_text() == "whole"


def test_work_directory_is_writable_small_and_emptied():
    write = (
        "import os\nassert os.listdir() == []\nopen('kept', 'w').write('x')\nos.mkdir('d')\n"
        "try: os.chmod('.', 0)\nexcept PermissionError: pass\n"
    )
    flood = "import os\nfor i in range(10**6): open(str(i), 'w').write('x' * 60000)\n"
    with sandbox_without((), "mount_namespace") as sandbox:
        for i in range(3):
            verdict = run_function(sandbox, f"{write}# {i}\n{GOOD}")
            assert verdict.outcome is Outcome.PASSED, verdict.detail
        assert "OSError" in run_function(sandbox, flood).detail
        assert run_function(sandbox, "import os\nassert os.listdir() == []\n" + GOOD).outcome is Outcome.PASSED


def test_environment_and_zygote_are_empty_of_secrets(sandbox, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "secret")
    program = "import os, sys, ctypes\nassert not os.environ, os.environ\n" + (
        "assert not [m for m in sys.modules if 'rrtf' in m or 'sandbox' in m]\n"
        "assert ctypes.CDLL(None).getenv(b'SOME_TOKEN') == 0\nassert not os.path.exists('/proc/1/environ')\n"
    )
    with Sandbox(LIMITS) as fresh:
        if not fresh.isolation["mount_namespace"]:
            pytest.skip("no mount namespace on this machine, so that /proc is in view")
        verdict = run_function(fresh, program + GOOD)
    assert verdict.outcome is Outcome.PASSED, verdict.detail


def test_candidate_is_unprivileged(sandbox):
    if not sandbox.isolation["unprivileged_user"]:
        pytest.skip("candidates run as root on this machine")
    program = "import os\nassert os.getuid() != 0 and os.getgroups() in ([], [os.getgid()]), os.getgroups()\n"
    escalate = "import ctypes\nassert ctypes.CDLL(None).setuid(0) == -1\n"
    if os.getuid() != 0:
        program = "import os\nassert os.getuid() != 0\n"
    verdict = run_function(sandbox, program + escalate + GOOD)
    assert verdict.outcome is Outcome.PASSED, verdict.detail


def test_signals_and_foreign_processes_are_out_of_reach(sandbox):
    if not sandbox.isolation["seccomp"]:
        pytest.skip("no seccomp on this machine")
    program = (
        "import os\nfor pid in (1, -1, os.getppid()):\n    try: os.kill(pid, 9)\n    except PermissionError: pass\n"
    )
    assert run_function(sandbox, program + GOOD).outcome is Outcome.PASSED


def test_words_on_every_descriptor_are_no_verdict(sandbox):
    program = (
        "import os\nfor fd in range(64):\n    try: os.write(fd, b'0123456789abcdef p\\n' * 2)\n"
        "    except OSError: pass\n"
    )
    assert run_function(sandbox, program + GOOD).outcome is Outcome.RUNTIME_ERROR
    assert run_function(sandbox, program + "os._exit(0)").outcome is Outcome.RUNTIME_ERROR


def test_flood_of_the_result_channel_ends(sandbox):
    program = "import os\nwhile True:\n    try: os.write(3, b'x' * 65536)\n    except BlockingIOError: break\n"
    assert run_function(sandbox, program + GOOD).outcome is Outcome.RUNTIME_ERROR


def test_required_isolation_names_what_is_missing():
    with pytest.raises(SandboxError, match=r"limits of resources .*resource_limits: switched off"):
        Sandbox(isolation="required", without=["resource_limits"])
    with pytest.raises(SandboxError, match="read-only file system"):
        Sandbox(isolation="required", without=["mount_namespace", "landlock"])


def test_missing_layer_is_warned_of(caplog):
    with Sandbox(Limits(), without=["seccomp"]) as sandbox:
        assert sandbox.isolation["seccomp"] is False
    assert "seccomp (switched off by the caller)" in caplog.text


def test_probe_gives_a_remedy_for_every_layer_that_is_not_available():
    layers = probe()
    assert {"seccomp", "pid_namespace", "mount_namespace", "unprivileged_user"} <= {layer.name for layer in layers}
    assert all(bool(layer.remedy) is not layer.available for layer in layers)
