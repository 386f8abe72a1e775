"""A run directory with groups, and the real command that asks about it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from rrtf_ray.records import Outcome
from rrtf_ray.store.run_dir import RunDir
from tests.records_for_tests import candidate, group

ROOT = Path(__file__).parents[2]


def make_run(folder, problems=5, *, complete=True):
    """A run whose round 1 has, for each problem, two passing programs that differ, their copy, and a failing one."""
    run = RunDir(str(folder))
    store = run.groups(1)
    store.write(
        group(
            candidate("s0", Outcome.PASSED, completion=f"    return {number} * x\n"),
            candidate("s1", Outcome.PASSED, completion=f"    y = {number}\n    return y * x\n"),
            candidate("s2", Outcome.PASSED, completion=f"    return {number} * x\n"),
            candidate("s3", Outcome.FAILED, 1, completion="    return None\n"),
            id_=f"p/{number}",
        )
        for number in range(problems)
    )
    if complete:
        store.finish({"rows": problems})
    return run


class Server:
    """`rrtf prefer` in a process of its own. url: where it answers."""

    def __init__(self, run, *options):
        command = [sys.executable, "-m", "rrtf_ray", "prefer", "--run", str(run), *map(str, options)]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if k != "RRTF_API_KEYS"} | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.lines = []
        self.url = ""
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if found := re.search(r"http://\S+/", line):
                self.url = found[0]
                break

    def end(self, number=signal.SIGTERM):
        """Send a signal; returns the exit code and what was printed since."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=60)
        return self.process.returncode, said


@contextlib.contextmanager
def asking(run, *options):
    """A running server, which is ended if the block does not."""
    server = Server(run, *options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate(timeout=60)


def ask(server, path, body=None):
    """The answer's JSON; body: None asks with GET."""
    method = "GET" if body is None else "POST"
    answer = httpx.request(method, f"{server.url}api/{path}", json=body, timeout=60)
    answer.raise_for_status()
    return answer.json()
