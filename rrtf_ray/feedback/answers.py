"""What an annotator does with a pair: vote, take the last vote back, look at the tests.

Everything here is refused with a Refusal (4xx) that says why, and done in one transaction otherwise: what has returned
is on disk.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from rrtf_ray.feedback.database import add_missing, insert_votes
from rrtf_ray.feedback.queue import ASKED, FREE, Assignment, Queue
from rrtf_ray.feedback.tables import ASSIGNMENTS, PAIRS, PROBLEMS, PROGRAMS, RESULTS, RETRACTIONS, VOTES
from rrtf_ray.records import Arm, Choice, Vote
from rrtf_ray.serving.refusals import Refusal

_PACE = 20
"""Votes whose median time an estimate is made from."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the tests say of a program."""

    outcome: str
    passed: int
    total: int
    detail: str


Results = tuple[Result | None, Result | None]
"""Of the left and the right program; None where it was not run."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A pair as the browser gets it: no ids, models, sources, temperatures or scores."""

    id: str
    problem: str
    language: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Progress:
    """One annotator's own. left: places that are free or theirs. seconds: their median for a pair; 0 before any vote.
    last: id of the vote that `undo` would take back."""

    answered: int
    left: int
    seconds: float
    last: str | None


def shown(queue: Queue, given: list[Assignment]) -> list[Shown]:
    """The texts of assignments."""
    with queue.database.reading() as connection:
        found = []
        for a in given:
            pair = connection.execute(select(PAIRS).where(PAIRS.c.number == a.pair)).one()
            prompt = connection.scalar(select(PROBLEMS.c.prompt).where(PROBLEMS.c.problem_id == pair.problem_id))
            query = select(PROGRAMS.c.digest, PROGRAMS.c.code).where(
                PROGRAMS.c.problem_id == pair.problem_id, PROGRAMS.c.digest.in_((a.left, a.right))
            )
            codes = {row.digest: row.code for row in connection.execute(query)}
            found.append(Shown(a.id, prompt or "", pair.language, codes[a.left], codes[a.right]))
        return found


def vote(
    queue: Queue,
    annotator: str,
    *,
    vote_id: str,
    assignment_id: str,
    choice: Choice,
    seconds: float = 0.0,
    reason: str = "",
) -> tuple[str, Results | None]:
    """Store a vote; the same id again changes nothing. Returns the problem's id, and what the tests say (None where the
    pair comes back to the annotator).

    Raises Refusal for an assignment that is not the annotator's (404), and (409) for one that has another vote, whose
    pair is closed, or was given to somebody else when the lease had ended.
    """
    with queue.database.writing() as connection:
        given, pair = _mine(queue, connection, annotator, assignment_id)
        before = connection.execute(select(VOTES).where(VOTES.c.id == vote_id)).first()
        if before is not None and given.vote_id == vote_id and given.state == "voted":
            return pair.problem_id, None
        if before is not None:
            raise Refusal(409, f"the vote {vote_id!r} was taken back, or is on another pair; make a new id")
        if given.state == "voted":
            raise Refusal(409, "this pair has your vote already; take that back first (u)")
        if pair.closed:
            raise Refusal(409, "this round is closed and takes no more votes")
        holds_place = given.arm in ASKED
        if given.state == "lapsed" and holds_place and not queue.take_place(connection, pair.number):
            raise Refusal(409, "you were away for so long that this pair was given to somebody else; here is the next")
        made = Vote(
            id=vote_id,
            problem_id=pair.problem_id,
            left=given.left,
            right=given.right,
            choice=choice,
            annotator=annotator,
            at=queue.clock(),
            seconds=seconds,
            reason=reason,
            rubric=queue.settings.rubric,
            saw_tests=given.saw_tests,
            arm=Arm(given.arm),
        )
        insert_votes(connection, [made])
        if choice is Choice.SKIPPED:
            if holds_place:
                queue.give_back(connection, pair.number)
            comes_back = False
        else:
            comes_back = queue.repeat_later(connection, given)
        tests = None if comes_back or given.arm == Arm.SETTLE else _results(connection, pair.problem_id, given)
        has_seen = given.saw_tests or tests is not None
        queue.set_state(connection, given.number, "voted", vote_id=vote_id, saw_tests=has_seen)
        return pair.problem_id, tests


