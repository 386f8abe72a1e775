"""Which pair is asked next, and of whom: every step is one transaction, so it holds for threads and servers alike.

A pair has places: one, or two for the share `overlap` that measures agreement. An assignment holds a place, from the
moment in which the pair is given to an annotator. It ends with a vote, or when its lease ends: an abandoned pair goes
back. A skipped pair goes back too, to the others. A pair is `chosen` (asked by priority) or belongs to the `random`
arm, fixed by a seed when it is added, so that the random arm stays a fair sample of all pairs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, literal_column, select, update
from sqlalchemy.exc import IntegrityError

from rrtf_ray.core.pairing import Pair, priorities
from rrtf_ray.feedback.database import FeedbackDatabase, add_missing
from rrtf_ray.feedback.tables import ASSIGNMENTS, PAIRS
from rrtf_ray.identity import stable_seed
from rrtf_ray.records import Arm

ASKED = (Arm.CHOSEN, Arm.RANDOM)
"""The arms whose assignments hold a place of their pair; repetitions and a lead's decisions do not."""
CLOCK_SLACK_S = 60.0
"""A lease that begins later than this from now was written before the clock was put back."""
REPEAT_AFTER = 8
"""A repetition comes when its annotator has answered this many pairs since."""
FREE = PAIRS.c.free > literal_column("0")  # as the index says it


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How pairs are handed out.

    overlap: share of pairs that two annotators answer. random: share of pairs that are asked in a random order.
    repeat: share of an annotator's pairs that come back with the sides swapped. lease_s: how long an annotator keeps
    a pair without a sign of life. rubric: version of the instructions.
    """

    seed: int = 0
    overlap: float = 0.1
    random: float = 0.2
    repeat: float = 0.1
    lease_s: float = 1800.0
    rubric: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A pair as it is given to one annotator. id: a random token, all that the browser knows of it."""

    number: int
    id: str
    pair: int
    annotator: str
    arm: str
    left: str
    right: str
    state: str
    due: int
    leased_at: float
    saw_tests: bool
    vote_id: str | None


