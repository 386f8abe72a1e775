"""Run a plan and time it from when its first actor is ready: a run pays for the start of an engine or a sandbox once,
whatever its length."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from rrtf_ray.stages.actors import ExecuteActor, SampleActor
from rrtf_ray.stages.stream import Step, run_plan
from rrtf_ray.store.rows import RowStore


class TimedSampleActor(SampleActor):
    """Records when its engine is ready."""

    def __init__(self, ready_file: str, **options: Any) -> None:
        super().__init__(**options)
        Path(ready_file).write_text(repr(time.time()))


class TimedExecuteActor(ExecuteActor):
    """Records when its sandbox is ready."""

    def __init__(self, ready_file: str, **options: Any) -> None:
        super().__init__(**options)
        Path(ready_file).write_text(repr(time.time()))


def run_timed(source: RowStore, sink: RowStore, steps: list[Step], rows_per_block: int) -> tuple[int, float]:
    """Tokens sampled, and seconds from the first actor's readiness to the last row on disk."""
    first, *rest = steps
    timed_class = TimedSampleActor if first.function is SampleActor else TimedExecuteActor
    with tempfile.TemporaryDirectory(prefix="rrtf-bench-") as folder:
        ready = Path(folder) / "ready"
        options = first.arguments["fn_constructor_kwargs"] | {"ready_file": str(ready)}
        timed = Step(timed_class, first.arguments | {"fn_constructor_kwargs": options})
        plan = run_plan(source, sink, [timed, *rest], set(), rows_per_block=rows_per_block, no_progress_s=600)
        tokens = sum(part.tokens for part in plan)
        return tokens, time.time() - float(ready.read_text())
