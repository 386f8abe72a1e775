"""People who prefer the shorter of two programs that pass: does one round make the model write shorter ones?

The demo's student, made of a corpus in which half of the functions end in two lines (`result = ...`, `return result`)
where one would do, samples eight programs for each of 600 problems. Simulated people compare pairs that tests tie
(core.pairing), and prefer the shorter program with probability 0.9. One round is trained with their votes and one
without, on the same candidates; both models are evaluated on 300 held-out problems.

    shorter_chars    characters of passing programs at T=0.8, with votes minus without: mean over the problems that both
                     models solve, with a 95% interval (paired by problem)
    pass_at_1        pass@1 at T=0.8, with votes minus without, likewise
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rrtf_ray.core.metrics import Estimate, paired_difference
from rrtf_ray.core.pairing import pairs_of
from rrtf_ray.core.ranking import digest_of
from rrtf_ray.feedback.database import FeedbackDatabase, sqlite_url
from rrtf_ray.quickstart import make_student
from rrtf_ray.quickstart.corpus import Document, draw_documents
from rrtf_ray.records import Choice, Group, Outcome, Vote
from rrtf_ray.store.run_dir import RunDir

GOALS = {"shorter_chars": "high < 0", "pass_at_1": "low <= 0 <= high, or low > 0"}
CONFIG = str(Path(__file__).parents[2] / "jobs" / "configs" / "demo.yaml")
SETTINGS = (
    "problems.num_train=600",
    "problems.num_held_out=300",
    "sample.teacher=none",
    "train.num_workers=1",
    "train.steps=120",
    "train.loss.pairs=all",
    "train.loss.ft_target=best",
    "evaluate.draws=[{n: 8, temperature: 0.8}]",
    "serve=false",
)
VOTES_PER_PROBLEM = 4
RIGHT = 0.9


def measure(folder: Path, seed: int = 0) -> dict[str, Any]:
    """Both figures, and what lies behind them. folder: where the student and both runs are kept."""
    student = folder / "student"
    if not (student / "model.safetensors").exists():
        make_student(student, seed=seed, documents=_half_of_them_long)
    shared, voted, control = (folder / name for name in ("shared", "voted", "control"))
    common = (f"model.student={student}", f"seed={seed}", *SETTINGS)
    _run(shared, *common, "until=rank")
    for target in (voted, control):
        if not target.exists():
            shutil.copytree(shared, target)
    votes = _vote(RunDir(str(voted)), seed)
    for target in (voted, control):
        _run(target, *common)
    with_votes, without = (_lengths_and_passes(RunDir(str(target))) for target in (voted, control))
    both = sorted(with_votes[0].keys() & without[0].keys())
    return {
        "shorter_chars": _as_figure(
            paired_difference([without[0][name] for name in both], [with_votes[0][name] for name in both])
        ),
        "pass_at_1": _as_figure(paired_difference(list(without[1].values()), list(with_votes[1].values()))),
        "chars_without_votes": sum(without[0][name] for name in both) / len(both),
        "votes": votes,
    }


def _half_of_them_long(seed: int) -> Iterator[Document]:
    rng = random.Random(f"long/{seed}")
    for document in draw_documents(seed):
        long = rng.random() < 0.5 and document.suffix is None
        yield replace(document, written=_in_two_lines(document.written)) if long else document


def _in_two_lines(body: str) -> str:
    *before, last = body.rstrip("\n").split("\n")
    value = last.removeprefix("    return ")
    return "\n".join([*before, f"    result = {value}", "    return result", ""])


def _vote(run: RunDir, seed: int) -> int:
    """What people say of the pairs of each problem; returns how many votes there are."""
    rng = random.Random(f"people/{seed}")
    database = FeedbackDatabase(sqlite_url(run.at("feedback.sqlite")))
    for group in run.groups(1).read():
        programs = {digest_of(candidate): candidate.program for candidate in group.candidates}
        passing = {digest_of(c) for c in group.candidates if c.verdict and c.verdict.outcome is Outcome.PASSED}
        pairs = [pair for pair in pairs_of(group) if {pair.first, pair.second} <= passing]
        database.add_problem(group.problem.id, group.problem.prompt, programs.values())
        votes = []
        for number in range(VOTES_PER_PROBLEM if pairs else 0):
            pair = pairs[number % len(pairs)]
            first_is_shorter = len(programs[pair.first]) <= len(programs[pair.second])
            says_first = first_is_shorter if rng.random() < RIGHT else not first_is_shorter
            choice = Choice.LEFT if says_first else Choice.RIGHT
            name = f"{group.problem.id}/{number}"
            votes.append(Vote(name, group.problem.id, pair.first, pair.second, choice, f"person-{number}"))
        database.add(votes)
    count = len(database.votes())
    database.close()
    return count


def _run(run_dir: Path, *settings: str) -> None:
    command = [sys.executable, "-m", "rrtf_ray", "run", "--config", CONFIG, f"run_dir={run_dir}", *settings]
    subprocess.run(command, check=True, stdout=sys.stderr)


def _lengths_and_passes(run: RunDir) -> tuple[dict[str, float], dict[str, float]]:
    """By problem: mean characters of the passing programs, where there are some, and share of candidates that pass."""
    lengths, passes = {}, {}
    for group in sorted(run.evaluated_groups("round-01").read(), key=lambda group: group.problem.id):
        passing = _passing(group)
        passes[group.problem.id] = len(passing) / len(group.candidates)
        if passing:
            lengths[group.problem.id] = sum(map(len, passing)) / len(passing)
    return lengths, passes


def _passing(group: Group) -> list[str]:
    return [c.completion for c in group.candidates if c.verdict and c.verdict.outcome is Outcome.PASSED]


def _as_figure(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
