"""What the status says of a small set of votes, worked by hand, and how it is shown."""

import json

import pytest

from rrtf_ray.feedback.status import print_status, status_of
from rrtf_ray.progress import console
from rrtf_ray.records import Arm, Choice, Vote, VoteSource

A, B = "a" * 32, "b" * 32


def vote(number, choice, annotator="ann", problem="p1", left=A, right=B, **fields):
    return Vote(str(number), problem, left, right, Choice(choice), annotator, **fields)


VOTES = [
    # Ann: 0 s to 120 s, then a pause; a vote at 10,000 s that took 24 s, and one 36 s later. That is 180 s of activity.
    vote(1, "left", at=0.0, seconds=0.0),
    vote(2, "left", problem="p2", at=60.0, seconds=60.0),
    vote(3, "right", left=B, right=A, arm=Arm.REPEAT, at=100.0, seconds=40.0),
    vote(4, "skipped", problem="p3", at=120.0, seconds=20.0),
    vote(5, "both_bad", problem="p3", at=10_000.0, seconds=24.0),
    vote(6, "left", problem="p4", at=10_036.0),
    # Ben sees the sides the other way round: as Ann on p1, against her on p2 and p4.
    vote(7, "right", "ben", left=B, right=A, at=5.0),
    vote(8, "left", "ben", "p2", left=B, right=A, at=10.0),
    vote(9, "right", "ben", "p4", at=20.0),
    vote(10, "left", "lead", "p4", arm=Arm.SETTLE, at=30.0),
    vote(11, "left", "judge-7b", "p1", source=VoteSource.JUDGE),
    vote(12, "left", "judge-7b", "p2", source=VoteSource.JUDGE),
    vote(13, "left", "judge-7b", "p9", source=VoteSource.JUDGE),
]


def test_figures_of_each_annotator():
    status = status_of(VOTES)
    assert (status["votes"], status["skipped"], status["pairs"]) == (12, 1, 5)
    assert [one["annotator"] for one in status["annotators"]] == ["ann", "ben", "lead", "judge-7b"]
    ann = status["annotators"][0]
    assert (ann["votes"], ann["skipped"], ann["source"]) == (5, 1, "person")
    assert ann["median_seconds"] == 40.0
    assert ann["votes_per_hour"] == 5 / (180 / 3600)
    assert (ann["left"]["chosen"], ann["left"]["of"], ann["left"]["share"]["value"]) == (3, 4, 0.75)
    assert ann["self_consistency"]["pairs"] == 1
    assert ann["self_consistency"]["share"]["value"] == 1
    assert status["annotators"][2]["votes_per_hour"] is None


def test_agreement_of_people_and_of_a_judge_with_them():
    """Ann and Ben agree on p1 of p1, p2, p4; the vote that settles p4 is none of theirs. The judge says `first` of p1
    as both do, and of p2, where one says first and one second: the people's label is a tie there."""
    status = status_of(VOTES)
    people = status["people"]
    assert (people["pairs"], people["annotators"]) == (3, 2)
    assert people["raw"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    (judge,) = status["judges"]
    assert (judge["judge"], judge["pairs"], judge["raw"]["value"]) == ("judge-7b", 2, 0.5)


def test_a_conflict_is_open_until_it_is_settled():
    (conflict,) = status_of(VOTES)["conflicts"]
    assert (conflict["problem_id"], conflict["first"], conflict["second"]) == ("p2", A, B)
    assert [one["id"] for one in conflict["votes"]] == ["2", "8"]
    settled = [*VOTES, vote(20, "skipped", "lead", "p2", arm=Arm.SETTLE)]
    assert len(status_of(settled)["conflicts"]) == 1
    settled.append(vote(21, "left", "lead", "p2", arm=Arm.SETTLE))
    assert status_of(settled)["conflicts"] == []


@pytest.mark.parametrize("votes", [[], VOTES[:1], VOTES[3:4], VOTES])
def test_the_status_is_json_without_nan(votes):
    status = status_of(votes)
    assert json.loads(json.dumps(status, allow_nan=False)) == status


def test_what_a_person_sees(capsys, monkeypatch):
    monkeypatch.setattr(console, "_width", 220)
    many = [vote(100 + i, "left", "[b]eve", f"q{i}") for i in range(20)]
    print_status(status_of([*VOTES, *many]))
    shown = capsys.readouterr().out
    assert "32 votes on 25 pairs, 1 skipped" in shown
    assert "[b]eve chose the left program in 20 of 20 cases" in shown
    assert "judge-7b and people" in shown
    assert "ann: first" in shown
    assert "ben: second" in shown
    assert "nan" not in shown.lower()


def test_too_few_votes_are_said_in_words(capsys, monkeypatch):
    monkeypatch.setattr(console, "_width", 220)
    print_status(status_of(VOTES[:1]))
    shown = capsys.readouterr().out
    assert "1 vote on 1 pair, 0 skipped" in shown
    assert shown.count("too few votes") == 6
    assert "Conflicts" not in shown
    print_status(status_of([]))
    assert "no votes yet" in capsys.readouterr().out


def test_a_long_list_of_conflicts_is_cut_short_for_a_person_only(capsys):
    votes = [
        vote(f"{who}{i}", choice, who, f"q{i}") for i in range(23) for who, choice in (("x", "left"), ("y", "right"))
    ]
    status = status_of(votes)
    assert len(status["conflicts"]) == 23
    print_status(status)
    assert "and 3 more conflicts" in capsys.readouterr().out
