"""What is asked next, of whom, and what happens to votes: on SQLite and on PostgreSQL."""

import threading
from collections import Counter

import pytest

from rrtf_ray.feedback import answers
from rrtf_ray.feedback.database import FeedbackDatabase
from rrtf_ray.feedback.queue import REPEAT_AFTER, Queue
from rrtf_ray.feedback.settling import conflicts, next_to_settle
from rrtf_ray.records import Choice
from rrtf_ray.serving.refusals import Refusal
from tests.feedback.pairs_for_tests import Clock, queue_of, vote


def test_the_same_pair_comes_back_until_it_is_answered_and_stands_on_the_same_sides(database):
    queue = queue_of(database)
    first = queue.next("ann")
    again = queue.next("ann")
    assert [(a.id, a.left, a.right) for a in first] == [(a.id, a.left, a.right) for a in again]
    assert len(first) == 2
    vote(queue, "ann", first[0])
    assert queue.next("ann")[0].id == first[1].id


def test_two_annotators_never_get_the_same_pair(database):
    queue = queue_of(database, 4)
    ann, bob = queue.next("ann"), queue.next("bob")
    assert not {a.pair for a in ann} & {b.pair for b in bob}
    assert queue.next("cid") == []


def test_higher_priority_is_asked_sooner_and_sides_differ_between_pairs(database):
    queue = queue_of(database, 40)
    given = queue.next("ann", 40)
    assert [a.pair for a in given] == sorted(a.pair for a in given)
    assert 5 < sum(a.left < a.right for a in given) < 35


def test_an_overlapping_pair_goes_to_two_annotators_and_not_to_a_third(database):
    queue = queue_of(database, 1, overlap=1.0)
    (ann,), (bob,) = queue.next("ann"), queue.next("bob")
    assert ann.pair == bob.pair
    assert queue.next("cid") == []
    vote(queue, "ann", ann)
    assert queue.next("ann") == []


def test_another_overlap_is_taken_over_when_the_round_is_loaded_again(database):
    queue = queue_of(database, 1)
    vote(queue, "ann", queue.next("ann")[0])
    assert queue.next("bob") == []
    assert len(queue_of(database, 1, overlap=1.0).next("bob")) == 1


def test_an_abandoned_pair_goes_back_when_its_lease_ends(database):
    clock = Clock()
    queue = queue_of(database, 1, clock=clock)
    (ann,) = queue.next("ann")
    clock.now += 1799
    assert queue.next("bob") == []
    assert queue.next("ann")[0].id == ann.id  # a sign of life: the lease begins again
    clock.now += 1799
    assert queue.next("bob") == []
    clock.now += 2
    (bob,) = queue.next("bob")
    assert bob.pair == ann.pair
    with pytest.raises(Refusal, match="given to somebody else") as refused:
        vote(queue, "ann", ann)
    assert refused.value.status == 409
    assert database.votes() == []


def test_a_late_vote_counts_if_nobody_else_has_the_pair(database):
    clock = Clock()
    queue = queue_of(database, 2, clock=clock)
    held = queue.next("ann")
    clock.now += 4000
    queue.next("bob", 1)  # ends the leases, and takes the first pair
    assert queue.next("ann", 1)[0].id == held[1].id  # her own again
    clock.now += 4000
    with database.writing() as connection:
        queue.end_leases(connection)
    vote(queue, "ann", held[1])
    assert len(database.votes()) == 1
    assert held[1].pair not in {a.pair for a in queue.next("bob", 5)}


def test_a_clock_that_jumps_back_keeps_no_pair_for_longer_than_a_lease(database):
    clock = Clock()
    queue = queue_of(database, 1, clock=clock)
    queue.next("ann")
    clock.now -= 86_400
    assert queue.next("bob") == []  # still leased, from now on
    clock.now += 1801
    assert len(queue.next("bob")) == 1


