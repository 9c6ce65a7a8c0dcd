"""A peer that does not take what we send: audio is dropped and told, control waits, and their order is kept."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.net.peers import BINARY, CLOSE, TEXT, Client, Peer, ws_server
from voxengine.errors import ConnectionError
from voxengine.net import Closed, WebSocket

KIB = 1024
#: What the server's side of the socket holds.
SMALL = 16 * KIB


class Gate:
    """A server that reads nothing until it is told to."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.got: list[tuple[int, bytes]] = []

    @contextlib.asynccontextmanager
    async def server(self) -> AsyncIterator[str]:
        async with ws_server(self._run, receive_buffer=SMALL) as url:
            yield url
            self.open.set()

    async def _run(self, peer: Peer) -> None:
        await self.open.wait()
        with contextlib.suppress(asyncio.IncompleteReadError, builtins.ConnectionError):
            while True:
                opcode, payload = await peer.receive()
                self.got.append((opcode, payload))
                if opcode == CLOSE:
                    peer.send(opcode, payload)
                    return


async def fill(ws: WebSocket) -> int:
    """Send control until the socket takes no more. Returns the number of messages."""
    n = still = 0
    while still < 5:
        if ws.paused:
            still += 1
            await asyncio.sleep(0.005)
            continue
        still = 0
        ws.send_text(b"%06d" % n + os.urandom(8 * KIB))
        n += 1
        assert n < 2000, "the socket takes everything"
    return n


@pytest.mark.real_clock
async def test_what_waits_is_sent_in_order_when_the_peer_takes_it_again() -> None:
    client, gate = Client(), Gate()
    async with gate.server() as url:
        ws = await client.connect(url, audio_buffer=2**20)
        n = await fill(ws)
        buffer = bytearray(b"a1" + bytes(30 * KIB))
        ws.send_audio(buffer, 100)
        buffer[:2] = b"XX"  # it may be reused
        ws.send_text(memoryview(b"commit"))
        ws.send_audio(b"a2", 100, binary=True)
        ws.send_binary(b"last")
        assert ws.paused
        assert ws.is_open
        assert ws.buffered_bytes > 30 * KIB
        gate.open.set()
        await ws.close()
    assert [p[:6] for _, p in gate.got[:n]] == [b"%06d" % i for i in range(n)]
    assert [(o, p[:6].strip(b"\0")) for o, p in gate.got[n:]] == [
        (TEXT, b"a1"),
        (TEXT, b"commit"),
        (BINARY, b"a2"),
        (BINARY, b"last"),
        (CLOSE, b"\x03\xe8"),
    ]
    assert client.dropped == []
    assert client.closed == [Closed(1000, "", by_us=True, cause="local")]


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system has no such limit")
async def test_the_system_does_not_hide_a_slow_peer_behind_megabytes() -> None:
    client, gate = Client(), Gate()
    async with gate.server() as url:
        ws = await client.connect(url)
        assert await fill(ws) * 8 * KIB < 512 * KIB
        ws.abort()
        await client.end()


@pytest.mark.real_clock
async def test_after_a_pause_sends_are_direct_again() -> None:
    client, gate = Client(), Gate()
    async with gate.server() as url:
        ws = await client.connect(url)
        await fill(ws)
        ws.send_text(b"waits")
        gate.open.set()
        while ws.paused:  # noqa: ASYNC110  # nobody is told of it
            await asyncio.sleep(0.001)
        ws.send_text(b"direct")
        await ws.close()
    assert [p for _, p in gate.got[-3:-1]] == [b"waits", b"direct"]


async def test_old_audio_is_dropped_and_the_drops_are_gathered_into_few_reports() -> None:
    client, gate = Client(), Gate()
    async with gate.server() as url:
        ws = await client.connect(url, audio_buffer=10 * KIB)
        await fill(ws)
        before = ws.buffered_bytes
        for _ in range(100):  # 2 s of frames of 20 ms
            ws.send_audio(bytes(KIB), 700)
            assert ws.buffered_bytes <= before + 10 * KIB
            await asyncio.sleep(0.02)
        assert 4 <= len(client.dropped) <= 9
        ws.abort()
        await client.end()
    assert sum(chunks for chunks, _ in client.dropped) == 90
    assert sum(audio for _, audio in client.dropped) == 90 * 700


async def test_drops_are_told_before_the_end_of_the_connection() -> None:
    client, gate = Client(), Gate()
    told: list[Any] = []
    async with gate.server() as url:
        ws = await client.connect(
            url,
            audio_buffer=10,
            on_dropped=lambda *dropped: told.append(dropped),
            on_closed=lambda closed: client._keep(told, closed),
        )
        await fill(ws)
        ws.send_audio(b"1234567890", 5)
        ws.send_audio(b"1234567890", 6)
        ws.abort()
        await client.until(lambda: len(told) == 2)
    assert told == [(1, 5), Closed(None, "", by_us=True, cause="local")]


