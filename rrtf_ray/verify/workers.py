"""Threads with a sandbox each: they judge batches of samples, or do other work that is cut into items.

A sandbox works in processes of its own, so threads are enough here. The threads are daemons: an interrupted command
need not wait for running programs, because a sandbox ends with the process that owns it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from queue import Empty, SimpleQueue
from typing import TypeVar

from rrtf_ray.errors import RRTFError, StageError
from rrtf_ray.execution import run_problem
from rrtf_ray.records import Problem, Verdict
from rrtf_ray.sandbox import Sandbox
from rrtf_ray.verify.rows import Sample

_PATIENCE_S = 2.0
"""How long an interrupted command waits for the sandboxes to be closed in good order."""
_CALL_S = 1.0
"""A call has as many programs of a batch as should run in this time: an interruption costs the call, whose programs
may all be endless, and a call has its own cost (2 ms with HumanEval's tests, 6 ms with those of MBPP+)."""

Batch = list[int]
Item = TypeVar("Item")
Result = TypeVar("Result")
Opened = TypeVar("Opened")


def judged(
    batches: Iterable[Batch],
    samples: Sequence[Sample],
    problems: Mapping[str, Problem],
    open_sandbox: Callable[[], Sandbox],
    workers: int,
) -> Iterator[tuple[Batch, list[Verdict]]]:
    """Batches, or parts of them, with their verdicts, as they are finished. Raises as `in_threads`."""

    def work(sandbox: Sandbox, waiting: Iterator[Batch]) -> Iterator[tuple[Batch, list[Verdict]]]:
        size = 1
        for batch in waiting:
            while batch:
                part, batch = batch[:size], batch[size:]
                problem = problems[samples[part[0]].problem_id]
                programs = [samples[position].program(problem) for position in part]
                started = time.monotonic()
                yield part, run_problem(sandbox, problem, programs, calibrate=False)
                size = max(1, int(len(part) * _CALL_S / (time.monotonic() - started + 1e-6)))

    return in_threads(batches, open_sandbox, work, workers)


def in_threads(
    items: Iterable[Item],
    opened: Callable[[], AbstractContextManager[Opened]],
    work: Callable[[Opened, Iterator[Item]], Iterator[Result]],
    workers: int,
) -> Iterator[Result]:
    """What `work` makes of the items, in the order in which it is finished. Each thread opens its own sandbox (or
    several) and calls `work` once, with an iterator that gives it an item whenever it asks.

    Raises:
        SandboxError: a sandbox cannot be started.
        StageError: a worker failed otherwise. What was yielded is good.
    """
    waiting: SimpleQueue[Item] = SimpleQueue()
    for item in items:
        waiting.put(item)
    finished: SimpleQueue[tuple[Result] | BaseException | None] = SimpleQueue()
    stop = threading.Event()

    def mine() -> Iterator[Item]:
        while not stop.is_set():
            try:
                yield waiting.get_nowait()
            except Empty:
                return

    def run() -> None:
        try:
            with opened() as sandbox:
                for result in work(sandbox, mine()):
                    finished.put((result,))
                    if stop.is_set():
                        break
            finished.put(None)
        except BaseException as error:  # whatever it is, the command must not wait for this thread
            finished.put(error)

    threads = [
        threading.Thread(target=run, name=f"sandbox-{i}", daemon=True) for i in range(min(workers, waiting.qsize()))
    ]
    left = len(threads)
    try:
        for thread in threads:
            thread.start()
        while left:
            result = finished.get()
            if result is None:
                left -= 1
            elif isinstance(result, RRTFError):
                raise result
            elif isinstance(result, BaseException):
                raise StageError(
                    f"a worker failed ({type(result).__name__}: {result}); finished rows are kept"
                ) from result
            else:
                yield result[0]
    finally:
        stop.set()
        until = time.monotonic() + _PATIENCE_S
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
