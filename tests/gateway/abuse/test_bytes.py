"""Bytes that break the rules of HTTP and of WebSockets, and messages without sense, sent to a real gateway."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest
import websockets

from tests.gateway.abuse.bystander import bystander
from tests.gateway.abuse.gateways import frame, gateway
from tests.gateway.abuse.nonsense import Nonsense
from tests.gateway.server.doors import handshake
from tests.gateway.survival.callers import TEXT, calling, words_of
from tests.gateway.survival.processes import Process

pytestmark = [pytest.mark.real_clock, pytest.mark.slow]

HELLO = b'{"type":"input_audio_buffer.clear"}'
FRAMES = {
    "20 MB": (frame(b"x" * 20_000_000), 1009),
    "no UTF-8": (frame(b'{"type":"\xff\xfe"}'), 1007),
    "binary": (frame(HELLO, 0x82), 1003),
    "compressed": (frame(HELLO, 0xC1), 1002),
    "RSV2": (frame(HELLO, 0xA1), 1002),
    "RSV3": (frame(HELLO, 0x91), 1002),
    "unmasked": (frame(HELLO, masked=0), 1002),
    "reserved opcode": (frame(HELLO, 0x83), 1002),
    "a ping in pieces": (frame(b"?", 0x09), 1002),
    "a long ping": (frame(b"?" * 200, 0x89), 1002),
    "a piece of nothing": (frame(HELLO, 0x80), 1002),
    "a text within a text": (frame(HELLO, 0x01) + frame(HELLO), 1002),
    "a close code that is none": (frame((5).to_bytes(2, "big"), 0x88), 1002),
}

#: What is sent, and the statuses that may answer it. None: the connection is closed without a word.
CALL = "/v1/realtime?model=play"
HEADS: dict[str, tuple[bytes, set[int | None]]] = {
    "line breaks in the query": (handshake("/v1/realtime?model=play%0d%0aX-Evil:%201"), {404}),
    "a NUL in the query": (handshake("/v1/realtime?model=play%00"), {404}),
    "a way up": (b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "a coded way up": (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "a way up from the page": (b"GET /js/..%2f..%2fapp.py HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "a path of NULs": (b"GET /%00%00 HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "a huge head": (b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", {400, 431, None}),
    "a huge query": (handshake("/v1/realtime?model=" + "x" * 60_000), {400, 404, 414, 431}),
    "two keys": (handshake(CALL, "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="), {400}),
    "two hosts": (handshake(CALL, "Host: evil.example"), {400, 403}),
    "a folded header": (handshake(CALL, "X-A: b\r\n c: d"), {400}),
    "a header without a name": (handshake(CALL, ": b"), {400}),
    "a space before the colon": (handshake(CALL, "X-A : b"), {400}),
    "a bare line feed": (b"GET /healthz HTTP/1.1\nHost: x\n\n", {400, None}),
    "a body of a handshake": (handshake(CALL, "Content-Length: 5") + b"hello", {400}),
    "two lengths": (
        b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n"
        b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
        {400},
    ),
    "a length and chunks": (
        b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
        {400},
    ),
    "chunks of another kind": (
        b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: x\r\n"
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        {400, 501},
    ),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
}


async def exchange(server: Process, data: bytes) -> bytes:
    """Send this, and read until the connection is closed, or nothing more comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    got = b""
    try:
        with suppress(ConnectionError):
            writer.write(data.replace(b"Host: x", b"Host: localhost"))
            await writer.drain()
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(1.5):
                while piece := await reader.read(65536):
                    got += piece
    finally:
        writer.transport.abort()
    return got


async def test_heads_that_are_wrong(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server, bystander(server.port):
        answers = await asyncio.gather(*(exchange(server, data) for data, _ in HEADS.values()))
        for (name, (_, allowed)), got in zip(HEADS.items(), answers, strict=True):
            status = int(got.split(b" ", 2)[1]) if got else None
            assert status in allowed, (name, got[:500])
            assert got.count(b"HTTP/1.1 ") <= 1, (name, got)
            assert b"X-Evil" not in got.partition(b"\r\n\r\n")[0]
            assert b"root:" not in got


async def test_frames_that_are_wrong(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server, bystander(server.port):
        for name, (data, code) in FRAMES.items():
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            try:
                writer.write(handshake(CALL).replace(b"Host: x", b"Host: localhost"))
                await reader.readuntil(b"\r\n\r\n")
                writer.write(data)
                found = await close_code(reader)
            finally:
                writer.transport.abort()
            # The system may throw the close frame away while so much is not read.
            assert found in ((code, None) if len(data) > 1_000_000 else (code,)), name


async def close_code(reader: asyncio.StreamReader) -> int | None:
    """The code of the close frame after all that comes."""
    with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
        async with asyncio.timeout(10):
            while True:
                first, size = await reader.readexactly(2)
                if size == 126:
                    size = int.from_bytes(await reader.readexactly(2), "big")
                elif size == 127:
                    size = int.from_bytes(await reader.readexactly(8), "big")
                data = await reader.readexactly(size)
                if first == 0x88:
                    return int.from_bytes(data[:2], "big")
    return None


async def test_messages_without_sense(tmp_path: Path) -> None:
    """Some thousands over a socket; then the same client is answered."""
    nonsense = Nonsense(77)
    async with (
        gateway(tmp_path, messages_per_second=1_000_000) as server,
        bystander(server.port),
        calling(server.port) as caller,
    ):
        for n in range(3000):
            message = nonsense.message()
            try:
                await caller.socket.send(message.decode())
            except UnicodeDecodeError:
                continue
            if n % 50 == 0:
                await caller.ask("input_audio_buffer.nothing", "error")
        await caller.update(tools=[], tool_choice="auto", instructions="", **TEXT)
        await caller.send("response.cancel")
        await caller.write("Are you there?")
        async with asyncio.timeout(20):
            while True:
                answer = await caller.answer(**TEXT)
                if "Are you there?" in json.dumps(answer["output"]):
                    break
        assert words_of(answer["output"][-1]) != ""


async def test_what_is_said_in_pieces_is_understood(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as server,
        websockets.connect(f"ws://127.0.0.1:{server.port}{CALL}", proxy=None) as socket,
    ):
        assert json.loads(await socket.recv())["type"] == "session.created"
        await socket.send([piece.decode() for piece in (HELLO[:9], HELLO[9:10], b"", HELLO[10:])])
        assert json.loads(await socket.recv())["type"] == "input_audio_buffer.cleared"
