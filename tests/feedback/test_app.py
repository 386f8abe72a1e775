"""The server's API: who gets what, what is refused, and what never leaves it."""

import json

import pytest
from fastapi.testclient import TestClient

from rrtf_ray.feedback.app import MOST_BODY, MOST_CODE, Access, make_app
from rrtf_ray.feedback.database import FeedbackDatabase, sqlite_url
from rrtf_ray.identity import program_digest
from rrtf_ray.serving.keys import KeyFile, Keys, load_keys, new_key
from tests.feedback.pairs_for_tests import add_problem, queue_of

KEYS = {name: f"the-key-of-{name}-here" for name in ("ann", "bob", "lead")}
ALL = load_keys(None, ",".join(f"{name}={key}" for name, key in KEYS.items()))


@pytest.fixture
def queue(tmp_path):
    made = queue_of(FeedbackDatabase(sqlite_url(tmp_path / "feedback.sqlite")), 6, overlap=1.0)
    yield made
    made.database.close()


def client_of(queue, name="ann", **options):
    app = make_app(queue, Access(ALL, leads=frozenset({"lead"})), **options)
    client = TestClient(app, base_url="http://prefer.test")
    if name:
        client.headers["Authorization"] = f"Bearer {KEYS[name]}"
    return client


def vote_body(pair, vote_id="vote-0001", choice="left", **more):
    return {"id": vote_id, "pair": pair["id"], "choice": choice, **more}


def test_a_session(queue):
    client = client_of(queue)
    first, second = client.post("/api/next", json={}).json()["pairs"]
    stored = client.post("/api/vote", json=vote_body(first, seconds=3.5, reason="shorter"))
    assert stored.json()["stored"] == "vote-0001"
    assert [side["total"] for side in stored.json()["tests"]] == [9, 9]
    assert client.post("/api/vote", json=vote_body(first)).status_code == 200
    assert client.post("/api/next", json={}).json()["pairs"][0]["id"] == second["id"]
    assert client.get("/api/progress").json()["answered"] == 1
    assert client.post("/api/undo", json={"vote": "vote-0001"}).json() == {"taken_back": "vote-0001"}
    assert client.post("/api/next", json={}).json()["pairs"][0] == first
    assert client.post("/api/undo", json={}).status_code == 409


def test_nothing_that_tells_who_wrote_a_program_reaches_the_browser(queue):
    client = client_of(queue)
    answer = client.post("/api/next", json={})
    pair = answer.json()["pairs"][0]
    assert set(pair) == {"id", "problem", "language", "left", "right", "cut", "tests"}
    assert pair["tests"] is None
    everything = answer.text + client.post("/api/vote", json=vote_body(pair)).text + client.get("/api/progress").text
    for code in (pair["left"], pair["right"]):
        assert program_digest(code) not in everything
    for word in ("digest", "model", "source", "temperature", "score", "priority", "random", "bob", "lead@"):
        assert word not in everything


def test_tests_are_shown_when_asked_for_or_by_setting_and_the_vote_says_so(queue):
    client = client_of(queue)
    pair = client.post("/api/next", json={}).json()["pairs"][0]
    assert client.post("/api/tests", json={"pair": pair["id"]}).json()["tests"][0]["passed"] == 2
    client.post("/api/vote", json=vote_body(pair))
    bob = client_of(queue, "bob", show_tests=True)
    pair = bob.post("/api/next", json={}).json()["pairs"][0]
    assert pair["tests"][1]["outcome"] == "failed"
    bob.post("/api/vote", json=vote_body(pair, "vote-0002"))
    assert [v.saw_tests for v in queue.database.votes()] == [True, True]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"pair": "unknown"}, 404, "not assigned to you"),
        ({"choice": "best"}, 400, "choice"),
        ({"choice": None}, 400, "choice"),
        ({"id": "x"}, 400, "id"),
        ({"id": "a b c d e f g"}, 400, "id"),
        ({"seconds": -1}, 400, "seconds"),
        ({"seconds": "3"}, 400, "seconds"),
        ({"reason": "x" * 2001}, 400, "reason"),
    ],
)
def test_a_wrong_vote_is_refused_by_name_and_stores_nothing(queue, change, status, said):
    client = client_of(queue)
    pair = client.post("/api/next", json={}).json()["pairs"][0]
    answer = client.post("/api/vote", json=vote_body(pair) | change)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert said in (error["param"] or "") + error["message"]
    assert queue.database.votes() == []


def test_a_pair_of_another_is_not_mine_and_a_second_vote_is_refused(queue):
    ann, bob = client_of(queue), client_of(queue, "bob")
    pair = ann.post("/api/next", json={}).json()["pairs"][0]
    assert bob.post("/api/vote", json=vote_body(pair)).status_code == 404
    assert bob.post("/api/tests", json={"pair": pair["id"]}).status_code == 404
    assert ann.post("/api/vote", json=vote_body(pair)).status_code == 200
    assert ann.post("/api/vote", json=vote_body(pair, "vote-0002")).status_code == 409
    assert bob.get("/api/progress").json()["last"] is None
    assert bob.post("/api/undo", json={"vote": "vote-0001"}).status_code == 409
    queue.close()
    assert "closed" in ann.post("/api/undo", json={}).json()["error"]["message"]
    assert len(queue.database.votes()) == 1


