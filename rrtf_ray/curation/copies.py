"""What is found: a problem, the one that it is a copy of, and why."""

from __future__ import annotations

from dataclasses import dataclass

from rrtf_ray.curation.keys import Reason


@dataclass(frozen=True, slots=True)
class Copy:
    """A problem that is left out.

    of: the id of the problem that it is a copy of. where: the set that has that one; empty for the same set.
    similarity: Jaccard's for a near copy, 1 for any other reason. kept: what is left of its cluster (same set only).
    """

    id: str
    of: str
    reason: Reason
    similarity: float = 1.0
    where: str = ""
    kept: str = ""
