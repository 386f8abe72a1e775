"""Judgements: from a judge's answers in both orders to votes, and how far the judge can be trusted.

A judge that chooses by place rather than by program contradicts itself when the places are exchanged: its vote is then
a tie, and counts as position bias.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rrtf_ray.core.agreement import label_of, unit_of
from rrtf_ray.core.metrics import interval_of_mean
from rrtf_ray.identity import fingerprint
from rrtf_ray.records import Choice, Comparison, Judgements, Vote, VoteSource
from rrtf_ray.teachers.prompts import RUBRIC

_VERDICT = re.compile(r"^\W*better\W+(1|2|equal)\b\W*$", re.IGNORECASE | re.MULTILINE)
_SAID = {"1": Choice.LEFT, "2": Choice.RIGHT, "equal": Choice.BOTH_GOOD}
TURNED = "the choice changed with the order"
"""The reason of a vote that is a tie because the judge contradicted itself."""


def choice_in(text: str) -> Choice | None:
    """What an answer says: LEFT is the program that was shown first. None for an answer without a verdict."""
    found = _VERDICT.findall(text)
    return _SAID[found[-1].lower()] if found else None


def vote_of(judgements: Judgements, comparison: Comparison, name: str, model: str) -> Vote | None:
    """The vote of a comparison; None without both answers. The same programs give the same vote's id in any round.

    name: the judge's, under `teachers` in the configuration.
    """
    c = comparison
    if c.left_first is None or c.right_first is None:
        return None
    agrees = c.left_first is _exchanged(c.right_first)
    tie = Choice.BOTH_GOOD if c.passing else Choice.BOTH_BAD
    decided = agrees and c.left_first in (Choice.LEFT, Choice.RIGHT)
    return Vote(
        id=fingerprint("judge", name, model, RUBRIC, judgements.problem_id, c.left, c.right),
        problem_id=judgements.problem_id,
        left=c.left,
        right=c.right,
        choice=c.left_first if decided else tie,
        annotator=f"judge:{name}",
        source=VoteSource.JUDGE,
        at=c.at,
        seconds=c.seconds,
        reason="" if agrees else TURNED,
        rubric=RUBRIC,
        saw_tests=False,
    )


def _exchanged(choice: Choice) -> Choice:
    return {Choice.LEFT: Choice.RIGHT, Choice.RIGHT: Choice.LEFT}.get(choice, choice)


@dataclass(frozen=True, slots=True)
class Trust:
    """How a judge did.

    pairs: compared. answered: in both orders. turned: with another choice in each order. first, decided: answers that
    chose the program shown first, of those that chose one. agreed, shared: votes of people on the same pairs that say
    the same, of all.
    """

    pairs: int = 0
    answered: int = 0
    ordered: int = 0
    turned: int = 0
    first: int = 0
    decided: int = 0
    agreed: int = 0
    shared: int = 0

    def __str__(self) -> str:
        text = f"{self.pairs} pairs, {self.answered} answered in both orders: {self.ordered} ordered, "
        text += f"{self.answered - self.ordered - self.turned} equal, {self.turned} turned with the order"
        if self.decided:
            text += f"; position bias: the first place won {_share(self.first, self.decided)} of its choices"
        if self.shared:
            text += f"; agrees with {_share(self.agreed, self.shared)} of people's {self.shared} votes on these pairs"
        return text


def _share(part: int, whole: int) -> str:
    return str(interval_of_mean([1.0] * part + [0.0] * (whole - part)))


def trust_of(judged: Iterable[Comparison], votes: Sequence[Vote], people: Iterable[Vote]) -> Trust:
    """How a judge did in these comparisons. votes: of the judge; people: of people, whatever the pairs."""
    judged = list(judged)
    answers = [a for c in judged for a in (c.left_first, c.right_first) if a in (Choice.LEFT, Choice.RIGHT)]
    mine = {unit_of(vote): label_of(vote) for vote in votes}
    shared = [
        label is mine[unit]
        for vote in people
        if (unit := unit_of(vote)) in mine and (label := label_of(vote)) is not None
    ]
    return Trust(
        pairs=len(judged),
        answered=len(votes),
        ordered=sum(vote.choice in (Choice.LEFT, Choice.RIGHT) for vote in votes),
        turned=sum(vote.reason == TURNED for vote in votes),
        first=sum(a is Choice.LEFT for a in answers),
        decided=len(answers),
        agreed=sum(shared),
        shared=len(shared),
    )
