"""The sandbox as its users see it: programs and tests in, one verdict per program out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from typing import Literal

from rrtf_ray.errors import InputError, SandboxError
from rrtf_ray.records import Outcome, ProblemKind, Test, TestStatus, Verdict
from rrtf_ray.sandbox import judge
from rrtf_ray.sandbox.judge import MachineryFault
from rrtf_ray.sandbox.limits import Limits
from rrtf_ray.sandbox.plan import Plan, make_plan
from rrtf_ray.sandbox.process import Zygote
from rrtf_ray.sandbox.protection import missing_layers, missing_protections

_log = logging.getLogger("rrtf_ray.sandbox")
_ALONE_FACTOR = 5.0
"""How much more time by the clock a starved program gets when it is run again."""


class _Starved(Exception):
    """The wall clock ran out while the program waited for a processor."""


class Sandbox:
    """Runs programs against tests, one at a time, each in a process of its own. Use as a context manager.

    isolation: `best_effort` warns of what cannot be had on this machine; `required` raises SandboxError.
    without: layers to leave off, for the tests of what the others hold by themselves.
    One Sandbox is one worker; for more, make more. Calls from several threads take turns.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        isolation: Literal["best_effort", "required"] = "best_effort",
        *,
        without: Collection[str] = (),
    ) -> None:
        if isolation not in ("best_effort", "required"):
            raise InputError(f"isolation={isolation!r} is unknown; give 'best_effort' or 'required'")
        self.limits = limits or Limits()
        self._isolation = isolation
        self._without = tuple(without)
        self._lock = threading.RLock()
        self._closed = False
        self._zygote: Zygote | None = None
        causes = self._start().causes
        if missing := missing_layers(causes):
            _log.warning("the sandbox runs without %s", "; ".join(missing))

    @property
    def isolation(self) -> dict[str, bool]:
        """The layers, and whether each is in force."""
        with self._lock:
            return {name: not cause for name, cause in self._start().causes.items()}

    def run(
        self,
        programs: Sequence[str],
        tests: Sequence[Test],
        *,
        kind: ProblemKind,
        entry_point: str,
        fail_fast: bool = False,
        setup: str = "",
    ) -> list[Verdict]:
        """One verdict per program, in order; equal programs are run once.

        fail_fast: leave a program's other tests alone after the first that it does not pass.
        setup: trusted source that is run before each program, as a unit of its own: the program keeps its
        line numbers and its `from __future__`.
        """
        plan = make_plan(tests, kind, entry_point, setup, fail_fast)
        not_run = (TestStatus.NOT_RUN,) * len(plan.labels)
        verdicts: dict[str, Verdict] = {}
        starved: list[str] = []
        with self._lock:
            self._start()
            for program in dict.fromkeys(programs):
                if not program.strip().strip("\ufeff"):
                    verdicts[program] = Verdict(Outcome.NO_CODE, not_run, 0.0, "the program is empty")
                    continue
                try:
                    verdicts[program] = self._run_one(program, plan, fail_fast, again=False)
                except _Starved:
                    starved.append(program)
            # Again, alone and with more time: the machine's load is not the program's fault.
            for program in starved:
                verdicts[program] = self._run_one(program, plan, fail_fast, again=True)
        return [verdicts[program] for program in programs]

    def _run_one(self, program: str, plan: Plan, fail_fast: bool, again: bool) -> Verdict:
        """A fault of the machinery is met with a new zygote, once; the second time it is the verdict."""
        cause = ""
        for _ in range(2):
            try:
                zygote = self._start()
                if plan.stdin:
                    return self._run_script(zygote, program, plan, fail_fast, again)
                wall_s = self.limits.wall_s * (_ALONE_FACTOR if again else 1.0)
                report, nonce = zygote.run(plan.job, program, None, wall_s, len(plan.labels))
                if report.starved and not again:
                    raise _Starved
                return judge.judge_function(report, nonce, plan.labels)
            except (MachineryFault, SandboxError) as error:
                cause = str(error)
                _log.warning("a sandbox process is replaced: %s", cause)
                self._stop()
            except _Starved:
                raise
            except BaseException:  # an interrupt between question and answer leaves an answer too many
                self._stop()
                raise
        not_run = (TestStatus.NOT_RUN,) * len(plan.labels)
        return Verdict(Outcome.SANDBOX_ERROR, not_run, 0.0, cause[: judge.MAX_DETAIL])

    def _run_script(self, zygote: Zygote, program: str, plan: Plan, fail_fast: bool, again: bool) -> Verdict:
        wall_s = self.limits.wall_s * (_ALONE_FACTOR if again else 1.0)
        results: list[tuple[Outcome, TestStatus, str]] = []
        seconds = 0.0
        for stdin, expected in zip(plan.stdin, plan.expected, strict=True):
            report, nonce = zygote.run(plan.job, program, stdin, wall_s, 1)
            if report.starved and not again:
                raise _Starved
            seconds += report.wall_s
            results.append(judge.judge_script(report, nonce, expected))
            outcome, status, _ = results[-1]
            if outcome in (Outcome.TIMEOUT, Outcome.OUT_OF_MEMORY, Outcome.COMPILE_ERROR):
                break
            if fail_fast and status is not TestStatus.PASSED:
                break
        return judge.judge_scripts(results, len(plan.labels), seconds)

    def _start(self) -> Zygote:
        if self._closed:
            raise SandboxError("the sandbox has been closed; make a new one")
        if self._zygote is None:
            zygote = Zygote(self.limits, self._without)
            missing = missing_protections(zygote.causes)
            if missing and self._isolation == "required":
                zygote.close()
                raise SandboxError("isolation is required, but there is no " + "; no ".join(missing))
            self._zygote = zygote
        return self._zygote

    def _stop(self) -> None:
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def close(self) -> None:
        """End the sandbox's processes; safe to call again."""
        with self._lock:
            self._closed = True
            self._stop()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
