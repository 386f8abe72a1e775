"""Runs with teachers on a real cluster: a scripted student, a real server, two teachers with all roles."""

import sqlite3

import pytest

from rrtf_ray.core.pairing import pairs_of
from rrtf_ray.feedback.database import FeedbackDatabase, sqlite_url
from rrtf_ray.problems import write_problems
from rrtf_ray.records import Choice, Fault, Outcome, Problem, ProblemKind, Source, Test, TestKind, VoteSource
from rrtf_ray.store.run_dir import RunDir
from tests.teachers.server import Answer, serving

pytestmark = pytest.mark.ray

KEY = "sk-secret-of-the-run"
PROBLEMS = 6
SCRIPTED = ["sample.engine=scripted", "until=rank", "sample.draws=[{n: 2}]", "sample.rows_per_task=2"]


def made(number):
    check = f"def check(candidate):\n    assert candidate(3) == {3 + number}\n    assert candidate(0) == {number}\n"
    return Problem(
        f"p/{number}",
        f"def add{number}(x):\n",
        ProblemKind.FUNCTION,
        f"add{number}",
        (Test(TestKind.CHECK, check),),
        f"    return x + {number}\n",
    )


def say(body, _):
    """The server's script: by what it is asked."""
    text = body["messages"][-1]["content"]
    number = next(i for i in range(PROBLEMS) if f"add{i}(x)" in text)
    if "Better:" in text:
        return Answer("Both are fine.\nBetter: 1" if number % 2 else f"Better: {1 if text.find('tmp') > 0 else 2}")
    if "fails a test" in text:
        return Answer(f"Fixed:\n```python\ndef add{number}(x):\n    return x + {number} + 0\n```")
    if body["model"] == "m-small":
        return Answer("I would add the two numbers.") if number == 0 else Answer(None, refusal="no")
    return Answer(f"```python\ndef add{number}(x):\n    tmp = x\n    return tmp + {number}\n```")


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught") / "problems"
    write_problems([made(i) for i in range(PROBLEMS)], str(folder))
    return folder


def arguments(run_dir, problems, url, *more):
    return [
        f"run_dir={run_dir}",
        f"problems.source={problems}",
        *SCRIPTED,
        f"teachers.big={{model: m-big, base_url: '{url}', key_variable: TEACHER_KEY, roles: [answer, repair, judge]}}",
        f"teachers.small={{model: m-small, base_url: '{url}', key_variable: TEACHER_KEY}}",
        *more,
    ]


