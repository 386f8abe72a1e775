"""Run every reference in the same way as a candidate, before any model is judged by these problems.

In: problems and a sandbox. Out: each problem with its reference's verdict, and a report. A reference that
fails here means a wrong test, a limit that is too tight or a missing package: every model would pay for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rrtf_ray.execution import reference_program, run_problem
from rrtf_ray.records import Outcome, Problem, Verdict
from rrtf_ray.sandbox import Sandbox


@dataclass(slots=True)
class CheckReport:
    """Counts of a check, and the failures with their reasons.

    outcomes: how many references had each outcome. without_reference: ids that have nothing to check.
    failures: (problem id, verdict) of the references that did not pass, in order.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    without_reference: list[str] = field(default_factory=list)
    failures: list[tuple[str, Verdict]] = field(default_factory=list)

    def add(self, problem: Problem, verdict: Verdict | None) -> None:
        """Count one problem; the verdict is None where there is no reference."""
        if verdict is None:
            self.without_reference.append(problem.id)
            return
        self.outcomes[verdict.outcome] += 1
        if verdict.outcome is not Outcome.PASSED:
            self.failures.append((problem.id, verdict))

    @property
    def num_checked(self) -> int:
        return sum(self.outcomes.values())

    def __str__(self) -> str:
        lines = [f"{self.outcomes[Outcome.PASSED]} of {self.num_checked} references pass their tests"]
        if self.without_reference:
            lines.append(f"{len(self.without_reference)} problems have no reference")
        lines += [f"  {name}: {v.outcome.value} ({v.detail or 'no detail'})" for name, v in self.failures]
        return "\n".join(lines)


def check_references(
    problems: Iterable[Problem], sandbox: Sandbox, report: CheckReport | None = None
) -> Iterator[tuple[Problem, Verdict | None]]:
    """Each problem with the verdict on its reference (None where it has none); fills `report` on the way."""
    for problem in problems:
        program = reference_program(problem)
        verdict = run_problem(sandbox, problem, [program])[0] if program else None
        if report is not None:
            report.add(problem, verdict)
        yield problem, verdict
