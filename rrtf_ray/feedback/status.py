"""What the votes so far say of the people and judges who cast them: numbers, agreement, and conflicts to settle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from rich.markup import escape
from rich.table import Table

from rrtf_ray.core.agreement import (
    Agreement,
    Ratings,
    Unit,
    agreement,
    common_label,
    label_of,
    position_bias,
    ratings_of,
    self_consistency,
    unit_of,
)
from rrtf_ray.core.metrics import Estimate
from rrtf_ray.progress import console, say
from rrtf_ray.records import Arm, Choice, Vote, VoteSource

PAUSE_S = 600.0
"""Longer between two votes of an annotator is a pause, not activity."""
MOST_SHOWN = 20
"""Conflicts in the table for a person."""
LACKING = "too few votes"


def status_of(votes: Sequence[Vote]) -> dict[str, Any]:
    """All figures as JSON values; null where the votes cannot give one (docs/votes.md has the fields)."""
    by_annotator: dict[tuple[VoteSource, str], list[Vote]] = defaultdict(list)
    for vote in votes:
        by_annotator[vote.source, vote.annotator].append(vote)
    people = [vote for vote in votes if vote.source is VoteSource.PERSON]
    ratings = ratings_of(people)
    order = sorted(by_annotator, key=lambda key: (list(VoteSource).index(key[0]), key[1]))
    return {
        "votes": sum(label_of(vote) is not None for vote in votes),
        "skipped": sum(label_of(vote) is None for vote in votes),
        "pairs": len({unit_of(vote) for vote in votes if label_of(vote) is not None}),
        "annotators": [_annotator(*key, by_annotator[key]) for key in order],
        "people": _agreement(agreement(ratings)),
        "judges": [
            {"judge": name, **_agreement(_with_people(by_annotator[source, name], ratings))}
            for source, name in order
            if source is VoteSource.JUDGE
        ],
        "conflicts": _conflicts(people, ratings, settled=_settled(votes)),
    }


def _annotator(source: VoteSource, name: str, votes: Sequence[Vote]) -> dict[str, Any]:
    counted = [vote for vote in votes if label_of(vote) is not None]
    seconds = [vote.seconds for vote in counted if vote.seconds > 0]
    hours = _active_hours(votes)
    sides = position_bias(counted)
    repeated, same = self_consistency(counted)
    return {
        "annotator": name,
        "source": source.value,
        "votes": len(counted),
        "skipped": len(votes) - len(counted),
        "median_seconds": round(median(seconds), 3) if seconds else None,
        "votes_per_hour": round(sum(vote.arm is not Arm.IMPORT for vote in counted) / hours, 1) if hours else None,
        "left": {"chosen": sides.left, "of": sides.total, "share": sides.share.as_dict(), "p": sides.p}
        if sides
        else None,
        "self_consistency": {"pairs": repeated, "share": _plain(same)},
    }


def _active_hours(votes: Iterable[Vote]) -> float:
    """The time between votes, without pauses, and what the first after each pause took. Imported votes have no time."""
    moments = sorted((vote.at, vote.seconds) for vote in votes if vote.arm is not Arm.IMPORT)
    total, before = 0.0, float("-inf")
    for at, seconds in moments:
        total += at - before if at - before <= PAUSE_S else min(seconds, PAUSE_S)
        before = at
    return total / 3600 if len(moments) > 1 else 0.0


def _with_people(votes: Sequence[Vote], people: Ratings) -> Agreement:
    """A judge's agreement with what most people say, as that of two annotators."""
    its = ratings_of(votes)
    return agreement(
        {
            unit: {"judge": label, "people": common_label(people[unit].values())}
            for unit, by in its.items()
            for label in by.values()
            if unit in people
        }
    )


def _settled(votes: Iterable[Vote]) -> set[Unit]:
    return {unit_of(vote) for vote in votes if vote.arm is Arm.SETTLE and label_of(vote) is not None}


