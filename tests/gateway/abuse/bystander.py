"""A well-behaved client in the middle of all the abuse: it has to notice nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.gateway.survival.callers import TEXT, Caller, calling, words_of

#: Seconds that an answer may take, with all that goes on. The mock thinks for 30 ms; the machine may be busy by itself.
PATIENCE = 4.0


class Bystander:
    """Asks, and counts the answers."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.answers = 0
        #: Seconds of the slowest.
        self.slowest = 0.0

    async def talk(self) -> None:
        while True:
            began = time.monotonic()
            words = f"question {self.answers}"
            await self.caller.write(words)
            answer = await self.caller.answer()
            assert words_of(answer["output"][0]) == f"You said: {words}"
            self.answers += 1
            self.slowest = max(self.slowest, time.monotonic() - began)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def bystander(port: int, key: str | None = None) -> AsyncIterator[Bystander]:
    """Somebody talks meanwhile: without an error, without a missing answer, and never for long without one."""
    async with calling(port, key=key) as caller:
        await caller.update(**TEXT)
        made = Bystander(caller)
        talking = asyncio.create_task(made.talk())
        try:
            yield made
            so_far = made.answers
            async with asyncio.timeout(PATIENCE):
                while made.answers < so_far + 2:
                    await asyncio.wait([talking], timeout=0.05)
                    assert not talking.done(), talking.exception()
        finally:
            talking.cancel()
            await asyncio.wait([talking])
        assert caller.all("error") == []
        assert made.slowest < PATIENCE
