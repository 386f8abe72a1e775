"""Time is virtual here: a loop that has nothing to do jumps to its next timer."""

import asyncio
import pickle
import random
import selectors

import pytest

from rrtf_ray.errors import RRTFError
from rrtf_ray.serving.limits import Admission, RateLimit, Reason, Rejected


class _Instant(selectors.DefaultSelector):
    """Waits by moving the clock."""

    now = 0.0

    def select(self, timeout=None):
        assert timeout is not None, "the test waits for something that nobody will do"
        self.now += max(0.0, timeout)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._instant = _Instant()
        super().__init__(self._instant)

    def time(self):
        return self._instant.now


def run(coroutine):
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(coroutine)


def now():
    return asyncio.get_running_loop().time()


async def settle():
    """Let every task run as far as it can without time passing."""
    for _ in range(10):
        await asyncio.sleep(0)


class Client:
    """A request in its own task, which keeps its slot until `end`."""

    def __init__(self, admission, key="k", concurrency=None, log=None):
        self.running = False
        self._end = asyncio.Event()
        self.task = asyncio.create_task(self._go(admission, key, concurrency, [] if log is None else log))

    async def _go(self, admission, key, concurrency, log):
        async with admission.slot(key, concurrency):
            log.append(key)
            self.running = True
            await self._end.wait()
        self.running = False

    def end(self):
        self._end.set()

    async def rejected(self):
        with pytest.raises(Rejected) as caught:
            await self.task
        return caught.value.reason, caught.value.retry_after_s


async def serve_all(admission, clients):
    """End running requests until none is left."""
    while not all(client.task.done() for client in clients):
        for client in clients:
            if client.running:
                client.end()
        await settle()
    assert_at_rest(admission)


def assert_at_rest(admission):
    """No slot is lost or doubled: exactly as many as exist can be taken at once."""
    assert (admission.ongoing, admission.queued) == (0, 0)
    assert not admission._ongoing_of
    assert not admission._waiting


# ---- RateLimit


def test_rate_by_hand():
    limit = RateLimit(per_minute=60, burst=2)
    assert limit.take(100.0) == 0
    assert limit.take(100.0) == 0
    assert limit.take(100.0) == pytest.approx(1.0)
    assert limit.take(100.25) == pytest.approx(0.75)  # refusals take nothing
    assert limit.take(101.0) == 0
    assert limit.take(101.0) == pytest.approx(1.0)
    assert limit.take(1000.0) == limit.take(1000.0) == 0  # no more than the burst is saved up
    assert limit.take(1000.0) == pytest.approx(1.0)


def test_a_minutes_requests_may_come_at_once_by_default():
    limit = RateLimit(per_minute=30)
    assert [limit.take(5.0) for _ in range(30)] == [0] * 30
    assert limit.take(5.0) == pytest.approx(2.0)


def test_less_than_one_a_minute():
    limit = RateLimit(per_minute=0.5)
    assert limit.take(0.0) == 0
    assert limit.take(0.0) == pytest.approx(120)
    assert limit.take(119.0) == pytest.approx(1)
    assert limit.take(120.0) == 0


def test_whoever_waits_as_told_is_admitted():
    rng = random.Random(0)
    for _ in range(300):
        limit = RateLimit(per_minute=rng.uniform(0.1, 5000), burst=rng.choice([1, 1.5, 10]))
        clock = rng.uniform(0, 1e6)
        for _ in range(30):
            wait = limit.take(clock)
            if wait:
                clock += wait
                assert limit.take(clock) == 0
            clock += rng.choice([0, rng.random() / 10])


def test_the_rate_holds_in_the_long_run():
    limit, admitted = RateLimit(per_minute=60, burst=5), 0
    for tick in range(100_000):  # a thousand seconds
        admitted += limit.take(tick / 100) == 0
    assert admitted == 5 + 999


def test_a_clock_that_goes_back_gives_no_tokens():
    limit = RateLimit(per_minute=60, burst=1)
    assert limit.take(10.0) == 0
    assert limit.take(5.0) == pytest.approx(1)
    assert limit.take(10.5) == pytest.approx(0.5)


# ---- Rejected


@pytest.mark.parametrize("reason", Reason)
def test_rejections_say_why_and_when_to_come_again_and_survive_pickling(reason):
    error = Rejected(reason, 2.4)
    assert isinstance(error, RRTFError)
    assert str(error).endswith("; try again in 3 s")
    again = pickle.loads(pickle.dumps(error))
    assert (again.reason, again.retry_after_s, str(again)) == (reason, 2.4, str(error))
    assert "in 1 s" in str(Rejected(reason, 0.2))


