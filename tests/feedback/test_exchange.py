"""Votes go out of a database and into another one unchanged, and come in from the forms that other tools write."""

import bz2
import gzip
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rrtf_ray.errors import DataError, InputError
from rrtf_ray.feedback.database import FeedbackDatabase, sqlite_url
from rrtf_ray.feedback.exchange import export_votes, import_votes
from rrtf_ray.identity import program_digest
from rrtf_ray.records import Arm, Choice, Vote, VoteSource

PROMPT = "def f(a):\n"
GOOD, BAD, OTHER = (PROMPT + body for body in ("    return a\r\n    # ü", "    return 0", "    return -a"))
CODES = (GOOD, BAD, OTHER)


@pytest.fixture
def make(tmp_path):
    made = []

    def new():
        made.append(FeedbackDatabase(sqlite_url(tmp_path / f"{len(made)}.sqlite")))
        return made[-1]

    yield new
    for database in made:
        database.close()


@pytest.fixture
def database(make):
    return make()


def vote(number, choice="left", left=GOOD, right=BAD, **fields):
    fields = {"annotator": "ann", "problem_id": "mine/1"} | fields
    return Vote(str(number), left=program_digest(left), right=program_digest(right), choice=Choice(choice), **fields)


def filled(database, *votes):
    database.add_problem("mine/1", PROMPT, CODES)
    database.add(votes)
    return database


