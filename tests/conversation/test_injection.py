"""The queue of notes: order, bounds, keys, times; and the handle."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from voxengine import MessageError
from voxengine.conversation.injection import (
    QUEUE_LIMIT,
    Injection,
    InjectionQueue,
    InjectionResult,
    Note,
)


def note(id: str, **options: Any) -> Note:
    return Note(id=id, text=f"text of {id}", **options)


def ids(queue: InjectionQueue) -> list[str]:
    return [queued.note.id for queued in queue]


def test_the_urgent_goes_first_then_the_old():
    queue = InjectionQueue()
    for id, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1)):
        assert queue.add(note(id, priority=priority), 0.0) == []
    assert ids(queue) == ["b", "d", "a", "c", "e"]


def test_a_later_note_of_the_same_key_takes_the_place():
    queue = InjectionQueue()
    queue.add(note("a", key="weather"), 0.0)
    queue.add(note("b", key="other"), 0.0)
    left = queue.add(note("c", key="weather"), 0.0)
    assert [(n.id, status, reason) for n, status, reason in left] == [("a", "replaced", "by c")]
    assert ids(queue) == ["b", "c"]


def test_when_it_is_full_the_newest_of_the_least_urgent_is_refused():
    queue = InjectionQueue()
    for number in range(QUEUE_LIMIT):
        queue.add(note(f"n{number}", priority=number % 2), 0.0)
    left = queue.add(note("low", priority=0), 0.0)
    assert [(n.id, status, reason) for n, status, reason in left] == [
        ("low", "rejected", "queue_full")
    ]
    left = queue.add(note("high", priority=1), 0.0)
    assert [n.id for n, _, _ in left] == [f"n{QUEUE_LIMIT - 2}"]
    assert len(queue) == QUEUE_LIMIT
    assert "high" in queue


def test_one_that_is_put_back_keeps_its_place():
    queue = InjectionQueue()
    for id in "abc":
        queue.add(note(id), 0.0)
    taken = queue.take("a")
    assert taken is not None
    assert ids(queue) == ["b", "c"]
    assert queue.put_back(taken) == []
    assert ids(queue) == ["a", "b", "c"]
    assert queue.take("nobody") is None


def test_they_expire():
    queue = InjectionQueue()
    queue.add(note("a", ttl=5), 10.0)
    queue.add(note("b"), 10.0)
    queue.add(note("c", ttl=2), 10.0)
    assert queue.next_expiry == 12.0
    assert queue.expire(11.9) == []
    assert [n.id for n in queue.expire(15.0)] == ["a", "c"]
    assert queue.next_expiry is None
    assert ids(queue) == ["b"]


@pytest.mark.parametrize(
    "options",
    [
        {"role": "tool"},
        {"when": "later"},
        {"ttl": 0},
        {"ttl": float("nan")},
        {"ttl": "5"},
        {"silence_s": -1},
        {"silence_s": float("inf")},
        {"priority": 1.5},
        {"condition": "yes"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any]):
    with pytest.raises(MessageError, match=next(iter(options))):
        note("a", **options)


class TestHandle:
    async def test_many_may_wait_for_it(self):
        handle = Injection(note("a"), lambda _: None)
        waiting = [asyncio.create_task(handle.result()) for _ in range(3)]
        await asyncio.sleep(1)
        assert handle.status == "queued"
        assert (handle.degraded_to, handle.reason) == (None, "")
        result = InjectionResult(
            injection_id="a", status="degraded", degraded_to="items", reason="why"
        )
        handle.settle(result)
        assert await asyncio.gather(*waiting) == [result] * 3
        assert await handle == result
        assert (handle.status, handle.degraded_to, handle.reason) == ("degraded", "items", "why")

    async def test_only_the_first_result_counts(self):
        handle = Injection(note("a"), lambda _: None)
        handle.settle(InjectionResult(injection_id="a", status="applied"))
        handle.settle(InjectionResult(injection_id="a", status="expired"))
        assert handle.status == "applied"

    async def test_waiting_has_an_end(self):
        handle = Injection(note("a"), lambda _: None)
        with pytest.raises(TimeoutError):
            await handle.result(timeout=2)
        assert handle.status == "queued"
        handle.settle(InjectionResult(injection_id="a", status="applied"))
        assert (await handle.result(timeout=2)).status == "applied"

    async def test_it_is_cancelled_by_its_id_and_once(self):
        asked: list[str] = []

        def cancel(id: str) -> None:
            asked.append(id)
            handle.settle(InjectionResult(injection_id=id, status="cancelled"))

        handle = Injection(note("a"), cancel)
        assert handle.cancel()
        assert handle.cancel()
        assert asked == ["a"]
        applied = Injection(note("b"), cancel)
        applied.settle(InjectionResult(injection_id="b", status="applied"))
        assert not applied.cancel()
        assert "applied" in repr(applied)
