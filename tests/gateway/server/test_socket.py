"""A client's WebSocket: limits, silence, slow readers, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
from contextlib import suppress

import pytest
import websockets

from tests.gateway.server.doors import door, handshake
from voxengine.gateway.server import Front, ServerSocket, SocketLimits


def frame(opcode: int, payload: bytes, *, fin: bool = True, length: int | None = None) -> bytes:
    """A client's frame, masked with zeros. `length` lies about the payload."""
    n = len(payload) if length is None else length
    first = opcode | (0x80 if fin else 0)
    if n < 126:
        return bytes([first, 0x80 | n]) + bytes(4) + payload
    if n < 2**16:
        return bytes([first, 0xFE]) + n.to_bytes(2) + bytes(4) + payload
    return bytes([first, 0xFF]) + n.to_bytes(8) + bytes(4) + payload


async def enter(
    front: Front, **options: object
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, and shake hands."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port, **options)  # type: ignore[arg-type]
    writer.write(handshake())
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(9) == b"\x81\x07welcome"
    return reader, writer


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(2, b"audio"), 1003),
        (frame(1, b"\xff\xfe"), 1007),
        (frame(1, b"x" * 700, fin=False) + frame(0, b"x" * 700), 1009),
        (frame(1, b"x" * 1001), 1009),
        (frame(1, b"", length=20_000_000), 1009),
        (frame(1, b"", length=2**63 - 1), 1009),
        (frame(0, b"of nothing"), 1002),
        (frame(1, b"a", fin=False) + frame(1, b"b"), 1002),
        (frame(3, b""), 1002),
        (frame(9, b"", fin=False), 1002),
        (b"\x81\x02hi", 1002),
        (frame(8, b"\x03\xed"), 1002),
    ],
)
async def test_what_breaks_the_rules_is_told_which(sent, code):
    async with door(limits=SocketLimits(max_message=1000)) as (front, house):
        reader, writer = await enter(front)
        writer.write(sent)
        head = await reader.readexactly(4)
        assert head[0] == 0x88
        assert int.from_bytes(head[2:]) == code
        await asyncio.wait_for(house.echoes[0].gone.wait(), 3)
        assert house.echoes[0].closed[0][0] == code
        assert house.echoes[0].got == []
        await leave(writer)


async def test_a_frame_of_20_mb_is_not_taken_in():
    async with door() as (front, house):
        reader, writer = await enter(front)
        writer.write(frame(1, b"x" * 20_000_000))
        assert (await reader.readexactly(4))[2:] == (1009).to_bytes(2)
        await asyncio.wait_for(house.echoes[0].gone.wait(), 3)
        assert house.echoes[0].closed[0][0] == 1009
        await leave(writer)


async def test_a_client_that_vanishes_without_a_word():
    async with door() as (front, house):
        _, writer = await enter(front)
        writer.transport.abort()
        await asyncio.wait_for(house.echoes[0].gone.wait(), 1)
        assert house.echoes[0].closed[0][0] == 1006


async def test_a_close_frame_without_a_code():
    async with door() as (front, house):
        reader, writer = await enter(front)
        writer.write(frame(8, b""))
        assert (await reader.read())[:1] == b"\x88"
        assert house.echoes[0].closed == [(1005, "")]
        await leave(writer)


async def test_a_half_open_connection_is_found():
    limits = SocketLimits(ping_interval=20, ping_timeout=10)
    async with door(limits=limits) as (front, house):
        reader, writer = await enter(front)  # answers no pings
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await reader.readexactly(2) == b"\x89\x00"
        assert 20 <= loop.time() - began <= 25.1
        await asyncio.wait_for(house.echoes[0].gone.wait(), 11)
        assert house.echoes[0].closed[0][0] == 1006
        assert "no sign of life" in house.echoes[0].closed[0][1]
        await leave(writer)


async def test_a_silent_client_that_answers_stays():
    async with door() as (front, house):
        url = f"ws://127.0.0.1:{front.port}/v1/realtime"
        async with websockets.connect(url, ping_interval=None) as socket:
            assert await socket.recv() == "welcome"
            await asyncio.sleep(300)
            await socket.send("still here")
            assert await socket.recv() == "still here"
            assert await (await socket.ping()) >= 0
        await house.echoes[0].gone.wait()


async def test_closing_says_why_and_waits_only_so_long():
    async with door() as (front, house):
        reader, writer = await enter(front)
        peer = house.echoes[0].peer
        assert isinstance(peer, ServerSocket)
        peer.send(b"last")
        peer.close(4001, "enough")
        peer.close(1000)  # once is enough
        peer.send(b"too late")
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await reader.read() == b"\x81\x04last\x88\x08\x0f\xa1enough"
        assert loop.time() - began == pytest.approx(2.0, abs=0.1)
        assert house.echoes[0].closed == [(4001, "enough")]
        peer.send(b"nobody is there")
        peer.close()
        await leave(writer)


