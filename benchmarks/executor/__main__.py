"""Programs per second of the sandbox, against the harnesses in common use and the bare cost of a process.

    python -m benchmarks.executor [--json] --data DIR [--workers N] [--pairs N] [--samples N] [--peers DIR:DIR...]

`--data` has HumanEval.jsonl, HumanEvalPlus-Mini.jsonl and humaneval_codegen16B_n100.jsonl in `problems/` and
`samples/`. The peers are installed packages or in the folders of `--peers` (the source of openai/human-eval, evalplus,
bigcode-evaluation-harness); a missing one is left out, and its ratio too.

canonical: the 164 reference solutions, 5 times each, made distinct by a comment so that none is run once for several;
full isolation, tests outside the program's interpreter, no cache. real: the first completions of CodeGen-16B, endless
loops among them, limit 3 s; our limits come from the references' own time. Every pass is a process of its own and is
timed once it is warm; the sides take turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.executor.sides import Task, write_tasks
from benchmarks.measure import arguments, in_turn, spread
from rrtf_ray.core.extraction import extract
from rrtf_ray.problems import load
from rrtf_ray.problems.samples import ProblemIndex, read_samples
from rrtf_ray.records import ProblemKind

TIMEOUT_S = 3.0
COPIES = 5
GOALS = {
    "vs_human_eval": ("human_eval", 6.0),
    "vs_bigcode": ("bigcode", 6.0),
    "vs_evalplus": ("evalplus", 2.0),
    "vs_fork_floor": ("floor", 0.85),
}


def main() -> None:
    args = arguments(__doc__, data="../shared/data", workers=2, pairs=3, samples=20, peers="")
    with tempfile.TemporaryDirectory(prefix="rrtf-bench-") as folder:
        bench = _Bench(Path(folder), args.workers, [path for path in args.peers.split(":") if path])
        problems = _problems(Path(args.data))
        bench.use("canonical", list(_canonical(problems)))
        bench.use("real", list(_real(problems, Path(args.data), args.samples)))
        found: dict[str, Any] = {}
        for key, (peer, goal) in GOALS.items():
            if bench.has(peer):
                found[key] = bench.ratio("canonical", "ours", peer, args.pairs, goal)
        if bench.has("evalplus"):
            found["real_vs_evalplus"] = bench.ratio("real", "ours_calibrated", "evalplus", args.pairs, 1.5)
        found["real_remembered"] = bench.ratio("real", "ours_remembered", "ours_calibrated", 1, None)
        if bench.has("human_eval"):
            found["real_vs_human_eval"] = bench.ratio("real", "ours_calibrated", "human_eval", 1, None)
    _print(found, bench, args.json)


class _Bench:
    def __init__(self, folder: Path, workers: int, peers: list[str]) -> None:
        self._folder, self._workers, self._peers = folder, workers, peers
        self._tasks: dict[str, list[Task]] = {}
        self._passed: dict[tuple[str, str], list[bool]] = {}
        self.rates: dict[str, list[float]] = {}

    def use(self, name: str, tasks: list[Task]) -> None:
        self._tasks[name] = tasks
        write_tasks(tasks, self._folder / f"{name}.json")

    def has(self, runner: str) -> bool:
        """Whether it can be started here; tried with one program."""
        if runner == "floor":
            return True
        if "one" not in self._tasks:
            self.use("one", self._tasks["canonical"][:1])
        try:
            self._run("one", runner)
        except subprocess.CalledProcessError as error:
            print(f"{runner} is left out: {error.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return False
        return True

    def _run(self, name: str, runner: str) -> float:
        """Programs per second."""
        command = [sys.executable, "-m", "benchmarks.executor.sides", runner, str(self._folder / f"{name}.json")]
        command += [str(self._workers), str(TIMEOUT_S), *self._peers]
        with tempfile.TemporaryDirectory(prefix="rrtf-bench-") as tmp:
            environment = {**os.environ, "TMPDIR": tmp}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        result = json.loads(done.stdout.splitlines()[-1])
        self._passed[name, runner] = result["passed"]
        rate = len(result["passed"]) / result["seconds"]
        self.rates.setdefault(f"{name} {runner}", []).append(round(rate, 1))
        return rate

    def ratio(self, name: str, one: str, other: str, pairs: int, goal: float | None) -> dict[str, Any]:
        rates = in_turn(pairs, lambda: self._run(name, one), lambda: self._run(name, other))
        return {**spread([a / b for a, b in rates]), "goal": goal, "differ": self.differences(name, one, other)}

    def differences(self, name: str, one: str, other: str) -> list[str]:
        """The programs that only one of them passes."""
        pairs = zip(self._tasks[name], self._passed[name, one], self._passed[name, other], strict=True)
        return [f"{task.task_id} ({one if a else other} passes it)" for task, a, b in pairs if a != b]


def _problems(data: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (data / "problems/HumanEval.jsonl").read_text().splitlines()]
    plus = (json.loads(line) for line in (data / "problems/HumanEvalPlus-Mini.jsonl").read_text().splitlines())
    inputs = {row["task_id"]: row for row in plus}
    return [
        {**row, "inputs": inputs[row["task_id"]]["base_input"], "atol": inputs[row["task_id"]]["atol"]} for row in rows
    ]


def _task(problem: dict[str, Any], body: str) -> Task:
    names = ("task_id", "prompt", "test", "entry_point", "inputs", "atol")
    return Task(body=body, reference=problem["canonical_solution"], **{name: problem[name] for name in names})


def _canonical(problems: list[dict[str, Any]]) -> Iterator[Task]:
    for problem in problems:
        for copy in range(COPIES):
            yield _task(problem, f"{problem['canonical_solution']}\n# copy {copy}\n")


def _real(problems: list[dict[str, Any]], data: Path, number: int) -> Iterator[Task]:
    index = ProblemIndex(load("humaneval", str(data / "problems/HumanEval.jsonl")))
    found = {index.find(row): row.texts for row in read_samples(str(data / "samples/humaneval_codegen16B_n100.jsonl"))}
    for problem in problems:
        for sample in found[problem["task_id"]][:number]:
            program = extract(sample, problem["prompt"], problem["entry_point"], ProblemKind.FUNCTION).program
            body = program.removeprefix(problem["prompt"]) if program.startswith(problem["prompt"]) else sample
            yield _task(problem, body)


def _print(found: dict[str, Any], bench: _Bench, as_json: bool) -> None:
    if as_json:
        flat = {key: round(value["median"], 3) for key, value in found.items()}
        print(json.dumps({**flat, "details": found, "programs_per_s": bench.rates}))
        return
    print(f"{'ratio':<24}{'median':>8}{'min':>8}{'max':>8}   goal      verdicts that differ")
    for key, value in found.items():
        goal = f">= {value['goal']}" if value["goal"] else ""
        figures = "".join(f"{value[name]:>8.2f}" for name in ("median", "min", "max"))
        print(f"{key:<24}{figures}   {goal:<10}{len(value['differ'])}")
        for difference in value["differ"][:10]:
            print(f"    {difference}")
    print("programs per second, pass by pass:")
    for name, rates in bench.rates.items():
        print(f"  {name:<28}{'  '.join(map(str, rates))}")


if __name__ == "__main__":
    main()
