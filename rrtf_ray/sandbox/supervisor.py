"""The sandbox as its users see it: programs and tests in, one verdict per program out."""

from __future__ import annotations

import logging
import math
import secrets
import sysconfig
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

from rrtf_ray.errors import InputError, SandboxError
from rrtf_ray.records import Language, Outcome, ProblemKind, Test, TestStatus, Verdict
from rrtf_ray.sandbox import judge, plain
from rrtf_ray.sandbox.cache import VerdictCache, installed
from rrtf_ray.sandbox.judge import MachineryFault, Report
from rrtf_ray.sandbox.languages import Runner, runner_of
from rrtf_ray.sandbox.limits import Limits
from rrtf_ray.sandbox.plan import FunctionPlan, StdioPlan, calls_job, make_plan
from rrtf_ray.sandbox.process import Programs, Run, Setting, Tests, TestsStopped
from rrtf_ray.sandbox.protection import missing_layers, missing_protections
from rrtf_ray.sandbox.shared.channel import STAYS
from rrtf_ray.sandbox.shared.jobs import Mode, Order, packed
from rrtf_ray.sandbox.shared.testing import UNFORESEEN
from rrtf_ray.sandbox.values import Value, ValueOutcome, read_values

_log = logging.getLogger("rrtf_ray.sandbox")
_FIRST_SHARE = 0.5
"""A program gets this share of its processor time at first, and all of it when run again: endless loops are common."""
_ALONE_FACTOR = 5.0
"""How much more wall-clock time a program gets when it is run again, alone."""
_REFERENCE_FACTOR = 4.0
_LEAST_CPU_S = 0.5
"""A calibrated limit is `_REFERENCE_FACTOR` times the reference's own processor time, and at least this."""

_REHEARSAL_CPU_S = 1.0
_MAX_REFERENCES = 1024


@dataclass(frozen=True, slots=True)
class _Job:
    """How the programs of one call are run.

    cpu_s: the limit of processor time. alone: again, with all of that and more time by the clock.
    """

    plan: StdioPlan | FunctionPlan
    cpu_s: float
    fail_fast: bool
    mode: Mode
    alone: bool = False

    @property
    def allowed_s(self) -> float:
        """Processor time of this run."""
        return self.cpu_s if self.alone else self.cpu_s * _FIRST_SHARE


_Result = Verdict | _Job
"""A verdict, or how the program must be run again."""


