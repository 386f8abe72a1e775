"""`rrtf prefer` as users start it, on a run that is made for it, and its annotators."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.feedback.groups import group_of
from rrtf_ray.records import Group
from rrtf_ray.serving.keys import new_key
from rrtf_ray.store.run_dir import RunDir

START_LIMIT_S = 120.0
PROGRAMS = 5
"""Of a problem; 10 pairs, as all pass."""


def make_run(folder: Path, pairs: int) -> Path:
    """A run with at least `pairs` pairs to ask about."""
    store = RunDir(str(folder)).groups(1)
    problems = -(-pairs // (PROGRAMS * (PROGRAMS - 1) // 2))
    store.write(_group(number) for number in range(problems))
    store.finish({"rows": problems})
    return folder


def _group(number: int) -> Group:
    prompt = f'def solve_{number}(numbers: list[int]) -> list[int]:\n    """Do task {number}."""\n'
    lines = [f"    numbers = [n + {n} for n in numbers]\n" for n in range(12)]
    programs = [("".join(lines[n:]) + "    return numbers\n", 1) for n in range(PROGRAMS)]
    return group_of(f"p/{number}", prompt, f"solve_{number}", programs, tests=1)


def make_keys(path: Path, count: int) -> list[str]:
    """A key file; returns the keys."""
    made = [new_key(f"annotator-{number}") for number in range(count)]
    path.write_text("".join(f"{line}\n" for _, line in made))
    return [key for key, _ in made]


def start(run: Path, keys: Path, port: int, database: str) -> subprocess.Popen[bytes]:
    """A server that answers."""
    command = [sys.executable, "-m", "rrtf_ray", "prefer", "--run", str(run), "--port", str(port), "--keys", str(keys)]
    command += ["--overlap", "0", *(["--database", database] if database else [])]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        assert server.poll() is None, "the server has ended"
        assert time.monotonic() < deadline, "the server does not answer"
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=10).status_code == 200:
                return server
        except httpx.TransportError:
            time.sleep(0.1)


@dataclass
class Annotator:
    """Answers pairs as the page does. held: every pair that was shown, by what it shows. acknowledged: ids of votes."""

    url: str
    key: str
    held: set[tuple[str, ...]] = field(default_factory=set)
    acknowledged: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    pending: dict[str, Any] | None = None
    """A vote that was sent and not acknowledged: it is sent again."""

    def step(self, client: httpx.Client) -> bool:
        """One vote and the next pair; False when no pair is left. Raises httpx's errors: the same step is then done
        again."""
        if self.pending is None:
            began = time.perf_counter()
            pairs = self._post(client, "next", {})["pairs"]
            self.seconds.append(time.perf_counter() - began)
            if not pairs:
                return False
            # A repetition has its sides swapped.
            self.held.update((pair["problem"], *sorted((pair["left"], pair["right"]))) for pair in pairs)
            self.pending = {"id": uuid.uuid4().hex, "pair": pairs[0]["id"], "choice": "left", "seconds": 6.0}
        self._post(client, "vote", self.pending)
        self.acknowledged.append(self.pending["id"])
        self.pending = None
        return True

    def _post(self, client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = client.post(f"{self.url}/api/{path}", json=body, headers={"Authorization": f"Bearer {self.key}"})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def doubles(annotators: list[Annotator]) -> int:
    """Pairs that two annotators had (there is no overlap, and no lease ends in the time of a benchmark)."""
    return sum(len(one.held & other.held) for one, other in itertools.combinations(annotators, 2))
