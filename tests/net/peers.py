"""The other side of a connection: a WebSocket server that does frame by frame what a test tells it, and two proxies."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import trustme

from voxengine.net import Closed, WebSocket, connect_websocket

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, length: int | None = None
) -> bytes:
    """A frame as a server sends it. `length` lies about the payload."""
    n = len(payload) if length is None else length
    first = opcode | (0x80 if fin else 0)
    if n < 126:
        return struct.pack("!BB", first, n) + payload
    if n < 2**16:
        return struct.pack("!BBH", first, 126, n) + payload
    return struct.pack("!BBQ", first, 127, n) + payload


class Peer:
    """One connection of a server, after the handshake."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: dict[str, str]
    ) -> None:
        self.reader = reader
        self.writer = writer
        #: Headers of the request in lower case, and its first line under "".
        self.head = head

    def send(self, opcode: int, payload: bytes = b"", *, fin: bool = True) -> None:
        self.writer.write(frame(opcode, payload, fin=fin))

    def close(self, code: int | None = None, reason: str = "") -> None:
        self.send(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())

    async def receive(self) -> tuple[int, bytes]:
        """The next frame of the client: opcode and payload."""
        first, second = await self.reader.readexactly(2)
        assert first & 0xF0 == 0x80, (
            "every frame of the client is a whole message, without extensions"
        )
        assert second & 0x80, "a client masks its frames"
        n = second & 0x7F
        if n == 126:
            n = int.from_bytes(await self.reader.readexactly(2))
        elif n == 127:
            n = int.from_bytes(await self.reader.readexactly(8))
        mask = await self.reader.readexactly(4)
        masked = await self.reader.readexactly(n)
        key = int.from_bytes((mask * (n // 4 + 1))[:n])
        return first & 0xF, (int.from_bytes(masked) ^ key).to_bytes(n)

    async def rest(self) -> list[tuple[int, bytes]]:
        """All frames until the client has closed the connection."""
        frames = []
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                frames.append(await self.receive())
        return frames


async def read_head(reader: asyncio.StreamReader) -> dict[str, str]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    pairs = (line.partition(": ") for line in lines if line)
    return {"": first} | {name.lower(): value for name, _, value in pairs}


def accept(head: dict[str, str], **more: str) -> bytes:
    """The answer that opens the WebSocket."""
    key = head["sec-websocket-key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    token = base64.b64encode(hashlib.sha1(key).digest()).decode()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": token}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in (headers | more).items()]
    return ("HTTP/1.1 101 Switching Protocols\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode()


@contextlib.asynccontextmanager
async def tcp_server(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]],
    *,
    tls: ssl.SSLContext | None = None,
    receive_buffer: int | None = None,
) -> AsyncIterator[int]:
    """A server on loopback; its port. What `handle` raises is raised at the end."""
    tasks: list[asyncio.Task[Any]] = []

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        finally:
            writer.transport.abort()

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(run(reader, writer)))

    # asyncio turns Nagle's algorithm off only where the protocol is named.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    if receive_buffer is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    limit = receive_buffer or 2**16
    server = await asyncio.start_server(start, sock=listener, ssl=tls, limit=limit)
    try:
        yield listener.getsockname()[1]
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        server.close()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def ws_server(
    behaviour: Callable[[Peer], Awaitable[Any]],
    *,
    tls: ssl.SSLContext | None = None,
    receive_buffer: int | None = None,
    **more: str,
) -> AsyncIterator[str]:
    """A WebSocket server; its URL. `more` are headers of its answer."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        writer.write(accept(head, **more))
        await behaviour(Peer(reader, writer, head))

    async with tcp_server(handle, tls=tls, receive_buffer=receive_buffer) as port:
        yield f"{'ws' if tls is None else 'wss'}://127.0.0.1:{port}/v1?model=m"


@contextlib.asynccontextmanager
async def http_server(*parts: bytes, stay: bool = False) -> AsyncIterator[str]:
    """A server that answers every request with these bytes, one packet each; the URL for a WebSocket."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
            for _ in range(20):  # the client has read it by now
                await asyncio.sleep(0)
        if stay:
            await reader.read()
        writer.close()
        await writer.wait_closed()

    async with tcp_server(handle) as port:
        yield f"ws://127.0.0.1:{port}/v1"


