"""The server that every emulator stands on: plain HTTP and WebSockets on one port of this machine.

An emulator gives `EmulatorServer` a `route`: a function from a `Request` to an `Answer` (plain HTTP, or a refused
handshake), to an `Accept` (the WebSocket is opened and its `SocketHandler` told of all that happens), or to None (the
connection is reset, as by a port on which nobody listens). Nothing here knows a vendor.

The WebSocket itself is picows'. Its server takes requests without a body only, so the head of each request is read
here, and a connection that becomes a WebSocket is handed on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket as sockets
import struct
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import msgspec
from picows import (
    WSAutoPingStrategy,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined] # not in its stub

from voxengine.testing.emulators.http import Answer, BadRequest, Request, RequestReader

__all__ = ["Accept", "EmulatorServer", "Route", "Socket", "SocketHandler"]

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


Route: TypeAlias = "Callable[[Request], Answer | Accept | None]"


class Socket(WSListener):
    """The server's side of one WebSocket."""

    def __init__(self, handler: SocketHandler) -> None:
        self._handler = handler
        self._transport: WSTransport | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._text = True
        self._timer: asyncio.TimerHandle | None = None
        #: Whether no more can be sent: a close frame was sent, or the connection is gone.
        self.closing = False
        #: The code and the reason of the client's close frame, None without one.
        self.closed_with: tuple[int, str] | None = None

    # -- for the emulator

    def send(self, message: str | bytes) -> None:
        """Send a message: str as text, bytes as binary. Nothing happens if the socket is closing."""
        if self.closing or self._transport is None:
            return
        kind = WSMsgType.TEXT if isinstance(message, str) else WSMsgType.BINARY
        self._transport.send(kind, message.encode() if isinstance(message, str) else message)
        if self._transport.underlying_transport.get_write_buffer_size() > MAX_UNREAD:
            _log.warning("a client does not read what it is sent: the connection is cut")
            self.kill()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame, and wait a little for the client's before the connection is closed."""
        if self.closing or self._transport is None:
            return
        self.closing = True
        self._transport.send_close(code, reason.encode()[:123])  # type: ignore[arg-type] # any number
        self._timer = asyncio.get_running_loop().call_later(CLOSE_S, self._drop)

    def kill(self) -> None:
        """Cut the connection, without a close frame."""
        self.closing = True
        if self._transport is not None:
            self._transport.underlying_transport.abort()

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.disconnect()

    # -- for picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._transport = transport
        self._handler.on_open(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame came."""
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            self._peer_closes(transport, frame)
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            if kind != WSMsgType.CONTINUATION:
                self._parts, self._size = [], 0
                self._text = kind == WSMsgType.TEXT
            self._size += frame.payload_size
            if self._size > MAX_MESSAGE:
                self._parts = []
                self.close(1009, "message too big")
                return
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                self._deliver()

    def _deliver(self) -> None:
        data, self._parts, self._size = b"".join(self._parts), [], 0
        if self.closing:
            return
        try:
            message = data.decode() if self._text else data
        except UnicodeDecodeError:
            self.close(1007, "a text message is UTF-8")
            return
        self._handler.on_message(message)

    def _peer_closes(self, transport: WSTransport, frame: WSFrame) -> None:
        code = int(frame.get_close_code()) if frame.payload_size >= 2 else 1005  # type: ignore[call-overload]
        self.closed_with = (code, frame.get_close_reason() or "")
        if not self.closing:
            self.closing = True
            transport.send_close(1000 if code == 1005 else code)  # type: ignore[arg-type]
        transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection is gone."""
        self.closing = True
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._handler.on_close()

    def pause_writing(self) -> None:
        """The client reads slowly; `send` looks at how much waits."""

    def resume_writing(self) -> None:
        """The client has caught up."""


class EmulatorServer:
    """Listens on a port of this machine.

    Args:
        route: says what becomes of each request.
        host: the address to listen on.
        port: the port; 0 takes a free one, and `port` then says which. It is kept when started again.
    """

    def __init__(self, route: Route, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self._route = route
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    @property
    def listening(self) -> bool:
        """Whether the port is open."""
        return self._server is not None

    async def start(self) -> None:
        """Open the port.

        Raises:
            OSError: it is taken.
        """
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                lambda: _Connection(self._route, self._connections), self.host, self.port
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def stop_listening(self) -> None:
        """Close the port; connections that are open go on. Whoever connects is refused by the system."""
        if self._server is not None:
            self._server.close()
            self._server = None
            await asyncio.sleep(0)

    async def kill(self) -> None:
        """Cut all connections without a close frame, and close the port, as a crash does."""
        await self.stop_listening()
        await self._end(_Connection.abort)

    async def close(self) -> None:
        """Close all connections (1001, "going away") and the port."""
        await self.stop_listening()
        await self._end(_Connection.go_away)

    async def _end(self, how: Callable[[_Connection], None]) -> None:
        gone = [connection.gone for connection in self._connections]
        for connection in list(self._connections):
            how(connection)
        if gone:
            await asyncio.wait(gone)


class _Connection(asyncio.Protocol):
    """Reads the head of one request, then answers it or hands the connection on to picows."""

    def __init__(self, route: Route, all_of_them: set[_Connection]) -> None:
        loop = asyncio.get_running_loop()
        self._route = route
        self._all = all_of_them
        self._reader = RequestReader()
        self._transport: asyncio.Transport | None = None
        self._socket: Socket | None = None
        self._timer = loop.call_later(HANDSHAKE_S, self.abort)
        #: Done when the connection is gone.
        self.gone: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._all.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            request = self._reader.feed(data)
        except BadRequest as failure:
            self._answer(Answer(failure.status, str(failure).encode()))
            return
        if request is None:
            return
        self._timer.cancel()
        found = self._route(request)
        if found is None:
            self._reset()
        elif isinstance(found, Answer):
            self._answer(found, head_only=request.method == "HEAD")
        else:
            self._upgrade(found)

    def connection_lost(self, failure: Exception | None) -> None:
        self._timer.cancel()
        self._all.discard(self)
        if not self.gone.done():
            self.gone.set_result(None)

    def abort(self) -> None:
        """Cut it."""
        if self._socket is not None:
            self._socket.closing = True
        if self._transport is not None:
            self._transport.abort()

    def go_away(self) -> None:
        """Close it: a WebSocket with a close frame."""
        assert self._transport is not None
        if self._socket is not None:
            self._socket.close(1001, "going away")
        if self._transport.get_write_buffer_size():
            self._transport.abort()  # nobody reads: what waits would wait for ever
        else:
            self._transport.close()

    # -- inside

    def _answer(self, answer: Answer, head_only: bool = False) -> None:
        assert self._transport is not None
        self._transport.write(answer.to_bytes(head_only=head_only))
        self._transport.close()

    def _reset(self) -> None:
        assert self._transport is not None
        raw = self._transport.get_extra_info("socket")
        # A reset instead of an orderly end: what a client sees of a port that nobody serves.
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _upgrade(self, accept: Accept) -> None:
        assert self._transport is not None
        chosen = {"Sec-WebSocket-Protocol": accept.subprotocol} if accept.subprotocol else {}
        socket = self._socket = _Tracked(accept.handler, self)
        protocol = _picows_protocol(
            lambda _: WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_101_response(extra_headers=chosen), socket
            )
        )
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        _hand_on(self._reader.data, protocol)
        if socket.never_opened:  # picows has refused the upgrade, and told the client why
            self.connection_lost(None)


class _Tracked(Socket):
    """A socket whose end its connection is told of."""

    def __init__(self, handler: SocketHandler, connection: _Connection) -> None:
        super().__init__(handler)
        self._connection = connection
        self.never_opened = True

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.never_opened = False
        super().on_ws_connected(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        with contextlib.ExitStack() as last:
            last.callback(self._connection.connection_lost, None)
            super().on_ws_disconnected(transport)


def _picows_protocol(listener: Callable[[Any], Any]) -> Any:
    """Picows' protocol of one connection of a server, as its own `ws_create_server` makes it."""
    return WSProtocol(
        None,  # host, path, and whether it is the client's side
        None,
        False,
        listener,
        logging.getLogger("picows.server"),
        True,  # disconnect if the listener raises
        HANDSHAKE_S,
        False,  # no pings of its own
        20.0,
        20.0,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        True,  # answers pings
        MAX_MESSAGE + 1024,
        None,
        16 * 1024,
    )


def _hand_on(data: bytes, protocol: Any) -> None:
    """Give picows the bytes that were read already."""
    view = memoryview(data)
    while view:
        room = protocol.get_buffer(-1)
        n = min(len(view), len(room))
        room[:n] = view[:n]
        protocol.buffer_updated(n)
        view = view[n:]