async def test_a_code_that_may_not_be_sent_becomes_1011():
    async with door() as (front, house):
        url = f"ws://127.0.0.1:{front.port}/v1/realtime"
        async with websockets.connect(url) as socket:
            assert await socket.recv() == "welcome"
            peer = house.echoes[0].peer
            assert peer is not None
            peer.close(1006, "the provider vanished " + "ä" * 100)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1011
            assert closed.value.rcvd.reason.startswith("the provider vanished")


def deaf() -> sockets.socket:
    """A socket with little room for what it does not read."""
    made = sockets.socket()
    made.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    made.setblocking(False)
    return made


async def test_a_slow_reader_has_its_time_and_no_more(caplog):
    limits = SocketLimits(max_unsent=1_000_000, unsent_budget=5.0, ping_interval=0)
    async with door(limits=limits) as (front, house):
        made = deaf()
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", front.port))
        reader, writer = await asyncio.open_connection(sock=made, limit=1000)
        writer.write(handshake())
        await asyncio.sleep(0.1)
        echo = house.echoes[0]
        assert echo.peer is not None
        # It falls behind, and catches up in time: nothing is lost.
        for n in range(60):
            echo.peer.send(b"%06d" % n + b"x" * 99_994)
        await asyncio.sleep(1)
        got = 0
        while got < 6_000_000:
            got += len(await reader.read(1_000_000))
        await asyncio.sleep(30)
        assert echo.closed == []
        # And now it does not.
        with caplog.at_level(logging.CRITICAL, logger="voxengine.gateway"):
            assert isinstance(echo.peer, ServerSocket)
            assert echo.peer._socket is not None
            while echo.peer._socket.buffered_bytes < 2_000_000:
                echo.peer.send(b"x" * 50_000)
                await asyncio.sleep(0)
            began = asyncio.get_running_loop().time()
            await asyncio.wait_for(echo.gone.wait(), 6)
        assert asyncio.get_running_loop().time() - began == pytest.approx(5.0, abs=0.1)
        assert echo.closed[0][0] == 1008
        await leave(writer)


async def test_however_much_is_sent_memory_has_a_bound(caplog):
    limits = SocketLimits(max_unsent=1_000_000, ping_interval=0)
    async with door(limits=limits) as (front, house):
        made = deaf()
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", front.port))
        _, writer = await asyncio.open_connection(sock=made, limit=1000)
        writer.write(handshake())
        await asyncio.sleep(0.1)
        echo = house.echoes[0]
        assert echo.peer is not None
        with caplog.at_level(logging.CRITICAL, logger="voxengine.gateway"):
            sent = 0
            while not echo.closed and sent < 500:
                sent += 1
                echo.peer.send(b"x" * 100_000)
                if sent % 10 == 0:
                    await asyncio.sleep(0)
        assert echo.closed[0][0] == 1008
        assert 40 <= sent < 150  # four times the limit, and what the system's buffers hold
        await leave(writer)


async def test_a_flood_of_pings_piles_nothing_up():
    async with door() as (front, house):
        made = deaf()
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", front.port))
        reader, writer = await asyncio.open_connection(sock=made, limit=1000)
        writer.write(handshake())
        await reader.readuntil(b"welcome")
        flood = frame(9, b"p" * 125) * 10_000
        for _ in range(10):
            writer.write(flood)
            await asyncio.sleep(0.01)
        (socket,) = front._sockets
        assert socket._socket is not None
        assert socket._socket.buffered_bytes < 200_000
        writer.transport.abort()
        await asyncio.wait_for(house.echoes[0].gone.wait(), 1)


async def test_a_handler_that_fails_ends_only_its_own_socket(caplog):
    async with door() as (front, house):
        url = f"ws://127.0.0.1:{front.port}/v1/realtime"
        async with websockets.connect(url) as first, websockets.connect(url) as second:
            assert [await s.recv() for s in (first, second)] == ["welcome", "welcome"]

            def fail(message: memoryview | bytes) -> None:
                raise RuntimeError("not today")

            house.echoes[0].on_message = fail  # type: ignore[method-assign]
            with caplog.at_level(logging.CRITICAL, logger="voxengine.net"):
                await first.send("x")
                await second.send("y")
                assert await second.recv() == "y"
            assert await (await first.ping()) >= 0
