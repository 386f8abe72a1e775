"""Tests -> what the processes of a run need, prepared once per call and on the supervisor's side.

The number of results is known here, before any program runs: a program that ends early cannot change it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from types import CodeType
from typing import Any

from rrtf_ray.errors import DataError, InputError
from rrtf_ray.records import ProblemKind, Test, TestKind
from rrtf_ray.sandbox.collecting import collected
from rrtf_ray.sandbox.forms import CHECK_NAME, CalledAhead, Form, compiled, literal, read_form
from rrtf_ray.sandbox.languages import Runner
from rrtf_ray.sandbox.names import Helpers, unresolved_names
from rrtf_ray.sandbox.rehearsal import rehearsal_of
from rrtf_ray.sandbox.shared.jobs import (
    CallsJob,
    CheckersJob,
    CommandJob,
    InsideJob,
    Order,
    ScriptJob,
    TestsJob,
    packed,
)

_PARSE_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)
_MAX_RESULTS = 20_000


class Plan:
    """How to run the tests of one call.

    labels: one per result, for `detail`: the statement or the test in short.
    digest: of the tests and all else that this was made of; equal plans have equal ones in every process.
    runner: of programs that are not Python.
    """

    labels: tuple[str, ...]
    digest: bytes
    runner: Runner | None = None


@dataclass(frozen=True)
class Pair:
    """The two sides of a program and its tests in different processes.

    program_job: packed, for the programs' zygote: what a program's process has to do; nothing that is expected.
    judge: for the tests; judge_job: the same packed, for a process of theirs.
    plain: the tests only compare what the program gave with literals, which the supervisor can do itself.
    foreseen: the calls were found by a rehearsal of the tests; they may turn out to be others.
    """

    program_job: bytes
    judge: TestsJob
    plain: bool = False
    foreseen: bool = False

    @cached_property
    def judge_job(self) -> bytes:
        return packed(self.judge)


class StdioPlan(Plan):
    """stdin, expected: of the tests, in order; nobody but the supervisor gets the second.

    program_job: as of a Pair. judge_job: the checkers; has_checker: which tests have one.
    """

    def __init__(self, tests: Sequence[Test], setup: str, runner: Runner | None) -> None:
        self.runner = runner
        checkers = [_checker(number, test) for number, test in enumerate(tests, 1)]
        self.labels = ("standard output",) * len(tests)
        self.program_job = _command_job(runner) if runner else packed(ScriptJob(_part(setup, "setup", "exec")))
        self.judge_job = packed(CheckersJob(tuple(checkers)))
        self.stdin = tuple(t.code.encode(errors="surrogatepass") for t in tests)
        self.expected = tuple(t.expected for t in tests)
        self.has_checker = tuple(checker is not None for checker in checkers)

    def order(self, program: str, nonce: str) -> bytes:
        """What the program's process reads from its file."""
        order = Order(program, nonce)
        return json.dumps(asdict(order)).encode() if self.runner else packed(order)


class FunctionPlan(Plan):
    """ahead: both sides, where all calls are known before the tests run, else None.

    may_rehearse: the calls may be found by a rehearsal of the tests, whose result `foresee` takes.
    """

    def __init__(
        self,
        tests: Sequence[Test],
        entry_point: str,
        setup: str,
        fail_fast: bool,
        prompt: str,
        runner: Runner | None = None,
    ) -> None:
        self.runner = runner
        self._calls: list[str] = []
        self._entry_point = entry_point = entry_point.strip()
        self._tests = tests = [collected(test) for test in tests]
        self._entry_name = entry_point if entry_point.isidentifier() else ""
        self._entry_code = _part("None" if runner else entry_point, "entry_point", "eval")
        self._helpers = Helpers(prompt, setup, entry_point)
        self._setup, self._fail_fast = _part(setup, "setup", "exec"), fail_fast
        forms = self._forms()
        self.labels = tuple(label for form in forms for label in form.labels)
        if len(self.labels) > _MAX_RESULTS:
            raise DataError(f"{len(self.labels)} results are more than {_MAX_RESULTS}; split the tests")
        bound = self._helpers.names | {self._entry_name}
        self._wanted = tuple(sorted({name for form in forms for name in unresolved_names(form.nodes, bound)}))
        calls = CalledAhead()
        if runner and self._wanted:
            raise DataError(f"the tests use {', '.join(self._wanted)} of a program that is not Python; "
                            "let them call the entry point only")  # fmt: skip
        # Another language gets its calls as messages, which a rehearsal writes.
        is_ahead = not runner and not self._wanted and all(form.call_ahead(calls) for form in forms)
        self.ahead = self._pair(_steps(forms), calls, all(form.is_plain for form in forms)) if is_ahead else None
        self.may_rehearse = self.ahead is None and not self._wanted
        if self.ahead is None:
            _ = self.talking  # a test that does not compile is found now

    def _forms(self) -> list[Form]:
        return [_form(number, test, self._entry_name) for number, test in enumerate(self._tests, 1)]

    @cached_property
    def _plain_steps(self) -> list[tuple[Any, ...]]:
        return _steps(self._forms())

    @cached_property
    def talking(self) -> Pair:
        """Both sides, where the tests call the program while they run."""
        return self._pair(self._plain_steps, None, False)

    def foresee(self, calls: list[str] | None) -> None:
        """calls: messages, as a rehearsal of the tests found them."""
        self.may_rehearse = False
        self._calls = calls or []
        if calls and self.runner:
            self.ahead = replace(self.talking, program_job=_command_job(self.runner), foreseen=True)
        elif self.runner:
            raise DataError("a program that is not Python cannot be called while its tests run, and the calls of these "
                            "tests cannot be known in advance; let no call depend on another one's result")  # fmt: skip
        elif calls:
            program = packed(replace(self._program_side(), foreseen=tuple(calls)))
            self.ahead = replace(self.talking, program_job=program, foreseen=True)

    def order(self, program: str) -> bytes:
        """What the program's process reads from its file, before its calls are made ahead."""
        if self.runner is None:
            return program.encode("utf-8", "surrogatepass")
        order = {"program": program, "entry_point": self._entry_point, "calls": self._calls}
        return json.dumps(order).encode()

    @cached_property
    def inside_job(self) -> bytes:
        """Packed: as both sides, for tests that need the program's own interpreter."""
        return packed(InsideJob(self._setup, self._entry_code, tuple(self._plain_steps), self._fail_fast))

    def _pair(self, steps: list[tuple[Any, ...]], calls: CalledAhead | None, plain: bool) -> Pair:
        judge = TestsJob(
            setup=self._setup,
            helpers=self._helpers.code,
            classes=tuple(self._helpers.classes),
            entry_name=self._entry_name,
            names=self._wanted,
            tests=tuple(steps),
            fail_fast=self._fail_fast,
            num_ahead=len(calls.arguments) if calls else 0,
            rehearsal=() if calls else tuple(rehearsal_of(self._tests, CHECK_NAME, literal)),
        )
        program = replace(self._program_side(), calls=tuple(calls.arguments) if calls else ())
        return Pair(packed(program), judge, plain)

    def _program_side(self) -> CallsJob:
        return CallsJob(self._setup, self._entry_code, self._wanted, tuple(self._helpers.classes))


