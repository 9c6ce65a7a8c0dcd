"""The way it is mostly written: `websockets` on both sides, and two tasks a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


@asynccontextmanager
async def relay(server_port: int) -> AsyncIterator[int]:
    url = f"ws://127.0.0.1:{server_port}/v1/realtime?model=gpt-realtime"

    async def handle(client: ServerConnection) -> None:
        async with connect(url, compression=None) as upstream:
            down = asyncio.create_task(_pass(upstream, client))
            await _pass(client, upstream)
            down.cancel()

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def _pass(
    source: ClientConnection | ServerConnection, target: ClientConnection | ServerConnection
) -> None:
    try:
        async for message in source:
            await target.send(message)
    except ConnectionClosed:
        pass
