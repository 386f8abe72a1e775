"""The sandbox as its users see it: programs and tests in, one verdict per program out."""

from __future__ import annotations

import logging
import math
import sysconfig
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rrtf_ray.errors import InputError, SandboxError
from rrtf_ray.records import Outcome, ProblemKind, Test, TestStatus, Verdict
from rrtf_ray.sandbox import judge
from rrtf_ray.sandbox.cache import VerdictCache
from rrtf_ray.sandbox.judge import MachineryFault, Report
from rrtf_ray.sandbox.limits import Limits
from rrtf_ray.sandbox.plan import Plan, make_plan
from rrtf_ray.sandbox.process import Programs, Setting, Tests, TestsStopped
from rrtf_ray.sandbox.protection import missing_layers, missing_protections

_log = logging.getLogger("rrtf_ray.sandbox")
_ALONE_FACTOR = 5.0
"""How much more time by the clock a program gets when it is run again, alone."""
_REFERENCE_FACTOR = 4.0
_LEAST_CPU_S = 0.5
"""A limit that is calibrated is this many times the reference's own processor time, and not less than this."""


_MAX_REFERENCES = 1024


class _Again(Exception):
    """The program used up a limit that a busy machine may have made too short."""


@dataclass(frozen=True, slots=True)
class _Job:
    """How the programs of one call are run. inside: with the tests in their own interpreter."""

    plan: Plan
    cpu_s: float
    fail_fast: bool
    inside: bool = False


