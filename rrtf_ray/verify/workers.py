"""Threads that judge batches of samples, each with a sandbox of its own.

A sandbox works in processes of its own, so threads are enough here. The threads are daemons: an interrupted command
need not wait for running programs, because a sandbox ends with the process that owns it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue

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
_Finished = SimpleQueue[tuple[Batch, list[Verdict]] | BaseException]


def judged(
    batches: Iterable[Batch],
    samples: Sequence[Sample],
    problems: Mapping[str, Problem],
    open_sandbox: Callable[[], Sandbox],
    workers: int,
) -> Iterator[tuple[Batch, list[Verdict]]]:
    """Batches, or parts of them, with their verdicts, in the order in which they are finished.

    Raises:
        SandboxError: a sandbox cannot be started.
        StageError: a worker failed otherwise. Batches that were yielded are good.
    """
    waiting: SimpleQueue[Batch] = SimpleQueue()
    left = 0
    for batch in batches:
        waiting.put(batch)
        left += len(batch)
    finished: _Finished = SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        try:
            with open_sandbox() as sandbox:
                size, batch = 1, waiting.get_nowait()
                while not stop.is_set():
                    part, batch = batch[:size], batch[size:]
                    problem = problems[samples[part[0]].problem_id]
                    programs = [samples[position].program(problem) for position in part]
                    started = time.monotonic()
                    finished.put((part, run_problem(sandbox, problem, programs, calibrate=False)))
                    size = max(1, int(len(part) * _CALL_S / (time.monotonic() - started + 1e-6)))
                    batch = batch or waiting.get_nowait()
        except Empty:
            return
        except BaseException as error:  # whatever it is, the command must not wait for this thread
            finished.put(error)

    num_threads = min(workers, waiting.qsize())
    threads = [threading.Thread(target=work, name=f"verify-{i}", daemon=True) for i in range(num_threads)]
    try:
        for thread in threads:
            thread.start()
        while left:
            result = finished.get()
            if isinstance(result, RRTFError):
                raise result
            if isinstance(result, BaseException):
                raise StageError(
                    f"a worker failed ({type(result).__name__}: {result}); finished rows are kept"
                ) from result
            left -= len(result[0])
            yield result
    finally:
        stop.set()
        until = time.monotonic() + _PATIENCE_S
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
