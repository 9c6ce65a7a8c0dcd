"""The server under every emulator: requests in pieces, fragments, limits, and what is left at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets

from voxengine.testing.emulators import server as under_test
from voxengine.testing.emulators.http import Answer, BadRequest, Request, RequestReader, json_answer
from voxengine.testing.emulators.server import Accept, EmulatorServer, Socket


class Echo:
    """Sends back what it gets."""

    def __init__(self) -> None:
        self.socket: Socket | None = None
        self.got: list[str | bytes] = []
        self.gone = False

    def on_open(self, socket: Socket) -> None:
        self.socket = socket

    def on_message(self, message: str | bytes) -> None:
        self.got.append(message)
        assert self.socket is not None
        self.socket.send(message)

    def on_close(self) -> None:
        self.gone = True


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[EmulatorServer, list[Echo]]]:
    made: list[Echo] = []

    def route(request: Request) -> Answer | Accept | None:
        if request.path == "/reset":
            return None
        if not request.upgrades:
            body = {
                "method": request.method,
                "query": dict(request.query),
                "body": request.body.decode(),
            }
            return json_answer(200, body)
        made.append(Echo())
        return Accept(made[-1], request.subprotocols[0] if request.subprotocols else None)

    server = EmulatorServer(route)
    await server.start()
    try:
        yield server, made
    finally:
        await server.close()


async def plain(server: EmulatorServer, *pieces: bytes) -> bytes:
    """Send these pieces one after the other; returns all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.01)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_request_in_pieces():
    async with serving() as (server, _):
        answer = await plain(
            server, b"POST /x?a=1%202&a=3 HTTP/1.1\r\nContent-", b"Length: 5\r\n\r\nhe", b"llo"
        )
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert json.loads(body) == {"method": "POST", "query": {"a": "3"}, "body": "hello"}
        answer = await plain(server, b"HEAD / HTTP/1.1\r\n\r\n")
        assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/1.0\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, b"431"),
        (b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", b"400"),
    ],
)
async def test_what_is_no_request(sent, status):
    async with serving() as (server, _):
        assert (await plain(server, sent)).split()[1] == status


async def test_one_who_never_finishes_his_request_is_cut_off():
    async with serving() as (server, _):
        began = asyncio.get_running_loop().time()
        assert await plain(server, b"GET / HT") == b""
        assert asyncio.get_running_loop().time() - began == pytest.approx(10.0, abs=0.1)


async def test_messages_of_all_kinds():
    async with serving() as (server, made):
        url = f"ws://127.0.0.1:{server.port}/"
        async with websockets.connect(url, subprotocols=["a", "b"], compression=None) as socket:  # type: ignore[list-item]
            assert socket.subprotocol == "a"
            for message in ("text", b"binary", "", "x" * 300_000):
                await socket.send(message)
                assert await socket.recv() == message
            await socket.send(["in ", "three ", "pieces"])
            assert await socket.recv() == "in three pieces"
            assert await (await socket.ping()) >= 0
        assert made[0].gone
        assert made[0].socket is not None
        assert made[0].socket.closed_with == (1000, "")


async def test_a_message_that_is_too_large_and_one_that_is_not_text(monkeypatch):
    monkeypatch.setattr(under_test, "MAX_MESSAGE", 1000)
    async with serving() as (server, made):
        url = f"ws://127.0.0.1:{server.port}/"
        async with websockets.connect(url) as socket:
            await socket.send([b"x" * 600, b"x" * 600])
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        async with websockets.connect(url) as socket:
            await socket.send(b"\xff\xfe", text=True)
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1007
        assert [echo.got for echo in made] == [[], []]


async def test_a_client_that_does_not_read_is_cut_off(monkeypatch):
    monkeypatch.setattr(under_test, "MAX_UNREAD", 1_000_000)
    async with serving() as (server, made):
        url = f"ws://127.0.0.1:{server.port}/"
        async with websockets.connect(url, max_queue=1) as socket:
            await socket.send("hello")
            await asyncio.sleep(0.1)
            echo = made[0]
            assert echo.socket is not None
            for _ in range(100):
                echo.socket.send(b"x" * 1_000_000)
            assert echo.socket.closing
            await asyncio.sleep(0.1)
            assert echo.gone


async def test_a_close_frame_waits_for_its_answer_only_so_long():
    async with serving() as (server, made):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        echo = made[0]
        assert echo.socket is not None
        echo.socket.close(1012, "restart")
        echo.socket.close(1000)  # once is enough
        echo.socket.send("too late")
        began = asyncio.get_running_loop().time()
        assert await reader.read() == b"\x88\x09\x03\xf4restart"
        assert asyncio.get_running_loop().time() - began == pytest.approx(2.0)
        writer.close()
        await writer.wait_closed()


async def test_a_port_is_closed_opened_again_and_taken():
    async with serving() as (server, made):
        url = f"ws://127.0.0.1:{server.port}/"
        async with websockets.connect(url) as socket:
            await server.stop_listening()
            assert not server.listening
            with pytest.raises(ConnectionRefusedError):
                await websockets.connect(url)
            await socket.send("still here")
            assert await socket.recv() == "still here"
            await server.start()
            other = EmulatorServer(lambda _: None, port=server.port)
            with pytest.raises(OSError, match="in use"):
                await other.start()
            await server.close()
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        assert made[0].gone


def test_headers_are_read_without_regard_to_case():
    request: Any = RequestReader().feed(
        b"GET /p HTTP/1.1\r\nAUTHORIZATION: bearer  tok \r\nSec-WebSocket-Protocol: a, b\r\n"
        b"sec-websocket-protocol: c\r\nupgrade: WebSocket\r\n\r\n"
    )
    assert request.bearer == "tok"
    assert request.subprotocols == ("a", "b", "c")
    assert request.upgrades
    with pytest.raises(BadRequest):
        RequestReader().feed(b"GET / HTTP/1.1\r\n name: x\r\n\r\n")
