"""Do verdicts change on a busy machine? Real completions, judged on an idle machine and then under load.

    python -m benchmarks.executor.load [--json] [--data DIR] [--samples N] [--repeats N] [--workers N]

The load: twice as many processes as cores, each in an endless loop at normal priority. A flip is a program whose
outcome changes; each is printed.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.measure import arguments
from rrtf_ray.problems import load
from rrtf_ray.problems.samples import ProblemIndex, read_samples
from rrtf_ray.records import Outcome, Problem
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.verify.rows import Sample, batches_of
from rrtf_ray.verify.workers import judged

LIMITS = Limits(cpu_s=3, wall_s=12)


def main() -> None:
    args = arguments(__doc__, data="../shared/data", samples=20, repeats=3, workers=2)
    problems = {p.id: p for p in load("humaneval", f"{args.data}/problems/HumanEval.jsonl")}
    samples = list(_samples(problems, Path(args.data), args.samples))
    quiet = _outcomes(samples, problems, args.workers)
    flips: list[str] = []
    with _busy(2 * (os.cpu_count() or 1)):
        for repeat in range(args.repeats):
            for sample, before, after in zip(samples, quiet, _outcomes(samples, problems, args.workers), strict=True):
                if before is not after:
                    flips.append(f"{sample.problem_id} sample {sample.index}, repeat {repeat}: {before} -> {after}")
    if args.json:
        print(json.dumps({"flips_under_load": len(flips), "programs": len(samples), "flips": flips}))
        return
    print(f"{len(flips)} flips in {args.repeats} repeats of {len(samples)} programs")
    for flip in flips:
        print(f"  {flip}")


def _samples(problems: dict[str, Problem], data: Path, number: int) -> Iterator[Sample]:
    index = ProblemIndex(problems.values())
    for row in read_samples(str(data / "samples/humaneval_codegen16B_n100.jsonl")):
        problem_id = index.find(row)
        assert problem_id is not None
        for i, text in enumerate(row.texts[:number]):
            yield Sample("", problem_id, problem_id, i, text, False, "")


def _outcomes(samples: list[Sample], problems: dict[str, Problem], workers: int) -> list[Outcome]:
    found: dict[int, Outcome] = {}
    batches = batches_of([sample.problem_id for sample in samples], 0)
    for batch, verdicts in judged(batches, samples, problems, partial(Sandbox, LIMITS), workers):
        found.update((number, verdict.outcome) for number, verdict in zip(batch, verdicts, strict=True))
    return [found[number] for number in range(len(samples))]


@contextlib.contextmanager
def _busy(number: int) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
