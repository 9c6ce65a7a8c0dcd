"""HTTP connections that are shared by all sessions of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

__all__ = ["HttpPool"]


class HttpPool:
    """One `httpx.AsyncClient` for each event loop that asks.

    A connection belongs to the loop that opened it. `close` closes those of the running loop; where nobody calls it,
    they are closed when the loop shuts down its asynchronous generators (`asyncio.run` does), because a suspended
    generator owns the client.
    """

    def __init__(self, make: Callable[[], httpx.AsyncClient]) -> None:
        self._make = make
        self._clients: dict[
            asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, AsyncGenerator[None]]
        ] = {}

    async def get(self) -> httpx.AsyncClient:
        """The client of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            for gone in [each for each in self._clients if each.is_closed()]:
                del self._clients[gone]
            client = self._make()
            owner = self._own(loop, client)
            self._clients[loop] = client, owner
            # The loop knows a generator from its first step on.
            await anext(owner)
        return self._clients[loop][0]

    async def close(self) -> None:
        """Close the connections of the running loop. The pool can be used again."""
        entry = self._clients.get(asyncio.get_running_loop())
        if entry is not None:
            await entry[1].aclose()

    async def _own(
        self, loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient
    ) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._clients.pop(loop, None)
            await client.aclose()
