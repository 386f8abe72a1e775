"""What was said so far (a minimal stand-in until the ranking part is merged)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rrtf_ray.records import Vote


def status_of(votes: Sequence[Vote]) -> dict[str, Any]:
    """Counts of votes."""
    return {"votes": len(votes), "annotators": dict(Counter(vote.annotator for vote in votes))}


def status_text(status: dict[str, Any]) -> str:
    """The same for a person."""
    return "\n".join(f"{name}: {value}" for name, value in status.items())
