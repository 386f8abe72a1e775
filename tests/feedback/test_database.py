"""What the database keeps, and what it says where it cannot."""

import os
import sqlite3
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from rrtf_ray.errors import InputError, StageError
from rrtf_ray.feedback import database as module
from rrtf_ray.feedback.database import FeedbackDatabase, sqlite_url
from rrtf_ray.feedback.tables import METADATA
from rrtf_ray.records import Choice, Vote


def vote_on(digests, vote_id="vote-1"):
    return Vote(vote_id, "p", digests[0], digests[1], Choice.LEFT, "ann")


def test_votes_survive_and_count_once_and_can_be_taken_back(url, database):
    digests = database.add_problem("p", "def f():\n", ["a", "b"])
    assert database.add([vote_on(digests), vote_on(digests, "vote-2")]) == 2
    assert database.add([vote_on(digests)]) == 0
    assert database.retract("vote-1")
    assert not database.retract("vote-1")
    with pytest.raises(InputError, match="no vote 'vote-3'"):
        database.retract("vote-3")
    other = FeedbackDatabase(url)
    assert [v.id for v in other.votes()] == ["vote-2"]
    assert [v.id for v in other.votes(["p"])] == ["vote-2"]
    assert other.votes(["q"]) == []
    other.close()


def test_any_text_of_a_program_comes_back_as_it_was(database):
    codes = ["a\0b", "\ud800 alone", "\ufffe0000 as it is", "\u202eabc\u2028", "x" * 300_000, "", "e" + "\u0301" * 500]
    digests = database.add_problem("p\u202e", "prompt\0", codes)
    assert [database.program("p\u202e", digest) for digest in digests] == codes
    assert database.prompt("p\u202e") == "prompt\0"


def test_a_vote_on_an_unknown_program_is_refused_and_leaves_nothing(database):
    digests = database.add_problem("p", "", ["a", "b"])
    with pytest.raises(InputError, match="program nothing of problem 'p'"):
        database.add([vote_on(digests), vote_on(["nothing", digests[1]], "vote-2")])
    assert database.votes() == []


def test_the_migrations_make_the_tables_that_the_code_has(database):
    with database.reading() as connection:
        found = compare_metadata(MigrationContext.configure(connection), METADATA)
        assert [change for change in found if change[0] != "remove_index"] == []


def test_several_may_open_a_new_database_at_once(url):
    found = []

    def work():
        try:
            opened = FeedbackDatabase(url)
            found.append(opened.votes())
            opened.close()
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [[]] * 4


def test_a_database_of_another_version_is_refused(tmp_path):
    path = tmp_path / "feedback.sqlite"
    FeedbackDatabase(sqlite_url(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(InputError, match=r"schema '9999'.*update rrtf-ray"):
        FeedbackDatabase(sqlite_url(path))


def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path):
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    url = sqlite_url(tmp_path / "feedback.sqlite")
    config = Config()
    config.set_main_option("script_location", str(module._MIGRATIONS))
    with create_engine(url).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    opened = FeedbackDatabase(url)
    digests = opened.add_problem("p", "", ["a", "b"])
    assert opened.add([vote_on(digests)]) == 1


def test_a_locked_database_says_so_and_stores_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUSY_S", 0.2)
    path = tmp_path / "feedback.sqlite"
    opened = FeedbackDatabase(sqlite_url(path))
    digests = opened.add_problem("p", "", ["a", "b"])
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StageError, match=r"another process has had it locked.*nothing was stored"):
        opened.add([vote_on(digests)])
    assert opened.votes() == []  # who reads need not wait
    other.rollback()
    assert opened.add([vote_on(digests)]) == 1


def test_a_full_database_says_so_and_keeps_what_it_has(tmp_path):
    opened = FeedbackDatabase(sqlite_url(tmp_path / "feedback.sqlite"))
    digests = opened.add_problem("p", "", ["a", "b"])
    opened.add([vote_on(digests)])
    with opened.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # of this connection, which the pool keeps
    with pytest.raises(StageError, match="the disk is full; free some space"):
        opened.add_problem("q", "x" * 1_000_000, [])
    assert len(opened.votes()) == 1


def test_a_read_only_database_says_so(tmp_path):
    path = tmp_path / "feedback.sqlite"
    FeedbackDatabase(sqlite_url(path)).close()
    opened = FeedbackDatabase(f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(StageError, match="read-only; give write permission"):
        opened.add_problem("p", "", ["a"])


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "no database URL"),
        ("oracle9://x", "no database URL"),
        ("sqlite:////nowhere/at/all/f.sqlite", "its folder exists"),
        ("postgresql+psycopg://me:secret@127.0.0.1:1/x", "cannot be opened"),
    ],
)
def test_a_database_that_cannot_be_opened_is_named_without_its_password(url, said):
    with pytest.raises(InputError, match=said) as found:
        FeedbackDatabase(url)
    assert "secret" not in str(found.value)


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, and no database at all\n" * 50)
    before = path.read_bytes()
    with pytest.raises(InputError, match="no SQLite database"):
        FeedbackDatabase(sqlite_url(path))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["notes.txt"]
