"""One streaming Ray Data plan from a row store to a row store.

    read -> leave out finished rows -> small blocks -> the stages' actors -> publish parts -> summaries to the driver

Rows are published by the workers as soon as `rows_per_part` of them are ready, so that a killed run loses at
most the rows in flight; the driver sees only one small summary a part, so that its memory does not grow.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa
import ray

from rrtf_ray.records import Group, Outcome, Ranking
from rrtf_ray.schemas import from_table
from rrtf_ray.store.files import resolve
from rrtf_ray.store.rows import RowStore, ids_of

ROWS_PER_PART = 64
LIGHT = 0.05
"""CPUs of a task that reads or writes: it must not take a core's place from the stages."""


@dataclass(frozen=True, slots=True)
class Step:
    """One `map_batches` of a plan: the callable (class for actors, function for tasks) and how Ray runs it."""

    function: Callable[..., Any]
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """Counts that add up over parts: rows, candidates, tokens, and whatever the record is counted by."""

    rows: int = 0
    candidates: int = 0
    tokens: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        self.rows += other.rows
        self.candidates += other.candidates
        self.tokens += other.tokens
        self.outcomes += other.outcomes
        self.reasons += other.reasons


def tally_of(records: list[Any]) -> Tally:
    """What the rows of a part add to the stage's counts."""
    tally = Tally(rows=len(records))
    for record in records:
        tally.candidates += len(record.candidates)
        if isinstance(record, Group):
            tally.tokens += sum(c.num_tokens for c in record.candidates)
            tally.outcomes.update(c.verdict.outcome.value for c in record.candidates if c.verdict)
            if record.error:
                tally.reasons[record.error] += 1
        elif isinstance(record, Ranking):
            tally.reasons[record.reason.value if record.reason else "ranked"] += 1
    return tally


class Publish:
    """The plan's last step: writes a part and hands on its tally."""

    def __init__(self, store: RowStore) -> None:
        self._store = store

    def __call__(self, table: pa.Table) -> pa.Table:
        if table.num_rows == 0:
            return pa.table({"tally": pa.array([], pa.string())})
        tally = tally_of(from_table(self._store.record, table))
        self._store.write_table(table)
        row = {
            "rows": tally.rows,
            "candidates": tally.candidates,
            "tokens": tally.tokens,
            "outcomes": tally.outcomes,
            "reasons": tally.reasons,
        }
        return pa.table({"tally": [json.dumps(row)]})


def finished_tally(sink: RowStore) -> Tally:
    """What the rows count for that are in the store already."""
    tally = Tally()
    for record in sink.read():
        tally.add(tally_of([record]))
    return tally


def ids_with_sandbox_errors(sink: RowStore) -> set[str]:
    """Groups of which a candidate could not be judged."""
    return {
        group.problem.id
        for group in sink.read()
        if any(c.verdict and c.verdict.outcome is Outcome.SANDBOX_ERROR for c in group.candidates)
    }


def run_plan(
    source: RowStore,
    sink: RowStore,
    steps: list[Step],
    done: set[str],
    *,
    rows_per_block: int,
    no_progress_s: float,
    rows_per_part: int = ROWS_PER_PART,
) -> Iterator[Tally]:
    """Run the rows of `source` that are not in `done` through the steps into `sink`; yields a tally a part."""
    context = ray.data.DataContext.get_current()
    context.execution_no_progress_timeout_s = no_progress_s
    filesystem, _ = resolve(source.uri)
    dataset = ray.data.read_parquet(
        source.parts(),
        filesystem=filesystem,
        partitioning=None,
        override_num_blocks=len(source.parts()),
        num_cpus=LIGHT,
    )
    if done:
        dataset = dataset.map_batches(
            partial(_leave_out, done=frozenset(done), id_column=source.id_column),
            batch_format="pyarrow",
            num_cpus=LIGHT,
        )
    dataset = dataset.repartition(target_num_rows_per_block=rows_per_block)
    for step in steps:
        dataset = dataset.map_batches(step.function, batch_format="pyarrow", **step.arguments)
    dataset = dataset.map_batches(Publish(sink), batch_format="pyarrow", batch_size=rows_per_part, num_cpus=LIGHT)
    for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        assert isinstance(batch, pa.Table)
        for text in batch.column("tally").to_pylist():
            row = json.loads(text)
            yield Tally(
                row["rows"],
                row["candidates"],
                row["tokens"],
                Counter(row["outcomes"]),
                Counter(row["reasons"]),
            )


def _leave_out(table: pa.Table, done: frozenset[str], id_column: str) -> pa.Table:
    return table.filter(pa.array([i not in done for i in ids_of(table, id_column).to_pylist()], pa.bool_()))
