"""`rrtf prefer` as a process: what it prints, how it ends, and that a killed server loses no vote."""

import json
import os
import signal
import socket
import sqlite3

import pytest

from rrtf_ray import cli
from rrtf_ray.feedback.database import FeedbackDatabase, sqlite_url
from rrtf_ray.feedback.queue import Queue
from rrtf_ray.serving.keys import new_key
from tests.feedback.browsing import answered, ready
from tests.feedback.run_for_tests import ask, asking, make_run


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    monkeypatch.delenv("RRTF_API_KEYS", raising=False)


@pytest.fixture
def run(tmp_path):
    make_run(tmp_path / "demo")
    return tmp_path / "demo"


def votes_of(run):
    database = FeedbackDatabase(sqlite_url(run / "feedback.sqlite"))
    found = database.votes()
    database.close()
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl+C", "SIGTERM"])
def test_it_says_what_is_asked_and_why_the_rest_is_not_and_ends_cleanly(run, number):
    with asking(run, "--port", "0", "--annotator", "ann") as server:
        assert server.lines[:2] == [
            "prefer: demo/round-01: 5 pairs of programs to ask about, in 5 problems",
            "prefer: not asked: 10 pairs that tests order, that differ in form only, or beyond 20 of a problem, "
            "5 candidates whose program another one has",
        ]
        pair = ask(server, "next", {})["pairs"][0]
        ask(server, "vote", {"id": "vote-0001", "pair": pair["id"], "choice": "left"})
        code, said = server.end(number)
    assert (code, said.strip()) == (0, "prefer: stopping")
    (vote,) = votes_of(run)
    assert (vote.annotator, vote.rubric != "") == ("ann", True)


def test_a_killed_server_loses_no_acknowledged_vote_and_goes_on_where_it_was(run):
    acknowledged, held = [], None
    options = ("--port", "0", "--annotator", "ann", "--repeat", "0", "--overlap", "0")
    for number in range(3):
        with asking(run, *options) as server:
            pairs = ask(server, "next", {})["pairs"]
            if held:
                assert pairs[0] == held
                assert ask(server, "progress")["answered"] == number
            ask(server, "vote", {"id": f"vote-000{number}", "pair": pairs[0]["id"], "choice": "right"})
            acknowledged.append(f"vote-000{number}")
            held = pairs[1]
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(60)
    assert [vote.id for vote in votes_of(run)] == acknowledged


def test_the_page_goes_on_when_the_server_is_killed_and_started_again(run):
    from playwright.sync_api import expect

    from tests.serving.page_checks import chromium_page

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ("--port", port, "--annotator", "ann", "--repeat", "0")
    with chromium_page() as page:
        with asking(run, *options) as server:
            page.goto(server.url)
            ready(page)
            page.keyboard.press("f")
            answered(page, 1)
            ready(page)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(60)
        page.keyboard.press("j")
        expect(page.locator("#said")).to_contain_text("kept here and not stored yet")
        assert len(votes_of(run)) == 1
        with asking(run, *options):
            answered(page, 2)
            ready(page)
            page.keyboard.press("f")
            answered(page, 3)
    assert [vote.choice.value for vote in votes_of(run)] == ["left", "right", "left"]


def test_a_round_that_is_still_sampled_is_asked_about_as_far_as_it_is(tmp_path):
    make_run(tmp_path / "demo", 2, complete=False)
    with asking(tmp_path / "demo", "--port", "0", "--annotator", "ann") as server:
        assert any("still at work" in line for line in server.lines)
        assert len(ask(server, "next", {})["pairs"]) == 2


def test_keys_name_the_annotators_on_other_interfaces_too(run, tmp_path):
    import httpx

    key, line = new_key("ann")
    (tmp_path / "keys.txt").write_text(line + "\n")
    with asking(run, "--port", "0", "--host", "0.0.0.0", "--keys", tmp_path / "keys.txt", "--lead", "ann") as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}api/progress").status_code == 401
        found = httpx.get(f"{url}api/progress", headers={"Authorization": f"Bearer {key}"}).json()
        assert (found["annotator"], found["lead"]) == ("ann", True)
        status = httpx.get(f"{url}api/status", headers={"Authorization": f"Bearer {key}"})
        assert status.status_code == 200
        assert key not in "".join(server.lines)


