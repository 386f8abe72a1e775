"""The records of a run -> a verdict. Pure, and trusts no byte of them: some are the program's own."""

from __future__ import annotations

import math
import os
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rrtf_ray.records import Outcome, TestStatus, Verdict

MAX_DETAIL = 300
_LETTERS = {"p": TestStatus.PASSED, "f": TestStatus.FAILED, "e": TestStatus.ERROR}
_FLOAT_TOL = 1e-6
_BUSY_SHARE = 0.5
"""A time limit reached after more waiting than this is no fault of the program."""
_STARVED_SHARE = 0.1
_CRASHES = (signal.SIGABRT, signal.SIGTRAP, signal.SIGILL, signal.SIGSEGV)
_HEAP_SHARE = 0.7
_FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[-+]?(inf|nan)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Report:
    """One run of a candidate, as the zygote saw it.

    status: the wait status. limit: `cpu`, `wall`, `stop` (its tests were over before it was), `oom` (a kill that was
    the kernel's, for lack of memory, as far as the zygote can tell) or empty.
    waited_s: how long it was ready but had no processor, if it ran into the wall limit.
    message: the records of its tests. output: its standard output.
    kills_itself: whether a candidate could send itself a signal (no seccomp layer).
    heap_kb: its limit of memory, where it crashes at it in place of saying so.
    """

    status: int
    limit: str
    waited_s: float
    wall_s: float
    cpu_s: float
    peak_kb: int
    message: bytes
    output: bytes
    kills_itself: bool
    heap_kb: int = 0

    @property
    def starved(self) -> bool:
        """Might the wall limit not have been reached on a quiet machine?"""
        return self.waited_s > _STARVED_SHARE * self.wall_s


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a message: statuses, the first failure's text, and the other letters."""

    statuses: tuple[TestStatus, ...]
    text: str
    flags: frozenset[str]


class MachineryFault(Exception):
    """The run says nothing about the program."""


def read_message(message: bytes, nonce: str) -> Records | None:
    """None for a message that the runner cannot have written."""
    statuses: list[TestStatus] = []
    flags: set[str] = set()
    text = ""
    for line in message.decode(errors="replace").splitlines():
        head, _, rest = line.partition(" ")
        letter, _, tail = rest.partition(" ")
        if head != nonce or "." in flags:
            return None
        if letter in _LETTERS:
            statuses.append(_LETTERS[letter])
        elif letter == "d":
            text = text or _printable(tail)
        elif letter in ("m", "x", "."):
            flags.add(letter)
        else:
            return None
    return Records(tuple(statuses), text, frozenset(flags))


def judge_function(report: Report, nonce: str, labels: Sequence[str]) -> Verdict:
    records = read_message(report.message, nonce)
    num = len(labels)
    if records is None or len(records.statuses) > num:
        detail = "the program wrote into the channel of its results"
        return _verdict(report, Outcome.RUNTIME_ERROR, (), num, detail)
    done, text, flags = records.statuses, records.text, records.flags
    if stopped := _stopped(report, records):
        outcome, stopped_detail = stopped
        status = TestStatus.TIMEOUT if outcome is Outcome.TIMEOUT else TestStatus.ERROR
        return _verdict(report, outcome, (*done[: num - 1], status), num, stopped_detail)
    if "x" in flags:
        return _verdict(report, Outcome.COMPILE_ERROR, (), num, text)
    if "." not in flags:
        detail = f"it ended before its tests were over ({ending(report.status)})"
        return _verdict(report, Outcome.RUNTIME_ERROR, (*done[: num - 1], TestStatus.ERROR), num, detail)
    first = next((i for i, status in enumerate(done) if status is not TestStatus.PASSED), None)
    if first is not None:
        label = f": {labels[first]}" if done[first] is TestStatus.FAILED else ""
        text = f"test {first + 1}: {text}{label}"
    return _verdict(report, _outcome(done, num), done, num, text)


def judge_script(report: Report, nonce: str, compare: Callable[[str], str]) -> tuple[Outcome, TestStatus, str]:
    """The result of one STDIO test; Outcome.PASSED and FAILED stand for this test only.

    compare: what is wrong with an output, or empty.
    """
    records = read_message(report.message, nonce) or Records((), "", frozenset())
    records = Records((), records.text, records.flags - {"."})  # its end is its exit, not the record of it
    if stopped := _stopped(report, records):
        status = TestStatus.TIMEOUT if stopped[0] is Outcome.TIMEOUT else TestStatus.ERROR
        return stopped[0], status, stopped[1]
    if "x" in records.flags:
        return Outcome.COMPILE_ERROR, TestStatus.NOT_RUN, records.text
    if os.waitstatus_to_exitcode(report.status) != 0:
        return Outcome.RUNTIME_ERROR, TestStatus.ERROR, records.text or ending(report.status)
    if difference := compare(report.output.decode(errors="replace")):
        return Outcome.FAILED, TestStatus.FAILED, difference
    return Outcome.PASSED, TestStatus.PASSED, ""