@pytest.fixture(scope="module")
def taught(rrtf, cluster, problems, tmp_path_factory):
    """A finished run, what it printed, and how many requests it made; then the same command again."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch, serving(say) as script:
        patch.setenv("TEACHER_KEY", KEY)
        prices = ("teachers.big.price_per_million_output=1000", "teachers.big.max_cost=90")
        command = ["run", *arguments(folder / "run", problems, script.url, *prices)]
        done = rrtf(*command, address=cluster.address)
        assert done.returncode == 0, done.stdout + done.stderr
        requests = len(script.asked)
        again = rrtf(*command, address=cluster.address)
        assert again.returncode == 0, again.stdout + again.stderr
        assert len(script.asked) == requests
        yield RunDir(str(folder / "run")), done.stdout + done.stderr, script, requests


def test_every_program_says_who_wrote_it(taught):
    run, _, _, _ = taught
    for group in run.groups(1).read():
        by_id = {c.id: c for c in group.candidates}
        assert [c.id for c in group.candidates] == ["s0", "s1", "t0", "t1", "t2"]
        assert [by_id[i].model for i in ("t0", "t1", "t2")] == ["reference", "big:m-big", "big:m-big"]
        assert [c.repairs for c in group.candidates] == ["", "", "", "", "s0"]
        assert by_id["s0"].verdict.outcome is not Outcome.PASSED
        assert {by_id[i].verdict.outcome for i in ("t0", "t1", "t2")} == {Outcome.PASSED}
        assert by_id["t2"].source is Source.TEACHER


def test_answers_that_cannot_be_used_are_kept_with_the_reason(taught):
    run, output, _, _ = taught
    for problem in run.answered("small").read():
        big, small = problem.answers
        assert (big.model, big.fault, small.model) == ("big:m-big", None, "small:m-small")
        assert small.fault is (Fault.NO_CODE if problem.id == "p/0" else Fault.REFUSED)
    assert "6 big:m-big answers, 5 small:m-small refused, 1 small:m-small no_code" in output


def test_the_judge_votes_and_its_bias_is_told(taught):
    run, output, _, _ = taught
    database = FeedbackDatabase(sqlite_url(run.at("feedback.sqlite")))
    votes = database.votes()
    groups = {group.problem.id: group for group in run.groups(1).read()}
    assert len(votes) == sum(min(3, len(pairs_of(group))) for group in groups.values()) == 18
    for vote in votes:
        assert (vote.source, vote.annotator, vote.rubric) == (VoteSource.JUDGE, "judge:big", "judge-1")
        if int(vote.problem_id[-1]) % 2:  # the judge takes whatever is first
            assert (vote.choice, vote.reason) == (Choice.BOTH_GOOD, "the choice changed with the order")
        assert database.program(vote.problem_id, vote.left)
    assert "18 pairs, 18 answered in both orders" in output
    assert "turned with the order; position bias: the first place won" in output
    database.close()


def test_the_person_sees_what_was_made_and_spent(taught):
    _, output, _, requests = taught
    assert "6 repairs, 6 pass all tests, 6 of them differ from the failing program in one place" in output
    assert f"big so far: {requests - PROBLEMS} requests" in output
    assert " of 90.00 in money" in output
    assert "small so far: 6 requests, 180 tokens" in output
    assert "small, last refused: no" in output


def test_no_answer_was_asked_for_twice(taught):
    _, _, script, requests = taught
    assert requests == 2 * PROBLEMS + PROBLEMS + 2 * 18
    assert len(script.asked) == requests  # of two runs


def test_the_key_reached_the_server_and_nothing_else(taught):
    run, output, script, _ = taught
    assert set(script.keys) == {f"Bearer {KEY}"}
    assert KEY not in output
    with sqlite3.connect(run.at("cache", "teachers.sqlite")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    from pathlib import Path

    files = [path for path in Path(run.uri).parent.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path


def test_the_key_is_in_no_log_of_the_cluster(taught, cluster):
    import ray

    from rrtf_ray.cluster.internals import session_dir

    assert ray.is_initialized()
    for path in (session_dir() / "logs").rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


def test_a_limit_that_stops_is_told_and_a_higher_one_goes_on(rrtf, cluster, problems, tmp_path, monkeypatch):
    monkeypatch.setenv("TEACHER_KEY", KEY)
    with serving(say) as script:
        limited = [
            f"run_dir={tmp_path}/run",
            f"problems.source={problems}",
            *SCRIPTED,
            f"teachers.big={{model: m-big, base_url: '{script.url}', max_tokens: 50, when_spent: stop}}",
            "teachers.big.concurrency=1",
        ]
        done = rrtf("run", *limited, "teachers.big.max_tokens_total=300", address=cluster.address)
        assert done.returncode == 1
        assert "teachers.big: its limit leaves no room for another question" in done.stderr
        asked = len(script.asked)
        assert 1 <= asked < PROBLEMS
        done = rrtf("run", *limited, "teachers.big.max_tokens_total=40000", address=cluster.address)
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(script.asked) == PROBLEMS  # what was answered is not asked again
        assert set(script.keys) == {"Bearer none"}  # no key unless one is named


def test_a_key_that_is_not_there_is_reported_before_anything_starts(rrtf, problems, tmp_path, monkeypatch):
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    done = rrtf("run", *arguments(tmp_path / "run", problems, "http://127.0.0.1:1/v1"))
    assert done.returncode == 2
    assert "teachers.big: the environment variable TEACHER_KEY is not set" in done.stderr


def test_a_wrong_key_stops_the_run_with_the_remedy(rrtf, cluster, problems, tmp_path, monkeypatch):
    monkeypatch.setenv("TEACHER_KEY", KEY)
    error = {"message": f"Incorrect API key provided: {KEY}"}
    with serving(lambda body, n: Answer(status=401, error=error)) as script:
        done = rrtf("run", *arguments(tmp_path / "run", problems, script.url), address=cluster.address)
    assert done.returncode == 1
    assert "check the key in the environment variable that key_variable names" in done.stderr
    assert KEY not in done.stdout + done.stderr
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


@pytest.mark.e2e
def test_a_model_on_engines_of_our_own_is_a_teacher(rrtf, cluster, problems, student, tmp_path):
    engine = "{max_model_len: 1024, kv_cache_memory_bytes: 67108864, engine: {enforce_eager: true}}"
    own = (
        f"teachers.own={{kind: vllm, model: {student}, form: completion, "
        f"draws: [{{n: 2, temperature: 0.8}}], max_tokens: 48, engine: {engine}}}"
    )
    command = ["run", f"run_dir={tmp_path}/run", f"problems.source={problems}", *SCRIPTED, own]
    done = rrtf(*command, address=cluster.address)
    assert done.returncode == 0, done.stdout + done.stderr
    run = RunDir(str(tmp_path / "run"))
    answered = list(run.answered("own").read())
    assert len(answered) == PROBLEMS
    for problem in answered:
        assert [answer.model for answer in problem.answers] == [f"own:{student}"] * 2
        assert all(1 <= answer.num_tokens <= 48 for answer in problem.answers)
    assert any(answer.text.strip() for problem in answered for answer in problem.answers)
    assert len(list(run.groups(1).read())) == PROBLEMS
