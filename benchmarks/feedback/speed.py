"""How long an annotator waits for the next pair, with all pairs open and everyone at work.

Each annotator asks for pairs and votes in turn, with a pause that is short for a person (`PAUSE_S`, half of it at the
least). The time is that of the request for the next pair, with connection and JSON.
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

GOALS = {"next_pair_ms_p99": "< 100", "double_assignments": "0"}
PAUSE_S = 0.5
_WARM_UP = 3


def measure(folder: Path, pairs: int, annotators: int, seconds: float, database: str) -> dict[str, Any]:
    """All figures of one run."""
    run, keys, port = make_run(folder / "speed", pairs), folder / "speed-keys.txt", free_port()
    given = [Annotator(f"http://127.0.0.1:{port}", key) for key in make_keys(keys, annotators)]
    server = start(run, keys, port, database)
    try:
        threads = [threading.Thread(target=_work, args=(annotator, seconds)) for annotator in given]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        server.terminate()
        server.wait(60)
    times = sorted(1000 * t for annotator in given for t in annotator.seconds[_WARM_UP:])
    return {
        "next_pair_ms_p99": round(times[int(0.99 * len(times))], 1),
        "next_pair_ms_median": round(times[len(times) // 2], 1),
        "next_pair_requests": len(times),
        "double_assignments": doubles(given),
    }


def _work(annotator: Annotator, seconds: float) -> None:
    deadline, chance = time.monotonic() + seconds, random.Random(annotator.key)
    with httpx.Client(timeout=60) as client:
        while time.monotonic() < deadline and annotator.step(client):
            time.sleep(chance.uniform(PAUSE_S / 2, PAUSE_S))
