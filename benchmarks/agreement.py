"""How often the program that ranks first is right, where tests are weak: with and without the programs' agreement.

    python -m benchmarks.agreement --data DIR [--limit N] [--repeats N] [--json]

CodeGen-16B's 100 samples of each HumanEval problem are the candidates: real ones, without a teacher. HumanEval's own
tests judge them; HumanEval+ (Mini), which the ranking does not see, is the truth. From 8, 16 and 100 samples, drawn
`--repeats` times:

    right_by_tests_N       how often a program that passes, drawn blindly, is right: mean over problems
    right_by_agreement_N   how often the first is, with rank.agreement_weight and 50 probe calls
    gain_N                 the difference, with a 95% bootstrap interval over problems

DIR has problems/HumanEval.jsonl, problems/HumanEvalPlus-Mini.jsonl and samples/humaneval_codegen16B_n100.jsonl.
"""

from __future__ import annotations

import json
import os
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import arguments
from rrtf_ray.behaviour.probing import behaviours
from rrtf_ray.config import RankConfig
from rrtf_ray.core.ranking import rank
from rrtf_ray.execution import run_problem
from rrtf_ray.problems import load
from rrtf_ray.problems.samples import ProblemIndex, read_samples
from rrtf_ray.records import Candidate, Group, Outcome, Problem, Source, Verdict
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.verify.rows import samples_of
from rrtf_ray.verify.workers import in_threads

PROBE_CALLS = 50
SIZES = (8, 16, 100)
BY_AGREEMENT = RankConfig(agreement_weight=1.0)


def main() -> None:
    args = arguments(__doc__, data="", limit=164, repeats=50)
    figures = measure(Path(args.data), args.limit, args.repeats)
    if args.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<24}{value}")


def measure(data: Path, limit: int, repeats: int) -> dict[str, Any]:
    """The figures, over the first `limit` problems."""
    problems = {p.id: p for p in load("auto", str(data / "problems" / "HumanEval.jsonl"))}
    plus = {p.id: p for p in load("auto", str(data / "problems" / "HumanEvalPlus-Mini.jsonl"))}
    rows = read_samples(str(data / "samples" / "humaneval_codegen16B_n100.jsonl"))
    programs: dict[str, list[str]] = defaultdict(list)
    for sample in samples_of(rows, ProblemIndex(problems.values()), ""):
        programs[sample.problem_id].append(sample.program(problems[sample.problem_id]))

    def work(sandbox: Sandbox, waiting: Iterator[str]) -> Iterator[tuple[Group, set[str]]]:
        for id_ in waiting:
            yield _judged(problems[id_], plus[id_], programs[id_], sandbox)

    judged = list(in_threads(list(programs)[:limit], _sandbox, work, os.cpu_count() or 1))
    figures: dict[str, Any] = {}
    for size in SIZES:
        shares = np.array([found for group, right in judged if (found := _shares(group, right, size, repeats))])
        gains = shares[:, 1] - shares[:, 0]
        rng = np.random.default_rng(0)
        means = rng.choice(gains, (5000, len(gains))).mean(axis=1)
        low, high = np.quantile(means, (0.025, 0.975))
        figures |= {
            f"problems_{size}": len(shares),
            f"right_by_tests_{size}": round(float(shares[:, 0].mean()), 3),
            f"right_by_agreement_{size}": round(float(shares[:, 1].mean()), 3),
            f"gain_{size}": {k: round(float(v), 3) for k, v in (("value", gains.mean()), ("low", low), ("high", high))},
        }
    return figures


def _judged(problem: Problem, plus: Problem, programs: list[str], sandbox: Sandbox) -> tuple[Group, set[str]]:
    """The candidates with verdicts and behaviours, and the ids of those that HumanEval+ passes too."""
    verdicts = run_problem(sandbox, problem, programs, fail_fast=True)
    passing = [p for p, v in zip(programs, verdicts, strict=True) if v.outcome is Outcome.PASSED]
    found = dict(zip(passing, behaviours(problem, passing, sandbox, PROBE_CALLS), strict=True))
    truth = dict(zip(passing, run_problem(sandbox, plus, passing, fail_fast=True), strict=True))
    candidates = tuple(
        _candidate(i, program, verdict, found.get(program, ""))
        for i, (program, verdict) in enumerate(zip(programs, verdicts, strict=True))
    )
    right = {c.id for c in candidates if c.program in truth and truth[c.program].outcome is Outcome.PASSED}
    return Group(problem, candidates), right


def _candidate(number: int, program: str, verdict: Verdict, behaviour: str) -> Candidate:
    return Candidate(
        f"s{number}", Source.STUDENT, "codegen", program, program, program, "stop", verdict=verdict, behaviour=behaviour
    )


def _shares(group: Group, right: set[str], size: int, repeats: int) -> tuple[float, float] | None:
    """How often the first program is right without and with agreement; None where no draw has one that passes."""
    rng = random.Random(group.problem.id)
    found = []
    for _ in range(repeats if size < len(group.candidates) else 1):
        drawn = rng.sample(group.candidates, min(size, len(group.candidates)))
        passing = [c.id for c in drawn if c.verdict and c.verdict.outcome is Outcome.PASSED]
        if passing:
            best = rank(replace(group, candidates=tuple(drawn)), BY_AGREEMENT).candidates[0]
            found.append((sum(id_ in right for id_ in passing) / len(passing), best.candidate_id in right))
    return tuple(np.mean(found, axis=0)) if found else None


@contextmanager
def _sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(cpu_s=2.0, wall_s=8.0)) as sandbox:
        yield sandbox


if __name__ == "__main__":
    main()