def test_a_closed_round_takes_no_votes_until_it_is_asked_again(run, capsys):
    with asking(run, "--port", "0", "--annotator", "ann") as server:
        ask(server, "next", {})
        assert cli.main(["prefer", "--run", str(run), "--close"]) == 0
        assert "demo/round-01 is closed, 5 pairs" in capsys.readouterr().out
        assert ask(server, "next", {})["pairs"] == []
    with asking(run, "--port", "0", "--annotator", "ann") as server:
        assert len(ask(server, "next", {})["pairs"]) == 2


def test_status_of_a_run_without_votes(run, capsys):
    assert cli.main(["prefer", "--run", str(run), "--status", "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)
    assert cli.main(["prefer", "--run", str(run), "--status"]) == 0


def refusal(capsys, *arguments):
    assert cli.main(["prefer", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_what_cannot_be_used_is_named_with_its_remedy(run, tmp_path, capsys):
    assert "--run RUN" in refusal(capsys)
    assert "there is no such folder" in refusal(capsys, "--run", tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "no executed candidates yet; `rrtf run" in refusal(capsys, "--run", tmp_path / "empty")
    assert "--round 7" in refusal(capsys, "--run", run, "--round", "7")
    assert "give --database URL" in refusal(capsys, "--run", "s3://bucket/demo", "--status")
    assert "`rrtf key NAME" in refusal(capsys, "--run", run, "--host", "0.0.0.0", "--port", "0")
    assert "does not exist" in refusal(capsys, "--run", run, "--keys", tmp_path / "none.txt")
    assert "--rubric" in refusal(capsys, "--run", run, "--rubric", tmp_path / "none.txt")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"--port {port} cannot be listened on" in refusal(capsys, "--run", run, "--port", port)
    (tmp_path / "keys.txt").write_text(new_key("ann")[1] + "\n")
    keys = ("--run", run, "--keys", tmp_path / "keys.txt")
    assert "leave it out" in refusal(capsys, *keys, "--annotator", "bob")
    assert "--lead 'bob' has no key; there are ann" in refusal(capsys, *keys, "--lead", "bob")


def test_a_database_that_is_locked_or_read_only_is_named(run, capsys, monkeypatch):
    from rrtf_ray.feedback import database as module

    monkeypatch.setattr(module, "BUSY_S", 0.2)
    FeedbackDatabase(sqlite_url(run / "feedback.sqlite")).close()
    with sqlite3.connect(run / "feedback.sqlite") as other:
        other.execute("BEGIN IMMEDIATE")
        assert cli.main(["prefer", "--run", str(run), "--port", "0", "--annotator", "ann"]) in (1, 2)
        assert "has had it locked" in capsys.readouterr().err
        other.rollback()
    url = f"sqlite:///file:{run / 'feedback.sqlite'}?mode=ro&uri=true"
    assert cli.main(["prefer", "--run", str(run), "--database", url, "--port", "0", "--annotator", "ann"]) in (1, 2)
    assert "read-only; give write permission" in capsys.readouterr().err


def test_two_runs_may_share_a_server_database(run, tmp_path, postgresql_url):
    make_run(tmp_path / "other", 2)
    options = ("--port", "0", "--annotator", "ann", "--database", postgresql_url)
    with asking(run, *options) as one, asking(tmp_path / "other", *options) as two:
        assert ask(one, "progress")["left"] + ask(two, "progress")["left"] == 5  # two problems are in both
        assert len(ask(two, "next", {})["pairs"]) == 2
    assert not os.path.exists(run / "feedback.sqlite")
    assert Queue(FeedbackDatabase(postgresql_url), "demo/round-01").pair_set


def test_votes_go_where_the_run_looks_for_them(run, tmp_path, capsys):
    url = sqlite_url(tmp_path / "shared.sqlite")
    (run / "config.yaml").write_text(f"feedback: {{database: '{url}'}}\n")
    assert cli.main(["prefer", "--run", str(run), "--status"]) == 0
    assert (tmp_path / "shared.sqlite").exists()
    assert not (run / "feedback.sqlite").exists()
    (run / "config.yaml").write_text("feedback: [")
    assert cli.main(["prefer", "--run", str(run), "--status"]) == 0
    assert (run / "feedback.sqlite").exists()
    assert "no votes yet" in capsys.readouterr().out
