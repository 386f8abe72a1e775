"""What is lost when the server is killed under load: nothing that it has acknowledged.

Annotators vote without a pause. The server gets SIGKILL at a random moment after every start, and is started again; an
annotator sends a vote again until it is acknowledged, as the page does. In the end the ids that were acknowledged are
compared with the votes in the database.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.feedback.server import Annotator, doubles, make_keys, make_run, start
from rrtf_ray.deployments.applications import free_port
from rrtf_ray.feedback.database import FeedbackDatabase, sqlite_url

GOALS = {"lost_votes": "0", "double_assignments": "0"}
MOST_S = 1.0
"""From the first answer to the kill, at most."""
PAIRS = 10_000


def measure(folder: Path, annotators: int, kills: int, database: str) -> dict[str, Any]:
    """All figures of one run."""
    run, keys, port = make_run(folder / "kills", PAIRS), folder / "kills-keys.txt", free_port()
    given = [Annotator(f"http://127.0.0.1:{port}", key) for key in make_keys(keys, annotators)]
    is_over, faults = threading.Event(), list[str]()
    threads = [threading.Thread(target=_work, args=(annotator, is_over, faults)) for annotator in given]
    chance, unsent = random.Random(0), 0
    server = start(run, keys, port, database)
    try:
        for thread in threads:
            thread.start()
        for _ in range(kills):
            time.sleep(chance.uniform(0.05, MOST_S))
            server.kill()
            server.wait(60)
            unsent += sum(annotator.pending is not None for annotator in given)
            server = start(run, keys, port, database)
        time.sleep(MOST_S)
    finally:
        is_over.set()
        for thread in threads:
            thread.join(60)
        server.terminate()
        server.wait(60)
    opened = FeedbackDatabase(database or sqlite_url(run / "feedback.sqlite"))
    stored = [vote.id for vote in opened.votes()]
    opened.close()
    acknowledged = [vote_id for annotator in given for vote_id in annotator.acknowledged]
    return {
        "lost_votes": len(set(acknowledged) - set(stored)),
        "votes_stored_twice": len(stored) - len(set(stored)),
        "kills": kills,
        "acknowledged_votes": len(acknowledged),
        "votes_in_flight_at_kills": unsent,
        "double_assignments": doubles(given),
        "unexplained": faults[:5],
    }


def _work(annotator: Annotator, is_over: threading.Event, faults: list[str]) -> None:
    with httpx.Client(timeout=30) as client:
        while not is_over.is_set():
            try:
                if not annotator.step(client):
                    return
            except httpx.TransportError:
                time.sleep(0.05)
            except httpx.HTTPStatusError as error:
                faults.append(f"{error.response.status_code} {error.response.text[:200]}")
                annotator.pending = None
