"""Conflicts: pairs on which annotators said opposite things, and which a lead decides."""

from __future__ import annotations

from sqlalchemy import Connection, select

from rrtf_ray.feedback.queue import ASKED, Assignment, Queue
from rrtf_ray.feedback.tables import ASSIGNMENTS, PAIRS, RETRACTIONS, VOTES
from rrtf_ray.records import Arm, Choice


def conflicts(queue: Queue) -> list[int]:
    """Numbers of the pairs of which one annotator preferred the first program and another the second, and that no lead
    has settled; the oldest first."""
    with queue.database.reading() as connection:
        return _conflicts(queue, connection)


def next_to_settle(queue: Queue, lead: str, count: int = 2) -> list[Assignment]:
    """As Queue.next, of the conflicts. A pair that another lead has open is not given out again."""
    with queue.database.writing() as connection:
        queue.end_leases(connection)
        held = [a for a in queue.held(connection, lead, "open") if a.arm == Arm.SETTLE]
        for given in held:
            queue.set_state(connection, given.number, "open")
        lapsed = {a.pair: a for a in queue.held(connection, lead, "lapsed") if a.arm == Arm.SETTLE}
        taken = set(connection.scalars(select(ASSIGNMENTS.c.pair).where(*_OPEN)))
        for number in _conflicts(queue, connection):
            if len(held) >= count:
                break
            if number in taken:
                continue
            if number in lapsed:
                queue.set_state(connection, lapsed[number].number, "open")
                held.append(lapsed[number])
            else:
                pair = connection.execute(select(PAIRS).where(PAIRS.c.number == number)).one()
                held.append(queue.assign(connection, number, lead, Arm.SETTLE, queue.sides(pair, lead, Arm.SETTLE)))
        return held


_OPEN = (ASSIGNMENTS.c.arm == Arm.SETTLE, ASSIGNMENTS.c.state == "open")


def _conflicts(queue: Queue, connection: Connection) -> list[int]:
    query = (
        select(PAIRS.c.number, PAIRS.c.first, VOTES.c.left, VOTES.c.right, VOTES.c.choice, ASSIGNMENTS.c.arm)
        .join(ASSIGNMENTS, ASSIGNMENTS.c.pair == PAIRS.c.number)
        .join(VOTES, VOTES.c.id == ASSIGNMENTS.c.vote_id)
        .where(PAIRS.c.pair_set == queue.pair_set, PAIRS.c.closed.is_(False), ASSIGNMENTS.c.state == "voted")
        .where(VOTES.c.choice.in_((Choice.LEFT, Choice.RIGHT)) | (ASSIGNMENTS.c.arm == Arm.SETTLE))
        .where(VOTES.c.id.not_in(select(RETRACTIONS.c.vote_id)))
        .order_by(VOTES.c.number)
    )
    preferred: dict[int, set[bool]] = {}
    settled = set()
    for row in connection.execute(query):
        if row.arm == Arm.SETTLE:
            settled.add(row.number)
        elif row.arm in ASKED:
            better = row.left if row.choice == Choice.LEFT else row.right
            preferred.setdefault(row.number, set()).add(better == row.first)
    return [number for number, said in preferred.items() if len(said) == 2 and number not in settled]