def undo(queue: Queue, annotator: str, vote_id: str | None = None) -> str:
    """Take the annotator's last vote back and show that pair again; returns the vote's id. vote_id: the vote that is
    meant; one that was taken back already stays so.

    Raises Refusal (409) if there is none, if a later one must be taken back first, or if the pair went to another.
    """
    with queue.database.writing() as connection:
        found = _last(queue, connection, annotator)
        if vote_id is not None and (found is None or found.vote_id != vote_id):
            taken_back = select(RETRACTIONS.c.vote_id).join(VOTES, VOTES.c.id == RETRACTIONS.c.vote_id)
            if connection.scalar(taken_back.where(VOTES.c.id == vote_id, VOTES.c.annotator == annotator)):
                return vote_id
            raise Refusal(409, "only your last vote can be taken back")
        if found is None:
            raise Refusal(409, "you have no vote to take back")
        if found.closed:
            raise Refusal(409, "this round is closed: its votes stay as they are")
        has_place = found.choice != Choice.SKIPPED or found.arm not in ASKED
        if not has_place and not queue.take_place(connection, found.pair):
            raise Refusal(409, "the pair that you skipped was given to somebody else")
        add_missing(connection, RETRACTIONS, [{"vote_id": found.vote_id, "at": queue.clock()}])
        queue.set_state(connection, found.number, "open", vote_id=None)
        connection.execute(
            delete(ASSIGNMENTS).where(
                ASSIGNMENTS.c.pair == found.pair,
                ASSIGNMENTS.c.annotator == annotator,
                ASSIGNMENTS.c.arm == Arm.REPEAT,
                ASSIGNMENTS.c.state.in_(("waiting", "open")),
                ASSIGNMENTS.c.number != found.number,
            )
        )
        taken: str = found.vote_id
        return taken


def look_at_tests(queue: Queue, annotator: str, assignment_id: str) -> Results:
    """What the tests say of the pair; a vote that follows has `saw_tests`. Raises Refusal as `vote` does."""
    with queue.database.writing() as connection:
        given, pair = _mine(queue, connection, annotator, assignment_id)
        changed = update(ASSIGNMENTS).where(ASSIGNMENTS.c.number == given.number).values(saw_tests=True)
        connection.execute(changed)
        return _results(connection, pair.problem_id, given) or (None, None)


def progress(queue: Queue, annotator: str) -> Progress:
    """How far one annotator is."""
    with queue.database.reading() as connection:
        open_set = (PAIRS.c.pair_set == queue.pair_set, PAIRS.c.closed.is_(False))
        free = select(func.count()).select_from(PAIRS).where(*open_set, FREE)
        mine = (ASSIGNMENTS.c.annotator == annotator, ASSIGNMENTS.c.pair == PAIRS.c.number)
        given = (*mine, *open_set, FREE, ASSIGNMENTS.c.arm.in_(ASKED), ASSIGNMENTS.c.state != "lapsed")
        not_for_me = select(func.count()).where(*given)
        waiting = select(func.count()).where(*mine, *open_set, ASSIGNMENTS.c.state.in_(("open", "waiting")))
        left = [connection.scalar(query) or 0 for query in (free, waiting, not_for_me)]
        paces = (
            select(VOTES.c.seconds)
            .where(VOTES.c.annotator == annotator, VOTES.c.seconds > 0)
            .order_by(VOTES.c.number.desc())
            .limit(_PACE)
        )
        seconds = list(connection.scalars(paces))
        last = _last(queue, connection, annotator)
        return Progress(
            answered=queue.answered(connection, annotator),
            left=left[0] + left[1] - left[2],
            seconds=statistics.median(seconds) if seconds else 0.0,
            last=last.vote_id if last is not None and not last.closed else None,
        )


def _mine(queue: Queue, connection: Connection, annotator: str, assignment_id: str) -> tuple[Assignment, Any]:
    """An assignment of this annotator, locked, and its pair."""
    query = select(ASSIGNMENTS).where(ASSIGNMENTS.c.id == assignment_id, ASSIGNMENTS.c.annotator == annotator)
    row = connection.execute(query.with_for_update()).mappings().first()
    if row is None:
        raise Refusal(404, "this pair is not assigned to you; load the page again", param="pair")
    return Assignment(**row), connection.execute(select(PAIRS).where(PAIRS.c.number == row["pair"])).one()


def _last(queue: Queue, connection: Connection, annotator: str) -> Any:
    """The annotator's newest vote in this set, with its assignment and pair."""
    query = (
        select(ASSIGNMENTS.c.number, ASSIGNMENTS.c.pair, ASSIGNMENTS.c.arm, VOTES.c.choice)
        .add_columns(VOTES.c.id.label("vote_id"), PAIRS.c.closed)
        .join(VOTES, VOTES.c.id == ASSIGNMENTS.c.vote_id)
        .join(PAIRS, PAIRS.c.number == ASSIGNMENTS.c.pair)
        .where(ASSIGNMENTS.c.annotator == annotator, ASSIGNMENTS.c.state == "voted")
        .where(PAIRS.c.pair_set == queue.pair_set)
        .order_by(VOTES.c.number.desc())
        .limit(1)
    )
    return connection.execute(query).first()


def _results(connection: Connection, problem_id: str, given: Assignment) -> Results | None:
    """None where the tests say nothing of either program."""
    query = select(RESULTS).where(RESULTS.c.problem_id == problem_id, RESULTS.c.digest.in_((given.left, given.right)))
    found = {r.digest: Result(r.outcome, r.passed, r.total, r.detail) for r in connection.execute(query)}
    return (found.get(given.left), found.get(given.right)) if found else None
