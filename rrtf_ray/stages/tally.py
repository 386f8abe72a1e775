"""Counts of a stage's rows, taken from their Arrow columns: no record is rebuilt to be counted.

A part is counted by the task that publishes it; a finished store by a few columns, part by part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rrtf_ray.core.evaluation import Judged
from rrtf_ray.evolve.records import JudgedDraft
from rrtf_ray.records import Group, Judgements, Outcome, Problem, Ranking, Source
from rrtf_ray.store.rows import RowStore

_COLUMNS: dict[type, tuple[str, ...]] = {
    Group: (
        "problem.id",
        "error",
        "candidates.list.element.source",
        "candidates.list.element.num_tokens",
        "candidates.list.element.verdict.outcome",
    ),
    Ranking: ("problem_id", "reason", "candidates.list.element.candidate_id"),
    Problem: ("id", "answers.list.element.model", "answers.list.element.fault"),
    Judgements: ("problem_id", "comparisons.list.element.left"),
    JudgedDraft: ("id", "rejection"),
}
"""What is read of a store to count it."""


@dataclass(frozen=True, slots=True)
class Count:
    """How often something was seen."""

    what: str
    number: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts that add up over parts. Handed from the publishing tasks to the driver, a row for each part.

    tokens: sampled by an engine. outcomes: of candidates with a verdict. reasons: for groups their errors, for
    rankings why they cannot be trained on (`ranked` if they can), for problems what teachers answered, for drafts why
    they were rejected (`accepted` if not).
    """

    rows: int = 0
    candidates: int = 0
    tokens: int = 0
    outcomes: tuple[Count, ...] = ()
    reasons: tuple[Count, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.rows + other.rows,
            self.candidates + other.candidates,
            self.tokens + other.tokens,
            counts_of(numbers(self.outcomes) + numbers(other.outcomes)),
            counts_of(numbers(self.reasons) + numbers(other.reasons)),
        )

    @property
    def sandbox_errors(self) -> int:
        return numbers(self.outcomes)[Outcome.SANDBOX_ERROR.value]

    @property
    def judged(self) -> int:
        """Candidates with a verdict, sandbox errors included."""
        return sum(count.number for count in self.outcomes)

    def as_manifest(self) -> dict[str, Any]:
        """Plain values for a stage's manifest."""
        return {
            "rows": self.rows,
            "candidates": self.candidates,
            "tokens": self.tokens,
            "outcomes": dict(numbers(self.outcomes)),
            "reasons": dict(numbers(self.reasons)),
        }


def tally_of_manifest(manifest: Mapping[str, Any]) -> Tally:
    """What `Tally.as_manifest` wrote."""
    return Tally(
        manifest["rows"],
        manifest["candidates"],
        manifest["tokens"],
        counts_of(Counter(manifest["outcomes"])),
        counts_of(Counter(manifest["reasons"])),
    )


def numbers(counts: tuple[Count, ...]) -> Counter[str]:
    """Counts as a Counter."""
    return Counter({count.what: count.number for count in counts})


def counts_of(found: Counter[str]) -> tuple[Count, ...]:
    """A Counter as counts, the most common first."""
    return tuple(Count(what, number) for what, number in found.most_common() if number)


def tally_of(table: pa.Table, record: type) -> Tally:
    """The counts of a table of groups, rankings, answered problems, judgements or judged drafts."""
    if record is Problem:
        return Tally(table.num_rows, reasons=counts_of(_answers(table)))
    if record is Judgements:
        return Tally(table.num_rows, reasons=counts_of(Counter(pairs=_length(table.column("comparisons")))))
    if record is JudgedDraft:
        return Tally(table.num_rows, reasons=counts_of(_counted(table.column("rejection").fill_null("accepted"))))
    candidates = pc.list_flatten(table.column("candidates"))
    if record is Group:
        outcomes = pc.struct_field(candidates, ["verdict", "outcome"])
        reasons = _counted(table.column("error"))
        reasons.pop("", None)
        tokens = pc.sum(pc.struct_field(candidates, "num_tokens")).as_py() or 0
        return Tally(
            table.num_rows, len(candidates), tokens, counts_of(_counted(outcomes.drop_null())), counts_of(reasons)
        )
    reasons = _counted(table.column("reason").fill_null("ranked"))
    return Tally(table.num_rows, len(candidates), reasons=counts_of(reasons))


def tally_of_store(store: RowStore) -> Tally:
    """The counts of all rows of a store. Memory: one part."""
    return sum((tally_of(table, store.record) for table in store.columns(*_COLUMNS[store.record])), Tally())


def _answers(table: pa.Table) -> Counter[str]:
    """How many answers of each teacher can be used, and what is wrong with the others."""
    answers = pc.list_flatten(table.column("answers"))
    faults = pc.struct_field(answers, "fault").fill_null("answers")
    return _counted(pc.binary_join_element_wise(pc.struct_field(answers, "model"), faults, " "))


def _length(lists: pa.ChunkedArray) -> int:
    """Items of all lists."""
    total: int = pc.sum(pc.list_value_length(lists)).as_py() or 0
    return total


def _counted(values: pa.ChunkedArray) -> Counter[str]:
    return Counter({entry["values"]: entry["counts"] for entry in pc.value_counts(values).to_pylist()})


def judged_of(groups: RowStore[Group]) -> Iterator[Judged]:
    """What evaluation needs of each group."""
    for table in groups.columns(*_COLUMNS[Group]):
        yield from _judged_of(table)


def _judged_of(groups: pa.Table) -> Iterator[Judged]:
    candidates = groups.column("candidates").combine_chunks()
    found = candidates.flatten()
    students = pc.equal(pc.struct_field(found, "source"), Source.STUDENT.value).to_pylist()
    members = {outcome.value: outcome for outcome in Outcome}
    outcomes = [members.get(value) for value in pc.struct_field(found, ["verdict", "outcome"]).to_pylist()]
    ids = pc.struct_field(groups.column("problem"), "id").to_pylist()
    start = 0
    for id_, error, size in zip(ids, groups.column("error").to_pylist(), _lengths(candidates), strict=True):
        place = slice(start, start + size)
        yield Judged(
            id_, tuple(o for o, mine in zip(outcomes[place], students[place], strict=True) if mine), bool(error)
        )
        start += size


def ids_with_sandbox_errors(groups: RowStore[Group]) -> set[str]:
    """Groups with a candidate that could not be judged."""
    return {id_ for table in groups.columns(*_COLUMNS[Group]) for id_ in _unjudged(table)}


def _unjudged(groups: pa.Table) -> list[str]:
    candidates = groups.column("candidates").combine_chunks()
    outcomes = pc.struct_field(candidates.flatten(), ["verdict", "outcome"])
    broken = pc.equal(outcomes, Outcome.SANDBOX_ERROR.value).fill_null(False)
    rows = pc.list_parent_indices(candidates).filter(broken).unique()
    ids: list[str] = pc.struct_field(groups.column("problem"), "id").take(rows).to_pylist()
    return ids


def _lengths(lists: pa.Array) -> list[int]:
    return pc.list_value_length(lists).to_pylist()
