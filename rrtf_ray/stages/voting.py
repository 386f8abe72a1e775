"""Rankings by tests and by votes: which votes a round uses, and waiting for them.

A round keeps the votes that its rankings were made with (round-NN/votes/), so that they can be made again. Votes that
come in later rank the round anew the next time that the run is started, as long as the round's training has not begun.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rrtf_ray.config import Config
from rrtf_ray.core.pairing import pairs_of
from rrtf_ray.core.ranking import digest_of, inversions
from rrtf_ray.feedback.database import FeedbackDatabase
from rrtf_ray.feedback.place import known_database_url
from rrtf_ray.identity import fingerprint
from rrtf_ray.progress import say
from rrtf_ray.records import Choice, Ranking, Split, Vote, VoteSource
from rrtf_ray.schemas import to_row
from rrtf_ray.stages.produce import rank_groups
from rrtf_ray.stages.tally import Tally
from rrtf_ray.store.files import MANIFEST, exists, join, remove
from rrtf_ray.store.rows import STARTED, RowStore
from rrtf_ray.store.run_dir import RunDir

LOOK_S = 5.0
"""Seconds between two looks at the database while a round waits."""
TELL_S = 60.0
_SHOWN = 5


def streamed_rankings(config: Config, run: RunDir, round: int) -> RowStore[Ranking] | None:
    """Where rankings go along with their groups; None where they may depend on votes and have not been begun."""
    rankings = run.rankings(round)
    expects_votes = config.feedback.min_votes > 0 or known_database_url(config.feedback, run.uri) is not None
    return None if expects_votes and not exists(join(rankings.uri, STARTED)) else rankings


def check_votes(config: Config, run: RunDir) -> None:
    """Raises InputError where the database of votes cannot be used, before anything is sampled."""
    if url := known_database_url(config.feedback, run.uri):
        FeedbackDatabase(url).close()


def rank_round(config: Config, run: RunDir, round: int, name: str) -> Tally:
    """Rankings of a round's executed groups, by tests and by the votes that there are.

    Waits for feedback.min_votes first, once.
    """
    rankings, kept = run.rankings(round), run.votes(round)
    if exists(join(run.checkpoint(round), MANIFEST)) or exists(run.training_state(round)):
        votes = list(kept.read()) if kept.is_complete() else []
    else:
        nothing: dict[str, Any] = {"fingerprint": _identity([]), "waited_for": 0}
        before = kept.manifest() if kept.is_complete() else nothing
        votes = _votes(config, run, round, waits=config.feedback.min_votes > before["waited_for"])
        now = {"fingerprint": _identity(votes), "waited_for": max(config.feedback.min_votes, before["waited_for"])}
        if now["fingerprint"] != before["fingerprint"]:
            if rankings.is_complete():
                say(f"{name}: the votes have changed since round {round} was ranked: it is ranked again")
            remove(rankings.uri)
        if any(now[key] != before[key] for key in now):
            remove(kept.uri)
            kept.begin(now["fingerprint"], {})
            kept.write(votes)
            kept.finish({"rows": len(votes), **now})
    tally = rank_groups(config, run.groups(round), rankings, name, votes, _identity(votes) if votes else "")
    if votes:
        _report(name, run, round, votes)
    return tally


def _votes(config: Config, run: RunDir, round: int, waits: bool) -> list[Vote]:
    """Those on the run's train problems that count, in the order in which they came."""
    url = known_database_url(config.feedback, run.uri)
    if url is None:
        return []
    database = FeedbackDatabase(url)
    try:
        if waits:
            _wait(config, run, round, database)
        return database.votes(run.problems(Split.TRAIN).ids())
    finally:
        database.close()


def _wait(config: Config, run: RunDir, round: int, database: FeedbackDatabase) -> None:
    """Until there are enough votes on the round's own programs, or the time is up."""
    wanted, limit_s = config.feedback.min_votes, config.feedback.wait_s
    own: set[tuple[str, str]] = set()
    tied = False
    for group in run.groups(round).read():
        own |= {(group.problem.id, digest_of(candidate)) for candidate in group.candidates}
        tied = tied or bool(pairs_of(group))
    if not tied:
        say(f"round {round}: tests order all programs, so there is nothing to ask people about")
        return
    problem_ids = {problem_id for problem_id, _ in own}
    started = told = time.monotonic()
    first = True
    while True:
        votes = database.votes(problem_ids)
        found = sum(
            vote.source is VoteSource.PERSON
            and vote.choice is not Choice.SKIPPED
            and {(vote.problem_id, vote.left), (vote.problem_id, vote.right)} <= own
            for vote in votes
        )
        waited_s = time.monotonic() - started
        if found >= wanted or waited_s >= limit_s:
            if found < wanted:
                say(f"round {round} goes on with {found} of {wanted} votes: feedback.wait_s={limit_s:g} is over")
            return
        if first or time.monotonic() - told >= TELL_S:
            first, told = False, time.monotonic()
            say(
                f"round {round} waits for votes: {found} of {wanted} so far, for {limit_s - waited_s:.0f} s more at "
                f"most; `rrtf prefer --run {config.run_dir} --round {round}` asks people for them"
            )
        time.sleep(min(LOOK_S, max(0.0, limit_s - waited_s)))


def _identity(votes: Sequence[Vote]) -> str:
    return fingerprint([to_row(vote) for vote in votes])


def _report(name: str, run: RunDir, round: int, votes: Sequence[Vote]) -> None:
    """How many votes there were, and where people clearly order programs against the tests."""
    problem_ids = {vote.problem_id for vote in votes}
    against = [
        ranking.problem_id
        for ranking in run.rankings(round).read()
        if ranking.problem_id in problem_ids and inversions(ranking)
    ]
    say(f"{name}: {len(votes)} votes on {len(problem_ids)} problems")
    if against:
        shown = ", ".join(against[:_SHOWN]) + (", ..." if len(against) > _SHOWN else "")
        say(f"  people order programs of {len(against)} problems against the tests; look at their tests: {shown}")
