"""Why no sample of a problem passed, where the samples are perhaps not to blame. Sentences for a person.

In: the problems, and what all rows of results come to. Out: lines with the reason and the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rrtf_ray.problems.check import CheckReport, check_references
from rrtf_ray.records import Outcome, Problem
from rrtf_ray.sandbox import Sandbox

MOST_REFERENCES = 300
"""References that are run to find the reason; a data set with more unsolved problems is judged by its first."""
_MOST_REASONS = 10_000
_SHOWN = 3
_NUMBERED = re.compile(r"^test \d+: | \(line \d+\)")
_MISSING = re.compile(r"No module named '(\w+)")
_OF_THE_INTERPRETER = re.compile(
    r"\b(?:mock|patch|monkeypatch|StringIO|stdin|stdout|capsys|tempfile|tmp_path|open|time|datetime|perf_counter|seed"
    r"|asyncio|await)\b"
)
_REMOTE = "'Remote'"
"""How a test's process names an object of the program's in its messages."""


@dataclass(slots=True)
class Reasons:
    """Why samples did not pass: each reason without its numbers of tests and lines, and the modules they lack."""

    reasons: dict[str, int] = field(default_factory=dict)
    modules: dict[str, int] = field(default_factory=dict)
    with_remote: set[str] = field(default_factory=set)

    def add(self, problem_id: str, outcome: Outcome, detail: str) -> None:
        if outcome is Outcome.PASSED:
            return
        reason = f"{outcome.value} ({_NUMBERED.sub('', detail)})" if detail else outcome.value
        if reason in self.reasons or len(self.reasons) < _MOST_REASONS:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if missing := _MISSING.search(detail):
            name = missing.group(1)
            self.modules[name] = self.modules.get(name, 0) + 1
        if _REMOTE in detail:
            self.with_remote.add(problem_id)


def diagnosis(
    reasons: Reasons,
    counts: Mapping[str, tuple[int, int]],
    problems: Mapping[str, Problem],
    open_sandbox: Callable[[], Sandbox],
) -> list[str]:
    """The lines for a report. counts: (judged, passed) by problem id. Runs the references of unsolved problems."""
    lines = [
        f"{number} programs need the module {name}, which the sandbox does not give them: --preload {name} does, "
        "where it is installed"
        for name, number in reasons.modules.items()
    ]
    judged = sum(number for number, _ in counts.values())
    if judged > 1 and not any(passed for _, passed in counts.values()) and reasons.reasons:
        reason, number = max(reasons.reasons.items(), key=lambda item: item[1])
        if number == judged:
            lines.append(
                f"all {judged} samples failed for one reason, which is seldom the model's fault: {reason}; check that "
                "--problems has the tests of these samples, and what their file holds"
            )
    unsolved = [problems[id_] for id_, (number, passed) in counts.items() if number and not passed]
    lines += _of_references(unsolved, open_sandbox)
    lines += _without_reference([p for p in unsolved if not p.reference], reasons.with_remote)
    return lines


def _of_references(unsolved: Sequence[Problem], open_sandbox: Callable[[], Sandbox]) -> list[str]:
    asked = [problem for problem in unsolved if problem.reference][:MOST_REFERENCES]
    if not asked:
        return []
    report = CheckReport()
    with open_sandbox() as sandbox:
        for _ in check_references(asked, sandbox, report):
            pass
    if not (failing := report.failures):
        return []
    shown = "; ".join(f"{id_}: {v.outcome.value} ({v.detail or 'no detail'})" for id_, v in failing[:_SHOWN])
    more = " ..." if len(failing) > _SHOWN else ""
    return [
        f"{len(failing)} of {len(asked)} problems that no sample solved are not solved by their own reference either, "
        f"so these figures say nothing about the model: {shown}{more}. Fix their tests or reference, or give what "
        "they need (--timeout-s, --memory-mb, --output-kb, --preload)"
    ]


def _without_reference(problems: Sequence[Problem], with_remote: set[str]) -> list[str]:
    doubtful = [p for p in problems if p.id in with_remote or _touches_the_interpreter(p)]
    if not doubtful:
        return []
    named = ", ".join(p.id for p in doubtful[:_SHOWN]) + (" ..." if len(doubtful) > _SHOWN else "")
    return [
        f"{len(doubtful)} problems that no sample solved have no reference, and their tests use input, output, files, "
        f"the clock or objects of the program's: {named}. Such tests may need the program's own interpreter, which "
        "only a reference shows: add one (canonical_solution)"
    ]


def _touches_the_interpreter(problem: Problem) -> bool:
    return any(_OF_THE_INTERPRETER.search(test.code) for test in problem.tests if test.kind.value != "stdio")