# ---- Admission


def test_so_many_run_so_many_wait_and_the_next_is_turned_away():
    async def go():
        admission = Admission(max_ongoing=2, max_queued=1, queue_timeout_s=30)
        clients = [Client(admission) for _ in range(4)]
        await settle()
        assert (admission.ongoing, admission.queued) == (2, 1)
        assert [client.running for client in clients] == [True, True, False, False]
        assert await clients[3].rejected() == (Reason.QUEUE, 1.0)
        clients[0].end()
        await settle()
        assert (admission.ongoing, admission.queued) == (2, 0)
        assert clients[2].running
        await serve_all(admission, clients)

    run(go())


def test_without_a_queue_the_next_is_turned_away_at_once():
    async def go():
        admission = Admission(1, 0, 30)
        async with admission.slot("k"):
            with pytest.raises(Rejected):
                await admission.acquire("other")
            assert now() == 0
        assert_at_rest(admission)

    run(go())


def test_requests_of_one_key_keep_their_order():
    async def go():
        admission, order = Admission(1, 10, 30), []

        async def request(number):
            async with admission.slot("k"):
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(request(number) for number in range(8)))
        assert order == list(range(8))

    run(go())


def test_keys_take_turns():
    async def go():
        admission, log = Admission(1, 20, 30), []
        clients = [Client(admission, key, log=log) for key in "aaaaaabbbcc"]
        await serve_all(admission, clients)
        assert "".join(log) == "aabcabcabaa"  # the first of a found a free slot; from then on a, b, c in turn

    run(go())


def test_a_late_request_of_another_key_waits_for_one_of_the_burst_only():
    async def go():
        admission, log = Admission(1, 50, 30), []
        burst = [Client(admission, "burst", log=log) for _ in range(40)]
        await settle()
        late = Client(admission, "late", log=log)
        await settle()
        for client in burst[:2]:
            client.end()
            await settle()
        assert log == ["burst", "burst", "late"]
        await serve_all(admission, [*burst, late])

    run(go())


def test_a_burst_that_fills_the_queue_makes_room_for_another_key():
    async def go():
        admission = Admission(1, 3, 30)
        burst = [Client(admission, "burst") for _ in range(5)]  # one runs, three wait, one is rejected
        await settle()
        assert (await burst[4].rejected())[0] == Reason.QUEUE
        first = Client(admission, "late")
        await settle()
        assert (await burst[3].rejected())[0] == Reason.QUEUE  # the newest of the longest
        assert admission.queued == 3
        second = Client(admission, "late")  # two of the burst's and one: as even as it gets
        await settle()
        assert (await second.rejected())[0] == Reason.QUEUE
        third = Client(admission, "third")
        await settle()
        assert (await burst[2].rejected())[0] == Reason.QUEUE
        fourth = Client(admission, "fourth")  # each of three keys has one place
        await settle()
        assert (await fourth.rejected())[0] == Reason.QUEUE
        await serve_all(admission, [burst[0], burst[1], first, third])

    run(go())


def test_a_key_has_so_many_under_way_waiting_ones_too():
    async def go():
        admission = Admission(2, 10, 30)
        mine = [Client(admission, "mine", concurrency=3) for _ in range(4)]
        other = Client(admission, "other", concurrency=1)
        await settle()
        assert (admission.ongoing, admission.queued) == (2, 2)
        assert await mine[3].rejected() == (Reason.CONCURRENCY, 1.0)
        mine[2].task.cancel()  # a waiting one that goes away makes room
        await settle()
        again = Client(admission, "mine", concurrency=3)
        await settle()
        assert not again.task.done()
        mine[0].end()
        await settle()
        assert other.running
        await serve_all(admission, [mine[0], mine[1], other, again])

    run(go())


def test_a_request_waits_no_longer_than_it_may():
    async def go():
        admission = Admission(1, 10, queue_timeout_s=5)
        first = Client(admission)
        await asyncio.sleep(1)
        second = Client(admission)
        assert (await second.rejected())[0] == Reason.TIMEOUT
        assert now() == pytest.approx(6)
        assert admission.queued == 0
        third = Client(admission)
        await asyncio.sleep(4)
        first.end()
        await settle()
        timers = asyncio.get_running_loop()._scheduled
        assert all(timer.cancelled() for timer in timers)  # else each keeps its request in memory until it is due
        await asyncio.sleep(60)  # having got a slot, it may run on
        assert third.running
        await serve_all(admission, [first, third])

    run(go())


