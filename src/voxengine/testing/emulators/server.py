"""The server that every emulator stands on: plain HTTP and WebSockets on one port of this machine.

An emulator gives `EmulatorServer` a `route`: a function from a `Request` to an `Answer` (plain HTTP, or a refused
handshake), to a `Streamed` one, to an `Accept` (the WebSocket is opened and its `SocketHandler` told of all that
happens), to a `Pending` one of the first two, or to None (the connection is reset, as by a port on which nobody
listens). Nothing here knows a vendor.

A connection that becomes a WebSocket is handed on to `voxengine.net`.
"""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias, cast

import msgspec

from voxengine.errors import ConnectionError
from voxengine.net import Closed, WebSocket
from voxengine.net.serving import Limits, check_upgrade, serve_websocket
from voxengine.testing.emulators.http import (
    MAX_BODY,
    Answer,
    BadRequest,
    Request,
    RequestReader,
)
from voxengine.testing.emulators.listener import Connections, Listener

__all__ = [
    "Accept",
    "EmulatorServer",
    "Pending",
    "Route",
    "Socket",
    "SocketHandler",
    "Streamed",
]

#: Seconds that a client may take to send the head of its request, and to answer a close frame.
HANDSHAKE_S = 10.0
CLOSE_S = 2.0
#: Bytes of the largest message that is taken: 15 MiB of audio in base64, and what is around it.
MAX_MESSAGE = 24 * 1024 * 1024
#: Bytes that may wait for a client which does not read. One that lets more pile up is cut off.
MAX_UNREAD = 64 * 1024 * 1024

_log = logging.getLogger(__name__)


class SocketHandler(Protocol):
    """What an emulator does with one WebSocket. All is called on the event loop."""

    def on_open(self, socket: Socket) -> None:
        """The handshake is done."""

    def on_message(self, message: str | bytes) -> None:
        """A whole message came: text as str, binary as bytes."""

    def on_close(self) -> None:
        """The connection is gone, however it went."""


class Accept(msgspec.Struct, frozen=True):
    """The handshake is accepted. `subprotocol` must be one of those that the client offers."""

    handler: Any  # a SocketHandler; msgspec has no type for it
    subprotocol: str | None = None


class Streamed(msgspec.Struct, frozen=True):
    """An answer whose body comes in pieces, each sent at once. An `OSError` of the body's cuts the connection."""

    status: int
    headers: Mapping[str, str]
    body: AsyncGenerator[bytes]


class Pending(msgspec.Struct, frozen=True):
    """An answer that is not known at once. It is given up if the client goes away."""

    answer: Awaitable[Answer | Streamed | None]


Route: TypeAlias = "Callable[[Request], Answer | Streamed | Pending | Accept | None]"


class Socket:
    """The server's side of one WebSocket."""

    def __init__(self, handler: SocketHandler) -> None:
        self._handler = handler
        self._websocket: WebSocket | None = None
        #: Whether no more can be sent: a close frame was sent, or the connection is gone.
        self.closing = False
        #: The code and the reason of the client's close frame, None without one.
        self.closed_with: tuple[int, str] | None = None

    # -- for the emulator

    def send(self, message: str | bytes) -> None:
        """Send a message: str as text, bytes as binary. Nothing happens if the socket is closing."""
        if self.closing or self._websocket is None:
            return
        try:
            if isinstance(message, str):
                self._websocket.send_text(message.encode())
            else:
                self._websocket.send_binary(message)
        except ConnectionError:
            self.closing = True
            _log.warning("a client does not read what it is sent: the connection is cut")

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame, and wait a little for the client's before the connection is closed."""
        if self._websocket is not None:
            self.closing = True
            self._websocket.start_closing(code, reason)

    def kill(self) -> None:
        """Cut the connection, without a close frame."""
        self.closing = True
        if self._websocket is not None:
            self._websocket.abort()

    # -- for the WebSocket

    def on_open(self, websocket: WebSocket) -> None:
        """The handshake is done."""
        self._websocket = websocket
        self._handler.on_open(self)

    def on_text(self, message: memoryview) -> None:
        """A text came."""
        try:
            text = str(message, "utf-8")
        except UnicodeDecodeError:
            assert self._websocket is not None
            self._websocket.fail(1007, "a text message is UTF-8", "protocol")
            return
        self._handler.on_message(text)

    def on_binary(self, message: memoryview) -> None:
        """Bytes came."""
        self._handler.on_message(bytes(message))

    def on_closed(self, closed: Closed) -> None:
        """The connection is gone, or about to be."""
        self.closing = True
        if closed.cause == "closed" and closed.code is not None:
            self.closed_with = (closed.code, closed.reason)
        self._handler.on_close()


