"""Small queues that the tests share."""

from itertools import combinations

from rrtf_ray.core.pairing import Pair
from rrtf_ray.feedback import answers
from rrtf_ray.feedback.database import FeedbackDatabase, add_missing, insert_problem
from rrtf_ray.feedback.queue import Queue, QueueSettings
from rrtf_ray.feedback.tables import RESULTS
from rrtf_ray.identity import program_digest
from rrtf_ray.records import Choice

PLAIN = {"overlap": 0.0, "random": 0.0, "repeat": 0.0}


class Clock:
    """A clock that a test sets."""

    def __init__(self, now=1_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


def add_problem(queue, problem_id, codes, priority=0.0):
    """A problem with all pairs of its programs; each passes as many tests as it has lines."""
    with queue.database.writing() as connection:
        insert_problem(connection, problem_id, f"def {problem_id}(x):\n", codes)
        rows = [
            {
                "problem_id": problem_id,
                "digest": program_digest(code),
                "outcome": "failed",
                "passed": code.count("\n"),
                "total": 9,
                "detail": "",
            }
            for code in codes
        ]
        add_missing(connection, RESULTS, rows)
        digests = sorted({program_digest(code) for code in codes})
        pairs = [Pair(problem_id, a, b, priority) for a, b in combinations(digests, 2)]
        return queue.add(connection, pairs, "python")


def queue_of(database, problems=3, *, programs=2, clock=None, pair_set="run/round-01", **settings):
    """`programs` programs for each problem; the problems' priorities fall."""
    if isinstance(database, str):
        database = FeedbackDatabase(database)
    queue = Queue(database, pair_set, QueueSettings(**(PLAIN | settings)), clock or Clock())
    for number in range(problems):
        codes = [f"def p{number}(x):\n    return {n}\n" for n in range(programs)]
        add_problem(queue, f"p{number}", codes, float(-number))
    return queue


def vote(queue, annotator, given, choice=Choice.LEFT, vote_id=None, **more):
    """Vote on an assignment; returns the vote's id."""
    vote_id = vote_id or f"vote-{annotator}-{given.id}-{given.arm}"[:64]
    answers.vote(queue, annotator, vote_id=vote_id, assignment_id=given.id, choice=choice, **more)
    return vote_id