def jsonl(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def codes(database, vote):
    return tuple(database.program(vote.problem_id, digest) for digest in (vote.left, vote.right))


def chat(*texts):
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


# --- our own form


@pytest.mark.parametrize("name", ["votes.jsonl", "votes.parquet"])
def test_a_round_trip_into_an_empty_database_changes_nothing(tmp_path, make, name):
    full = {"seconds": 3.25, "reason": 'shorter,\n"clear" \u2028', "rubric": "v2", "saw_tests": True, "arm": "repeat"}
    votes = [
        vote(1, at=1_700_000_000.123456, **full),
        vote(2, "both_bad", BAD, OTHER, annotator="judge", source=VoteSource.JUDGE),
        vote(3, "skipped", OTHER, GOOD),
        vote(4, "right"),
    ]
    source, target = filled(make(), *votes), make()
    source.retract("4")
    path = str(tmp_path / name)
    assert export_votes(source, path) == 3
    assert import_votes(path, target) == 3
    assert target.votes() == source.votes() == votes[:3]
    assert target.problems() == source.problems() == [("mine/1", PROMPT)]
    assert target.programs() == source.programs()
    assert import_votes(path, target) == 0
    assert export_votes(target, str(tmp_path / f"again-{name}")) == 3
    assert (tmp_path / f"again-{name}").read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_a_compressed_export_is_read(tmp_path, make, suffix, pack):
    path = tmp_path / "votes.jsonl"
    export_votes(filled(make(), vote(1)), str(path))
    packed = tmp_path / f"votes.jsonl.{suffix}"
    packed.write_bytes(pack(path.read_bytes()))
    assert import_votes(str(packed), make()) == 1


def test_a_vote_taken_back_here_does_not_come_back_from_a_file(tmp_path, database):
    filled(database, vote(1))
    export_votes(database, str(tmp_path / "votes.jsonl"))
    database.retract("1")
    assert import_votes(str(tmp_path / "votes.jsonl"), database) == 0
    assert database.votes() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choice": "middle"}, r"votes\.jsonl:2: Vote\.choice: 'middle' is not one of left, right"),
        ({"left_code": "x = 1"}, r"votes\.jsonl:2: left_code is not the program that left=.* stands for"),
        ({"left": program_digest(BAD)}, r"votes\.jsonl:2: vote '2' compares a program with itself"),
        ({"annotator": None}, r"votes\.jsonl:2: Vote\.annotator: None is null, expected a text"),
        ({"seconds": float("nan")}, r"votes\.jsonl:2: at=0\.0, seconds=nan: both have to be finite"),
        ({"right_code": 5}, r"votes\.jsonl:2: the field 'right_code' is 5 \(int\), expected a text"),
        ({"reason": "\ud800"}, r"votes\.jsonl:2: a text has half of a surrogate pair"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_stored(tmp_path, make, change, message):
    path = tmp_path / "votes.jsonl"
    export_votes(filled(make(), vote(1), vote(2)), str(path))
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    target = make()
    with pytest.raises(DataError, match=message):
        import_votes(jsonl(path, first, second | change), target)
    assert (target.votes(), target.problems(), target.programs()) == ([], [], {})


def test_a_file_cut_off_and_one_that_is_missing(tmp_path, make):
    path = tmp_path / "votes.jsonl"
    export_votes(filled(make(), vote(1), vote(2)), str(path))
    path.write_text(path.read_text()[:-20])
    target = make()
    with pytest.raises(DataError, match=r"votes\.jsonl:2 .*malformed JSON"):
        import_votes(str(path), target)
    assert target.votes() == []
    with pytest.raises(DataError, match="cannot be read"):
        import_votes(str(tmp_path / "none.jsonl"), target)


def test_an_export_that_fails_leaves_the_file_that_was_there(tmp_path, database):
    path = tmp_path / "votes.jsonl"
    path.write_text("before")
    filled(database, vote(1))
    for bad in ({"form": "csv"}, {"path": str(tmp_path / "votes.csv")}, {"path": f"{path}/below.jsonl"}):
        with pytest.raises(InputError, match=r"none of votes, trl|ends in \.jsonl or \.parquet|cannot be written"):
            export_votes(database, **{"path": str(path)} | bad)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir() if "votes" in file.name] == ["votes.jsonl"]


# --- trl


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_pairs_for_trl_are_what_most_votes_say(tmp_path, database, suffix):
    filled(
        database,
        vote(1),
        vote(2, "right", BAD, GOOD, annotator="ben"),
        vote(3, "right", annotator="cem"),
        vote(4, "both_good", annotator="dan"),
        vote(5, "left", BAD, OTHER),
        vote(6, "right", BAD, OTHER, annotator="ben"),
        vote(7, "both_bad", GOOD, OTHER),
        vote(8, "skipped", GOOD, OTHER),
        *(vote(f"again {i}", "left", BAD, OTHER, arm=Arm.REPEAT) for i in range(3)),  # of one who has voted already
    )
    path = str(tmp_path / f"pairs.{suffix}")
    assert export_votes(database, path, form="trl") == 1
    rows = pq.read_table(path).to_pylist() if suffix == "parquet" else read(path)
    assert rows == [{"prompt": PROMPT, "chosen": GOOD.removeprefix(PROMPT), "rejected": "    return 0"}]


def test_a_settled_pair_is_as_it_was_settled(tmp_path, database):
    filled(database, vote(1), vote(2, annotator="ben"), vote(3, "right", annotator="lead", arm=Arm.SETTLE))
    path = str(tmp_path / "pairs.jsonl")
    assert export_votes(database, path, form="trl") == 1
    assert read(path)[0]["chosen"] == "    return 0"


def test_pairs_for_trl_reach_the_same_programs_when_they_come_back(tmp_path, database):
    filled(database, vote(1), vote(2, "left", OTHER, BAD))
    path = str(tmp_path / "pairs.jsonl")
    export_votes(database, path, form="trl")
    assert import_votes(path, database) == 2
    assert {codes(database, vote) for vote in database.votes()} == {(GOOD, BAD), (OTHER, BAD)}
    assert len(database.programs()) == 3


# --- the forms of others


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Add.", "chosen": "a + b", "rejected": "a - b"},
        {"prompt": chat("Add."), "chosen": chat("", "a + b")[1:], "rejected": chat("", "a - b")[1:]},
        {"prompt": "Add.", "chosen": chat("Add.", "a + b"), "rejected": chat("Add.", "a - b"), "score_chosen": 8.0},
        {"chosen": chat("Add.", "a + b"), "rejected": chat("Add.", "a - b")},
        {"prompt": "Add.", "response_a": "a + b", "response_b": "a - b", "winner": "model_a", "model_a": "x"},
        {"winner": "model_a", "conversation_a": chat("Add.", "a + b"), "conversation_b": chat("Add.", "a - b")},
    ],
)
@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_forms_that_people_have(tmp_path, database, row, suffix):
    path = tmp_path / f"pairs.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    else:
        jsonl(path, row)
    assert import_votes(str(path), database) == 1
    (found,) = database.votes()
    assert codes(database, found) == ("a + b", "a - b")
    assert (found.choice, found.source, found.arm) == (Choice.LEFT, VoteSource.PERSON, "import")
    assert database.problems() == [(found.problem_id, "Add.")]
    assert found.problem_id.startswith("imported/")
    assert import_votes(str(path), database) == 0


