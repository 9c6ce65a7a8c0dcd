"""What is left on a loop is found, and told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from voxengine.testing import LeakError, run

kept: list[Any] = []


def leaks_of(main: Any) -> list[str]:
    with pytest.raises(LeakError) as error:
        run(main())
    kept.clear()
    return error.value.leaks


def test_nothing_left_is_fine():
    async def main() -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(1))
        return "result"

    assert run(main()) == "result"


def test_a_task_is_told_with_its_place():
    async def forgotten() -> None:
        await asyncio.sleep(1)

    async def main() -> None:
        kept.append(asyncio.create_task(forgotten()))

    task, timer = leaks_of(main)
    assert task.startswith("task")
    assert "forgotten" in task
    assert timer.startswith("timer at 1.000000")


def test_what_ends_without_time_passing_is_no_leak():
    async def brief() -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def main() -> None:
        kept.append(asyncio.create_task(brief()))

    run(main())


def test_a_timer_is_told_with_its_callback():
    async def main() -> None:
        asyncio.get_running_loop().call_later(4, test_nothing_left_is_fine)

    (leak,) = leaks_of(main)
    assert "4.000000" in leak
    assert "test_nothing_left_is_fine" in leak


def test_an_async_generator_that_was_left_is_told():
    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def main() -> None:
        generator = numbers()
        kept.append(generator)
        await anext(generator)

    (leak,) = leaks_of(main)
    assert "numbers" in leak


def test_a_socket_that_is_still_watched_is_told():
    async def main() -> None:
        one, other = socket.socketpair()
        kept.extend((one, other))
        asyncio.get_running_loop().add_reader(one, lambda: None)

    (leak,) = leaks_of_sockets(main)
    assert "socket" in leak


def leaks_of_sockets(main: Any) -> list[str]:
    with pytest.raises(LeakError) as error:
        run(main())
    for sock in kept:
        sock.close()
    kept.clear()
    return error.value.leaks


def test_the_check_can_be_left_out():
    async def main() -> None:
        asyncio.get_running_loop().call_later(4, print)

    run(main(), leak_check=False)


def test_the_failure_of_the_program_is_not_hidden():
    async def main() -> None:
        asyncio.get_running_loop().call_later(4, print)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(main())