class Client:
    """Connects, and keeps what the callbacks are told."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.binaries: list[bytes] = []
        self.closed: list[Closed] = []
        self.dropped: list[tuple[int, int]] = []
        self._news = asyncio.Event()

    async def connect(self, url: str, **options: Any) -> WebSocket:
        told: dict[str, Any] = {
            "on_text": lambda view: self._keep(self.texts, bytes(view)),
            "on_binary": lambda view: self._keep(self.binaries, bytes(view)),
            "on_closed": lambda closed: self._keep(self.closed, closed),
            "on_dropped": lambda *dropped: self._keep(self.dropped, dropped),
            "provider": "acme",
        }
        return await connect_websocket(url, **(told | options))

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def end(self) -> Closed:
        """How the connection ended."""
        await self.until(lambda: self.closed)
        return self.closed[0]

    def _keep(self, where: list[Any], what: Any) -> None:
        where.append(what)
        self._news.set()


@contextlib.asynccontextmanager
async def socks4_proxy(seen: list[Any], server: int, refuse: bool = False) -> AsyncIterator[int]:
    """A proxy of the older kind, which is given an address and a user without a password."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(8)
        user = (await reader.readuntil(b"\0"))[:-1]
        seen.append((head[4:], int.from_bytes(head[2:4]), user))
        writer.write(bytes([0, 0x5B if refuse else 0x5A, 0, 0, 0, 0, 0, 0]))
        if not refuse:
            await pipe(reader, writer, "127.0.0.1", server)

    async with tcp_server(handle) as port:
        yield port


@contextlib.contextmanager
def tls_pair() -> Iterator[tuple[ssl.SSLContext, ssl.SSLContext]]:
    """A server's context for 127.0.0.1, and a client's that trusts it."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    yield server, client


async def pipe(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
) -> None:
    """Both directions between a client of a proxy and the server that it asked for, until either ends."""
    reader2, writer2 = await asyncio.open_connection(host, port)

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(2**16):
                target.write(data)
                await target.drain()

    tasks = [asyncio.create_task(copy(reader, writer2)), asyncio.create_task(copy(reader2, writer))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        writer2.transport.abort()


@contextlib.asynccontextmanager
async def http_proxy(seen: list[dict[str, str]], refuse: bytes = b"") -> AsyncIterator[int]:
    """A proxy that knows CONNECT. `refuse` is its answer to everybody."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        seen.append(head)
        if refuse:
            writer.write(refuse)
            await writer.drain()
            return
        host, _, port = head[""].split(" ")[1].rpartition(":")
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await pipe(reader, writer, host, int(port))

    async with tcp_server(handle) as port:
        yield port


@contextlib.asynccontextmanager
async def socks5_proxy(
    seen: list[Any], server: int, user: str = "", password: str = "", refuse: int = 0
) -> AsyncIterator[int]:
    """A proxy as in RFC 1928 and 1929, which leads everybody to one port. `refuse` is a reply code."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, n = await reader.readexactly(2)
        methods = await reader.readexactly(n)
        if user:
            assert 2 in methods
            writer.write(b"\x05\x02")
            _, n = await reader.readexactly(2)
            name = await reader.readexactly(n)
            word = await reader.readexactly((await reader.readexactly(1))[0])
            good = (name.decode(), word.decode()) == (user, password)
            writer.write(b"\x01" + (b"\x00" if good else b"\x01"))
            if not good:
                return
        else:
            writer.write(b"\x05\x00")
        kind = (await reader.readexactly(4))[3]
        n = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
        seen.append((await reader.readexactly(n), int.from_bytes(await reader.readexactly(2))))
        writer.write(bytes([5, refuse, 0, 1, 0, 0, 0, 0, 0, 0]))
        if not refuse:
            await pipe(reader, writer, "127.0.0.1", server)

    async with tcp_server(handle) as port:
        yield port
