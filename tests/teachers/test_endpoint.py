"""The official client against a real server that behaves as badly as servers do."""

import asyncio
import time
from email.utils import formatdate

import pytest

from rrtf_ray.config import Draw, TeacherConfig
from rrtf_ray.errors import StageError
from rrtf_ray.records import Fault
from rrtf_ray.teachers import endpoint
from rrtf_ray.teachers.asking import Question
from rrtf_ray.teachers.endpoint import EndpointTeacher
from rrtf_ray.teachers.keys import Key
from rrtf_ray.teachers.ledger import Ledger
from tests.teachers.server import Answer, serving

KEY = "sk-secret-of-the-tests"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(endpoint, "_BACK_OFF_S", 0.01)


def question(number=0, max_tokens=50):
    return Question(f"task {number}", f"text {number}", 0.5, 1.0, max_tokens, number)


def asked(script, tmp_path, questions, **settings):
    """The replies to all questions at once, by a teacher that is made for them."""

    async def ask():
        config = TeacherConfig(model="m", base_url=script.url, **settings)
        teacher = EndpointTeacher("big", config, Key(KEY), Ledger(str(tmp_path / "teachers.sqlite"), "big:m"))
        try:
            return await asyncio.gather(*map(teacher.ask, questions))
        finally:
            await teacher.close()

    return asyncio.run(ask())


def spent(tmp_path):
    ledger = Ledger(str(tmp_path / "teachers.sqlite"), "big:m")
    found = ledger.spent()
    ledger.close()
    return found


def test_what_is_sent_and_what_comes_back(tmp_path):
    with serving(lambda body, n: Answer("hello")) as script:
        (reply,) = asked(script, tmp_path, [question()], system="Be short.", parameters={"seed": None, "top_k": 3})
    assert (reply.text, reply.finish_reason, reply.num_tokens, reply.fault) == ("hello", "stop", 20, None)
    assert script.asked == [
        {
            "model": "m",
            "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "task 0"}],
            "max_tokens": 50,
            "temperature": 0.5,
            "top_p": 1.0,
            "top_k": 3,
        }
    ]
    assert script.keys == [f"Bearer {KEY}"]
    assert (spent(tmp_path).input_tokens, spent(tmp_path).output_tokens) == (10, 20)


def test_a_base_model_continues_the_text(tmp_path):
    with serving(lambda body, n: Answer("    return 1")) as script:
        (reply,) = asked(script, tmp_path, [question()], form="completion")
    assert reply.text == "    return 1"
    assert script.asked[0]["prompt"] == "text 0"


def test_the_same_questions_again_are_not_sent(tmp_path):
    with serving(lambda body, n: Answer(f"answer {n}")) as script:
        questions = [question(i) for i in range(20)]
        first = asked(script, tmp_path, questions)
        again = asked(script, tmp_path, questions)
        assert len(script.asked) == 20
        assert again == first
        asked(script, tmp_path, [question(0, max_tokens=51)])
        assert len(script.asked) == 21


@pytest.mark.parametrize(
    "bad",
    [
        Answer(raw=b'{"choices": [{"mess'),
        Answer(raw=b"<html>gateway</html>", headers={"Content-Type": "text/html"}),
        Answer(raw=b'{"choices": []}'),
        Answer(raw=b'{"choices": [{"message": {"content": 7}}]}'),
        Answer(cut=True),
        Answer(status=500),
        Answer(status=503, headers={"Retry-After": "0"}),
        Answer(status=429),
        Answer(wait_s=1.5),
    ],
    ids=["broken JSON", "HTML", "no choices", "no text", "cut", "500", "503", "429", "slow"],
)
def test_a_fault_that_passes_is_tried_again(tmp_path, bad):
    with serving(lambda body, n: bad if n < 2 else Answer("good")) as script:
        (reply,) = asked(script, tmp_path, [question()], timeout_s=0.5)
    assert reply.text == "good"
    assert len(script.asked) == 3


def test_a_fault_that_does_not_pass_has_an_end_and_a_message(tmp_path):
    with (
        serving(lambda body, n: Answer(raw=b"{")) as script,
        pytest.raises(StageError, match=r"teachers\.big: http.* answers no questions to 'm': broken data came back"),
    ):
        asked(script, tmp_path, [question()], retries=2)
    assert len(script.asked) == 3


def test_an_endpoint_that_is_down(tmp_path):
    with serving(lambda body, n: Answer()) as script:
        pass
    with pytest.raises(StageError, match=r"the connection failed.*\(3 times\).*start the same command again"):
        asked(script, tmp_path, [question()], retries=2)
    replies = asked(script, tmp_path, [question(i) for i in range(4)], retries=1, when_down="go_on")
    assert [reply.fault for reply in replies] == [Fault.UNANSWERED] * 4


def test_one_bad_question_among_good_ones_does_not_stop_the_run(tmp_path):
    def say(body, number):
        return Answer(raw=b"{") if "task 3" in body["messages"][0]["content"] else Answer("good")

    with serving(say) as script:
        replies = asked(script, tmp_path, [question(i) for i in range(8)], retries=1, concurrency=1)
    assert [reply.fault for reply in replies] == [None] * 3 + [Fault.UNANSWERED] + [None] * 4


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, {"message": f"Incorrect API key provided: {KEY}"}, r"Incorrect API key provided: \[key\]; check the key"),
        (404, {"message": "The model `m` does not exist"}, "does not exist; check model and base_url"),
        (429, {"message": "You exceeded your quota", "code": "insufficient_quota"}, "the account has no money"),
    ],
)
def test_what_no_retry_can_help_stops_at_once_and_hides_the_key(tmp_path, status, error, says):
    with (
        serving(lambda body, n: Answer(status=status, error=error)) as script,
        pytest.raises(StageError, match=says) as caught,
    ):
        asked(script, tmp_path, [question()])
    assert len(script.asked) == 1
    assert KEY not in repr(caught.value)
    assert spent(tmp_path).tokens == 0


