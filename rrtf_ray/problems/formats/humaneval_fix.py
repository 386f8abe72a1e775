"""HumanEvalFix: HumanEvalPack's rows as the task to repair a function (OctoPack, Muennighoff et al., 2023).

The prompt is source: a comment with the function that has a bug and what its tests show, then the signature of the
fixed function, which a base model continues. The docstring is left out, as in the benchmark: the tests say what is
wanted. The tests and the reference are HumanEvalPack's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rrtf_ray.problems.formats import humaneval_x
from rrtf_ray.problems.python_source import fitted_body
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Language, Problem

FIELDS = humaneval_x.PACK_FIELDS

_MARK = {Language.PYTHON: "#", Language.JAVASCRIPT: "//"}


def convert(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row."""
    for row, problem in humaneval_x.convert(rows):
        declaration = row.text("declaration").strip("\n") + "\n"
        buggy = declaration + row.text("buggy_solution").rstrip() + "\n"
        prompt = _task(row, problem, buggy) + declaration
        reference = problem.reference
        if problem.language is Language.PYTHON:
            reference = fitted_body(prompt, reference)
        yield row, replace(problem, prompt=prompt, reference=reference)


def _task(row: Row, problem: Problem, buggy: str) -> str:
    """The comment above the signature: the function with the bug, how it fails, and the row's example tests."""
    tests = row.text("example_test", "").strip()
    symptoms = row.text("failure_symptoms", "") or "incorrect output"
    lines = [f"This version of {problem.entry_point} has a bug:", "", *buggy.strip("\n").splitlines(), ""]
    lines += [f"Its tests fail with {symptoms}, among them:", "", *tests.splitlines()] if tests else []
    lines += ["" if tests else f"Its tests fail with {symptoms}.", f"This is {problem.entry_point} without the bug:"]
    mark = _MARK[problem.language]
    return "".join(f"{mark} {line}".rstrip() + "\n" for line in lines) + "\n"