class Sandbox:
    """Runs programs against tests, one at a time, each in a process of its own. Use as a context manager.

    isolation: `best_effort` warns of what cannot be had on this machine; `required` raises SandboxError.
    preload: modules that programs may import besides the standard library (`numpy`), loaded once.
    cache: remembers verdicts of equal programs, tests and limits.
    without: layers to leave off, for the tests of what the others hold by themselves.
    One Sandbox is one worker; for more, make more. Calls from several threads take turns.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        isolation: Literal["best_effort", "required"] = "best_effort",
        *,
        preload: Sequence[str] = (),
        cache: VerdictCache | None = None,
        without: Collection[str] = (),
    ) -> None:
        if isolation not in ("best_effort", "required"):
            raise InputError(f"isolation={isolation!r} is unknown; give 'best_effort' or 'required'")
        self.limits = limits or Limits()
        self._isolation = isolation
        paths = sorted({sysconfig.get_path(name) for name in ("purelib", "platlib")}) if preload else []
        self._setting = Setting(self.limits, tuple(without), tuple(preload), tuple(paths))
        self._cache = cache
        self._references: dict[bytes, tuple[float, bool]] = {}
        self._lock = threading.RLock()
        self._closed = False
        self._programs: Programs | None = None
        self._tests: Tests | None = None
        causes = self._start().causes
        self._missing = tuple(name for name, cause in causes.items() if cause)
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
        prompt: str = "",
        reference: str = "",
        calibrate: bool = True,
    ) -> list[Verdict]:
        """One verdict per program, in order; equal programs are run once.

        fail_fast: leave a program's other tests alone after the first that it does not pass.
        setup: trusted source that is run before each program, as a unit of its own: the program keeps its
        line numbers and its `from __future__`.
        prompt: what the programs continue; the tests may use the helpers that it defines.
        reference: a program that is right. It is run first: tests that it cannot pass from outside its interpreter,
        but can from inside, are run inside (`Verdict.inside`). It gets no verdict here.
        calibrate: the programs' limit of processor time is in proportion to the reference's own, at most `limits`.

        Raises DataError for tests that cannot be read.
        """
        plan = make_plan(tests, kind, entry_point, setup, fail_fast, prompt)
        job = _Job(plan, self.limits.cpu_s, fail_fast)
        not_run = (TestStatus.NOT_RUN,) * len(plan.labels)
        verdicts: dict[str, Verdict] = {}
        again: list[str] = []
        with self._lock:
            self._start()
            if reference:
                job = self._suited(job, reference, calibrate)
            for program in dict.fromkeys(programs):
                if not program.strip().strip("\ufeff"):
                    verdicts[program] = Verdict(Outcome.NO_CODE, not_run, 0.0, "the program is empty")
                    continue
                if (known := self._remembered(job, program)) is not None:
                    verdicts[program] = known
                    continue
                try:
                    verdicts[program] = self._verdict(job, program)
                except _Again:
                    again.append(program)
            # Alone and with more time: the machine's load is not the program's fault.
            for program in again:
                verdicts[program] = self._verdict(job, program, alone=True)
        return [verdicts[program] for program in programs]

    def _suited(self, job: _Job, reference: str, calibrate: bool) -> _Job:
        """The job as the reference's run shows that it must be; as it is where the reference does not pass."""
        key = VerdictCache.reference_key(job.plan, reference, self._setting)
        known = self._references.get(key) or (self._cache.reference(key) if self._cache is not None else None)
        if known is None:
            known = self._run_reference(job, reference)
            if known is None:
                return job
            if self._cache is not None:
                self._cache.add_reference(key, *known)
        if len(self._references) >= _MAX_REFERENCES:
            self._references.clear()
        self._references[key] = known
        used_s, inside = known
        cpu_s = min(job.cpu_s, max(_LEAST_CPU_S, _REFERENCE_FACTOR * used_s)) if calibrate else job.cpu_s
        return replace(job, cpu_s=cpu_s, inside=inside)

    def _run_reference(self, job: _Job, reference: str) -> tuple[float, bool] | None:
        """Its seconds of processor time (without end if it does not pass), and whether its tests must be inside."""
        for inside in (False,) if job.plan.stdin else (False, True):
            verdict, used_s = self._run_one(replace(job, inside=inside), reference, alone=True)
            if verdict.outcome is Outcome.PASSED:
                return used_s, inside
            if verdict.outcome is Outcome.SANDBOX_ERROR:
                return None
        return math.inf, False

    def _verdict(self, job: _Job, program: str, alone: bool = False) -> Verdict:
        verdict, _ = self._run_one(job, program, alone)
        if job.inside or self._missing:
            verdict = replace(verdict, inside=job.inside, unprotected=self._missing)
        if self._cache is not None and verdict.outcome is not Outcome.SANDBOX_ERROR:
            self._cache.add(self._key(job, program), verdict)
        return verdict

    def _remembered(self, job: _Job, program: str) -> Verdict | None:
        return self._cache.get(self._key(job, program)) if self._cache is not None else None

    def _key(self, job: _Job, program: str) -> bytes:
        return VerdictCache.key(job.plan, program, self._setting, job.cpu_s, job.inside)

    def _run_one(self, job: _Job, program: str, alone: bool) -> tuple[Verdict, float]:
        """The verdict and the seconds of processor time.

        A fault of the machinery is met with new processes, once; the second time it is the verdict.
        """
        cause = ""
        for _ in range(2):
            try:
                programs = self._start()
                if job.plan.stdin:
                    return self._run_script(programs, job, program, alone)
                return self._run_function(programs, job, program, alone)
            except (MachineryFault, SandboxError) as error:
                cause = str(error)
                _log.warning("the sandbox's processes are replaced: %s", cause)
                self._stop()
            except _Again:
                raise
            except BaseException:  # an interrupt between question and answer leaves an answer too many
                self._stop()
                raise
        not_run = (TestStatus.NOT_RUN,) * len(job.plan.labels)
        return Verdict(Outcome.SANDBOX_ERROR, not_run, 0.0, cause[: judge.MAX_DETAIL]), 0.0

    def _run_function(self, programs: Programs, job: _Job, program: str, alone: bool) -> tuple[Verdict, float]:
        plan, num = job.plan, len(job.plan.labels)
        wall_s = self._wall_s(alone)
        try:
            if job.inside:
                report, nonce = programs.run_alone("inside", plan.inside_job, program, None, wall_s, job.cpu_s)
            else:
                tests = self._start_tests()
                tests.prepare(plan.judge_job)
                report, nonce = programs.run_with(tests, plan.ahead, plan.program_job, program, wall_s, job.cpu_s)
        except TestsStopped as error:
            statuses = (TestStatus.TIMEOUT, *[TestStatus.NOT_RUN] * (num - 1))
            return Verdict(Outcome.TIMEOUT, statuses, 0.0, str(error)), job.cpu_s
        verdict = judge.judge_function(report, nonce, plan.labels)
        self._ask_again(report, verdict.outcome, alone)
        return verdict, report.cpu_s

    def _run_script(self, programs: Programs, job: _Job, program: str, alone: bool) -> tuple[Verdict, float]:
        plan = job.plan
        results: list[tuple[Outcome, TestStatus, str]] = []
        seconds = cpu_s = 0.0
        for number, stdin in enumerate(plan.stdin):
            wall_s = self._wall_s(alone)
            report, nonce = programs.run_alone("script", plan.program_job, program, stdin, wall_s, job.cpu_s)
            results.append(judge.judge_script(report, nonce, lambda got, n=number: self._compare(job, n, got)))  # type: ignore[misc]
            outcome, status, _ = results[-1]
            self._ask_again(report, outcome, alone)
            seconds += report.wall_s
            cpu_s = max(cpu_s, report.cpu_s)
            if outcome in (Outcome.TIMEOUT, Outcome.OUT_OF_MEMORY, Outcome.COMPILE_ERROR):
                break
            if job.fail_fast and status is not TestStatus.PASSED:
                break
        return judge.judge_scripts(results, len(plan.labels), seconds), cpu_s

    def _compare(self, job: _Job, number: int, output: str) -> str:
        plan = job.plan
        if not plan.checkers[number]:
            return judge.compare_output(output, plan.expected[number])
        tests = self._start_tests()
        tests.prepare(plan.judge_job)
        given = plan.stdin[number].decode(errors="surrogatepass")
        try:
            return judge.read_check(*tests.check(number, given, output, plan.expected[number], self.limits.cpu_s))
        except TestsStopped:
            return "the checker took too long on the output"

    def _wall_s(self, alone: bool) -> float:
        return self.limits.wall_s * (_ALONE_FACTOR if alone else 1.0)

    def _ask_again(self, report: Report, outcome: Outcome, alone: bool) -> None:
        if not alone and ((outcome is Outcome.TIMEOUT and report.limit == "cpu") or report.starved):
            raise _Again

    def _start(self) -> Programs:
        if self._closed:
            raise SandboxError("the sandbox has been closed; make a new one")
        if self._programs is None:
            programs = Programs(self._setting)
            missing = missing_protections(programs.causes)
            if missing and self._isolation == "required":
                programs.close()
                raise SandboxError("isolation is required, but there is no " + "; no ".join(missing))
            self._programs = programs
        return self._programs

    def _start_tests(self) -> Tests:
        if self._tests is None:
            self._tests = Tests(self._setting)
        return self._tests

    def _stop(self) -> None:
        for processes in (self._programs, self._tests):
            if processes is not None:
                processes.close()
        self._programs = self._tests = None

    def close(self) -> None:
        """End the sandbox's processes; safe to call again."""
        with self._lock:
            self._closed = True
            self._stop()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
