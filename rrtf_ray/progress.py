"""What a person sees: one line at the end of each stage and, at a terminal, a bar while it works.

Without a terminal (a job's log, CI) the bar becomes a line every 15 seconds. During a command, what libraries write to
standard output and error, from C++ too, goes to a log file (`only_our_lines`).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_EVERY_S = 15.0

# Without emoji: a program's `[:x:]` is no picture.
console = Console(highlight=False, soft_wrap=True, emoji=False)


class Bar:
    """Progress of one stage: `advance` it by the rows done, with a short note."""

    def __init__(self, name: str, total: int, progress: Progress | None) -> None:
        self._name = name
        self._total = total
        self._done = 0
        self._progress = progress
        self._task = progress.add_task(name, total=total, note="") if progress else None
        self._last_line = time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        self._done += count
        if self._progress and self._task is not None:
            self._progress.update(self._task, advance=count, note=note)
        elif time.monotonic() - self._last_line > LINE_EVERY_S:
            self._last_line = time.monotonic()
            say(f"{self._name}: {self._done}/{self._total} {note}".rstrip())


@contextmanager
def bar(name: str, total: int, done: int = 0) -> Iterator[Bar]:
    """A bar for the duration of the block; `done` rows are already finished."""
    if not console.is_terminal:
        shown = Bar(name, total, None)
        shown.advance(done)
        yield shown
        return
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        shown = Bar(name, total, progress)
        shown.advance(done)
        yield shown


def say(text: str) -> None:
    """One line for the person at the terminal."""
    console.print(text, markup=False)


@contextmanager
def only_our_lines(log_path: str, *, to_stderr: bool = False) -> Iterator[None]:
    """During the block, the process's standard output and error are appended to `log_path`. This module's lines still
    reach the person: on standard output, or with `to_stderr` on standard error, which leaves standard output to a
    result that a program reads."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept_out, kept_err = os.dup(1), os.dup(2)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    console.file = os.fdopen(
        os.dup(kept_err if to_stderr else kept_out), "w", encoding="utf-8", errors="replace", buffering=1
    )
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        # None: whatever standard output is by then.
        shown, console.file = console.file, None  # type: ignore[assignment]
        shown.flush()
        os.dup2(kept_out, 1)
        os.dup2(kept_err, 2)
        shown.close()
        os.close(kept_out)
        os.close(kept_err)