class Sandbox:
    """Runs programs against tests, one at a time, each in a process of its own. Use as a context manager.

    isolation: `best_effort` warns of what cannot be had on this machine; `required` raises SandboxError.
    preload: modules that programs may import besides the standard library (`numpy`), loaded once.
    cache: remembers verdicts of equal programs, tests and limits.
    hash_seed: decides the order of sets of texts, which is the same for every program.
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
        hash_seed: int = 0,
        without: Collection[str] = (),
    ) -> None:
        if isolation not in ("best_effort", "required"):
            raise InputError(f"isolation={isolation!r} is unknown; give 'best_effort' or 'required'")
        self.limits = limits or Limits()
        self._isolation = isolation
        paths = sorted({sysconfig.get_path(name) for name in ("purelib", "platlib")}) if preload else []
        self._setting = Setting(
            self.limits, tuple(without), tuple(preload), tuple(paths), hash_seed=hash_seed, libraries=installed(paths)
        )
        self._cache = cache
        self._references: dict[bytes, tuple[float, Mode]] = {}
        self._lock = threading.RLock()
        self._closed = False
        self._programs: dict[Runner | None, Programs] = {}
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
        language: Language = Language.PYTHON,
    ) -> list[Verdict]:
        """One verdict per program, in order; equal programs are run once.

        fail_fast: leave a program's other tests alone after the first that it does not pass.
        setup: trusted source that is run before each program, as a unit of its own: the program keeps its
        line numbers and its `from __future__`.
        prompt: what the programs continue; the tests may use the helpers that it defines.
        reference: a program that is right. It is run first: tests that it cannot pass from outside its interpreter,
        but can from inside, are run inside (`Verdict.inside`). It gets no verdict here.
        calibrate: the programs' limit of processor time is in proportion to the reference's own, at most `limits`.

        language: of the programs; the tests are Python, or text, for all of them. `entry_point` is an expression of
        this language.

        Raises:
            DataError: tests that cannot be read, or whose calls cannot be known in advance, as `language` may require.
            SandboxError: the language's interpreter is not there.
        """
        plan = make_plan(tests, kind, entry_point, setup, fail_fast, prompt, runner_of(language, self.limits))
        verdicts: dict[str, Verdict] = {}
        with self._lock:
            self._start(plan.runner)
            job = _Job(plan, self.limits.cpu_s, fail_fast, self._first_mode(plan))
            if reference:
                job = self._suited(job, reference, calibrate)
            for program in dict.fromkeys(programs):
                if (known := self._known(job, program)) is not None:
                    verdicts[program] = known
            waiting = [(job, [program for program in dict.fromkeys(programs) if program not in verdicts])]
            while waiting:
                way, group = waiting.pop()
                again: dict[_Job, list[str]] = {}
                for program, (result, _) in self._run(way, group):
                    if isinstance(result, _Job):
                        again.setdefault(result, []).append(program)
                    else:
                        verdicts[program] = self._noted(job, program, result)
                waiting += again.items()
        return [verdicts[program] for program in programs]

    def values(
        self, program: str, entry_point: str, calls: Sequence[Sequence[Any]], *, call_s: float | None = None
    ) -> list[Value]:
        """What a Python program's calls return: one Value per call, in order. No call is lost because of another one.

        entry_point: an expression that gives the function, evaluated in the program's names for every call.
        calls: positional arguments, of builtin types; each call gets its own copy. The calls share the program's
        state and `limits.cpu_s`, until one of them ends the process: the next one then begins with the program anew.
        call_s: the limit of processor time of a single call; None for no other limit than that of all.

        Raises:
            InputError: an argument is not of a builtin type.
            DataError: entry_point is not an expression.
            SandboxError: the machine is at fault, twice in a row.
        """
        found: list[Value] = []
        left_s = self.limits.cpu_s
        run = Run(Mode.AHEAD, program.encode("utf-8", "surrogatepass"))
        with self._lock:
            while len(found) < len(calls):
                rest = calls[len(found) :]
                values, report = self._some_values(calls_job(entry_point, rest, call_s or 0.0), run, len(rest), left_s)
                found += values
                left_s -= report.cpu_s
                if report.limit or left_s <= 0:
                    over = Value(ValueOutcome.TIMEOUT, detail="the calls before it left no time")
                    found += [over] * (len(calls) - len(found))
        return found

    def _some_values(self, work: bytes, run: Run, num_calls: int, cpu_s: float) -> tuple[list[Value], Report]:
        """The values up to the call that ended the process; a fault of the machinery is met once with new processes."""
        wall_s = self.limits.wall_s * _ALONE_FACTOR
        for is_last in (False, True):
            try:
                ((report, _),) = self._start().run_alone(work, [run], wall_s, cpu_s)
                return read_values(report, num_calls), report
            except (MachineryFault, SandboxError) as error:
                self._stop()
                if is_last or self._closed:
                    raise SandboxError(f"the sandbox failed twice in a row: {error}; see `rrtf doctor`") from error
                _log.warning("the sandbox's processes are replaced: %s", error)
            except BaseException:  # an interrupt between question and answer leaves an answer too many
                self._stop()
                raise
        raise AssertionError("unreachable")

    def _first_mode(self, plan: StdioPlan | FunctionPlan) -> Mode:
        if isinstance(plan, StdioPlan):
            return Mode.SCRIPT
        if plan.may_rehearse:
            plan.foresee(self._rehearsed(plan))
        return Mode.AHEAD if plan.ahead else Mode.TALKING

    def _rehearsed(self, plan: FunctionPlan) -> list[str]:
        try:
            tests = self._start_tests()
            tests.prepare(plan.talking.judge_job)
            return tests.rehearse(_REHEARSAL_CPU_S)
        except (TestsStopped, MachineryFault, SandboxError, ValueError):
            return []

    def _suited(self, job: _Job, reference: str, calibrate: bool) -> _Job:
        """The job as the reference's run shows that it must be; as it is where the reference does not pass."""
        key = VerdictCache.reference_key(job.plan, reference, self._setting)
        known = self._references.get(key) or (self._cache.reference(key) if self._cache is not None else None)
        if known is None:
            known = self._run_reference(replace(job, alone=True), reference)
            if known is None:
                return job
            if self._cache is not None:
                self._cache.add_reference(key, *known)
        if len(self._references) >= _MAX_REFERENCES:
            self._references.clear()
        self._references[key] = known
        used_s, mode = known
        mode = job.mode if mode is Mode.AHEAD else mode  # the calls ahead may be known no longer
        cpu_s = min(job.cpu_s, max(_LEAST_CPU_S, _REFERENCE_FACTOR * used_s)) if calibrate else job.cpu_s
        return replace(job, cpu_s=cpu_s, mode=mode)

    def _run_reference(self, job: _Job, reference: str) -> tuple[float, Mode] | None:
        """Its seconds of processor time (without end if it does not pass) and the mode that it needs."""
        way = job
        while True:
            ((_, (result, used_s)),) = self._run(way, [reference])
            if isinstance(result, _Job):
                way = result
            elif result.outcome is Outcome.PASSED:
                return used_s, way.mode
            elif result.outcome is Outcome.SANDBOX_ERROR:
                return None
            elif way.mode in (Mode.INSIDE, Mode.SCRIPT) or way.plan.runner:
                return math.inf, job.mode
            else:
                way = replace(job, mode=Mode.INSIDE)

    def _known(self, job: _Job, program: str) -> Verdict | None:
        """The verdict, where there is nothing to run."""
        if not program.strip().strip("\ufeff"):
            not_run = (TestStatus.NOT_RUN,) * len(job.plan.labels)
            return Verdict(Outcome.NO_CODE, not_run, 0.0, "the program is empty")
        return self._cache.get(self._key(job, program)) if self._cache is not None else None

    def _noted(self, job: _Job, program: str, verdict: Verdict) -> Verdict:
        inside = job.mode is Mode.INSIDE
        if inside or self._missing:
            verdict = replace(verdict, inside=inside, unprotected=self._missing)
        if self._cache is not None and verdict.outcome is not Outcome.SANDBOX_ERROR:
            self._cache.add(self._key(job, program), verdict)
        return verdict

    def _key(self, job: _Job, program: str) -> bytes:
        return VerdictCache.key(job.plan, program, self._setting, job.cpu_s, job.mode is Mode.INSIDE)

    def _run(self, job: _Job, programs: Sequence[str]) -> Iterator[tuple[str, tuple[_Result, float]]]:
        """Each program with its result and its seconds of processor time.

        A fault of the machinery is met with new processes, once; the second time it is the verdict.
        """
        left = deque(programs)
        cause = ""
        while left:
            try:
                for result in self._results(job, left):
                    yield left.popleft(), result
                    cause = ""
            except (MachineryFault, SandboxError) as error:
                self._stop()
                if not cause:
                    cause = str(error)
                    _log.warning("the sandbox's processes are replaced: %s", cause)
                    continue
                not_run = (TestStatus.NOT_RUN,) * len(job.plan.labels)
                yield left.popleft(), (Verdict(Outcome.SANDBOX_ERROR, not_run, 0.0, cause[: judge.MAX_DETAIL]), 0.0)
                cause = ""
            except BaseException:  # an interrupt between question and answer leaves an answer too many
                self._stop()
                raise

    def _results(self, job: _Job, programs: Iterable[str]) -> Iterator[tuple[_Result, float]]:
        processes = self._start(job.plan.runner)
        if isinstance(job.plan, StdioPlan):
            yield from (self._run_script(processes, job, job.plan, program) for program in tuple(programs))
        elif job.mode is Mode.INSIDE:
            yield from (self._run_inside(processes, job, job.plan, program) for program in tuple(programs))
        elif job.mode is Mode.TALKING:
            yield from (self._run_talking(processes, job, job.plan, program) for program in tuple(programs))
        else:
            assert job.plan.ahead is not None
            runs = [Run(Mode.AHEAD, job.plan.order(program)) for program in programs]
            work = job.plan.ahead.program_job
            with closing(processes.run_alone(work, runs, self._wall_s(job), job.allowed_s)) as done:
                for report, file in done:
                    yield self._judge_ahead(job, job.plan, report, file)

    def _judge_ahead(self, job: _Job, plan: FunctionPlan, report: Report, file: int) -> tuple[_Result, float]:
        pair = plan.ahead
        assert pair is not None
        if report.message.endswith(STAYS):
            return replace(job, mode=Mode.TALKING), 0.0
        records = plain.compare(pair.judge, report.message) if pair.plain else None
        if records is not None:
            return self._result(job, replace(report, message=records), "")
        tests = self._start_tests()
        tests.prepare(pair.judge_job)
        try:
            records, nonce = tests.read(file, job.cpu_s, time.monotonic() + self._wall_s(job), pair.foreseen)
        except TestsStopped as error:
            return self._tests_stopped(job, error)
        if records == UNFORESEEN:
            return self._unforeseen(job, report)
        return self._result(job, replace(report, message=records), nonce)

    def _unforeseen(self, job: _Job, report: Report) -> tuple[_Result, float]:
        if job.plan.runner is None:
            return replace(job, mode=Mode.TALKING), 0.0
        detail = "its tests make calls that depend on its results, which only Python programs can answer"
        not_run = (TestStatus.NOT_RUN,) * len(job.plan.labels)
        return Verdict(Outcome.SANDBOX_ERROR, not_run, report.wall_s, detail), report.cpu_s

    def _run_talking(self, processes: Programs, job: _Job, plan: FunctionPlan, program: str) -> tuple[_Result, float]:
        tests = self._start_tests()
        tests.prepare(plan.talking.judge_job)
        try:
            work, source = plan.talking.program_job, plan.order(program)
            report, nonce = processes.run_with(tests, work, source, self._wall_s(job), job.allowed_s)
        except TestsStopped as error:
            return self._tests_stopped(job, error)
        return self._result(job, report, nonce)

    def _run_inside(self, processes: Programs, job: _Job, plan: FunctionPlan, program: str) -> tuple[_Result, float]:
        nonce = secrets.token_hex(8)
        run = Run(Mode.INSIDE, packed(Order(program, nonce)))
        return self._result(job, self._run_alone(processes, job, plan.inside_job, run), nonce)

    def _run_alone(self, processes: Programs, job: _Job, work: bytes, run: Run) -> Report:
        ((report, _),) = processes.run_alone(work, [run], self._wall_s(job), job.allowed_s)
        return report

    def _result(self, job: _Job, report: Report, nonce: str) -> tuple[_Result, float]:
        verdict = judge.judge_function(report, nonce, job.plan.labels)
        return self._again(job, report, verdict.outcome) or verdict, report.cpu_s

    def _tests_stopped(self, job: _Job, error: TestsStopped) -> tuple[_Result, float]:
        statuses = (TestStatus.TIMEOUT, *[TestStatus.NOT_RUN] * (len(job.plan.labels) - 1))
        return Verdict(Outcome.TIMEOUT, statuses, 0.0, str(error)), job.cpu_s

    def _run_script(self, processes: Programs, job: _Job, plan: StdioPlan, program: str) -> tuple[_Result, float]:
        results: list[tuple[Outcome, TestStatus, str]] = []
        seconds = cpu_s = 0.0
        for number, stdin in enumerate(plan.stdin):
            nonce = secrets.token_hex(8)
            run = Run(Mode.SCRIPT, plan.order(program, nonce), stdin)
            report = self._run_alone(processes, job, plan.program_job, run)
            results.append(judge.judge_script(report, nonce, lambda got, n=number: self._compare(plan, n, got)))  # type: ignore[misc]
            outcome, status, _ = results[-1]
            if again := self._again(job, report, outcome):
                return again, report.cpu_s
            seconds += report.wall_s
            cpu_s = max(cpu_s, report.cpu_s)
            if outcome in (Outcome.TIMEOUT, Outcome.OUT_OF_MEMORY, Outcome.COMPILE_ERROR):
                break
            if job.fail_fast and status is not TestStatus.PASSED:
                break
        return judge.judge_scripts(results, len(plan.labels), seconds), cpu_s

    def _compare(self, plan: StdioPlan, number: int, output: str) -> str:
        if not plan.has_checker[number]:
            return judge.compare_output(output, plan.expected[number])
        tests = self._start_tests()
        tests.prepare(plan.judge_job)
        given = plan.stdin[number].decode(errors="surrogatepass")
        try:
            return judge.read_check(*tests.check(number, given, output, plan.expected[number], self.limits.cpu_s))
        except TestsStopped:
            return "the checker took too long on the output"

    def _wall_s(self, job: _Job) -> float:
        return self.limits.wall_s * (_ALONE_FACTOR if job.alone else 1.0)

    def _again(self, job: _Job, report: Report, outcome: Outcome) -> _Job | None:
        """Alone and with more time: the machine's load is not the program's fault."""
        limited = (outcome is Outcome.TIMEOUT and report.limit == "cpu") or report.starved
        return replace(job, alone=True) if limited and not job.alone else None

    def _start(self, runner: Runner | None = None) -> Programs:
        if self._closed:
            raise SandboxError("the sandbox has been closed; make a new one")
        if runner not in self._programs:
            programs = Programs(replace(self._setting, runner=runner))
            missing = missing_protections(programs.causes)
            if missing and self._isolation == "required":
                programs.close()
                raise SandboxError("isolation is required, but there is no " + "; no ".join(missing))
            self._programs[runner] = programs
        return self._programs[runner]

    def _start_tests(self) -> Tests:
        if self._tests is None:
            self._tests = Tests(self._setting)
        return self._tests

    def _stop(self) -> None:
        for processes in self._programs.values():
            processes.close()
        self._programs.clear()
        if self._tests is not None:
            self._tests.close()
        self._tests = None

    def close(self) -> None:
        """End the sandbox's processes; safe to call again."""
        with self._lock:
            self._closed = True
            self._stop()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
