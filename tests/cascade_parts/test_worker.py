"""The shared worker. Jobs are held by gates, so the order of things does not depend on time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from voxengine.errors import ProviderError
from voxengine.providers.cascade.local.worker import (
    MAX_LOST,
    ModelWorker,
    Priority,
    WorkSuperseded,
    default_lanes,
)

PATIENCE = 20.0


class Gate:
    """A job that says when it has begun, and ends when it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()
        self.thread = threading.current_thread()

    def __call__(self) -> str:
        self.thread = threading.current_thread()
        self.begun.set()
        assert self.go.wait(PATIENCE)
        return "gate"

    async def reached(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, PATIENCE)


@pytest.fixture
def make_worker() -> Iterator[Callable[..., ModelWorker]]:
    made: list[ModelWorker] = []

    def make(threads: int = 1, **options: int) -> ModelWorker:
        made.append(ModelWorker({"stt": threads, "tts": 1}, **options))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


def test_gives_results_and_errors(make_worker):
    def fail() -> None:
        raise ValueError("no")

    def stop() -> None:
        raise StopIteration

    async def main() -> None:
        worker = make_worker()
        assert await worker.submit("a", Priority.URGENT, lambda: 6 * 7) == 42
        with pytest.raises(ValueError, match="no"):
            await worker.submit("a", Priority.URGENT, fail)
        with pytest.raises(ProviderError, match="StopIteration"):
            await worker.submit("a", Priority.URGENT, stop)
        stats = worker.stats()["stt"]
        assert (stats["done"], stats["failed"]) == (3, 2)

    asyncio.run(main())


def test_a_job_that_exits_does_not_end_the_thread(make_worker):
    async def main() -> None:
        worker = make_worker()
        with pytest.raises(ProviderError, match="SystemExit"):
            await worker.submit("a", Priority.URGENT, lambda: exit(1))
        assert await worker.submit("a", Priority.URGENT, lambda: 1) == 1

    asyncio.run(main())


def test_sessions_take_turns(make_worker):
    async def main() -> list[str]:
        worker, gate, order = make_worker(), Gate(), []
        held = worker.submit("x", Priority.URGENT, gate)
        await gate.reached()
        names = ["a1", "a2", "a3", "b1", "c1", "b2"]
        jobs = [
            worker.submit(name[0], Priority.URGENT, lambda name=name: order.append(name))
            for name in names
        ]
        gate.go.set()
        await asyncio.gather(held, *jobs)
        return order

    assert asyncio.run(main()) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_urgent_before_normal_before_partial(make_worker):
    async def main() -> list[str]:
        worker, gate, order = make_worker(), Gate(), []
        held = worker.submit("x", Priority.URGENT, gate)
        await gate.reached()
        jobs = [
            worker.submit(session, priority, lambda p=priority: order.append(p.name))
            for session, priority in (
                ("a", Priority.PARTIAL),
                ("b", Priority.NORMAL),
                ("c", Priority.URGENT),
            )
        ]
        gate.go.set()
        await asyncio.gather(held, *jobs)
        return order

    assert asyncio.run(main()) == ["URGENT", "NORMAL", "PARTIAL"]


@pytest.mark.parametrize("newer", [Priority.PARTIAL, Priority.URGENT])
def test_newer_work_supersedes_the_sessions_waiting_partial(make_worker, newer):
    async def main() -> None:
        worker, gate, ran = make_worker(), Gate(), []
        held = worker.submit("x", Priority.URGENT, gate)
        await gate.reached()
        old = worker.submit("a", Priority.PARTIAL, lambda: ran.append("old"))
        other = worker.submit("b", Priority.PARTIAL, lambda: ran.append("other"))
        new = worker.submit("a", newer, lambda: ran.append("new"))
        with pytest.raises(WorkSuperseded) as caught:
            await old
        assert caught.value.code == "superseded"
        gate.go.set()
        await asyncio.gather(held, other, new)
        assert sorted(ran) == ["new", "other"]
        assert worker.stats()["stt"]["superseded"] == 1

    asyncio.run(main())


def test_partials_leave_a_thread_for_final_work(make_worker):
    async def main() -> None:
        worker, first, second = make_worker(threads=2), Gate(), Gate()
        running = worker.submit("a", Priority.PARTIAL, first)
        await first.reached()
        waiting = worker.submit("b", Priority.PARTIAL, second)
        # The second thread is free, and takes this past the partial that came before it.
        assert await worker.submit("c", Priority.URGENT, lambda: "final") == "final"
        assert not second.begun.is_set()
        first.go.set()
        second.go.set()
        await asyncio.gather(running, waiting)

    asyncio.run(main())


def test_a_cancelled_job_that_waits_never_runs(make_worker):
    async def main() -> None:
        worker, gate, ran = make_worker(), Gate(), []
        held = worker.submit("x", Priority.URGENT, gate)
        await gate.reached()
        unwanted = worker.submit("a", Priority.URGENT, lambda: ran.append("unwanted"))
        task = asyncio.ensure_future(unwanted)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.go.set()
        await held
        await worker.submit("b", Priority.URGENT, lambda: None)
        assert ran == []
        assert worker.stats()["stt"]["cancelled"] == 1

    asyncio.run(main())