def test_a_rejected_question_is_told_and_many_in_a_row_are_a_fault(tmp_path):
    with serving(lambda body, n: Answer(status=400, error={"message": "too long"})) as script:
        replies = asked(script, tmp_path, [question(i) for i in range(3)])
        assert {reply.fault for reply in replies} == {Fault.REJECTED}
        assert "too long" in replies[0].detail
        with pytest.raises(StageError, match=r"status 400: .*too long"):
            asked(script, tmp_path, [question(i) for i in range(20)])


def test_a_refusal_is_an_answer(tmp_path):
    with serving(lambda body, n: Answer(None, refusal="I cannot help with that")) as script:
        (reply,) = asked(script, tmp_path, [question()])
        asked(script, tmp_path, [question()])
    assert (reply.fault, reply.detail) == (Fault.REFUSED, "I cannot help with that")
    assert len(script.asked) == 1


@pytest.mark.parametrize("header", ["Retry-After", "retry-after-ms", "date"])
def test_what_the_endpoint_asks_to_wait_is_waited_for(tmp_path, header):
    def say(body, number):
        if number:
            return Answer("good")
        value = {"Retry-After": "1", "retry-after-ms": "1000"}.get(header) or formatdate(time.time() + 2, usegmt=True)
        return Answer(status=429, headers={"Retry-After" if header == "date" else header: value})

    with serving(say) as script:
        (reply,) = asked(script, tmp_path, [question()])
    assert reply.text == "good"
    assert script.at[1] - script.at[0] >= 0.9


def test_an_endpoint_that_asks_for_a_day_counts_as_down(tmp_path):
    with (
        serving(lambda body, n: Answer(status=429, headers={"Retry-After": "86400"})) as script,
        pytest.raises(StageError, match="it asks to wait for 86400 s"),
    ):
        asked(script, tmp_path, [question()])


def test_the_limit_of_tokens_holds_and_is_known_to_the_next_start(tmp_path):
    with serving(lambda body, n: Answer("good", usage=(10, 40))) as script:
        questions = [question(i) for i in range(30)]
        replies = asked(script, tmp_path, questions, max_tokens_total=500)
        faults = [reply.fault for reply in replies]
        assert set(faults) == {None, Fault.OUT_OF_BUDGET}
        # A question may take 70 + 50 tokens, and takes 50: 8 leave no room for a ninth.
        assert len(script.asked) == faults.count(None) == 8
        assert spent(tmp_path).tokens == 400
        with pytest.raises(StageError, match=r"8 requests, 400 tokens of 500"):
            asked(script, tmp_path, questions, max_tokens_total=500, when_spent="stop")
        assert len(script.asked) == 8
        again = asked(script, tmp_path, questions, max_tokens_total=2000)
        assert [reply.fault for reply in again] == [None] * 30
        assert len(script.asked) == 30


def test_the_limit_of_money_holds_where_the_endpoint_tells_no_tokens(tmp_path):
    with serving(lambda body, n: Answer("good", usage=None)) as script:
        prices = {"price_per_million_input": 1e6, "price_per_million_output": 1e6, "max_cost": 250.0}
        asked(script, tmp_path, [question(i) for i in range(30)], **prices)
    assert len(script.asked) == 2  # of at most 120 each
    assert spent(tmp_path).cost == 240


def test_a_killed_request_stays_on_the_account(tmp_path):
    """As when the process dies between the request and its answer."""

    async def kill(script):
        config = TeacherConfig(model="m", base_url=script.url)
        ledger = Ledger(str(tmp_path / "teachers.sqlite"), "big:m")
        number = await endpoint.Budget(config, ledger).reserve(endpoint.Spent(1, 70, 50, 0.0))
        ledger.close()
        return number

    with serving(lambda body, n: Answer()) as script:
        assert asyncio.run(kill(script)) == 1
        replies = asked(script, tmp_path, [question()], max_tokens_total=239)
    assert replies[0].fault is Fault.OUT_OF_BUDGET
    assert script.asked == []


def test_no_more_requests_are_in_flight_than_wanted(tmp_path):
    import threading

    flying, most, lock = [0], [0], threading.Lock()

    def say(body, number):
        with lock:
            flying[0] += 1
            most[0] = max(most[0], flying[0])
        time.sleep(0.1)
        with lock:
            flying[0] -= 1
        return Answer("good")

    with serving(say) as script:
        asked(script, tmp_path, [question(i) for i in range(30)], concurrency=3, requests_per_minute=60_000)
    assert most[0] == 3


def test_the_key_is_in_no_file_and_no_text(tmp_path):
    with serving(lambda body, n: Answer(f"my key is {KEY}")) as script:
        (reply,) = asked(script, tmp_path, [question()], draws=(Draw(n=1, temperature=0.0),))
    assert reply.text == "my key is [key]"
    assert KEY not in f"{Key(KEY)} {Key(KEY)!r} {[Key(KEY)]}"
    for path in tmp_path.rglob("*"):
        assert KEY.encode() not in path.read_bytes()


def test_a_file_that_cannot_be_used_says_so(tmp_path):
    (tmp_path / "teachers.sqlite").write_text("no database, but long enough to be looked at " * 50)
    with pytest.raises(StageError, match=r"teachers\.sqlite.*cannot be used.*teachers\.NAME\.cache"):
        Ledger(str(tmp_path / "teachers.sqlite"), "big:m")
