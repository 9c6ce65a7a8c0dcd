"""Crowds at the door of a real gateway: its memory and its descriptors have bounds, and whoever is in a call stays."""

from __future__ import annotations

import asyncio
import resource
import socket
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.gateway.abuse.bystander import bystander
from tests.gateway.abuse.gateways import frame, gateway
from tests.gateway.server.doors import handshake
from tests.gateway.survival.callers import calling
from tests.gateway.survival.processes import Process

pytestmark = [pytest.mark.real_clock, pytest.mark.slow]

N, WAVE = 10_000, 500
MB = 1024 * 1024


def memory(gateway: Process) -> int:
    """Bytes that it has in memory."""
    pages = Path(f"/proc/{gateway.pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def descriptors(gateway: Process) -> int:
    return len(list(Path(f"/proc/{gateway.pid}/fd").iterdir()))


def connect(gateway: Process, *firsts: bytes) -> list[socket.socket]:
    """A connection for each, on which that is sent first. In a thread: who talks meanwhile is not kept waiting."""
    made = []
    for first in firsts:
        client = socket.socket()
        made.append(client)
        with suppress(OSError):
            client.settimeout(2)
            client.connect(("127.0.0.1", gateway.port))
            client.send(first)
    return made


def leave(sockets: list[socket.socket]) -> None:
    for client in sockets:
        client.close()


#: What one of a crowd sends: nothing, a head without an end, nonsense, half a request, a call to nobody.
KINDS = (
    b"",
    b"",
    b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\nX-A: ",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    handshake("/v1/realtime?model=nobody"),
)


async def test_ten_thousand_connections(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server, bystander(server.port) as person:
        before = memory(server)
        most = 0
        kept: list[socket.socket] = []
        try:
            for start in range(0, N, WAVE):
                wave = [KINDS[(start + n) % len(KINDS)] for n in range(WAVE)]
                kept += await asyncio.to_thread(connect, server, *wave)
                most = max(most, descriptors(server))
                # Those of the wave before last go; the others stay, and say nothing more.
                leave(kept[: -2 * WAVE])
                del kept[: -2 * WAVE]
            assert WAVE < most < 3 * WAVE + 100
            assert memory(server) - before < 100 * MB
        finally:
            leave(kept)
        async with httpx.AsyncClient(base_url=server.http) as http:
            assert (await http.get("/readyz")).json() == {"status": "ready"}
        assert person.answers > 10
        async with calling(server.port) as caller:
            await caller.write("Is there room?")


async def test_more_than_the_system_lets_it_have(tmp_path: Path) -> None:
    refused = b"HTTP/1.1 503 Service Unavailable"
    requests = b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    async with gateway(tmp_path, descriptors=256) as server, bystander(server.port) as person:
        # Those who say nothing make room for others.
        silent = await asyncio.to_thread(connect, server, *[b""] * 300)
        try:
            assert await status_line(server) == b"HTTP/1.1 200 OK"
            async with calling(server.port) as caller:
                await caller.write("Is there room?")
        finally:
            leave(silent)
        # Those who ask for something are served until there are too many.
        slow = await asyncio.to_thread(connect, server, *[requests] * 300)
        try:
            assert await status_line(server) == refused
            assert descriptors(server) < 250
        finally:
            leave(slow)
        async with asyncio.timeout(15):
            while await status_line(server) == refused:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)
        assert await status_line(server) == b"HTTP/1.1 200 OK"
        async with asyncio.timeout(15):
            while person.answers == 0:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)
        assert "accept" not in server.log


async def status_line(server: Process) -> bytes:
    with suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            async with asyncio.timeout(10):
                return (await reader.readline()).strip()
        finally:
            writer.transport.abort()
    return b""


async def test_who_does_not_read(tmp_path: Path) -> None:
    """Whoever asks for much and takes nothing is cut off, before the gateway keeps too much for it."""
    async with gateway(tmp_path) as server, bystander(server.port):
        before, most = memory(server), 0
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(handshake("/v1/realtime?model=play").replace(b"Host: x", b"Host: localhost"))
        await reader.readuntil(b"\r\n\r\n")
        content = [{"type": "input_text", "text": "x" * 200_000}]
        item = {"type": "message", "role": "user", "id": "item_big", "content": content}
        writer.write(frame({"type": "conversation.item.create", "item": item}))
        ask = frame({"type": "conversation.item.retrieve", "item_id": "item_big"})
        async with asyncio.timeout(30):
            while not writer.transport.is_closing():
                with suppress(ConnectionError):
                    writer.write(ask)
                    await asyncio.wait_for(writer.drain(), 1)
                await asyncio.sleep(0.005)
                most = max(most, memory(server))
        assert most - before < 120 * MB

        await server.logged("a client was cut off")