def test_a_repeat_comes_later_with_the_sides_swapped_and_only_once(database):
    queue = queue_of(database, REPEAT_AFTER + 3, repeat=1.0)
    shown = []
    while given := queue.next("ann", 1):
        shown.append(given[0])
        vote(queue, "ann", given[0])
    repeats = [a for a in shown if a.arm == "repeat"]
    assert len(repeats) == REPEAT_AFTER + 3
    for repeated in repeats:
        before = next(a for a in shown if a.pair == repeated.pair)
        assert (repeated.left, repeated.right) == (before.right, before.left)
        assert shown.index(repeated) - shown.index(before) >= 3
    assert shown.index(repeats[0]) == REPEAT_AFTER
    assert {v.arm for v in database.votes()} == {"chosen", "repeat"}


def test_a_share_of_the_pairs_is_random_and_kept_apart(database):
    queue = queue_of(database, 100, random=0.2)
    given = queue.next("ann", 50)
    arms = Counter(a.arm for a in given)
    assert 4 <= arms["random"] <= 20
    at_random = [a.pair for a in given if a.arm == "random"]
    assert at_random != sorted(at_random)
    vote(queue, "ann", next(a for a in given if a.arm == "random"))
    assert database.votes()[0].arm == "random"


def test_a_vote_sent_twice_is_stored_once(database):
    queue = queue_of(database)
    given = queue.next("ann")[0]
    for _ in range(3):
        vote(queue, "ann", given, Choice.BOTH_GOOD, seconds=4.5, reason="equal\0\ud800")
    (stored,) = database.votes()
    assert (stored.left, stored.right, stored.choice) == (given.left, given.right, Choice.BOTH_GOOD)
    assert (stored.seconds, stored.reason, stored.annotator, stored.arm) == (4.5, "equal\0\ud800", "ann", "chosen")


def test_what_a_vote_is_refused_for(database):
    queue = queue_of(database)
    given = queue.next("ann")[0]

    def refused(annotator, assignment_id, vote_id):
        with pytest.raises(Refusal) as found:
            answers.vote(queue, annotator, vote_id=vote_id, assignment_id=assignment_id, choice=Choice.LEFT)
        return found.value.status, str(found.value)

    assert refused("bob", given.id, "vote-1") == (404, "this pair is not assigned to you; load the page again")
    assert refused("ann", "nothing", "vote-1")[0] == 404
    vote(queue, "ann", given, vote_id="vote-1")
    assert "has your vote already" in refused("ann", given.id, "vote-2")[1]
    other = queue.next("ann")[0]
    assert "is on another pair" in refused("ann", other.id, "vote-1")[1]
    queue.close()
    assert refused("ann", other.id, "vote-3") == (409, "this round is closed and takes no more votes")
    assert queue.next("ann") == []
    assert len(database.votes()) == 1


def test_undo_takes_the_last_vote_back_and_shows_that_pair_again(database):
    queue = queue_of(database, 3, repeat=1.0)
    first = queue.next("ann")[0]
    vote(queue, "ann", first, vote_id="vote-1")
    second = queue.next("ann")[0]
    vote(queue, "ann", second, vote_id="vote-2")
    with pytest.raises(Refusal, match="only your last vote"):
        answers.undo(queue, "ann", "vote-1")
    with pytest.raises(Refusal, match="no vote to take back"):
        answers.undo(queue, "bob")
    assert answers.undo(queue, "ann", "vote-2") == "vote-2"
    assert answers.undo(queue, "ann", "vote-2") == "vote-2"  # sent twice
    assert [v.id for v in database.votes()] == ["vote-1"]
    shown = queue.next("ann")[0]
    assert (shown.id, shown.left) == (second.id, second.left)
    assert second.pair not in {b.pair for b in queue.next("bob", 5)}
    with pytest.raises(Refusal, match="was taken back"):
        vote(queue, "ann", shown, vote_id="vote-2")
    vote(queue, "ann", shown, Choice.RIGHT, vote_id="vote-3")
    answers.undo(queue, "ann")
    answers.undo(queue, "ann")
    assert database.votes() == []
    assert {a.arm for a in queue.next("ann", 9)} == {"chosen"}  # no repetition of what was taken back


