"""From editors' events (serving.events) to votes.

At one place in the code, a completion that was taken is better than one that was dismissed, and what the user made of a
completion is better than the completion. An acceptance alone compares nothing and gives no vote. Events without code
(gateway.events_code off) give none either, and are counted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from rrtf_ray.errors import DataError, InputError
from rrtf_ray.feedback.database import FeedbackDatabase
from rrtf_ray.identity import fingerprint
from rrtf_ray.records import Arm, Choice, Vote, VoteSource

_FIELDS: dict[str, Any] = {"at": (int, float), "event": str, "completion_id": str, "choice_index": int, "key": str}


@dataclass(frozen=True, slots=True)
class Imported:
    """events: read. without_code: of them, those that only have digests. votes: that were new to the database."""

    events: int
    without_code: int
    votes: int


@dataclass(slots=True)
class _Place:
    """What one user did at one place in the code. better: pairs of what the user wrote and what it was made of."""

    prompt: str
    suffix: str
    at: float = 0.0
    taken: set[str] = field(default_factory=set)
    dismissed: set[str] = field(default_factory=set)
    better: set[tuple[str, str]] = field(default_factory=set)


def import_events(folder: str, database: FeedbackDatabase) -> Imported:
    """Votes of the events in a folder (gateway.events). Imported again, the same events add nothing.

    Raises InputError for a folder without events, DataError naming file and line for one that cannot be read.
    """
    read = without_code = 0
    places: dict[tuple[str, str, str], _Place] = {}
    for event in _events_in(folder):
        read += 1
        if "text" not in event:
            without_code += 1
            continue
        key = event["key"], event["prompt"], event["suffix"]
        place = places.setdefault(key, _Place(event["prompt"], event["suffix"]))
        place.at = max(place.at, event["at"])
        match event["event"]:
            case "accepted":
                place.taken.add(event["text"])
            case "rejected":
                place.dismissed.add(event["text"])
            case "edited":
                place.better.add((event["edited"], event["text"]))
    known = _problems_by_prompt(database)
    votes = sum(_store(place, key[0], known, database) for key, place in places.items())
    return Imported(read, without_code, votes)


def _store(place: _Place, annotator: str, known: dict[str, str], database: FeedbackDatabase) -> int:
    """Store what was done at a place as votes; returns how many were new."""
    # What was taken in one moment and dismissed in another says nothing.
    undecided = place.taken & place.dismissed
    pairs = place.better | set(product(place.taken - undecided, place.dismissed - undecided))
    pairs = {(winner, loser) for winner, loser in pairs if winner.rstrip() != loser.rstrip()}
    if not pairs:
        return 0
    problem_id = known.get(place.prompt) or f"editor/{fingerprint(place.prompt, place.suffix)}"
    digests: dict[str, str] = {}
    for text in {text for pair in pairs for text in pair}:
        code = place.prompt + text + place.suffix
        (digests[text],) = database.add_problem(problem_id, place.prompt, [code])
    return database.add(
        Vote(
            id=fingerprint("editor", annotator, problem_id, digests[winner], digests[loser]),
            problem_id=problem_id,
            left=digests[winner],
            right=digests[loser],
            choice=Choice.LEFT,
            annotator=annotator or "editor",
            source=VoteSource.EDITOR,
            at=place.at,
            arm=Arm.IMPORT,
        )
        for winner, loser in sorted(pairs)
    )


def _problems_by_prompt(database: FeedbackDatabase) -> dict[str, str]:
    """The ids of the problems that are known, so that votes on their prompts reach them."""
    found: dict[str, list[str]] = defaultdict(list)
    for problem_id, prompt in database.problems():
        found[prompt].append(problem_id)
    return {prompt: ids[0] for prompt, ids in found.items() if len(ids) == 1}


def _events_in(folder: str) -> Iterator[dict[str, Any]]:
    files = sorted(Path(folder).glob("*.jsonl"))
    if not files:
        raise InputError(f"{folder!r} has no events (*.jsonl); name the folder of gateway.events")
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                event = json.loads(line)
                if not all(isinstance(event[name], kinds) for name, kinds in _FIELDS.items()):
                    raise TypeError
            except (ValueError, KeyError, TypeError):
                raise DataError(
                    f"{file}:{number}: not an event with {', '.join(_FIELDS)}; remove the line if the service was "
                    "killed while it wrote it"
                ) from None
            yield event
