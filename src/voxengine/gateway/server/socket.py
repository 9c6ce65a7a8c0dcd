"""A WebSocket of a client, as the rest of the gateway sees it: a `Peer`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

import msgspec

from voxengine.errors import ConnectionError
from voxengine.gateway.peer import PeerHandler
from voxengine.net import TEXT, Closed, WebSocket
from voxengine.net.http1 import Request
from voxengine.net.serving import Limits, serve_websocket

__all__ = ["ServerSocket", "SocketLimits"]

_log = logging.getLogger("voxengine.gateway")

#: Messages above this size take the longer way, on which they leave no large buffer behind.
_LARGE = 128 * 1024
#: The memory that is never exceeded, as a multiple of `max_unsent`.
_NEVER = 4


class SocketLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may take up, in bytes and seconds.

    A client for which more than `max_unsent` waits for longer than `unsent_budget` is cut off, and at once when it is
    four times as much: audio cannot be left out without telling it something that is not true. Its call can be resumed.
    After `ping_interval` seconds of silence it is asked whether it is there, and has `ping_timeout` to answer.
    """

    max_message: int = 16 * 1024 * 1024
    max_unsent: int = 8 * 1024 * 1024
    unsent_budget: float = 5.0
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    close_timeout: float = 2.0


class ServerSocket:
    """One client. Text messages only: a binary one closes it with 1003, one that is not UTF-8 with 1007."""

    __slots__ = ("_budget", "_handler", "_limits", "_on_gone", "_socket")

    def __init__(
        self, handler: PeerHandler, limits: SocketLimits, on_gone: Callable[[ServerSocket], None]
    ) -> None:
        self._handler = handler
        self._limits = limits
        self._on_gone = on_gone
        self._socket: WebSocket | None = None
        self._budget: asyncio.TimerHandle | None = None  # runs while too much waits

    def accept(
        self,
        transport: asyncio.Transport,
        request: Request,
        early: bytes,
        headers: Mapping[str, str],
    ) -> None:
        """Answer the handshake; `early` is what came after the request. The transport is the socket's from now on."""
        limits = self._limits
        serve_websocket(
            transport,
            request,
            early,
            on_open=self._opened,
            on_text=self._text,
            on_binary=self._binary,
            on_closed=self._closed,
            on_gone=self._gone,
            limits=Limits(
                max_message=limits.max_message,
                max_unsent=limits.max_unsent * _NEVER,
                ping_interval=limits.ping_interval,
                ping_timeout=limits.ping_timeout,
                close_timeout=limits.close_timeout,
            ),
            headers=headers,
        )

    def send(self, message: bytes) -> None:
        """Send a text message. Nothing happens if the client is gone, or about to be."""
        socket = self._socket
        if socket is None:
            return
        send = socket.send_now
        if send is not None and len(message) <= _LARGE:
            send(TEXT, message)
        elif socket.is_open:
            self._send_slowly(socket, message)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame after all that waits. Within the budget the connection is gone."""
        if self._socket is not None:
            self._socket.start_closing(code, reason)

    def abort(self) -> None:
        """Cut the connection."""
        if self._socket is not None:
            self._socket.abort()

    # -- inside

    def _send_slowly(self, socket: WebSocket, message: bytes) -> None:
        try:
            socket.send_text(message)
        except ConnectionError:
            return  # it was given up; the handler is told
        if self._budget is None and socket.buffered_bytes > self._limits.max_unsent:
            loop = asyncio.get_running_loop()
            self._budget = loop.call_later(self._limits.unsent_budget, self._look)

    def _look(self) -> None:
        """The budget is over: cut the client off, unless it has caught up."""
        self._budget = None
        socket = self._socket
        if socket is not None and socket.buffered_bytes > self._limits.max_unsent:
            socket.give_up(f"{socket.buffered_bytes} bytes wait for a client that does not read")

    def _opened(self, socket: WebSocket) -> None:
        self._socket = socket
        self._handler.on_open(self)

    def _text(self, message: memoryview) -> None:
        try:
            str(message, "utf-8")
        except UnicodeDecodeError:
            self._fail(1007, "a text message is UTF-8")
            return
        self._handler.on_message(message)

    def _binary(self, message: memoryview) -> None:
        self._fail(1003, "only text messages are understood")

    def _fail(self, code: int, reason: str) -> None:
        if self._socket is not None:
            self._socket.fail(code, reason, "protocol")

    def _gone(self) -> None:
        self._socket = None
        self._on_gone(self)

    def _closed(self, closed: Closed) -> None:
        if self._budget is not None:
            self._budget.cancel()
        if closed.cause == "overloaded":
            _log.warning("a client was cut off: %s", closed.reason)
        self._handler.on_close(_code(closed), closed.reason)


def _code(closed: Closed) -> int:
    if closed.code is not None:
        return closed.code
    return 1008 if closed.cause == "overloaded" else 1006
