"""Votes reach the rankings of a run, on a real cluster with replayed candidates."""

import json
import threading

import pytest

from rrtf_ray.core.ranking import digest_of
from rrtf_ray.feedback.database import FeedbackDatabase, sqlite_url
from rrtf_ray.problems import write_problems
from rrtf_ray.records import Choice, Vote
from rrtf_ray.store.run_dir import RunDir
from tests.conftest import LIMIT_S
from tests.records_for_tests import problem

pytestmark = pytest.mark.ray

SAMPLES = ["    return 2 * x\n", "    return x + x\n", "    return x\n"]


@pytest.fixture
def asked(rrtf, cluster, tmp_path):
    """A function that starts a run of two problems with the same three programs each, two of which pass."""
    problems = [problem(f"p/{i}") for i in range(2)]
    write_problems(problems, str(tmp_path / "problems"))
    rows = [{"task_id": p.id, "samples": SAMPLES} for p in problems]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = [
        "run",
        f"run_dir={tmp_path / 'run'}",
        f"problems.source={tmp_path / 'problems'}",
        "sample.engine=replay",
        f"sample.replay_path={tmp_path / 'samples.jsonl'}",
        "sample.teacher=none",
        "until=rank",
    ]

    def start(*more, **options):
        return rrtf(*arguments, *more, address=cluster.address, **options)

    return start


@pytest.fixture
def run(tmp_path):
    return RunDir(str(tmp_path / "run"))


def order(run, problem_id="p/0"):
    (ranking,) = [r for r in run.rankings(1).read() if r.problem_id == problem_id]
    return [c.candidate_id for c in ranking.candidates]


def add_votes(run, winner, loser, count, problem_id="p/0"):
    """Votes of `count` people on a problem."""
    group = next(g for g in run.groups(1).read() if g.problem.id == problem_id)
    digests = {c.id: digest_of(c) for c in group.candidates}
    left, right = digests[winner], digests[loser]
    database = FeedbackDatabase(sqlite_url(run.at("feedback.sqlite")))
    database.add_problem(problem_id, group.problem.prompt, [c.program for c in group.candidates])
    database.add(Vote(f"{problem_id}/{i}", problem_id, left, right, Choice.LEFT, f"a{i}") for i in range(count))
    database.close()


def test_votes_that_come_in_rank_a_round_anew(asked, run):
    done = asked()
    assert done.returncode == 0, done.stdout + done.stderr
    assert order(run) == order(run, "p/1") == ["s0", "s1", "s2"]
    add_votes(run, "s1", "s0", 3)
    add_votes(run, "s2", "s1", 60, "p/1")
    done = asked()
    assert "ranked again" in done.stdout
    assert "63 votes on 2 problems" in done.stdout
    assert "against the tests; look at their tests: p/1" in done.stdout
    assert order(run) == ["s1", "s0", "s2"]
    assert order(run, "p/1") == ["s0", "s1", "s2"]
    assert len(list(run.votes(1).read())) == 63
    done = asked()
    assert "ranked again" not in done.stdout
    assert "rank 1: complete already" in done.stdout


def test_a_round_waits_for_votes(asked, run):
    waiting = asked("feedback.min_votes=2", start=True)
    said = []
    told = threading.Event()

    def listen():
        for line in waiting.stdout:
            said.append(line)
            if "waits for votes: 0 of 2" in line:
                told.set()

    listener = threading.Thread(target=listen)
    listener.start()
    assert told.wait(LIMIT_S), said
    assert waiting.poll() is None
    add_votes(run, "s1", "s0", 2)
    assert waiting.wait(LIMIT_S) == 0, said
    listener.join()
    assert order(run) == ["s1", "s0", "s2"]
    assert "rrtf prefer --run" in "".join(said)


def test_a_round_does_not_wait_for_ever_and_not_twice(asked, run):
    done = asked("feedback.min_votes=2", "feedback.wait_s=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "goes on with 0 of 2 votes: feedback.wait_s=1 is over" in done.stdout
    assert {r.reason for r in run.rankings(1).read()} == {None}
    done = asked("feedback.min_votes=2", "feedback.wait_s=1000000")
    assert "waits for votes" not in done.stdout
    assert "rank 1: complete already" in done.stdout


def test_a_database_that_cannot_be_used_stops_before_anything_is_sampled(asked, run, tmp_path):
    (tmp_path / "broken.sqlite").write_text("no database" * 100)
    done = asked(f"feedback.database=sqlite:///{tmp_path / 'broken.sqlite'}")
    assert done.returncode == 2
    assert "broken.sqlite" in done.stderr
    assert run.rounds() == []