def test_when_to_come_again_by_hand():
    async def go():
        admission = Admission(1, 3, queue_timeout_s=100)
        async with admission.slot("k"):
            await asyncio.sleep(8)
        clients = [Client(admission) for _ in range(5)]
        await settle()
        assert await clients[4].rejected() == (Reason.QUEUE, pytest.approx(8 * 3 / 1))
        admission.resize(2)
        clients.append(Client(admission))  # two run, three wait
        clients.append(Client(admission))
        await settle()
        assert await clients[6].rejected() == (Reason.QUEUE, pytest.approx(8 * 3 / 2))
        over = Client(admission, concurrency=1)
        assert await over.rejected() == (Reason.CONCURRENCY, pytest.approx(8))
        await asyncio.sleep(18)
        clients[0].end()  # 18 s count for a tenth: 8 + 10 / 10
        await settle()
        clients.append(Client(admission))
        clients.append(Client(admission))
        await settle()
        assert await clients[8].rejected() == (Reason.QUEUE, pytest.approx(9 * 3 / 2))
        await serve_all(admission, [c for c in clients if not c.task.done()])

    run(go())


def test_resize_up_lets_waiting_ones_in_and_down_lets_running_ones_end():
    async def go():
        admission = Admission(0, 10, 30)
        clients = [Client(admission) for _ in range(5)]
        await settle()
        assert (admission.ongoing, admission.queued) == (0, 5)
        admission.resize(3)
        assert (admission.ongoing, admission.queued) == (3, 2)
        await settle()
        admission.resize(1)
        assert (admission.ongoing, admission.max_ongoing) == (3, 1)
        for running in (2, 1):
            next(client for client in clients if client.running).end()
            await settle()
            assert (admission.ongoing, admission.queued) == (running, 2)
        await serve_all(admission, clients)

    run(go())


def test_a_slot_is_given_back_once_and_when_the_body_raises():
    async def go():
        admission = Admission(2, 0, 30)
        slot = await admission.acquire("k")
        other = await admission.acquire("k")
        slot.release()
        slot.release()
        assert admission.ongoing == 1
        other.release()
        with pytest.raises(ZeroDivisionError):
            async with admission.slot("k"):
                raise ZeroDivisionError
        assert_at_rest(admission)

    run(go())


# ---- cancellation


def test_a_waiter_that_goes_away_leaves_the_queue_at_once():
    async def go():
        admission = Admission(1, 2, 30)
        clients = [Client(admission) for _ in range(3)]
        await settle()
        clients[1].task.cancel()
        await asyncio.sleep(0)
        assert admission.queued == 1
        clients[0].end()
        await settle()
        assert clients[2].running
        await serve_all(admission, clients)

    run(go())


@pytest.mark.parametrize("granted_first", [True, False])
def test_cancellation_in_the_moment_of_the_grant_passes_the_slot_on(granted_first):
    async def go():
        admission = Admission(1, 2, 30)
        slot = await admission.acquire("a")
        cancelled, next_one = Client(admission, "b"), Client(admission, "c")
        await settle()
        if granted_first:
            slot.release()
            assert (admission.ongoing, admission.queued) == (1, 1)
            cancelled.task.cancel()
        else:
            cancelled.task.cancel()
            slot.release()
        await settle()
        assert cancelled.task.cancelled()
        assert not cancelled.running
        assert next_one.running
        assert (admission.ongoing, admission.queued) == (1, 0)
        await serve_all(admission, [cancelled, next_one])

    run(go())


@pytest.mark.parametrize("cancel_first", [True, False])
def test_cancellation_of_one_that_is_just_sent_away(cancel_first, caplog):
    async def go():
        admission = Admission(1, 2, 30)
        slot = await admission.acquire("a")
        clients = [Client(admission, "b"), Client(admission, "b")]
        await settle()
        late = asyncio.create_task(admission.acquire("c"))  # makes the newest of b leave
        if cancel_first:
            clients[1].task.cancel()
        await asyncio.sleep(0)
        if not cancel_first:
            clients[1].task.cancel()
        await settle()
        assert clients[1].task.cancelled()
        assert admission.queued == 2
        slot.release()
        await settle()
        clients[0].end()
        (await late).release()
        await serve_all(admission, clients)

    run(go())
    assert not caplog.records  # such as an exception that nobody retrieved


