"""Whether `rrtf problems audit` sees the weak tests that EvalPlus' extra tests show to be weak.

A problem of HumanEval is weak in truth if HumanEval+ (Mini) fails at least one of the given samples that pass
HumanEval's own tests: real ones, of CodeGen-16B and Llama-3-8B. Only problems with a sample that passes can be judged.
The audit does not see HumanEval+. Recall is the share of those that it flags as weak, precision the share of its flags
that are right.

    weak_test_recall, weak_test_precision                  from the tests and the reference alone: the mutation score
    weak_test_recall_with_samples, ..._precision_...       and from the samples that pass and differ on other calls

    weak_test_recall_other_samples, ..._precision_...      the same, where audit and truth see other samples

The second sees the same samples as the truth, but not what HumanEval+ says of them. For the third, every other passing
sample is the audit's, and the truth is made of the rest; problems with one passing sample are left out.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrtf_ray.audit.findings import WEAK_BELOW, Finding, ProblemAudit
from rrtf_ray.audit.looking import look
from rrtf_ray.core.sameness import normal_form
from rrtf_ray.execution import run_problem
from rrtf_ray.problems import load
from rrtf_ray.problems.samples import ProblemIndex, read_samples
from rrtf_ray.records import Outcome, Problem
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.verify.rows import samples_of
from rrtf_ray.verify.workers import in_threads

GOALS = {"weak_test_recall": ">= 0.7", "weak_test_precision": ">= 0.7"}
GOALS |= {f"{name}_with_samples": goal for name, goal in GOALS.items()}
SAMPLES = ("humaneval_codegen16B_n100.jsonl", "llama3-8b-base_humaneval_eval_results.json")


@dataclass(frozen=True, slots=True)
class Judged:
    """weak: whether the tests are, in truth. found: what the audit says. other: both, each from samples that
    the other did not see; None where there are too few."""

    weak: bool
    found: ProblemAudit
    other: tuple[bool, bool] | None


def measure(data: Path, programs: int) -> dict[str, Any]:
    """The figures, over the first `programs` samples of each problem and file."""
    problems = {problem.id: problem for problem in load("auto", str(data / "problems" / "HumanEval.jsonl"))}
    plus = {problem.id: problem for problem in load("auto", str(data / "problems" / "HumanEvalPlus-Mini.jsonl"))}
    given = {id_: list(of.values()) for id_, of in _programs(data, problems, programs).items()}

    def work(sandboxes: list[Sandbox], waiting: Iterator[str]) -> Iterator[Judged]:
        for id_ in waiting:
            passing = _passing(sandboxes[0], problems[id_], given[id_])
            if not passing:
                continue
            right = set(_passing(sandboxes[0], plus[id_], passing))
            seen, rest = passing[::2], passing[1::2]
            other = None
            if rest:
                flag = Finding.WEAK in look(problems[id_], seen, sandboxes).reasons
                other = (not right.issuperset(rest), flag)
            yield Judged(not right.issuperset(passing), look(problems[id_], passing, sandboxes), other)

    found = list(in_threads(list(given), _sandboxes, work, os.cpu_count() or 1))
    alone = [(one.weak, (one.found.mutation_score or 0.0) < WEAK_BELOW) for one in found]
    both = [(one.weak, Finding.WEAK in one.found.reasons) for one in found]
    others = [one.other for one in found if one.other is not None]
    figures: dict[str, Any] = {"weak_test_problems": len(found), "weak_test_weak": sum(one.weak for one in found)}
    for name, flags in (("", alone), ("_with_samples", both), ("_other_samples", others)):
        recall, precision = recall_and_precision(flags)
        figures |= {f"weak_test_recall{name}": round(recall, 3), f"weak_test_precision{name}": round(precision, 3)}
    return figures


def recall_and_precision(flags: Sequence[tuple[bool, bool]]) -> tuple[float, float]:
    """Of (true, flagged) pairs; 0 where there is nothing to divide by."""
    right = sum(true and flagged for true, flagged in flags)
    true, flagged = sum(pair[0] for pair in flags), sum(pair[1] for pair in flags)
    return right / true if true else 0.0, right / flagged if flagged else 0.0


def _programs(data: Path, problems: dict[str, Problem], most: int) -> dict[str, dict[str, str]]:
    """Distinct programs by problem and normal form."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for name in SAMPLES:
        rows = read_samples(str(data / "samples" / name))
        for sample in samples_of(rows, ProblemIndex(problems.values()), ""):
            program = sample.program(problems[sample.problem_id])
            if sample.index < most and program:
                found[sample.problem_id].setdefault(normal_form(program, problems[sample.problem_id].language), program)
    return found


def _passing(sandbox: Sandbox, problem: Problem, programs: Sequence[str]) -> list[str]:
    verdicts = run_problem(sandbox, problem, programs, fail_fast=True)
    return [program for program, v in zip(programs, verdicts, strict=True) if v.outcome is Outcome.PASSED]


@contextmanager
def _sandboxes() -> Iterator[list[Sandbox]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Sandbox(Limits(cpu_s=2.0, wall_s=8.0), hash_seed=seed)) for seed in (0, 1)]
