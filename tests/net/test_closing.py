"""Every way in which a connection ends is told exactly once, and nothing is left of it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import struct
import weakref
from typing import Any

import pytest

from tests.net.peers import CLOSE, PING, PONG, TEXT, Client, Peer, frame, tls_pair, ws_server
from voxengine.errors import ConfigurationError, ConnectionError
from voxengine.net import Closed, WebSocket

CODES = [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]


def assert_no_sends(ws: WebSocket) -> None:
    sends: list[Any] = [
        lambda: ws.send_text(b"x"),
        lambda: ws.send_binary(b"x"),
        lambda: ws.send_audio(b"x", 1),
        lambda: ws.send_text(b"x" * 200_000),
    ]
    for send in sends:
        with pytest.raises(ConnectionError) as refused:
            send()
        assert (refused.value.code, refused.value.provider) == ("closed", "acme")


async def silent(peer: Peer) -> None:
    """Reads, and answers nothing."""
    await peer.rest()


async def polite(peer: Peer) -> None:
    """Answers a close frame."""
    while True:
        opcode, payload = await peer.receive()
        if opcode == CLOSE:
            peer.send(CLOSE, payload)
            return


@pytest.mark.parametrize("code", CODES)
async def test_the_peers_code_and_reason_are_told_and_answered(code: int) -> None:
    client = Client()
    answer: list[tuple[int, bytes]] = []

    async def leave(peer: Peer) -> None:
        peer.close(code, "the reason; bitte schön")
        answer.extend(await peer.rest())

    async with ws_server(leave) as url:
        ws = await client.connect(url)
        closed = await client.end()
        assert closed == Closed(code, "the reason; bitte schön", by_us=False, cause="closed")
        assert ws.closed is closed
        assert not ws.is_open
        assert_no_sends(ws)
        await ws.close()
    assert client.closed == [closed]
    assert answer == [(CLOSE, code.to_bytes(2))]


@pytest.mark.parametrize(("payload", "code"), [(b"", 1005), (b"\x03\xee", 1006)])
async def test_a_code_that_may_not_be_sent_is_not_sent_back(payload: bytes, code: int) -> None:
    client = Client()
    answer: list[tuple[int, bytes]] = []

    async def leave(peer: Peer) -> None:
        peer.send(CLOSE, payload)
        answer.extend(await peer.rest())

    async with ws_server(leave) as url:
        await client.connect(url)
        assert await client.end() == Closed(code, "", by_us=False, cause="closed")
    assert answer == [(CLOSE, (1000).to_bytes(2))]


async def test_a_reason_is_on_one_line_and_shows_no_key() -> None:
    client = Client()

    async def leave(peer: Peer) -> None:
        peer.close(1008, "Incorrect API key\r\nsk-4f9a8b7c6d5e")
        await peer.rest()

    async with ws_server(leave) as url:
        await client.connect(url, headers={"Authorization": "Bearer sk-4f9a8b7c6d5e"})
        assert (await client.end()).reason == "Incorrect API key ***"


async def test_a_connection_that_dies_without_a_close_frame() -> None:
    client = Client()

    async def die(peer: Peer) -> None:
        peer.writer.transport.abort()

    async with ws_server(die) as url:
        ws = await client.connect(url)
        closed = await client.end()
        assert (closed.code, closed.by_us, closed.cause) == (None, False, "aborted")
        assert_no_sends(ws)
        ws.abort()
        await ws.close()
    assert client.closed == [closed]


async def test_a_connection_that_is_lost_in_the_middle_of_a_frame() -> None:
    client = Client()

    async def die(peer: Peer) -> None:
        peer.writer.write(frame(TEXT, b"half", length=1000))
        await peer.writer.drain()
        peer.writer.close()

    async with ws_server(die) as url:
        await client.connect(url)
        assert (await client.end()).cause == "aborted"
    assert client.texts == []


@pytest.mark.parametrize("tls", [False, True])
async def test_close_tells_the_peer_waits_for_it_and_can_be_repeated(tls: bool) -> None:
    client = Client()
    frames: list[tuple[int, bytes]] = []

    async def answer(peer: Peer) -> None:
        frames.append(await peer.receive())
        frames.append(await peer.receive())
        peer.send(TEXT, b"too late")
        peer.send(*frames[1])
        await peer.rest()

    with tls_pair() as (server_tls, client_tls):
        async with ws_server(answer, tls=server_tls if tls else None) as url:
            ws = await client.connect(url, ssl_context=client_tls)
            ws.send_text(b"last")
            await asyncio.gather(ws.close(1001, "done " + "ä" * 100), ws.close(4000))
            assert ws.closed is not None
            assert asyncio.get_running_loop().time() == 0, "it need not wait"
            await ws.close()
            assert_no_sends(ws)
    reason = "done " + "ä" * 59  # 123 bytes, and no half character
    assert client.closed == [Closed(1001, reason, by_us=True, cause="local")]
    assert client.texts == []
    assert frames == [(TEXT, b"last"), (CLOSE, (1001).to_bytes(2) + reason.encode())]


async def test_while_close_waits_nothing_can_be_sent() -> None:
    client = Client()
    async with ws_server(silent) as url:
        ws = await client.connect(url)
        closing = asyncio.create_task(ws.close())
        await asyncio.sleep(0)
        assert not ws.is_open
        assert "closing" in repr(ws)
        assert_no_sends(ws)
        await closing


@pytest.mark.parametrize("tls", [False, True])
async def test_a_peer_that_never_answers_a_close_does_not_hold_it_up(tls: bool) -> None:
    client = Client()
    with tls_pair() as (server_tls, client_tls):
        async with ws_server(silent, tls=server_tls if tls else None) as url:
            ws = await client.connect(url, ssl_context=client_tls, close_timeout=3)
            await ws.close()
            assert asyncio.get_running_loop().time() == 3
    assert client.closed == [Closed(1000, "", by_us=True, cause="local")]


async def test_a_cancelled_close_leaves_nothing_behind() -> None:
    client = Client()
    async with ws_server(silent) as url:
        ws = await client.connect(url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await ws.close()
        await client.end()
        assert asyncio.get_running_loop().time() == 0.5
    assert client.closed == [Closed(1000, "", by_us=True, cause="local")]


async def test_the_first_to_say_goodbye_counts() -> None:
    client = Client()

    async def both(peer: Peer) -> None:
        peer.close(1011, "error")
        await peer.rest()

    async with ws_server(both) as url:
        ws = await client.connect(url)
        await client.end()
        await ws.close(1000)
    assert [c.code for c in client.closed] == [1011]


async def test_abort_closes_at_once() -> None:
    client = Client()
    frames: list[Any] = []

    async def listen(peer: Peer) -> None:
        frames.extend(await peer.rest())

    async with ws_server(listen) as url:
        ws = await client.connect(url)
        ws.abort()
        assert not ws.is_open
        assert client.closed == [], "not from within abort()"
        ws.abort()
        await ws.close()
    assert client.closed == [Closed(None, "", by_us=True, cause="local")]
    assert frames == []


async def test_abort_in_a_callback_lets_the_rest_go() -> None:
    client = Client()

    sockets: list[WebSocket] = []

    async def talk(peer: Peer) -> None:
        await peer.receive()
        peer.writer.write(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(CLOSE))
        await peer.rest()

    def stop(view: memoryview) -> None:
        client.texts.append(bytes(view))
        sockets[0].abort()

    async with ws_server(talk) as url:
        sockets.append(await client.connect(url, on_text=stop))
        sockets[0].send_text(b"go")
        assert (await client.end()).cause == "local"
    assert client.texts == [b"1"]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
async def test_close_refuses_a_code_that_may_not_be_sent(code: int) -> None:
    client = Client()
    async with ws_server(polite) as url:
        ws = await client.connect(url)
        with pytest.raises(ConfigurationError):
            await ws.close(code)
        assert ws.is_open
        await ws.close()


async def test_on_closed_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    client = Client()

    def fail(closed: Closed) -> None:
        raise ValueError("from the callback")

    async with ws_server(polite) as url:
        ws = await client.connect(url, on_closed=fail)
        await ws.close()
        assert ws.closed is not None
    assert "on_closed" in caplog.text


# -- keepalive


async def test_a_silent_peer_is_asked_and_lives_if_it_answers() -> None:
    client = Client()
    pings: list[float] = []
    loop = asyncio.get_running_loop()

    async def pong(peer: Peer) -> None:
        while True:
            opcode, payload = await peer.receive()
            if opcode == PING:
                pings.append(loop.time())
                peer.send(PONG, payload)
            elif opcode == CLOSE:
                peer.send(CLOSE, payload)
                return

    async with ws_server(pong) as url:
        ws = await client.connect(url, ping_interval=20, ping_timeout=10)
        await asyncio.sleep(100)
        assert ws.is_open
        await ws.close()
    assert pings[0] == 20
    assert all(20 <= b - a <= 30 for a, b in itertools.pairwise(pings))
    assert len(pings) >= 3


@pytest.mark.parametrize("patience", [2, 5, 7, 10, 30])
async def test_a_peer_that_does_not_answer_pings_is_dead(patience: float) -> None:
    client = Client()
    async with ws_server(silent) as url:
        ws = await client.connect(url, ping_interval=20, ping_timeout=patience)
        closed = await client.end()
        assert asyncio.get_running_loop().time() == 20 + patience
        assert_no_sends(ws)
    assert (closed.code, closed.by_us, closed.cause) == (None, True, "dead_peer")
    assert f"{patience} s" in closed.reason


async def test_a_peer_that_talks_is_not_asked() -> None:
    client = Client()
    frames: list[Any] = []

    async def talk(peer: Peer) -> None:
        for _ in range(50):
            peer.send(TEXT, b"hello")
            await asyncio.sleep(4)
        peer.close(1000)
        frames.extend(await peer.rest())

    async with ws_server(talk) as url:
        await client.connect(url, ping_interval=20)
        assert (await client.end()).cause == "closed"
    assert [opcode for opcode, _ in frames] == [CLOSE]


async def test_a_long_message_that_is_under_way_is_a_sign_of_life() -> None:
    client = Client()

    async def slowly(peer: Peer) -> None:
        data = frame(TEXT, b"x" * 100_000)
        for at in range(0, len(data), 1000):
            peer.writer.write(data[at : at + 1000])
            await asyncio.sleep(4)
        peer.close(1000)
        await peer.rest()

    async with ws_server(slowly) as url:
        await client.connect(url, ping_interval=20, ping_timeout=10)
        assert (await client.end()).cause == "closed"
    assert [len(t) for t in client.texts] == [100_000]


async def test_without_an_interval_nobody_is_asked() -> None:
    client = Client()
    async with ws_server(silent) as url:
        ws = await client.connect(url, ping_interval=0)
        await asyncio.sleep(3600)
        assert ws.is_open
        ws.abort()
        await client.end()


async def test_nothing_holds_on_to_a_connection_that_has_ended() -> None:
    client = Client()
    async with ws_server(polite) as url:
        ws = await client.connect(url, on_binary=None)
        gone = weakref.ref(ws)
        await ws.close()
        del ws
        gc.disable()
        try:
            await asyncio.sleep(1)
            assert gone() is None, "without the help of the garbage collector"
        finally:
            gc.enable()


async def test_close_codes_are_read_as_numbers() -> None:
    client = Client()

    async def leave(peer: Peer) -> None:
        peer.send(CLOSE, struct.pack("!H", 65535))
        await peer.rest()

    async with ws_server(leave) as url:
        await client.connect(url)
        code = (await client.end()).code
    assert type(code) is int
    assert code == 65535
