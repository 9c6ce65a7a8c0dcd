"""The same handlers under another server: uvicorn's own, with its own WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
import websockets
from fastapi import FastAPI, WebSocket

from tests.gateway.server.doors import House
from voxengine.gateway.server import Opener, SocketLimits
from voxengine.gateway.server.asgi import serve_asgi


@asynccontextmanager
async def mounted(limits: SocketLimits | None = None) -> AsyncIterator[tuple[str, House]]:
    house, app = House(), FastAPI()
    openers: dict[str, Opener] = {"open": house.open, "refused": house.refuse, "slow": house.wait}

    @app.websocket("/{name}")
    async def socket(websocket: WebSocket, name: str) -> None:
        await serve_asgi(websocket, openers[name], limits)

    config = uvicorn.Config(app, port=0, log_config=None, ws="websockets-sansio", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"ws://127.0.0.1:{port}", house
    finally:
        server.should_exit = True
        await serving


async def test_a_conversation():
    async with mounted() as (base, house):
        async with websockets.connect(
            f"{base}/open?model=m",
            subprotocols=["realtime"],  # type: ignore[list-item]
        ) as socket:
            assert socket.subprotocol == "realtime"
            assert socket.response is not None
            assert socket.response.headers["x-call"] == "7"
            assert await socket.recv() == "welcome"
            await socket.send("ä" * 100_000)
            assert await socket.recv() == "ä" * 100_000
        await asyncio.wait_for(house.echoes[0].gone.wait(), 5)
        assert house.echoes[0].closed[0][0] == 1000
        assert house.requests[0].query == {"model": "m"}
        assert house.requests[0].address == "127.0.0.1"


async def test_a_refusal():
    async with mounted() as (base, _):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"{base}/refused")
        response = refused.value.response
        assert response.status_code == 429
        assert response.headers["retry-after"] == "3"
        assert json.loads(response.body)["error"]["code"] == "rate_limit_exceeded"


async def test_closing_from_inside_after_all_that_waits():
    async with mounted() as (base, house):
        async with websockets.connect(f"{base}/open") as socket:
            assert await socket.recv() == "welcome"
            peer = house.echoes[0].peer
            assert peer is not None
            peer.send(b"last")
            peer.close(4001, "enough")
            peer.send(b"too late")
            assert await socket.recv() == "last"
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "enough")
        await asyncio.wait_for(house.echoes[0].gone.wait(), 5)
        assert house.echoes[0].closed == [(4001, "enough")]


async def test_a_binary_message_and_too_much_unread():
    async with mounted(SocketLimits(max_unsent=1000)) as (base, house):
        async with websockets.connect(f"{base}/open") as socket:
            assert await socket.recv() == "welcome"
            await socket.send(b"audio")
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1003
        async with websockets.connect(f"{base}/open") as socket:
            assert await socket.recv() == "welcome"
            peer = house.echoes[1].peer
            assert peer is not None
            for _ in range(20):
                peer.send(b"x" * 100)
            await asyncio.wait_for(house.echoes[1].gone.wait(), 5)
            assert house.echoes[1].closed[0][0] == 1008