@pytest.mark.parametrize("late_by", [-1e-9, 0.0, 1e-9])
def test_a_grant_at_the_time_of_the_timeout(late_by):
    async def go():
        admission = Admission(1, 2, queue_timeout_s=5)
        slot = await admission.acquire("a")
        client = Client(admission, "b")
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(now() + 5 + late_by, slot.release)
        await asyncio.sleep(6)
        assert client.running or client.task.done()
        if client.running:
            client.end()
            await client.task
        else:
            assert (await client.rejected())[0] == Reason.TIMEOUT
        assert_at_rest(admission)

    run(go())


def test_a_coroutine_that_is_closed_leaves_no_trace():
    async def go():
        admission = Admission(1, 2, 30)
        slot = await admission.acquire("a")
        waiting, granted = admission.acquire("b"), admission.acquire("c")
        waiting.send(None)
        granted.send(None)
        assert admission.queued == 2
        waiting.close()
        assert admission.queued == 1
        slot.release()
        assert admission.ongoing == 1
        granted.close()
        assert_at_rest(admission)

    run(go())


def test_cancellation_after_every_possible_number_of_steps():
    """Three requests for one slot; each in turn is cancelled after n steps of the loop, for all n until they end."""

    async def go(victim, steps):
        admission = Admission(1, 2, 30)
        inside = 0

        async def request():
            nonlocal inside
            async with admission.slot("k"):
                inside += 1
                assert inside == 1
                try:
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                finally:
                    inside -= 1

        tasks = [asyncio.create_task(request()) for _ in range(3)]
        for _ in range(steps):
            await asyncio.sleep(0)
        in_time = tasks[victim].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [outcome is None for outcome in outcomes] == [not (in_time and i == victim) for i in range(3)]
        assert_at_rest(admission)
        return in_time

    for victim in range(3):
        steps = 0
        while run(go(victim, steps)):
            steps += 1
        assert steps >= 3 * (victim + 1)  # or the sweep ended early


@pytest.mark.parametrize("seed", range(60))
def test_random_cancellations_lose_and_double_no_slot(seed, caplog):
    rng = random.Random(seed)

    async def go():
        size = rng.randint(1, 4)
        admission = Admission(size, rng.randint(0, 12), queue_timeout_s=rng.choice([0.5, 3, 100]))
        inside, most, outcomes = 0, size, {"done": 0, "cancelled": 0, "rejected": 0}

        async def pause():
            if rng.random() < 0.3:
                await asyncio.sleep(rng.choice([0.1, 0.5, 1]))  # on one grid, so that timers meet
            for _ in range(rng.randint(0, 3)):
                await asyncio.sleep(0)

        async def request():
            nonlocal inside
            try:
                await pause()
                async with admission.slot(rng.choice("abc"), rng.choice([None, 2, 5])):
                    inside += 1
                    try:
                        assert inside <= admission.ongoing <= most
                        await pause()
                    finally:
                        inside -= 1
            except asyncio.CancelledError:
                outcomes["cancelled"] += 1
                raise
            except Rejected:
                outcomes["rejected"] += 1
            else:
                outcomes["done"] += 1

        tasks = []
        for _ in range(120):
            tasks.append(asyncio.create_task(request()))
            if rng.random() < 0.6:
                rng.choice(tasks[-12:]).cancel()
            if rng.random() < 0.05:
                size = rng.randint(0, 4)
                most = max(most, size)
                admission.resize(size)
            assert not admission.queued or admission.ongoing >= admission.max_ongoing
            await pause()
        admission.resize(size := max(1, size))
        await asyncio.wait(tasks)
        errors = [task.exception() for task in tasks if not task.cancelled()]
        assert errors == [None] * len(errors)
        assert sum(outcomes.values()) <= len(tasks)  # one that is cancelled before it starts counts nothing
        assert inside == 0
        assert_at_rest(admission)
        slots = [await admission.acquire("a") for _ in range(size)]
        one_more = Client(admission, "a")
        await settle()
        assert not one_more.running
        for slot in slots:
            slot.release()
        one_more.task.cancel()
        await settle()
        assert_at_rest(admission)
        return outcomes

    outcomes = run(go())
    assert outcomes["done"] > 5
    assert outcomes["cancelled"] > 5
    assert not caplog.records