def test_a_skipped_pair_goes_to_somebody_else(database):
    queue = queue_of(database, 1)
    (ann,) = queue.next("ann")
    vote(queue, "ann", ann, Choice.SKIPPED)
    assert queue.next("ann") == []
    (bob,) = queue.next("bob")
    assert bob.pair == ann.pair
    with pytest.raises(Refusal, match="skipped was given to somebody else"):
        answers.undo(queue, "ann")


def test_tests_that_were_seen_are_in_the_vote_also_after_undo(database):
    queue = queue_of(database, 2)
    first, second = queue.next("ann")
    assert answers.look_at_tests(queue, "ann", first.id)[0].total == 9
    vote(queue, "ann", first)
    vote(queue, "ann", second, vote_id="vote-2")
    assert [v.saw_tests for v in database.votes()] == [True, False]
    answers.undo(queue, "ann")
    vote(queue, "ann", second, vote_id="vote-3")  # what the tests say was shown after the first choice
    assert [v.saw_tests for v in database.votes()] == [True, True]


def test_a_lead_settles_opposite_votes_and_nothing_else(database):
    queue = queue_of(database, 2, overlap=1.0)
    for annotator in ("ann", "bob"):
        for given in queue.next(annotator):
            prefers_first = annotator == "ann" or given.pair == 2
            vote(queue, annotator, given, Choice.LEFT if (given.left < given.right) == prefers_first else Choice.RIGHT)
    assert conflicts(queue) == [1]
    (given,) = next_to_settle(queue, "lead")
    assert (given.pair, given.arm) == (1, "settle")
    assert next_to_settle(queue, "other lead") == []
    assert next_to_settle(queue, "lead")[0].id == given.id
    assert queue.next("lead") == []
    vote(queue, "lead", given)
    assert conflicts(queue) == []
    assert database.votes()[-1].arm == "settle"
    answers.undo(queue, "lead")
    assert conflicts(queue) == [1]


def test_each_pair_set_asks_its_own_pairs(database):
    queue_of(database, 2)
    later = Queue(database, "run/round-02", clock=Clock())
    assert later.next("ann") == []
    assert answers.progress(later, "ann").left == 0


def test_progress_is_the_annotators_own(database):
    queue = queue_of(database, 5)
    for seconds in (2.0, 30.0, 4.0):
        vote(queue, "ann", queue.next("ann", 1)[0], seconds=seconds)
    found = answers.progress(queue, "ann")
    assert (found.answered, found.left, found.seconds) == (3, 2, 4.0)
    assert answers.progress(queue, "bob") == answers.Progress(0, 2, 0.0, None)


def test_votes_move_the_other_pairs_of_their_problem(database):
    queue = queue_of(database, 1, programs=3)
    given = queue.next("ann", 1)[0]
    vote(queue, "ann", given)
    queue.reprioritise("p0")
    queue.reprioritise("p0")  # from the pairs' own priority each time
    assert len(queue.next("ann", 5)) == 2


@pytest.mark.parametrize("shared", [True, False], ids=["one server", "several servers"])
def test_no_double_assignment_and_no_lost_vote_under_many_threads(url, shared):
    pairs, names = 120, [f"annotator-{n}" for n in range(8)]
    queue = queue_of(url, pairs, clock=None)
    queues = [queue if shared else Queue(FeedbackDatabase(url), queue.pair_set, queue.settings, Clock()) for _ in names]
    given, acknowledged, faults = [], [], []

    def work(name, mine):
        try:
            while found := mine.next(name, 2):
                given.extend((name, a.pair) for a in found)
                acknowledged.append(vote(mine, name, found[0]))
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=arguments) for arguments in zip(names, queues, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert faults == []
    owners = {pair: {name for name, other in given if other == pair} for _, pair in given}
    assert all(len(names) == 1 for names in owners.values())
    stored = [v.id for v in queue.database.votes()]
    assert sorted(stored) == sorted(acknowledged)
    assert len(stored) == pairs
