"""What `rrtf evolve` leaves behind: the problem set, its lineage, and every rejected draft with its reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from rrtf_ray.errors import StageError
from rrtf_ray.evolve.records import JudgedDraft, Rejection
from rrtf_ray.evolve.seeds import LINEAGE
from rrtf_ray.problems.dataset import write_problems
from rrtf_ray.store.files import join, write_bytes, writing

REJECTED = "rejected.jsonl"
_LONGEST = 160


@dataclass(slots=True)
class Counts:
    """Of all rounds. examples: the first draft of each reason."""

    drafts: int = 0
    accepted: int = 0
    reasons: Counter[Rejection] = field(default_factory=Counter)
    examples: dict[Rejection, JudgedDraft] = field(default_factory=dict)

    def add(self, row: JudgedDraft) -> None:
        self.drafts += 1
        if row.rejection is None:
            self.accepted += 1
        else:
            self.reasons[row.rejection] += 1
            self.examples.setdefault(row.rejection, row)

    def table(self) -> Table:
        """The reasons, the most common first, with an example each."""
        title = f"{self.drafts} drafts, {self.accepted} accepted"
        table = Table("rejected because", "drafts", "share", "for example", title=title)
        for reason, number in self.reasons.most_common():
            row = self.examples[reason]
            detail = " ".join(row.detail.split())
            shown = detail if len(detail) <= _LONGEST else f"{detail[:_LONGEST]} ..."
            table.add_row(reason.value, str(number), f"{number / self.drafts:.1%}", f"{row.id}: {shown}")
        return table


def write_results(
    output: str, rows: Iterable[JudgedDraft], accepted: Sequence[JudgedDraft], about: dict[str, Any]
) -> Counts:
    """Write what there is to be written, the problem set last; returns the counts.

    rows: all, in order. accepted: those of them that are problems. about: for the manifest.

    Raises StageError where there is no problem to write; rejected drafts are written all the same.
    """
    counts = Counts()
    with writing(join(output, REJECTED)) as stream:
        for row in rows:
            counts.add(row)
            if row.rejection is not None:
                stream.write(_line(_rejected(row)))
    lineage = b"".join(_line(_lineage(row)) for row in accepted)
    if not accepted:
        return counts
    write_bytes(join(output, LINEAGE), lineage)
    problems = (row.problem for row in accepted if row.problem is not None)
    write_problems(problems, output, source="rrtf evolve", about=about | {"drafts": counts.drafts})
    return counts


def none_accepted(output: str, counts: Counts) -> StageError:
    """Where nothing became a problem."""
    most = counts.reasons.most_common(1)[0][0]
    return StageError(
        f"none of {counts.drafts} drafts became a problem, most often {most.value!r} ({counts.examples[most].detail}); "
        f"all are in {join(output, REJECTED)}"
    )


def _rejected(row: JudgedDraft) -> dict[str, Any]:
    draft = row.draft
    return {
        "id": row.id,
        "reason": row.rejection,
        "detail": row.detail,
        **asdict(draft.task.lineage),
        "statement": draft.statement.text,
        "solutions": [answer.text for answer in draft.solutions],
        "inputs": draft.inputs.text if draft.inputs else "",
    }


def _lineage(row: JudgedDraft) -> dict[str, Any]:
    assert row.card is not None
    return {"id": row.id, **asdict(row.draft.task.lineage), "card": asdict(row.card)}


def _line(row: dict[str, Any]) -> bytes:
    return (json.dumps(row) + "\n").encode()
