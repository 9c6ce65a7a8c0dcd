"""Connections that nobody closes end with their event loop."""

from __future__ import annotations

import asyncio
import gc

from tests.brains.chat_server import ChatServer
from tests.brains.helpers import ask, text_of, users
from voxengine.providers.cascade.brains.http_pool import HttpPool
from voxengine.providers.cascade.brains.openai_chat import OpenAIChatBrain


def test_loops_that_nobody_closed_the_pool_on():
    """A socket that is left open warns when it is collected, and a warning is an error."""

    async def talk():
        async with ChatServer() as server:
            brain = OpenAIChatBrain("m", {"base_url": server.url})
            assert text_of(await ask(brain, users("Hi"))) == "Hello there."

    asyncio.run(talk())
    gc.collect()


def test_one_pool_on_two_loops():
    import httpx

    made: list[httpx.AsyncClient] = []

    def make() -> httpx.AsyncClient:
        made.append(httpx.AsyncClient())
        return made[-1]

    pool = HttpPool(make)

    async def use():
        first, second = await asyncio.gather(pool.get(), pool.get())
        assert first is second is made[-1]
        assert not first.is_closed

    asyncio.run(use())
    asyncio.run(use())
    assert len(made) == 2
    assert all(client.is_closed for client in made)


async def test_closed_and_used_again():
    import httpx

    pool = HttpPool(httpx.AsyncClient)
    await pool.close()
    client = await pool.get()
    await pool.close()
    assert client.is_closed
    assert not (await pool.get()).is_closed
    await pool.close()