def test_without_a_key_or_with_a_wrong_one_nothing_is_answered(queue):
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": KEYS["ann"]}):
        client = client_of(queue, None)
        for method, path in (
            ("POST", "next"),
            ("POST", "vote"),
            ("POST", "tests"),
            ("GET", "progress"),
            ("GET", "status"),
        ):
            answer = client.request(method, f"/api/{path}", headers=header, json={} if method == "POST" else None)
            assert answer.status_code == 401, path


def test_a_revoked_key_ends_at_once_and_its_votes_stay(queue, tmp_path):
    path = tmp_path / "keys.txt"
    (ann, ann_line), (_, bob_line) = new_key("ann"), new_key("bob")
    path.write_text(f"{ann_line}\n{bob_line}\n")
    app = make_app(queue, Access(load_keys(str(path), None)), key_file=KeyFile(str(path), Keys()))
    client = TestClient(app, headers={"Authorization": f"Bearer {ann}"})
    pairs = client.post("/api/next", json={}).json()["pairs"]
    assert client.post("/api/vote", json=vote_body(pairs[0])).status_code == 200
    path.write_text(f"{bob_line}\n# ann has left\n")
    assert client.post("/api/vote", json=vote_body(pairs[1], "vote-0002")).status_code == 401
    path.write_text("what is this\n")  # an invalid file opens nothing
    assert client.post("/api/next", json={}).status_code == 401
    assert [v.id for v in queue.database.votes()] == ["vote-0001"]


def test_without_keys_only_pages_of_this_machine_are_answered(queue):
    app = make_app(queue, Access(only="me"))
    assert TestClient(app, base_url="http://127.0.0.1:8010").get("/api/progress").json()["annotator"] == "me"
    assert TestClient(app, base_url="http://localhost").get("/api/progress").status_code == 200
    rebound = TestClient(app, base_url="http://evil.example:8010").post("/api/next", json={})
    assert rebound.status_code == 403
    form = TestClient(app, base_url="http://localhost").post(
        "/api/next", content="{}", headers={"Content-Type": "text/plain"}
    )
    assert form.status_code == 415


def test_only_leads_see_the_status_and_conflicts(queue):
    status = {"votes": 3, "by": {"ann": 3}}
    assert client_of(queue, status=lambda: status).get("/api/status").status_code == 403
    assert client_of(queue).post("/api/next", json={"settle": True}).status_code == 403
    assert "conflicts" not in client_of(queue).get("/api/progress").json()
    lead = client_of(queue, "lead", status=lambda: status)
    assert lead.get("/api/status").json() == status
    for name in ("ann", "bob"):
        client = client_of(queue, name)
        pair = client.post("/api/next", json={}).json()["pairs"][0]
        choice = "left" if (pair["left"] < pair["right"]) == (name == "ann") else "right"
        client.post("/api/vote", json=vote_body(pair, f"vote-of-{name}", choice))
    assert lead.get("/api/progress").json()["conflicts"] == 1
    (pair,) = lead.post("/api/next", json={"settle": True}).json()["pairs"]
    assert lead.post("/api/vote", json=vote_body(pair, "vote-of-lead")).status_code == 200
    assert lead.get("/api/progress").json()["conflicts"] == 0


def test_every_answer_has_strict_headers_and_no_script_is_inline(queue):
    client = client_of(queue)
    page = client.get("/")
    for answer in (
        page,
        client.get("/main.js"),
        client.get("/api/progress"),
        client.get("/nothing"),
        client.get("/health"),
    ):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in page.text
    assert "onclick" not in page.text
    assert "style=" not in page.text
    assert "://" not in page.text  # nothing from elsewhere
    assert client.get("/main.js").headers["content-type"].startswith("text/javascript")
    for path in ("/../app.py", "/page/../app.py", "/%2e%2e/app.py", "/app.py", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 404


def test_bodies_and_programs_have_limits(queue):
    client = client_of(queue)
    assert client.post("/api/vote", content=b"{" + b" " * MOST_BODY + b"}").status_code == 415
    json_type = {"Content-Type": "application/json"}
    assert client.post("/api/vote", content=b" " * (MOST_BODY + 1), headers=json_type).status_code == 413
    for wrong in (b"[]", b"{", b"null", b"\xff", b'{"id": 1e999}', b"[" * 50_000):
        assert client.post("/api/vote", content=wrong, headers=json_type).status_code == 400
    add_problem(queue, "long", ["a" * (MOST_CODE + 7), "b\0\ud800"], priority=9.0)
    pair = client.post("/api/next", json={}).json()["pairs"][0]
    assert pair["cut"] == 7
    assert sorted(map(len, (pair["left"], pair["right"]))) == [3, MOST_CODE]
    assert json.dumps("b\0\ud800") in client.post("/api/next", json={}).text


def test_a_locked_database_is_no_fault_of_the_vote(queue, tmp_path, monkeypatch):
    import sqlite3

    from rrtf_ray.feedback import database as module

    monkeypatch.setattr(module, "BUSY_S", 0.2)
    locked = queue_of(FeedbackDatabase(sqlite_url(tmp_path / "other.sqlite")), 1)
    client = client_of(locked)
    pair = client.post("/api/next", json={}).json()["pairs"][0]
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("BEGIN IMMEDIATE")
    answer = client.post("/api/vote", json=vote_body(pair))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "locked" in answer.json()["error"]["message"]
    other.rollback()
    assert client.post("/api/vote", json=vote_body(pair)).status_code == 200