def judge_scripts(results: Sequence[tuple[Outcome, TestStatus, str]], num: int, seconds: float) -> Verdict:
    """The tests of one STDIO program; a compile error or a limit was the last to run."""
    statuses = tuple(status for _, status, _ in results)
    last, _, detail = results[-1]
    final = last in (Outcome.TIMEOUT, Outcome.OUT_OF_MEMORY, Outcome.COMPILE_ERROR)
    failing = (i for i, status in enumerate(statuses) if status is not TestStatus.PASSED)
    if last is not Outcome.COMPILE_ERROR and (first := next(failing, None)) is not None:
        detail = f"test {first + 1}: {results[first][2]}"
    padded = statuses + (TestStatus.NOT_RUN,) * (num - len(statuses))
    return Verdict(last if final else _outcome(statuses, num), padded, seconds, detail[:MAX_DETAIL])


def _stopped(report: Report, records: Records) -> tuple[Outcome, str] | None:
    """Did a limit end it?"""
    if "m" not in records.flags and ("." in records.flags or report.limit == "stop"):
        return None  # it was over before the limit took effect
    if report.waited_s > _BUSY_SHARE * report.wall_s and not report.kills_itself:
        raise MachineryFault(f"the machine is too busy: {report.waited_s:.1f} s of waiting for a processor")
    if report.limit in ("cpu", "wall") or exit_signal(report.status) == signal.SIGXCPU:
        spent = f"{report.cpu_s:.1f} s of processor time, {report.wall_s:.1f} s by the clock"
        return Outcome.TIMEOUT, f"stopped at its {report.limit or 'cpu'} limit ({spent})"
    if "m" in records.flags:
        return Outcome.OUT_OF_MEMORY, f"MemoryError at its memory limit (peak {report.peak_kb // 1024} MiB)"
    if report.heap_kb and exit_signal(report.status) in _CRASHES and report.peak_kb > _HEAP_SHARE * report.heap_kb:
        return Outcome.OUT_OF_MEMORY, f"crashed at its memory limit (peak {report.peak_kb // 1024} MiB)"
    if report.limit == "oom":
        raise MachineryFault("a candidate's process was killed, for lack of memory of this machine or from outside")
    return None


def _outcome(statuses: Sequence[TestStatus], num: int) -> Outcome:
    if len(statuses) == num and all(status is TestStatus.PASSED for status in statuses):
        return Outcome.PASSED
    if any(status in (TestStatus.PASSED, TestStatus.FAILED) for status in statuses):
        return Outcome.FAILED
    return Outcome.RUNTIME_ERROR


def _verdict(report: Report, outcome: Outcome, done: Sequence[TestStatus], num: int, detail: str) -> Verdict:
    padded = (*done, *[TestStatus.NOT_RUN] * (num - len(done)))
    return Verdict(outcome, padded, report.wall_s, detail[:MAX_DETAIL])


def read_check(message: bytes, nonce: str) -> str:
    """What a checker found wrong, or empty."""
    records = read_message(message, nonce)
    if records is None or len(records.statuses) != 1:
        raise MachineryFault("the checker gave no answer")
    if records.statuses[0] is TestStatus.PASSED:
        return ""
    return records.text or "the checker does not accept the output"


def exit_signal(status: int) -> int:
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def ending(status: int) -> str:
    if number := exit_signal(status):
        return f"killed by {signal.Signals(number).name}"
    return f"exit status {os.waitstatus_to_exitcode(status)}"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def compare_output(output: str, expected: str) -> str:
    """Token by token, with rounding where a float is expected. The first difference, or empty."""
    got, wanted = output.split(), expected.split()
    for i, token in enumerate(wanted):
        if i >= len(got):
            return f"the output ends after {len(got)} of {len(wanted)} tokens"
        if not _same_token(got[i], token):
            return f"token {i + 1} is {_printable(got[i][:60])!r}, expected {token[:60]!r}"
    if len(got) > len(wanted):
        return f"{len(got)} tokens of output, expected {len(wanted)}"
    return ""


def _same_token(got: str, wanted: str) -> bool:
    if got == wanted:
        return True
    if wanted.lstrip("+-").isdigit() or not (_FLOAT.fullmatch(wanted) and _FLOAT.fullmatch(got)):
        return False
    return math.isclose(float(got), float(wanted), rel_tol=_FLOAT_TOL, abs_tol=_FLOAT_TOL)
