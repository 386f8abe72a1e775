"""Programs of a problem -> verdicts, with all that the problem says of itself."""

from __future__ import annotations

from collections.abc import Sequence

from rrtf_ray.core.extraction import extract_for, whole_program_for
from rrtf_ray.errors import DataError
from rrtf_ray.records import Language, Outcome, Problem, Verdict
from rrtf_ray.sandbox import Sandbox, refusal


def reference_program(problem: Problem) -> str:
    """The problem's reference as a program; empty where there is none."""
    return extract_for(problem, problem.reference).program if problem.reference else ""


def whole_program(problem: Problem, text: str) -> str:
    """The source to run for a text that is a whole program already; blank for no code.

    It is run as it is. A setup before it must not make a program of what is none (an indented body would end the
    setup's last function), nor is a misplaced `from __future__` put in its place: what CPython refuses by itself is
    returned by itself, and refused.
    """
    if problem.language is Language.PYTHON and (not problem.setup.strip() or refusal(text)):
        return text
    return whole_program_for(problem, text)


def run_problem(
    sandbox: Sandbox, problem: Problem, programs: Sequence[str], *, fail_fast: bool = False, calibrate: bool = True
) -> list[Verdict]:
    """One verdict per program, as `Sandbox.run` gives them; SANDBOX_ERROR where the problem's tests cannot be used.

    The problem's reference is run first, to find out whether the tests need the program's own interpreter, and,
    with `calibrate`, for a limit of time that suits this problem and this machine.
    """
    try:
        return sandbox.run(
            programs,
            problem.tests,
            kind=problem.kind,
            entry_point=problem.entry_point,
            fail_fast=fail_fast,
            # A program carries the setup and the prompt itself; tests in its language need their names as well.
            prompt=f"{problem.setup}\n{problem.prompt}" if problem.language is Language.PYTHON else "",
            reference=reference_program(problem),
            calibrate=calibrate,
            language=problem.language,
        )
    except DataError as error:  # no fault of the programs
        return [Verdict(Outcome.SANDBOX_ERROR, detail=f"problem {problem.id!r}: {error}") for _ in programs]
