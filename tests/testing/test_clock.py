"""The virtual clock: exact, fair to real I/O and to threads, and never hanging."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from voxengine.clock import Clock
from voxengine.testing import DeadlockError, TimeLimitError, VirtualClockLoop, advance, run
from voxengine.testing.clock import EPOCH


def test_an_hour_takes_no_time():
    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    begin = time.monotonic()
    assert run(main(), start=5.0) == 3605.0
    assert time.monotonic() - begin < 5


async def test_timers_fire_at_their_time_and_in_their_order():
    loop = asyncio.get_running_loop()
    fired: list[tuple[float, str]] = []

    def fire(name: str) -> None:
        fired.append((loop.time(), name))

    for when, name in (
        (0.3, "c"),
        (0.1, "a"),
        (0.2, "b1"),
        (0.2, "b2"),
        (0.2, "b3"),
        (1e-6, "first"),
    ):
        loop.call_later(when, fire, name)
    await advance(1)
    assert fired == [(1e-6, "first"), (0.1, "a"), (0.2, "b1"), (0.2, "b2"), (0.2, "b3"), (0.3, "c")]
    assert loop.time() == 1.0


async def test_time_stands_still_while_anything_is_ready():
    loop = asyncio.get_running_loop()
    timer = loop.call_later(0.001, lambda: None)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert loop.time() == 0.0
    timer.cancel()


async def test_unix_time_is_fixed():
    clock = Clock()
    assert clock.wall() == EPOCH
    await asyncio.sleep(2.5)
    assert clock.wall() == EPOCH + 2.5


async def test_timeouts_are_virtual():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(600):
            await asyncio.Event().wait()
    assert asyncio.get_running_loop().time() == 600.0


async def test_advance_lets_everything_due_happen():
    seen = []

    async def worker() -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            await asyncio.sleep(0)
            seen.append(asyncio.get_running_loop().time())

    task = asyncio.create_task(worker())
    await advance(2)
    assert seen == [1.0, 2.0]
    await task


def test_advance_needs_the_virtual_clock():
    with pytest.raises(RuntimeError, match="virtual_clock"):
        asyncio.run(advance(1))


# --- what is not virtual


async def test_threads_hold_the_clock():
    loop = asyncio.get_running_loop()
    order: list[str] = []
    may_end = threading.Event()
    timer = loop.call_later(1e-9, order.append, "timer")

    def work() -> None:
        may_end.wait(10)
        order.append("thread")

    future = loop.run_in_executor(None, work)
    # Many rounds of the loop: whoever let the clock go would have fired the timer by now.
    for _ in range(100):
        await asyncio.sleep(0)
    may_end.set()
    await future
    assert (order, loop.time()) == (["thread"], 0.0)
    await asyncio.sleep(1e-9)
    assert order == ["thread", "timer"]
    timer.cancel()


async def test_the_result_of_a_thread_comes_before_the_next_timer():
    loop = asyncio.get_running_loop()
    for i in range(50):
        deadline = loop.time() + 1e-6
        async with asyncio.timeout_at(deadline):
            assert await asyncio.to_thread(int, i) == i
        assert loop.time() < deadline


async def test_a_hold_may_be_released_by_another_thread():
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualClockLoop)
    future = loop.create_future()
    hold = loop.hold()
    hold.__enter__()

    def work() -> None:
        loop.call_soon_threadsafe(future.set_result, "done")
        hold.__exit__(None, None, None)

    thread = threading.Thread(target=work)
    async with asyncio.timeout(0.001):
        thread.start()
        assert await future == "done"
    thread.join()


async def test_a_cancelled_future_holds_until_its_thread_ends():
    loop = asyncio.get_running_loop()
    may_end = threading.Event()
    future = loop.run_in_executor(None, may_end.wait, 10)
    await asyncio.sleep(0)
    future.cancel()
    timer = asyncio.create_task(asyncio.sleep(0.001))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not timer.done()
    may_end.set()
    await timer


async def test_sockets_on_loopback_are_served_before_time_passes():
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
            await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for i in range(200):
        async with asyncio.timeout(0.001):
            writer.write(b"%03d" % i)
            assert await reader.readexactly(3) == b"%03d" % i
        await asyncio.sleep(10)
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    assert loop.time() == 2000.0


# --- what would hang


def test_a_deadlock_is_told_with_its_tasks():
    async def waits_in_vain() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.gather(asyncio.create_task(waits_in_vain(), name="the one"))

    with pytest.raises(DeadlockError, match="will never come") as error:
        run(main())
    assert "the one: " in str(error.value)
    assert "waits_in_vain" in str(error.value)
    assert "test_clock.py" in str(error.value) or "locks.py" in str(error.value)


def test_a_deadlock_with_open_sockets_is_told_after_some_patience():
    async def main() -> None:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        await server.serve_forever()

    loop = VirtualClockLoop(patience=0.01)
    try:
        with pytest.raises(DeadlockError):
            loop.run_until_complete(main())
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.call_later(1, loop.stop)
        loop.run_forever()
    finally:
        loop.close()


def test_virtual_time_is_limited():
    async def main() -> None:
        while True:  # noqa: ASYNC110 - it waits for nothing, that is the point
            await asyncio.sleep(60)

    with pytest.raises(TimeLimitError, match="86400 virtual seconds"):
        run(main())


def test_real_time_is_limited():
    async def main() -> None:
        while True:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)

    with pytest.raises(TimeLimitError, match=r"0\.02 real seconds"):
        run(main(), max_real=0.02)