def _conflicts(people: Iterable[Vote], ratings: Ratings, settled: set[Unit]) -> list[dict[str, Any]]:
    """The pairs on which people disagree and which nobody has settled, those with most votes first."""
    open_ = {unit for unit, by in ratings.items() if len(set(by.values())) > 1} - settled
    votes: dict[Unit, list[Vote]] = defaultdict(list)
    for vote in people:
        if unit_of(vote) in open_ and label_of(vote) is not None:
            votes[unit_of(vote)].append(vote)
    return [
        {"problem_id": unit[0], "first": unit[1], "second": unit[2], "votes": [_vote(vote) for vote in its]}
        for unit, its in sorted(votes.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _vote(vote: Vote) -> dict[str, Any]:
    return asdict(vote) | {"choice": vote.choice.value, "source": vote.source.value}


def _agreement(found: Agreement) -> dict[str, Any]:
    return {
        "pairs": found.units,
        "annotators": found.annotators,
        "raw": _plain(found.raw),
        "kappa": _plain(found.kappa),
        "alpha": _plain(found.alpha),
    }


def _plain(estimate: Estimate | None) -> dict[str, float] | None:
    return estimate.as_dict() if estimate else None


def print_status(status: dict[str, Any]) -> None:
    """The same as tables and sentences for a person."""
    if not status["votes"] and not status["skipped"]:
        say("no votes yet; `rrtf prefer` asks for them, and `rrtf prefer --import` reads them from a file")
        return
    say(f"{_count(status['votes'], 'vote')} on {_count(status['pairs'], 'pair')}, {status['skipped']} skipped")
    _print_annotators(status["annotators"])
    _print_agreement(status["people"], status["judges"])
    _print_conflicts(status["conflicts"])


def _print_annotators(annotators: Sequence[dict[str, Any]]) -> None:
    names = ("annotator", "kind", "votes", "skipped", "seconds", "per hour", "left chosen", "same again")
    table = Table(*names, title="Annotators (95% intervals)")
    for one in annotators:
        left, again = one["left"], one["self_consistency"]
        table.add_row(
            escape(one["annotator"]),
            one["source"],
            str(one["votes"]),
            str(one["skipped"]),
            _number(one["median_seconds"]),
            _number(one["votes_per_hour"]),
            f"{_share(left['share'])} of {left['of']}" if left else LACKING,
            f"{_share(again['share'])} of {_count(again['pairs'], 'pair')}" if again["pairs"] else LACKING,
        )
    console.print(table)
    for one in annotators:
        if one["left"] and one["left"]["p"] < 0.05:
            say(
                f"{one['annotator']} chose the left program in {one['left']['chosen']} of {one['left']['of']} cases, "
                f"which is not chance (p = {one['left']['p']:.2g}): the side matters to this annotator"
            )


def _print_agreement(people: dict[str, Any], judges: Sequence[dict[str, Any]]) -> None:
    names = ("between", "pairs", "agree", "Cohen's kappa", "Krippendorff's alpha")
    table = Table(*names, title="Agreement on pairs that both sides voted on (95% intervals)")
    rows = [(f"{people['annotators']} people" if people["annotators"] else "people", people)]
    rows += [(f"{judge['judge']} and people", judge) for judge in judges]
    for name, found in rows:
        kappa = _coefficient(found["kappa"]) if found["annotators"] in (0, 2) else "for two annotators only"
        raw = _share(found["raw"]) if found["raw"] else LACKING
        table.add_row(escape(name), str(found["pairs"]), raw, kappa, _coefficient(found["alpha"]))
    console.print(table)


def _print_conflicts(conflicts: Sequence[dict[str, Any]]) -> None:
    if not conflicts:
        return
    table = Table("problem", "first program", "second program", "votes", title="Conflicts that nobody has settled")
    for conflict in conflicts[:MOST_SHOWN]:
        said = [f"{vote['annotator']}: {_said(vote, conflict['first'])}" for vote in conflict["votes"]]
        shown = (conflict["problem_id"], conflict["first"][:8], conflict["second"][:8], "\n".join(said))
        table.add_row(*map(escape, shown))
    console.print(table)
    if len(conflicts) > MOST_SHOWN:
        say(f"and {len(conflicts) - MOST_SHOWN} more conflicts")


def _said(vote: dict[str, Any], first: str) -> str:
    if vote["choice"] not in (Choice.LEFT, Choice.RIGHT):
        return str(vote["choice"]).replace("_", " ")
    return "first" if vote[vote["choice"]] == first else "second"


def _share(estimate: dict[str, float]) -> str:
    return str(Estimate(**estimate))


def _coefficient(estimate: dict[str, float] | None) -> str:
    return "{value:.2f} [{low:.2f}, {high:.2f}]".format(**estimate) if estimate else LACKING


def _number(value: float | None) -> str:
    return LACKING if value is None else f"{value:.1f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