def make_plan(
    tests: Sequence[Test],
    kind: ProblemKind,
    entry_point: str,
    setup: str,
    fail_fast: bool,
    prompt: str = "",
    runner: Runner | None = None,
) -> StdioPlan | FunctionPlan:
    """Raises DataError, naming the test, for one that cannot be read. runner: of programs that are not Python."""
    if not tests:
        raise DataError("there are no tests to run; give at least one, or do not run the program")
    if runner and setup:
        raise DataError("setup is Python; put what a program of another language needs into the program")
    stdio = kind is ProblemKind.STDIO
    for number, test in enumerate(tests, 1):
        if (test.kind is TestKind.STDIO) != stdio:
            raise DataError(
                f"test {number} is of kind {test.kind.value!r} in a problem of kind {kind.value!r}; "
                f"{'give tests of kind stdio' if stdio else 'give tests of kind check, assert, value or unittest'}"
            )
    plan: StdioPlan | FunctionPlan
    if stdio:
        plan = StdioPlan(tests, setup, runner)
    else:
        plan = FunctionPlan(tests, entry_point, setup, fail_fast, prompt, runner)
    made_of = repr((tuple(tests), kind, entry_point, setup, fail_fast, prompt, runner and runner.identity)).encode(
        "utf-8", "surrogatepass"
    )
    plan.digest = hashlib.sha256(made_of).digest()
    return plan


def _command_job(runner: Runner) -> bytes:
    return packed(CommandJob(runner.command))


def _form(number: int, test: Test, entry_name: str) -> Form:
    try:
        form = read_form(test, entry_name)
        form.number = number
        return form
    except _PARSE_ERRORS as error:
        raise _unreadable(number, test.kind, error) from error


def _steps(forms: Sequence[Form]) -> list[tuple[Any, ...]]:
    steps = []
    for form in forms:
        try:
            steps.append(form.step())
        except _PARSE_ERRORS as error:
            raise _unreadable(form.number, form.kind, error) from error
    return steps


def _unreadable(number: int, kind: TestKind, error: BaseException) -> DataError:
    return DataError(f"test {number} ({kind.value}) cannot be read: {type(error).__name__}: {error}")


def _checker(number: int, test: Test) -> CodeType | None:
    try:
        return compiled(test.checker) if test.checker else None
    except _PARSE_ERRORS as error:
        raise DataError(f"the checker of test {number} cannot be read: {type(error).__name__}: {error}") from error


def _part(source: str, name: str, mode: str) -> CodeType:
    try:
        return compile(source.removeprefix("\ufeff"), f"<{name}>", mode, dont_inherit=True)
    except _PARSE_ERRORS as error:
        raise DataError(f"{name}={source[:80]!r} is not valid Python: {error}") from error


def calls_job(entry_point: str, calls: Sequence[Sequence[Any]], call_s: float) -> bytes:
    """For a program whose results are wanted and that has no tests: its calls, each with its own limit of time.

    InputError for arguments that are not of builtin types; DataError for an entry point that is no expression.
    """
    made = CalledAhead()
    for number, arguments in enumerate(calls):
        try:
            made.add(list(arguments), {})
        except ValueError as error:
            raise InputError(f"call {number} has an argument that is not of a builtin type ({error})") from error
    setup, function = _part("", "setup", "exec"), _part(entry_point.strip(), "entry_point", "eval")
    return packed(CallsJob(setup, function, calls=tuple(made.arguments), call_s=call_s))