@pytest.mark.parametrize(
    ("winner", "choice"),
    [("model_a", "left"), ("model_b", "right"), ("tie", "both_good"), ("tie (bothbad)", "both_bad")],
)
def test_winners_of_battles(tmp_path, database, winner, choice):
    row = {"prompt": "Add.", "response_a": "a", "response_b": "b", "winner": winner, "judge": "jo", "tstamp": 1.5e9}
    import_votes(jsonl(tmp_path / "battles.jsonl", row), database)
    (found,) = database.votes()
    assert (found.choice, found.annotator, found.at) == (Choice(choice), "jo", 1.5e9)


def test_two_judges_and_two_moments_are_votes_of_their_own(tmp_path, database):
    row = {"prompt": "Add.", "response_a": "a", "response_b": "b", "winner": "tie", "judge": "jo", "tstamp": 1.0}
    path = jsonl(tmp_path / "battles.jsonl", row, row, row | {"judge": 7}, row | {"tstamp": 2.0})
    assert import_votes(path, database) == 3
    assert {vote.annotator for vote in database.votes()} == {"jo", "7"}


def test_rows_that_compare_nothing_are_left_out_and_counted(tmp_path, database, capsys):
    battle = {"winner": "tie", "conversation_a": chat("Add.", "a"), "conversation_b": chat("Add.", "b")}
    longer = {"conversation_a": chat("1", "a", "2", "c"), "conversation_b": chat("1", "b", "2", "d")}
    same = {"conversation_b": chat("Add.", "a\n")}
    path = jsonl(tmp_path / "battles.jsonl", battle, battle | longer, battle | same)
    assert import_votes(path, database) == 1
    assert "2 rows left out" in capsys.readouterr().out


def test_a_problem_is_found_by_its_id_or_its_prompt(tmp_path, database):
    filled(database)
    pair = {"prompt": "other words", "chosen": "x", "rejected": "y"}
    path = jsonl(
        tmp_path / "pairs.jsonl",
        pair | {"problem_id": "mine/1"},
        pair | {"task_id": "mine/2"},
        pair | {"prompt": PROMPT + "\n", "chosen": "z"},
        pair | {"prompt": chat(PROMPT), "rejected": "z"},
    )
    import_votes(path, database)
    assert [vote.problem_id for vote in database.votes()] == ["mine/1", "mine/2", "mine/1", "mine/1"]
    assert database.prompt("mine/1") == PROMPT
    assert database.prompt("mine/2") == "other words"


def test_a_prompt_of_two_problems_names_neither(tmp_path, database):
    filled(database)
    database.add_problem("mine/2", PROMPT, [])
    path = jsonl(tmp_path / "pairs.jsonl", {"prompt": PROMPT, "chosen": "x", "rejected": "y"})
    import_votes(path, database)
    assert database.votes()[0].problem_id.startswith("imported/")
    assert import_votes(path, database) == 0


