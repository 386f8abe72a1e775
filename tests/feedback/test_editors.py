"""Events of editors become votes."""

import json

import pytest

from rrtf_ray.errors import DataError, InputError
from rrtf_ray.feedback.database import FeedbackDatabase, sqlite_url
from rrtf_ray.feedback.editors import Imported, import_events
from rrtf_ray.records import Choice, VoteSource

PROMPT, SUFFIX = "def f(a):\n", "\nf(1)"


@pytest.fixture
def database(tmp_path):
    database = FeedbackDatabase(sqlite_url(tmp_path / "feedback.sqlite"))
    yield database
    database.close()


def event(kind, text, number=0, **fields):
    return {
        "at": 1000.0 + number,
        "event": kind,
        "completion_id": f"cmpl-{number}",
        "choice_index": 0,
        "key": "ann",
        "prompt": PROMPT,
        "suffix": SUFFIX,
        "text": text,
        "edited": None,
    } | fields


def write(folder, *events):
    folder.mkdir(exist_ok=True)
    (folder / "2026-11-01-host-1.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return str(folder)


def test_what_was_taken_beats_what_was_dismissed_at_the_same_place(tmp_path, database):
    folder = write(
        tmp_path / "events",
        event("shown", "    return 0"),
        event("rejected", "    return 0"),
        event("accepted", "    return a", 1),
        event("rejected", "    return b", 2, prompt="def g(b):\n"),
        event("accepted", "    return 2", 3, key="ben"),
    )
    assert import_events(folder, database) == Imported(events=5, without_code=0, votes=1)
    (vote,) = database.votes()
    assert (vote.choice, vote.source, vote.annotator, vote.at) == (Choice.LEFT, VoteSource.EDITOR, "ann", 1001.0)
    assert database.program(vote.problem_id, vote.left) == PROMPT + "    return a" + SUFFIX
    assert database.program(vote.problem_id, vote.right) == PROMPT + "    return 0" + SUFFIX
    assert import_events(folder, database).votes == 0


def test_what_the_user_made_of_a_completion_beats_it(tmp_path, database):
    folder = write(tmp_path / "events", event("edited", "    return 0", edited="    return a"))
    assert import_events(folder, database).votes == 1
    (vote,) = database.votes()
    assert database.program(vote.problem_id, vote.left) == PROMPT + "    return a" + SUFFIX


def test_votes_on_a_known_prompt_reach_its_problem(tmp_path, database):
    code = PROMPT + "    return a" + SUFFIX
    (digest,) = database.add_problem("mine/1", PROMPT, [code])
    folder = write(tmp_path / "events", event("accepted", "    return a"), event("rejected", "    return 0"))
    import_events(folder, database)
    (vote,) = database.votes(["mine/1"])
    assert vote.left == digest


def test_nothing_is_made_of_contradictions_and_of_events_without_code(tmp_path, database):
    bare = {name: value for name, value in event("accepted", "").items() if name not in ("text", "prompt", "suffix")}
    folder = write(
        tmp_path / "events",
        event("accepted", "    return a"),
        event("rejected", "    return a", 1),
        event("edited", "    return a", 2, edited="    return a\n"),
        bare,
    )
    assert import_events(folder, database) == Imported(events=4, without_code=1, votes=0)


def test_a_folder_without_events_and_a_line_cut_off(tmp_path, database):
    with pytest.raises(InputError, match=r"gateway\.events"):
        import_events(str(tmp_path / "none"), database)
    folder = write(tmp_path / "events", event("accepted", "x"))
    with (tmp_path / "events" / "2026-11-01-host-1.jsonl").open("a") as file:
        file.write('{"at": 3, "eve')
    with pytest.raises(DataError, match=r"host-1\.jsonl:2: not an event"):
        import_events(folder, database)
    assert database.votes() == []
