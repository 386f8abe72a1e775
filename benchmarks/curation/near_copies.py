"""How many of the copies in the labelled set `rrtf problems dedup` finds, and how much of what it finds are copies, at
its default threshold; with all parts of a problem, and (`prompt_only`) by the prompt's words alone."""

from __future__ import annotations

from typing import Any

from benchmarks.curation.labelled import COPIES, Labelled, make
from rrtf_ray.core.similarity import NEAR
from rrtf_ray.curation.copies import Copy
from rrtf_ray.curation.repeats import find_repeats

GOALS = {"near_copy_recall": ">= 0.95", "near_copy_precision": ">= 0.98"}
ORIGINALS = 300


def measure(originals: int = ORIGINALS, seed: int = 0) -> dict[str, Any]:
    """Recall and precision, and the recall for each kind of copy."""
    labelled = make(originals, seed)
    found = find_repeats(labelled.problems)
    by_prompt = find_repeats(labelled.problems, parts=("prompt",))
    return {
        "near_copy_recall": round(recall(labelled, found), 4),
        "near_copy_precision": round(precision(labelled, found), 4),
        "threshold": NEAR,
        "labelled_problems": len(labelled.problems),
        "recall_by_kind": {kind: round(recall(labelled, found, kind), 4) for kind in COPIES},
        "prompt_only": {
            "paraphrase recall": round(recall(labelled, by_prompt, "paraphrase"), 4),
            "precision": round(precision(labelled, by_prompt), 4),
        },
    }


def recall(labelled: Labelled, found: list[Copy], kind: str = "") -> float:
    """Share of the copies (of one kind) that were found as copies of something in their family."""
    wanted = {id_ for id_ in labelled.copy_of if kind in ("", labelled.kinds[id_])}
    right = {copy.id for copy in found if _is_right(labelled, copy)}
    return len(wanted & right) / len(wanted)


def precision(labelled: Labelled, found: list[Copy]) -> float:
    """Share of what was found that is a copy of what it is said to be one of."""
    return sum(_is_right(labelled, copy) for copy in found) / len(found)


def _is_right(labelled: Labelled, copy: Copy) -> bool:
    family = [labelled.copy_of.get(id_, id_) for id_ in (copy.id, copy.of)]
    return copy.id in labelled.copy_of and family[0] == family[1]
