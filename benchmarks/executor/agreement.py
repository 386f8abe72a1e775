"""Our verdicts on real solutions against those that EvalPlus published, program by program.

    python -m benchmarks.executor.agreement [--json] [--data DIR] [--workers N]

EvalPlus's own files: `samples/llama3-8b-base_humaneval_eval_results.json` with `problems/HumanEvalPlus-Mini.jsonl`,
and the MBPP pair. base and plus are compared separately, as EvalPlus judges them. Every difference is printed with our
verdict's reason.

HumanEvalPlus-Mini has fewer inputs than EvalPlus used for the file. A program that fails only on one of the others
passes here, so on this set `plus` can differ in this one direction.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import arguments
from rrtf_ray.errors import DataError
from rrtf_ray.problems import load
from rrtf_ray.records import Outcome, Problem
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.verify.rows import Sample
from rrtf_ray.verify.workers import judged

PAIRS = {
    "humaneval": ("HumanEvalPlus-Mini.jsonl", "llama3-8b-base_humaneval_eval_results.json"),
    "mbpp": ("MbppPlus-v0.1.0.jsonl", "llama3-8b-instruct_mbpp_eval_results.json"),
}
PARTS = {"base": "plus_input", "plus": "base_input"}
"""A part of the inputs, and the field with the others."""
GROUP = 50


@dataclass(frozen=True)
class Difference:
    task_id: str
    part: str
    theirs: str
    ours: str
    detail: str


def main() -> None:
    args = arguments(__doc__, data="../shared/data", workers=2)
    compared = 0
    found: list[Difference] = []
    for problems, results in PAIRS.values():
        published = json.loads((Path(args.data) / "samples" / results).read_text())["eval"]
        for part, others in PARTS.items():
            rows = list(_verdicts(Path(args.data) / "problems" / problems, published, part, others, args.workers))
            compared += len(rows)
            found += [row for row in rows if row.theirs != row.ours]
    if args.json:
        print(json.dumps({"compared": compared, "differ": len(found), "differences": [vars(d) for d in found]}))
        return
    print(f"{compared} verdicts compared, {len(found)} differ")
    for d in found:
        print(f"  {d.task_id} {d.part}: EvalPlus {d.theirs}, ours {d.ours} ({d.detail})")


def _verdicts(path: Path, published: dict[str, Any], part: str, others: str, workers: int) -> Iterator[Difference]:
    problems = {problem.id: problem for problem in _load(path, others)}
    solutions = [
        (task_id, index, row["solution"], row[f"{part}_status"])
        for task_id, rows in published.items()
        for index, row in enumerate(rows)
        if task_id in problems
    ]
    samples = [Sample("", task_id, task_id, index, text, True, "") for task_id, index, text, _ in solutions]
    batches = [[number] for number in range(len(samples))]
    for batch, verdicts in judged(batches, samples, problems, partial(Sandbox, Limits(cpu_s=10, wall_s=40)), workers):
        for number, verdict in zip(batch, verdicts, strict=True):
            task_id, _, _, status = solutions[number]
            ours = "pass" if verdict.outcome is Outcome.PASSED else "fail"
            theirs = "pass" if status == "pass" else "fail"  # `fail` or `timeout`
            yield Difference(task_id, part, theirs, ours, verdict.detail)


def _load(path: Path, others: str) -> Iterator[Problem]:
    """The problems with one part of their inputs; those without a usable input are left out, and named."""
    rows = [{**json.loads(line), others: []} for line in path.read_text().splitlines()]
    rows = [row for row in rows if row["base_input"] or row["plus_input"]]
    for start in range(0, len(rows), GROUP):
        group = rows[start : start + GROUP]
        try:
            yield from _read(path.name, group)
        except DataError:
            for row in group:
                try:
                    yield from _read(path.name, [row])
                except DataError as error:
                    print(f"left out: {error}", file=sys.stderr)


def _read(name: str, rows: list[dict[str, Any]]) -> list[Problem]:
    with tempfile.TemporaryDirectory(prefix="rrtf-bench-") as folder:
        part = Path(folder) / name
        part.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return list(load("evalplus", str(part)))


if __name__ == "__main__":
    main()
