"""The sides against the load server: everything that is sent arrives, and is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from picows import WSListener, WSMsgType, ws_connect, ws_create_server

from bench.hot_path.harness import FRAME, Ear, Pacer, Window
from bench.hot_path.messages import DELTA_BYTES
from bench.hot_path.server import LoadServer
from bench.hot_path.sides import side


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[LoadServer, str]]:
    server = LoadServer()
    listening = await ws_create_server(server.accept, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server, f"ws://127.0.0.1:{port}/v1"


@pytest.mark.parametrize("chunk_ms", [20, 100])
@pytest.mark.parametrize("name", ["floor", "websockets"])
async def test_all_that_is_sent_is_received_and_counted(name: str, chunk_ms: int) -> None:
    async with serving() as (server, url):
        ears = [Ear(Window()) for _ in range(3)]
        lines = [side(name)(url, ear, chunk_ms) for ear in ears]
        pacer = Pacer(Window(), asyncio.get_running_loop().time)
        for line in lines:
            await line.connect()
            pacer.begin(line)
        await asyncio.sleep(20)
        await pacer.stop()
        server.command("stop")
        await asyncio.sleep(1)
        report = server.command("end")
        assert report is not None
        for line in lines:
            await line.close()
    assert report.calls == 3
    assert report.others == []
    assert report.audio_bytes == pacer.audio_bytes > 3 * 19 * 50 * len(FRAME)
    assert report.deltas_sent * DELTA_BYTES == sum(ear.audio_bytes for ear in ears)
    assert report.deltas_sent > 3 * 10 * 10
    assert all(ear.characters for ear in ears)


async def test_what_is_no_append_is_told() -> None:
    async with serving() as (server, url):
        socket, _ = await ws_connect(WSListener, url)
        socket.send(WSMsgType.TEXT, b'{"type":"response.cancel"}')
        await asyncio.sleep(0.1)
        report = server.command("end")
        socket.disconnect()
        await socket.wait_disconnected()
    assert report is not None
    assert report.others == ["response.cancel"]


@pytest.mark.parametrize("n_bytes", [960, 962, 964])
async def test_bytes_are_counted_whatever_their_base64_ends_with(n_bytes: int) -> None:
    async with serving() as (server, url):
        line = side("floor")(url, Ear(Window()), 20)
        await line.connect()
        line.send(FRAME[:2] * (n_bytes // 2))
        await asyncio.sleep(0.1)
        report = server.command("end")
        await line.close()
    assert report is not None
    assert report.audio_bytes == n_bytes


async def test_appends_that_come_late_are_seen() -> None:
    async with serving() as (server, url):
        line = side("floor")(url, Ear(Window()), 20)
        await line.connect()
        server.command("begin")
        for _ in range(3):
            line.send(FRAME)
        await asyncio.sleep(0.1)
        report = server.command("end")
        await line.close()
    assert report is not None
    # Three frames of 20 ms at once: the last is the most punctual one, the first 40 ms behind it.
    first, second, last = report.append_late_us
    assert last == 0
    assert second == pytest.approx(20_000, abs=5_000)
    assert first == pytest.approx(40_000, abs=5_000)