def test_cancelling_makes_room(make_worker):
    async def main() -> None:
        worker, gate = make_worker(max_queued=1), Gate()
        held = worker.submit("x", Priority.URGENT, gate)
        await gate.reached()
        worker.submit("a", Priority.URGENT, lambda: 1).cancel()
        await asyncio.sleep(0)  # the future's callbacks
        again = worker.submit("a", Priority.URGENT, lambda: 2)
        gate.go.set()
        assert await again == 2
        await held

    asyncio.run(main())


def test_a_session_with_too_much_waiting_is_refused_and_others_are_not(make_worker):
    async def main() -> None:
        worker, gate = make_worker(max_queued=2), Gate()
        held = worker.submit("x", Priority.URGENT, gate)
        await gate.reached()
        jobs = [worker.submit("a", Priority.URGENT, lambda: None) for _ in range(2)]
        with pytest.raises(ProviderError, match="too slow") as caught:
            worker.submit("a", Priority.URGENT, lambda: None)
        assert (caught.value.code, caught.value.retryable) == ("overloaded", True)
        jobs.append(worker.submit("b", Priority.URGENT, lambda: None))
        gate.go.set()
        await asyncio.gather(held, *jobs)
        assert worker.stats()["stt"]["refused"] == 1

    asyncio.run(main())


def test_a_lane_is_not_held_up_by_another(make_worker):
    async def main() -> None:
        worker, gate = make_worker(), Gate()
        held = worker.submit("a", Priority.URGENT, gate)
        await gate.reached()
        assert await worker.submit("a", Priority.URGENT, lambda: "spoken", lane="tts") == "spoken"
        gate.go.set()
        await held

    asyncio.run(main())


def test_a_job_past_its_budget_is_reported_and_its_thread_replaced(make_worker):
    async def main() -> None:
        worker, gate = make_worker(), Gate()
        stuck = worker.submit("a", Priority.URGENT, gate, budget_s=0.01)
        with pytest.raises(ProviderError) as caught:
            await stuck
        assert (caught.value.code, caught.value.retryable) == ("timeout", True)
        assert await worker.submit("b", Priority.URGENT, lambda: "next") == "next"
        gate.go.set()  # a late result is thrown away
        assert await worker.submit("b", Priority.URGENT, lambda: "more") == "more"
        stats = worker.stats()["stt"]
        assert (stats["timeouts"], stats["done"]) == (1, 2)

    asyncio.run(main())


def test_a_lane_that_lost_its_threads_refuses_work_until_they_come_back(make_worker):
    async def main() -> None:
        worker, gates = make_worker(), [Gate() for _ in range(MAX_LOST)]
        for gate in gates:
            with pytest.raises(ProviderError, match="took more than"):
                await worker.submit("a", Priority.URGENT, gate, budget_s=0.01)
        with pytest.raises(ProviderError, match="never ended"):
            worker.submit("a", Priority.URGENT, lambda: None)
        for gate in gates:
            gate.go.set()
            await asyncio.to_thread(gate.thread.join, PATIENCE)
        assert await worker.submit("a", Priority.URGENT, lambda: "back") == "back"

    asyncio.run(main())


def test_serves_one_event_loop_after_another_and_outlives_a_closed_one(make_worker):
    worker, gate = make_worker(), Gate()

    async def leave() -> None:
        worker.submit("a", Priority.URGENT, gate)
        await gate.reached()

    async def work() -> int:
        number: int = await worker.submit("a", Priority.URGENT, lambda: 1)
        return number

    assert asyncio.run(work()) == 1
    asyncio.run(leave())
    gate.go.set()
    assert asyncio.run(work()) == 1


def test_two_loops_at_once_each_get_their_own(make_worker):
    worker = make_worker(threads=2)
    got: dict[str, str] = {}

    def call(name: str) -> None:
        async def main() -> None:
            for _ in range(20):
                got[name] = await worker.submit(name, Priority.URGENT, lambda: name)

        asyncio.run(main())

    threads = [threading.Thread(target=call, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert got == {name: name for name in "abcd"}


def test_close_fails_what_waits_and_refuses_more(make_worker):
    async def main() -> None:
        worker, gate = make_worker(), Gate()
        held = worker.submit("x", Priority.URGENT, gate)
        await gate.reached()
        waiting = worker.submit("a", Priority.URGENT, lambda: None)
        worker.close(timeout=0)
        with pytest.raises(ProviderError, match="closed"):
            await waiting
        with pytest.raises(ProviderError, match="closed"):
            worker.submit("a", Priority.URGENT, lambda: None)
        gate.go.set()
        assert await held == "gate"

    asyncio.run(main())


def test_default_lanes_leave_speech_a_thread_of_its_own():
    lanes = default_lanes()
    assert lanes["tts"] == lanes["load"] == 1
    assert 1 <= lanes["stt"] <= 8
