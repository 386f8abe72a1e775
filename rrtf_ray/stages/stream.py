"""One streaming Ray Data plan from a row store to a row store.

    read -> leave out finished rows -> small blocks -> the stages' actors -> publish parts -> summaries to the driver

The workers publish rows as soon as ROWS_PER_PART of them are ready, so a killed run loses at most the rows in flight;
the driver sees one small tally per part, so its memory does not grow with the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa
import ray

from rrtf_ray.records import Ranking
from rrtf_ray.schemas import from_table, schema_of, to_table
from rrtf_ray.stages.tally import Tally, tally_of
from rrtf_ray.store.files import resolve
from rrtf_ray.store.rows import RowStore, ids_of

ROWS_PER_PART = 64
LIGHT = 0.05
"""CPUs of a task that reads or writes: it must not take a core's place from the stages."""
RANKING = "ranking"
"""The column of rankings beside the columns of their groups, in tables between execution and publication."""


@dataclass(frozen=True, slots=True)
class Step:
    """One `map_batches` of a plan: the callable (class for actors, function for tasks) and how Ray runs it."""

    function: Callable[..., Any]
    arguments: dict[str, Any] = field(default_factory=dict)


class Publish:
    """The plan's last step: writes a part and hands on its tally.

    A table that carries rankings beside its groups (RANKING) becomes a part of each store. The groups come
    first: a group without its ranking is ranked later, a ranking without its group would never be noticed.
    """

    def __init__(self, store: RowStore, rankings: RowStore[Ranking] | None = None) -> None:
        self._store = store
        self._rankings = rankings

    def __call__(self, table: pa.Table) -> pa.Table:
        if table.num_rows == 0:
            return schema_of(Tally).empty_table()
        rows = table
        if self._rankings is not None:
            rows = table.drop_columns([RANKING])
        self._store.write_table(rows)
        if self._rankings is not None:
            batches = [pa.RecordBatch.from_struct_array(chunk) for chunk in table.column(RANKING).chunks]
            self._rankings.write_table(pa.Table.from_batches(batches))
        return to_table([tally_of(rows, self._store.record)], Tally)


def run_plan(
    source: RowStore,
    sink: RowStore,
    steps: list[Step],
    done: set[str],
    *,
    rows_per_block: int,
    no_progress_s: float,
    rankings: RowStore[Ranking] | None = None,
) -> Iterator[Tally]:
    """Run the rows of `source` that are not in `done` through the steps into `sink`, and the rankings that come with
    them into `rankings`; yields one tally per part of `sink`."""
    context = ray.data.DataContext.get_current()
    context.execution_no_progress_timeout_s = no_progress_s
    context.raise_original_map_exception = True  # else an error of ours is left in a text
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
    dataset = dataset.map_batches(
        Publish(sink, rankings), batch_format="pyarrow", batch_size=ROWS_PER_PART, num_cpus=LIGHT
    )
    for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        assert isinstance(batch, pa.Table)
        yield from from_table(Tally, batch)


def _leave_out(table: pa.Table, done: frozenset[str], id_column: str) -> pa.Table:
    return table.filter(pa.array([i not in done for i in ids_of(table, id_column).to_pylist()], pa.bool_()))
