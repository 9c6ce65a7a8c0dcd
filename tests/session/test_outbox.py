"""The outbox: calls to the provider in order, within a budget, and nobody left waiting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from voxengine.errors import ConnectionError, MessageError, ProviderError
from voxengine.session.outbox import Outbox


class Calls:
    """Makes calls that take time, fail or hang, and notes when each began."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, float]] = []
        self.errors: list[Exception] = []
        self.outbox = Outbox("vendor", 5.0, self.errors.append)

    def call(self, name: str, seconds: float = 1.0, error: Exception | None = None) -> Any:
        async def run() -> str:
            self.begun.append((name, asyncio.get_running_loop().time()))
            await asyncio.sleep(seconds)
            if error is not None:
                raise error
            return name

        return run

    @property
    def order(self) -> list[str]:
        return [name for name, _ in self.begun]


async def test_one_after_the_other_whoever_waits() -> None:
    calls = Calls()
    calls.outbox.put(calls.call("a"))
    waiting = calls.outbox.do(calls.call("b"))
    calls.outbox.put(calls.call("c"))
    assert await waiting == "b"
    await calls.outbox.flush()
    assert calls.begun == [("a", 0.0), ("b", 1.0), ("c", 2.0)]


async def test_the_order_is_that_of_asking_not_of_waiting() -> None:
    """What is not awaited at once has its place all the same."""
    calls = Calls()
    first = calls.outbox.do(calls.call("first"))
    calls.outbox.put(calls.call("second"))
    await asyncio.sleep(5)
    assert calls.order == ["first", "second"]
    assert await first == "first"


async def test_idle_it_has_no_task() -> None:
    calls = Calls()
    await calls.outbox.do(calls.call("a"))
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1
    await calls.outbox.do(calls.call("b"))
    assert calls.order == ["a", "b"]


async def test_a_call_that_fails_is_told_to_who_waits_and_the_next_is_made() -> None:
    calls = Calls()
    failure = MessageError("no")
    failing = calls.outbox.do(calls.call("a", error=failure))
    after = calls.outbox.do(calls.call("b"))
    with pytest.raises(MessageError) as caught:
        await failing
    assert caught.value is failure
    assert await after == "b"
    assert calls.errors == []


async def test_a_failure_that_nobody_waits_for_is_reported_unless_it_is_of_no_interest() -> None:
    calls = Calls()
    loud, silent = MessageError("loud"), MessageError("silent")
    calls.outbox.put(calls.call("a", error=loud))
    calls.outbox.put(calls.call("b", error=silent), quiet=True)
    await calls.outbox.flush()
    assert calls.errors == [loud]


async def test_a_call_that_hangs_is_given_up_after_the_budget() -> None:
    calls = Calls()
    hanging = calls.outbox.do(calls.call("a", 1000))
    after = calls.outbox.do(calls.call("b"))
    with pytest.raises(ProviderError, match="took longer than 5 s") as caught:
        await hanging
    assert (caught.value.code, caught.value.provider) == ("timeout", "vendor")
    assert caught.value.retryable
    assert await after == "b"
    assert calls.begun[1] == ("b", 5.0)


async def test_a_timeout_of_the_providers_own_is_typed_too() -> None:
    calls = Calls()
    with pytest.raises(ProviderError, match="own limit") as caught:
        await calls.outbox.do(calls.call("a", error=TimeoutError("own limit")))
    assert caught.value.code == "timeout"


async def test_one_who_stops_waiting_does_not_stop_the_call() -> None:
    calls = Calls()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await calls.outbox.do(calls.call("a"))
    assert await calls.outbox.do(calls.call("b")) == "b"
    assert calls.begun == [("a", 0.0), ("b", 1.0)]


async def test_one_who_stops_waiting_hears_nothing_of_a_failure() -> None:
    calls = Calls()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await calls.outbox.do(calls.call("a", error=MessageError("no")))
    await calls.outbox.flush()
    assert calls.errors == []


async def test_closed_all_who_wait_are_told() -> None:
    calls = Calls()
    waiting = [calls.outbox.do(calls.call(name, 3)) for name in "abc"]
    calls.outbox.put(calls.call("d"))
    await asyncio.sleep(1)
    calls.outbox.close()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(r) for r in results] == [ConnectionError] * 3
    assert {r.code for r in results if isinstance(r, ConnectionError)} == {"closed"}
    assert calls.order == ["a"]
    assert calls.errors == []


async def test_closed_from_within_a_call_the_call_goes_on() -> None:
    calls = Calls()

    async def disconnecting() -> str:
        calls.outbox.close()
        await asyncio.sleep(1)
        return "done"

    first = calls.outbox.do(disconnecting)
    second = calls.outbox.do(calls.call("b"))
    assert await first == "done"
    with pytest.raises(ConnectionError):
        await second


async def test_closed_it_takes_nothing_any_more() -> None:
    calls = Calls()
    busy = calls.outbox.do(calls.call("a"))
    await asyncio.sleep(0.5)
    calls.outbox.close()
    with pytest.raises(ConnectionError) as caught:
        await calls.outbox.do(calls.call("b"))
    assert caught.value.code == "closed"
    calls.outbox.put(calls.call("c"), quiet=True)
    with pytest.raises(ConnectionError):
        await busy
    assert calls.order == ["a"]


async def test_flush_waits_for_all_that_was_put_in() -> None:
    calls = Calls()
    await calls.outbox.flush()
    for name in "abc":
        calls.outbox.put(calls.call(name))
    await calls.outbox.flush()
    assert calls.order == ["a", "b", "c"]
    assert asyncio.get_running_loop().time() == 3.0


async def test_a_provider_that_takes_nothing_does_not_fill_the_memory() -> None:
    calls = Calls()
    for _ in range(Outbox.LIMIT + 1):
        calls.outbox.put(calls.call("a", 4))
        await asyncio.sleep(0)
    with pytest.raises(ProviderError) as caught:
        await calls.outbox.do(calls.call("b"))
    assert caught.value.code == "overloaded"
    assert caught.value.retryable
    calls.outbox.close()


async def test_too_much_that_nobody_waits_for_is_reported_and_not_raised_where_it_was_decided() -> (
    None
):
    """What puts a call in is the handling of an event of the provider: nothing may be raised there."""
    calls = Calls()
    for _ in range(Outbox.LIMIT + 1):
        calls.outbox.put(calls.call("a", 4))
        await asyncio.sleep(0)
    calls.outbox.put(calls.call("b"))
    calls.outbox.put(calls.call("c"), quiet=True)
    assert [getattr(e, "code", "") for e in calls.errors] == ["overloaded"]
    calls.outbox.close()
    await asyncio.sleep(0)


async def test_a_call_may_put_in_another() -> None:
    calls = Calls()

    async def outer() -> str:
        calls.outbox.put(calls.call("inner"))
        return "outer"

    assert await calls.outbox.do(outer) == "outer"
    await calls.outbox.flush()
    assert calls.order == ["inner"]
