"""What is said over an open connection, in both directions."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.net.peers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Client,
    Peer,
    frame,
    tls_pair,
    ws_server,
)
from voxengine.net import Closed

MIB = 2**20


async def echo(peer: Peer) -> None:
    while True:
        opcode, payload = await peer.receive()
        peer.send(opcode, payload)
        if opcode == CLOSE:
            return


async def test_text_and_binary_go_both_ways() -> None:
    client = Client()
    async with ws_server(echo) as url:
        ws = await client.connect(url)
        assert ws.is_open
        assert repr(ws) == f"<WebSocket {url} open>"
        ws.send_text(b"bytes")
        ws.send_text(bytearray(b"bytearray"))
        ws.send_text(memoryview(b"a memoryview")[2:])
        ws.send_audio(b"audio", 3)
        ws.send_binary(b"\x00\xff")
        ws.send_audio(b"\x01\x02", 2, binary=True)
        ws.send_text(b"")
        await client.until(lambda: len(client.texts) == 5)
        assert client.texts == [b"bytes", b"bytearray", b"memoryview", b"audio", b""]
        assert client.binaries == [b"\x00\xff", b"\x01\x02"]
        assert ws.buffered_bytes == 0
        await ws.close()


async def test_headers_subprotocol_and_user_reach_the_server_and_its_choice_is_told() -> None:
    client, heads = Client(), []

    async def look(peer: Peer) -> None:
        heads.append(peer.head)
        await echo(peer)

    async with ws_server(look, Sec_WebSocket_Protocol="two", X_Request_Id="r1") as url:
        ws = await client.connect(
            url.replace("ws://", "ws://me:word@"),
            headers={"X-Api-Key": "abc"},
            subprotocols=["one", "two"],
        )
        assert ws.subprotocol == "two"
        assert ws.response_headers["x-request-id"] == "r1"
        await ws.close()
    head = heads[0]
    assert head[""] == "GET /v1?model=m HTTP/1.1"
    assert head["host"] == url.split("/")[2]
    assert head["x-api-key"] == "abc"
    assert head["authorization"] == "Basic bWU6d29yZA=="
    assert head["sec-websocket-protocol"] == "one, two"
    assert "sec-websocket-extensions" not in head


async def test_what_comes_with_the_handshake_is_delivered() -> None:
    client = Client()

    async def greet(peer: Peer) -> None:
        peer.send(TEXT, b"session.created")
        peer.close(3000, "bye")
        await peer.rest()

    async with ws_server(greet) as url:
        ws = await client.connect(url)
        await client.end()
    assert client.texts == [b"session.created"]
    assert client.closed == [ws.closed] == [Closed(3000, "bye", by_us=False, cause="closed")]
    assert not ws.is_open


async def test_fragments_are_put_together_around_pings() -> None:
    client = Client()

    async def fragments(peer: Peer) -> None:
        peer.send(TEXT, b"a", fin=False)
        peer.send(PING, b"p")
        peer.send(CONTINUATION, b"", fin=False)
        peer.send(CONTINUATION, b"b", fin=False)
        peer.send(PONG, b"")
        peer.send(CONTINUATION, b"c")
        peer.send(BINARY, b"\x01", fin=False)
        peer.send(CONTINUATION, b"\x02")
        peer.send(TEXT, b"whole")
        assert await peer.receive() == (PONG, b"p")
        peer.close(1000)
        await peer.rest()

    async with ws_server(fragments) as url:
        await client.connect(url)
        await client.end()
    assert (client.texts, client.binaries) == ([b"abc", b"whole"], [b"\x01\x02"])


async def test_a_frame_that_comes_byte_by_byte() -> None:
    client = Client()

    async def drip(peer: Peer) -> None:
        for byte in frame(TEXT, b"x" * 200) + frame(TEXT, b"second"):
            peer.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        await echo(peer)

    async with ws_server(drip) as url:
        ws = await client.connect(url)
        await client.until(lambda: len(client.texts) == 2)
        assert client.texts == [b"x" * 200, b"second"]
        await ws.close()


@pytest.mark.real_clock
@pytest.mark.parametrize("tls", [False, True])
async def test_15_mib_up_and_30_mib_down(tls: bool) -> None:
    client = Client()
    up, down = os.urandom(15 * MIB), b"d" * (30 * MIB)
    same: list[bool] = []

    async def judge(connection: ServerConnection) -> None:
        same.append(await connection.recv() == up)
        same.append(await connection.recv() == "after")
        await connection.send(down, text=True)
        await connection.send((down[:MIB] for _ in range(5)), text=True)
        await connection.wait_closed()

    with tls_pair() as (server_tls, client_tls):
        scheme, context = ("wss", server_tls) if tls else ("ws", None)
        async with serve(
            judge, "127.0.0.1", 0, ssl=context, max_size=None, ping_interval=None
        ) as server:
            url = f"{scheme}://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            ws = await client.connect(url, ssl_context=client_tls if tls else None)
            ws.send_binary(up)
            ws.send_text(b"after")
            await client.until(lambda: len(client.texts) == 2)
            assert same == [True, True]
            assert [len(t) for t in client.texts] == [30 * MIB, 5 * MIB]
            await ws.close()
    assert client.closed == [Closed(1000, "", by_us=True, cause="local")]


async def test_a_message_above_the_limit_ends_the_connection_with_1009() -> None:
    client = Client()
    frames: list[tuple[int, bytes]] = []

    async def shout(peer: Peer) -> None:
        peer.send(TEXT, b"x" * 1000)
        await peer.receive()
        peer.send(TEXT, b"y" * 1001)
        frames.extend(await peer.rest())

    async with ws_server(shout) as url:
        ws = await client.connect(url, max_message=1000)
        await client.until(lambda: client.texts)
        ws.send_text(b"more")
        closed = await client.end()
        await ws.close()
    assert client.texts == [b"x" * 1000]
    assert (closed.code, closed.by_us, closed.cause) == (1009, True, "too_big")
    assert "1001 > 1000" in closed.reason
    assert frames[0][1][:2] == (1009).to_bytes(2)
    assert len(client.closed) == 1


async def test_fragments_above_the_limit_end_the_connection_with_1009() -> None:
    client = Client()
    frames: list[tuple[int, bytes]] = []

    async def shout(peer: Peer) -> None:
        peer.send(TEXT, b"x" * 900, fin=False)
        peer.send(CONTINUATION, b"x" * 101, fin=False)
        peer.send(CONTINUATION, b"more")
        frames.append(await peer.receive())
        peer.close(1009)
        frames.extend(await peer.rest())

    async with ws_server(shout) as url:
        ws = await client.connect(url, max_message=1000)
        closed = await client.end()
        await ws.close()
    assert (closed.code, closed.by_us, closed.cause) == (1009, True, "too_big")
    assert "1000 bytes" in closed.reason
    assert [f[1][:2] for f in frames] == [(1009).to_bytes(2)]


@pytest.mark.parametrize(
    "broken",
    [
        frame(CONTINUATION, b"of nothing"),
        frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
        frame(3, b"unknown opcode"),
        frame(PING, b"", fin=False),
        frame(PING, b"x" * 126),
        frame(CLOSE, b"\x03"),
        frame(CLOSE, (1005).to_bytes(2)),
        frame(CLOSE, (1015).to_bytes(2)),
        bytes([0x81, 0x80, 0, 0, 0, 0]),  # masked
    ],
)
async def test_a_peer_that_breaks_the_protocol_is_told_so(
    broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client()
    frames: list[tuple[int, bytes]] = []

    async def break_it(peer: Peer) -> None:
        peer.send(TEXT, b"fine")
        assert await peer.receive() == (TEXT, b"go")
        peer.writer.write(broken)
        frames.append(await peer.receive())
        peer.close(1002)
        await peer.rest()

    async with ws_server(break_it) as url:
        ws = await client.connect(url)
        await client.until(lambda: client.texts)
        ws.send_text(b"go")
        closed = await client.end()
        await ws.close()
    assert (closed.code, closed.by_us, closed.cause) == (1002, True, "protocol")
    assert closed.reason
    assert frames == [(CLOSE, b"\x03\xea" + closed.reason.encode())]
    assert len(client.closed) == 1
    await asyncio.sleep(1)
    del ws
    gc.collect()
    assert caplog.records == [], "no error is left that nobody asked for"


async def test_a_callback_that_raises_is_logged_and_the_connection_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client()

    def fail(view: memoryview) -> None:
        client._keep(client.texts, bytes(view))
        raise ValueError("from the callback")

    async with ws_server(echo) as url:
        ws = await client.connect(url, on_text=fail)
        ws.send_text(b"1")
        ws.send_text(b"2")
        await client.until(lambda: len(client.texts) == 2)
        await ws.close()
    assert client.closed[0].cause == "local"
    records = [r for r in caplog.records if r.name == "voxengine.net" and r.exc_info]
    assert len(records) == 2
    assert all(r.levelno == logging.ERROR for r in records)


async def test_a_view_that_is_kept_is_an_error_not_somebody_elses_bytes() -> None:
    client = Client()
    kept: list[memoryview] = []

    async with ws_server(echo) as url:
        ws = await client.connect(url, on_text=lambda v: client._keep(kept, v))
        ws.send_text(b"1")
        await client.until(lambda: kept)
        with pytest.raises(ValueError, match="released"):
            bytes(kept[0])
        await ws.close()


async def test_binary_that_nobody_expects_is_let_go_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client()
    async with ws_server(echo) as url:
        ws = await client.connect(url, on_binary=None)
        ws.send_binary(b"\x00")
        ws.send_binary(b"\x00")
        ws.send_text(b"end")
        await client.until(lambda: client.texts)
        await ws.close()
    assert [r.levelname for r in caplog.records if r.name == "voxengine.net"] == ["WARNING"]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.real_clock
async def test_a_large_message_is_not_remembered_in_memory() -> None:
    client = Client()
    message = bytes(48 * MIB)

    async def skip(peer: Peer) -> None:
        left = len(message) + 14  # with the header
        while left:
            left -= len(await peer.reader.read(min(left, 2**16)))
        peer.send(TEXT, b"got it")
        await echo(peer)

    async with ws_server(skip) as url:
        ws = await client.connect(url)
        before = resident()
        ws.send_text(message)
        await client.until(lambda: client.texts)
        assert resident() - before < 24 * MIB
        await ws.close()


def resident() -> int:
    """Bytes of memory that this process uses."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