async def test_on_dropped_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    client, gate = Client(), Gate()

    def fail(chunks: int, audio: int) -> None:
        raise ValueError("from the callback")

    async with gate.server() as url:
        ws = await client.connect(url, audio_buffer=1, on_dropped=fail)
        await fill(ws)
        ws.send_audio(b"12", 2)
        ws.send_audio(b"34", 2)
        ws.abort()
        await client.end()
    assert "on_dropped" in caplog.text


async def test_a_peer_that_takes_no_control_is_given_up() -> None:
    client, gate = Client(), Gate()
    async with gate.server() as url:
        ws = await client.connect(url, control_buffer=20 * KIB)
        await fill(ws)
        ws.send_text(bytes(15 * KIB))
        ws.send_audio(bytes(15 * KIB), 1)  # counts for itself
        with pytest.raises(ConnectionError) as refused:
            ws.send_text(bytes(6 * KIB))
        assert (refused.value.code, refused.value.provider) == ("overloaded", "acme")
        assert not ws.is_open
        assert client.closed == [], "not from within the call"
        with pytest.raises(ConnectionError) as refused:
            ws.send_text(b"")
        assert refused.value.code == "closed"
        closed = await client.end()
        assert ws.buffered_bytes == 0, "nothing is kept of what waited"
    assert (closed.code, closed.by_us, closed.cause) == (None, True, "overloaded")
    assert str(20 * KIB) in closed.reason


async def test_close_does_not_wait_longer_for_a_peer_that_takes_nothing() -> None:
    client, gate = Client(), Gate()
    async with gate.server() as url:
        ws = await client.connect(url, close_timeout=2)
        await fill(ws)
        ws.send_text(b"never gets there")
        await ws.close()
        assert asyncio.get_running_loop().time() == pytest.approx(2, abs=0.1)
    assert [c.cause for c in client.closed] == ["local"]


async def test_a_peer_that_takes_nothing_and_says_nothing_is_dead() -> None:
    client, gate = Client(), Gate()
    async with gate.server() as url:
        ws = await client.connect(url, ping_interval=8, ping_timeout=4)
        await fill(ws)
        assert (await client.end()).cause == "dead_peer"
        assert asyncio.get_running_loop().time() == pytest.approx(12, abs=2.1)


async def test_pings_are_not_answered_without_bound_while_nothing_can_be_sent() -> None:
    client = Client()

    async def flood(peer: Peer) -> None:
        await asyncio.sleep(0.1)
        for n in range(1000):
            peer.send(9, b"%0100d" % n)
        peer.send(TEXT, b"done")
        await asyncio.sleep(1)

    async with ws_server(flood, receive_buffer=SMALL) as url:
        ws = await client.connect(url)
        await fill(ws)
        before = ws.buffered_bytes
        await client.until(lambda: client.texts)
        assert ws.buffered_bytes == before
        ws.abort()
        await client.end()


@pytest.mark.real_clock
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["audio", "control", "pause"]), st.sampled_from([10, 3000, 200_000])
        ),
        max_size=60,
    )
)
async def test_over_a_socket_order_is_kept_and_control_is_never_lost(
    steps: list[tuple[str, int]],
) -> None:
    client = Client()
    got: list[bytes] = []

    async def slow(peer: Peer) -> None:
        while True:
            opcode, payload = await peer.receive()
            if opcode == CLOSE:
                peer.send(opcode, payload)
                return
            got.append(payload[:8])
            await asyncio.sleep(0)

    async with ws_server(slow, receive_buffer=SMALL) as url:
        ws = await client.connect(url, audio_buffer=250_000, close_timeout=20)
        sent: list[tuple[str, bytes]] = []
        for number, (step, size) in enumerate(steps):
            name = b"%08d" % number
            if step == "pause":
                await asyncio.sleep(0.001)
            elif step == "audio":
                ws.send_audio(name + bytes(size), size)
                sent.append((step, name))
            else:
                ws.send_text(name + bytes(size))
                sent.append((step, name))
        await ws.close()
    assert client.closed == [Closed(1000, "", by_us=True, cause="local")]
    names = [name for _, name in sent]
    assert got == [name for name in names if name in set(got)], "out of order"
    assert {name for step, name in sent if step == "control"} <= set(got)
    lost = sum(chunks for chunks, _ in client.dropped)
    assert lost == len(names) - len(got), "each drop is told"