class Queue:
    """The pairs of one pair set, such as a round's."""

    def __init__(
        self,
        database: FeedbackDatabase,
        pair_set: str,
        settings: QueueSettings = QueueSettings(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.database = database
        self.pair_set = pair_set
        self.settings = settings
        self.clock = clock

    def add(self, connection: Connection, pairs: Sequence[Pair], language: str) -> int:
        """Make pairs of one problem part of this set, open to be asked; returns how many were new. What was answered
        or is held stays so."""
        known = {(p.first, p.second): p for p in self.of_problem(connection, pairs[0].problem_id)} if pairs else {}
        rows = []
        for pair in pairs:
            key = (pair.problem_id, pair.first, pair.second)
            wanted = 1 + (self._chance("overlap", *key) < self.settings.overlap)
            if before := known.get((pair.first, pair.second)):
                changed = {"pair_set": self.pair_set, "closed": False, "wanted": wanted}
                if any(getattr(before, name) != value for name, value in changed.items()):
                    free = PAIRS.c.free + wanted - PAIRS.c.wanted
                    connection.execute(
                        update(PAIRS).where(PAIRS.c.number == before.number).values(**changed, free=free)
                    )
                continue
            is_random = self._chance("arm", *key) < self.settings.random
            rows.append(
                {
                    "problem_id": pair.problem_id,
                    "first": pair.first,
                    "second": pair.second,
                    "pair_set": self.pair_set,
                    "language": language,
                    "arm": Arm.RANDOM if is_random else Arm.CHOSEN,
                    "base": pair.priority,
                    "priority": self._chance("order", *key) if is_random else pair.priority,
                    "wanted": wanted,
                    "free": wanted,
                    "closed": False,
                }
            )
        return add_missing(connection, PAIRS, rows)

    def close(self) -> int:
        """Take no more votes on the pairs of this set; returns how many were open."""
        with self.database.writing() as connection:
            mine = (PAIRS.c.pair_set == self.pair_set) & PAIRS.c.closed.is_(False)
            return connection.execute(update(PAIRS).where(mine).values(closed=True)).rowcount

    def next(self, annotator: str, count: int = 2) -> list[Assignment]:
        """What the annotator is to answer, in order: the pairs that they hold, and new ones up to `count`. Their leases
        begin again."""
        for _ in range(3):
            try:
                with self.database.writing() as connection:
                    return self._next(connection, annotator, count)
            except IntegrityError:  # the same annotator took the same pair in another window
                continue
        return []

    def reprioritise(self, problem_id: str) -> None:
        """Put the problem's chosen pairs in the order that its votes suggest."""
        votes = self.database.votes([problem_id])
        with self.database.reading() as connection:
            rows = [p for p in self.of_problem(connection, problem_id) if p.arm == Arm.CHOSEN and p.free > 0]
        pairs = [Pair(p.problem_id, p.first, p.second, p.base) for p in rows]
        asked = zip(rows, priorities(pairs, votes), strict=True)
        changed = [(row.number, priority) for row, priority in asked if priority != row.priority]
        if changed:
            with self.database.writing() as connection:
                for number, priority in changed:
                    connection.execute(update(PAIRS).where(PAIRS.c.number == number).values(priority=priority))

    def repeat_later(self, connection: Connection, done: Assignment) -> bool:
        """Whether the pair comes back to its annotator, with the sides swapped."""
        if done.arm not in ASKED or done.saw_tests:
            return False
        if self._chance("repeat", done.pair, done.annotator) >= self.settings.repeat:
            return False
        there = (ASSIGNMENTS.c.pair == done.pair, ASSIGNMENTS.c.annotator == done.annotator)
        if connection.scalar(select(func.count()).where(*there, ASSIGNMENTS.c.arm == Arm.REPEAT)):
            return False
        due = self.answered(connection, done.annotator) + REPEAT_AFTER
        self.assign(connection, done.pair, done.annotator, Arm.REPEAT, (done.right, done.left), due=due)
        return True

    def answered(self, connection: Connection, annotator: str) -> int:
        """How many pairs of this set the annotator has answered, repetitions and all."""
        query = select(func.count()).select_from(ASSIGNMENTS.join(PAIRS, ASSIGNMENTS.c.pair == PAIRS.c.number))
        mine = (ASSIGNMENTS.c.annotator == annotator, ASSIGNMENTS.c.state == "voted")
        return connection.scalar(query.where(*mine, PAIRS.c.pair_set == self.pair_set)) or 0

    def take_place(self, connection: Connection, pair: int) -> bool:
        """Hold a place of a pair; False where none is free."""
        taken = update(PAIRS).where(PAIRS.c.number == pair, PAIRS.c.free > 0).values(free=PAIRS.c.free - 1)
        return connection.execute(taken).rowcount == 1

    def give_back(self, connection: Connection, pair: int) -> None:
        """A place of a pair is free again."""
        connection.execute(update(PAIRS).where(PAIRS.c.number == pair).values(free=PAIRS.c.free + 1))

    def assign(
        self,
        connection: Connection,
        pair: int,
        annotator: str,
        arm: str,
        sides: tuple[str, str],
        due: int = 0,
    ) -> Assignment:
        """A new assignment: to be answered now, or with `due` one that waits."""
        row = {
            "id": secrets.token_urlsafe(16),
            "pair": pair,
            "annotator": annotator,
            "arm": arm,
            "left": sides[0],
            "right": sides[1],
            "state": "waiting" if due else "open",
            "due": due,
            "leased_at": self.clock(),
            "saw_tests": False,
            "vote_id": None,
        }
        number = connection.execute(insert(ASSIGNMENTS).values(**row)).inserted_primary_key
        assert number is not None
        return Assignment(number=number[0], **row)  # type: ignore[arg-type]

    def sides(self, pair: Any, annotator: str, arm: str) -> tuple[str, str]:
        """Which program stands left and which right: by the seed, the same whenever it is asked."""
        is_swapped = self._chance("sides", pair.problem_id, pair.first, pair.second, annotator, arm) < 0.5
        return (pair.second, pair.first) if is_swapped else (pair.first, pair.second)

    def _next(self, connection: Connection, annotator: str, count: int) -> list[Assignment]:
        self.end_leases(connection)
        held = [a for a in self.held(connection, annotator, "open") if a.arm != Arm.SETTLE]
        renewed = [a.number for a in held]
        connection.execute(update(ASSIGNMENTS).where(ASSIGNMENTS.c.number.in_(renewed)).values(leased_at=self.clock()))
        while len(held) < count:
            found = (
                self._due(connection, annotator, self.answered(connection, annotator))
                or self._lapsed(connection, annotator)
                or self._new(connection, annotator)
                or self._due(connection, annotator, None)
            )
            if found is None:
                break
            held.append(found)
        return held

    def end_leases(self, connection: Connection) -> None:
        """Abandoned pairs go back."""
        now = self.clock()
        is_open = ASSIGNMENTS.c.state == "open"
        # After the clock was put back, these would seem to begin in the future: they begin now.
        connection.execute(
            update(ASSIGNMENTS).where(is_open, ASSIGNMENTS.c.leased_at > now + CLOCK_SLACK_S).values(leased_at=now)
        )
        ended = (
            select(ASSIGNMENTS)
            .where(is_open, ASSIGNMENTS.c.leased_at < now - self.settings.lease_s)
            .with_for_update(skip_locked=True)
        )
        for row in connection.execute(ended).all():
            state = "waiting" if row.arm == Arm.REPEAT else "lapsed"
            self.set_state(connection, row.number, state)
            if row.arm in ASKED:
                self.give_back(connection, row.pair)

    def set_state(self, connection: Connection, number: int, state: str, **changes: Any) -> None:
        """Move an assignment on; its lease begins again."""
        values = {"state": state, "leased_at": self.clock(), **changes}
        connection.execute(update(ASSIGNMENTS).where(ASSIGNMENTS.c.number == number).values(**values))

    def held(self, connection: Connection, annotator: str, state: str) -> list[Assignment]:
        """The annotator's assignments in this state, the oldest first."""
        query = (
            select(ASSIGNMENTS)
            .join(PAIRS, ASSIGNMENTS.c.pair == PAIRS.c.number)
            .where(ASSIGNMENTS.c.annotator == annotator, ASSIGNMENTS.c.state == state)
            .where(PAIRS.c.pair_set == self.pair_set, PAIRS.c.closed.is_(False))
            .order_by(ASSIGNMENTS.c.number)
            .with_for_update(of=ASSIGNMENTS)
        )
        return [Assignment(**row) for row in connection.execute(query).mappings()]

    def _opened(self, connection: Connection, found: Assignment) -> Assignment:
        self.set_state(connection, found.number, "open")
        return found

    def _due(self, connection: Connection, annotator: str, answered: int | None) -> Assignment | None:
        """A repetition whose time has come; answered: None takes any."""
        for found in self.held(connection, annotator, "waiting"):
            if answered is None or found.due <= answered:
                return self._opened(connection, found)
        return None

    def _lapsed(self, connection: Connection, annotator: str) -> Assignment | None:
        """A pair that the annotator left, if nobody has it now."""
        for found in self.held(connection, annotator, "lapsed"):
            if found.arm != Arm.SETTLE and self.take_place(connection, found.pair):
                return self._opened(connection, found)
        return None

    def _new(self, connection: Connection, annotator: str) -> Assignment | None:
        given = select(func.count()).where(ASSIGNMENTS.c.annotator == annotator)
        prefers_random = self._chance("draw", annotator, connection.scalar(given)) < self.settings.random
        arms = (Arm.RANDOM, Arm.CHOSEN) if prefers_random else (Arm.CHOSEN, Arm.RANDOM)
        for arm in arms:
            query = (
                select(PAIRS)
                .where(PAIRS.c.pair_set == self.pair_set, PAIRS.c.arm == arm)
                .where(FREE, PAIRS.c.closed.is_(False))
                .where(
                    ~select(1)
                    .where(ASSIGNMENTS.c.pair == PAIRS.c.number, ASSIGNMENTS.c.annotator == annotator)
                    .exists()
                )
                .order_by(PAIRS.c.priority.desc(), PAIRS.c.number)
                .limit(1)
                .with_for_update(of=PAIRS, skip_locked=True)
            )
            pair = connection.execute(query).first()
            if pair is not None and self.take_place(connection, pair.number):
                return self.assign(connection, pair.number, annotator, arm, self.sides(pair, annotator, arm))
        return None

    def of_problem(self, connection: Connection, problem_id: str) -> Sequence[Any]:
        """The rows of a problem's pairs, of whichever set."""
        return connection.execute(select(PAIRS).where(PAIRS.c.problem_id == problem_id)).all()

    def _chance(self, *parts: object) -> float:
        """A number in [0, 1) that depends on the seed and the parts only."""
        return stable_seed(self.settings.seed, *parts) / 2**31