class EmulatorServer(Listener):
    """Listens on a port of this machine.

    Args:
        route: says what becomes of each request.
        host: the address to listen on.
        port: the port; 0 takes a free one, and `port` then says which. It is kept when started again.
        tls: the certificate; None speaks in the clear.
        max_body: bytes of a request's body that are read; more is refused.
    """

    def __init__(
        self,
        route: Route,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        super().__init__(
            lambda connections: _Connection(route, connections, max_body),
            host=host,
            port=port,
            tls=tls,
        )


class _Connection(asyncio.Protocol):
    """Reads the head of one request, then answers it or hands the connection on to picows."""

    def __init__(self, route: Route, all_of_them: Connections, max_body: int) -> None:
        loop = asyncio.get_running_loop()
        self._route = route
        self._all = all_of_them
        self._reader = RequestReader(max_body)
        self._work: asyncio.Task[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._transport: asyncio.Transport | None = None
        self._socket: Socket | None = None
        self._timer = loop.call_later(HANDSHAKE_S, self.abort)
        #: Done when the connection is gone.
        self.gone: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # It is one, though uvloop's does not say so.
        self._transport = cast("asyncio.Transport", transport)
        self._all.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            request = self._reader.feed(data)
        except BadRequest as failure:
            self._answer(Answer(failure.status, str(failure).encode()))
            return
        if request is None or self._work is not None:
            return
        self._timer.cancel()
        found = self._route(request)
        if found is None:
            self._reset()
        elif isinstance(found, Answer):
            self._answer(found, head_only=request.method == "HEAD")
        elif isinstance(found, Accept):
            self._upgrade(request, found)
        else:
            self._work = asyncio.create_task(self._serve(found), name="emulator-answer")

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, failure: Exception | None) -> None:
        self._timer.cancel()
        if self._work is not None:
            self._work.cancel()
        self._all.discard(self)
        if not self.gone.done():
            self.gone.set_result(None)

    def abort(self) -> None:
        """Cut it."""
        if self._socket is not None:
            self._socket.kill()
        elif self._transport is not None:
            self._transport.abort()

    def go_away(self) -> None:
        """Close it: a WebSocket with a close frame."""
        assert self._transport is not None
        if self._socket is not None:
            self._socket.close(1001, "going away")
        if self._transport.get_write_buffer_size() or self._work is not None:
            self._transport.abort()  # nobody reads: what waits would wait for ever
        else:
            self._transport.close()

    # -- inside

    def _answer(self, answer: Answer, head_only: bool = False) -> None:
        assert self._transport is not None
        self._transport.write(answer.to_bytes(head_only=head_only))
        self._transport.close()

    async def _serve(self, found: Pending | Streamed) -> None:
        assert self._transport is not None
        answer = await found.answer if isinstance(found, Pending) else found
        if answer is None:
            self._reset()
        elif isinstance(answer, Answer):
            self._answer(answer)
        else:
            try:
                await self._stream(answer, self._transport)
            except OSError:  # as the body wants it
                self._transport.abort()

    async def _stream(self, answer: Streamed, transport: asyncio.Transport) -> None:
        fields = {**answer.headers, "Transfer-Encoding": "chunked", "Connection": "close"}
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        transport.write("\r\n".join([*lines, "", ""]).encode())
        async with aclosing(answer.body) as body:
            async for piece in body:
                if piece:
                    transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    await self._may_write.wait()
        transport.write(b"0\r\n\r\n")
        transport.close()

    def _reset(self) -> None:
        assert self._transport is not None
        raw = self._transport.get_extra_info("socket")
        # A reset instead of an orderly end: what a client sees of a port that nobody serves.
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _upgrade(self, request: Request, accept: Accept) -> None:
        assert self._transport is not None
        try:
            check_upgrade(request)
        except BadRequest as failure:
            self._answer(Answer(failure.status, str(failure).encode()))
            return
        socket = self._socket = Socket(accept.handler)

        serve_websocket(
            self._transport,
            request,
            self._reader.rest,
            on_open=socket.on_open,
            on_text=socket.on_text,
            on_binary=socket.on_binary,
            on_closed=socket.on_closed,
            on_gone=lambda: self.connection_lost(None),
            limits=Limits(
                max_message=MAX_MESSAGE,
                max_unsent=MAX_UNREAD,
                ping_interval=0,
                close_timeout=CLOSE_S,
            ),
            headers={"Sec-WebSocket-Protocol": accept.subprotocol} if accept.subprotocol else {},
        )
