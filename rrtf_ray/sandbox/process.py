"""Starts the zygote, asks it to run one program at a time, and puts an end to it.

The caller's process is never forked (it may be a Ray actor of several GB): subprocess uses vfork and exec.
No signal handler is set and no thread started, so any thread may use it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import IO

from rrtf_ray.errors import SandboxError
from rrtf_ray.sandbox import wire
from rrtf_ray.sandbox.judge import MachineryFault, Report
from rrtf_ray.sandbox.limits import Limits

_START_S = 60.0
_GRACE_S = 20.0
"""Beyond the candidate's own limit, for a busy machine; then the zygote itself is at fault."""

# The packages' own __init__ modules stay out of the zygote: they would bring the supervisor's side with them.
_BOOT = """
import sys, types
for name, path in (("rrtf_ray", sys.argv[2]), ("rrtf_ray.sandbox", sys.argv[2] + "/sandbox")):
    package = types.ModuleType(name)
    package.__path__ = [path]
    sys.modules[name] = package
from rrtf_ray.sandbox.inside.zygote import main
main(int(sys.argv[1]))
"""


class Zygote:
    """A running zygote. Every fault of its own is a MachineryFault; it is then of no further use."""

    def __init__(self, limits: Limits, without: Iterable[str]) -> None:
        if not sys.platform.startswith("linux"):
            raise SandboxError(f"the sandbox does not run on {sys.platform!r}; run it on Linux 5.3 or newer")
        self._control, theirs = socket.socketpair()
        self._job: bytes | None = None
        package_dir = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        executable = getattr(sys, "_base_executable", None) or sys.executable
        # -s -P -S and a bare environment isolate like -I, which would ignore the hash seed as well.
        command = [executable, "-s", "-P", "-S", "-X", "utf8", "-W", "ignore", "-c", _BOOT]
        try:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), package_dir],
                env={"PYTHONHASHSEED": "0"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            self._control.close()
            raise SandboxError(f"the interpreter {executable} cannot be started: {error}") from error
        finally:
            theirs.close()
        try:
            deadline = time.monotonic() + _START_S
            wire.send_request(self._control, {"without": list(without), "limits": asdict(limits)}, deadline)
            reply, _ = wire.receive_reply(self._control, 0, deadline)
        except (OSError, EOFError) as error:
            cause = self._last_words() or str(error)
            self.close()
            raise SandboxError(f"the sandbox's process did not start: {cause}") from error
        self.causes: dict[str, str] = reply["layers"]
        """One entry per layer: empty where it is in force, else why it is not."""

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, job: bytes, program: str, stdin: bytes | None, wall_s: float, num_results: int) -> tuple[Report, str]:
        """Run one program. Returns what became of it, and the nonce that its records must carry."""
        nonce = secrets.token_hex(8)
        request = {
            "program": program,
            "stdin": stdin,
            "nonce": nonce,
            "wall_s": wall_s,
            "message_size": 4096 + num_results * (len(nonce) + 3),
        }
        deadline = time.monotonic() + wall_s + _GRACE_S
        try:
            if job is not self._job:
                wire.send_request(self._control, {"job": job}, deadline)
                self._job = job
            wire.send_request(self._control, request, deadline)
            reply, (message, output) = wire.receive_reply(self._control, 2, deadline)
        except (OSError, EOFError, ValueError) as error:
            raise MachineryFault(f"the sandbox's process failed: {self._last_words() or error}") from error
        if "error" in reply:
            raise MachineryFault(f"a process for the program could not be made: {reply['error']}")
        kills_itself = bool(self.causes.get("seccomp"))
        return Report(message=message, output=output, kills_itself=kills_itself, **reply), nonce

    def _last_words(self) -> str:
        """The last line of its standard error, if it has ended."""
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            return ""
        stderr: IO[bytes] = self._process.stderr  # type: ignore[assignment]
        os.set_blocking(stderr.fileno(), False)
        lines = (stderr.read() or b"").decode(errors="replace").split("\n")
        said = next((line for line in reversed(lines) if line.strip()), "")
        return said or f"it ended with status {self._process.returncode}"

    def close(self) -> None:
        """End it with all that it has started. The closed socket tells it; the kill makes sure."""
        with contextlib.suppress(OSError):
            self._control.close()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
