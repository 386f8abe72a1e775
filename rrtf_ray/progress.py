"""What a person sees: one line at the end of each stage, and a bar while it works, where a terminal is there.

Without a terminal (a job's log, CI) the bar becomes a line every quarter of a minute.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_EVERY_S = 15.0

console = Console(highlight=False, soft_wrap=True)


class Bar:
    """Progress of one stage: `advance` it by rows done, with a short text on how it goes."""

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
    """A bar for the time of the block; `done` rows are finished already."""
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