def test_an_answer_is_the_program_that_the_problem_has_of_it(tmp_path, database):
    """As it is, after the prompt, in a block of code; and an answer that the problem does not have stays as it is."""
    filled(database)
    fenced = f"Here it is:\n```python\n{OTHER}\n```\nIt negates."
    path = jsonl(
        tmp_path / "pairs.jsonl",
        {"prompt": PROMPT, "chosen": GOOD, "rejected": "    return 0"},
        {"prompt": PROMPT, "chosen": fenced, "rejected": "```\nunknown\n```"},
        {"prompt": PROMPT, "chosen": fenced, "rejected": OTHER},
    )
    assert import_votes(path, database) == 2
    assert [codes(database, vote) for vote in database.votes()] == [(GOOD, BAD), (OTHER, "```\nunknown\n```")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"question": "?", "answer": "!"}], r":1: has question, answer, .*our own export.*pairs.*arena battles"),
        ([{"chosen": "Human: a", "rejected": "Human: b"}], r":1: has no prompt: give the field 'prompt'"),
        ([{"prompt": " ", "chosen": "a", "rejected": "b"}], r":1: has an empty prompt and no problem_id"),
        ([{"prompt": "p", "chosen": "a", "rejected": 5}], r":1: the field 'rejected' is 5 \(int\), expected a text"),
        ([{"prompt": "p", "chosen": [], "rejected": "b"}], r":1: the field 'chosen' is no chat"),
        ([{"prompt": "p", "chosen": [{"role": "user"}], "rejected": "b"}], r":1: the field 'chosen' is no chat"),
        ([{"prompt": "p", "chosen": "a\ud800", "rejected": "b"}], r":1: a text has half of a surrogate pair"),
        (
            [{"prompt": "p", "response_a": "a", "response_b": "b", "winner": "model_c"}],
            r":1: winner='model_c' is none of model_a, model_b, tie",
        ),
        (
            [{"prompt": "p", "chosen": "a", "rejected": "b"}, {"prompt": "p", "chosen": "a"}],
            r":2: the field 'rejected' is missing; the row has prompt, chosen",
        ),
        (
            [{"prompt": "p", "chosen": "a", "rejected": "b"}, {"prompt": "p", "chosen": "c", "rejected": None}],
            r":2: the field 'rejected' is missing",
        ),
        ([{"prompt": "p", "chosen": "a", "rejected": "b", "task_id": [1]}], r":1: the field 'task_id' is \[1\]"),
    ],
)
def test_a_bad_row_of_another_form_is_named_and_nothing_is_stored(tmp_path, database, rows, message):
    with pytest.raises(DataError, match=r"pairs\.jsonl" + message):
        import_votes(jsonl(tmp_path / "pairs.jsonl", *rows), database)
    assert (database.votes(), database.problems(), database.programs()) == ([], [], {})


def test_hostile_rows_give_a_vote_or_a_clear_error(tmp_path, database):
    """Valid rows with any JSON in up to three of their fields: never another exception."""
    chance = random.Random(5)
    atoms = [None, True, -1, 2.5, float("inf"), "", "x", "\x00", "\ud800", "model_a", [], {}, [None], chat("a", "b")]
    export_votes(filled(database, vote(1)), str(tmp_path / "votes.jsonl"))
    battle = {"winner": "tie", "judge": "jo", "tstamp": 1.0}
    valid = [
        *read(tmp_path / "votes.jsonl"),
        {"prompt": "Add.", "chosen": chat("Add.", "a"), "rejected": "b", "task_id": "t"},
        battle | {"conversation_a": chat("Add.", "a"), "conversation_b": chat("Add.", "b")},
        battle | {"prompt": "Add.", "response_a": "a", "response_b": "b", "annotator": "jo"},
    ]
    stored, refused = 1, []
    for _ in range(300):
        row = dict(chance.choice(valid))
        row |= {name: chance.choice(atoms) for name in chance.sample(sorted(row), chance.randint(1, 3))}
        try:
            stored += import_votes(jsonl(tmp_path / "rows.jsonl", row), database)
        except DataError as error:
            refused.append(str(error))
    assert all("rows.jsonl" in message for message in refused), refused
    assert len(refused) > 100
    assert len(database.votes()) == stored > 20
