"""The port, and who is on it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from voxengine.gateway.refusal import Refused
from voxengine.gateway.server.connection import Connection
from voxengine.gateway.server.http import HttpSide
from voxengine.gateway.server.opening import Opener
from voxengine.gateway.server.proxies import Proxies
from voxengine.gateway.server.socket import ServerSocket, SocketLimits
from voxengine.net.http1 import Request

__all__ = ["Front"]

#: Connections that the system keeps until they are accepted.
_BACKLOG = 1024
#: Seconds for a TLS handshake.
_TLS_S = 10.0
#: Seconds within which close frames should be answered, beyond what the caller of `close` gives.
_FAREWELL_S = 3.0


class Front:
    """One port for everything.

    Args:
        app: the ASGI application that answers all requests but those for `sockets`.
        sockets: paths of WebSockets, and who opens them.
        host: the address to listen on.
        port: the port; 0 takes a free one, and `port` then says which.
        tls: for https and wss; None: neither.
        proxies: addresses and networks of proxies whose X-Forwarded-For and -Proto are believed.
        limits: of each WebSocket.
        max_connections: more are answered with 503.
        max_unasked: connections that may wait with an incomplete request; the oldest makes room for the next one.
        opening_budget: seconds that an opener may take.
        reuse_port: let other processes listen on the same port.

    Raises:
        ConfigurationError: a proxy is no address.
    """

    def __init__(
        self,
        app: Any,
        *,
        sockets: Mapping[str, Opener],
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        proxies: Sequence[str] = (),
        limits: SocketLimits | None = None,
        max_connections: int = 10_000,
        max_unasked: int = 1_000,
        opening_budget: float = 60.0,
        reuse_port: bool = False,
    ) -> None:
        self.host = host
        self.port = port
        self.limits = limits or SocketLimits()
        self.opening_budget = opening_budget
        self.proxies = Proxies(proxies)
        self.http = HttpSide(app, self.proxies)
        self._openers = dict(sockets)
        self._tls = tls
        self._max_connections = max_connections
        self._max_unasked = max_unasked
        self._reuse_port = reuse_port
        self._server: asyncio.Server | None = None
        # In the order in which they came: a dict is an ordered set.
        self._connections: dict[Connection, None] = {}
        self._unasked: dict[Connection, None] = {}
        self._sockets: set[ServerSocket] = set()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Connections of all kinds."""
        return len(self._connections) + len(self._sockets) + len(self.http)

    @property
    def secure(self) -> bool:
        """Whether it speaks TLS."""
        return self._tls is not None

    async def start(self) -> None:
        """Start the application, then open the port.

        Raises:
            ConfigurationError: the application failed.
            OSError: the port is taken, or there is no such address.
        """
        await self.http.start()
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"ssl_handshake_timeout": _TLS_S} if self._tls else {}
        try:
            self._server = await loop.create_server(
                lambda: Connection(self),
                self.host,
                self.port,
                backlog=_BACKLOG,
                ssl=self._tls,
                reuse_port=self._reuse_port or None,
                **options,
            )
        except BaseException:
            await self.http.close(0)
            raise
        self.port = self._server.sockets[0].getsockname()[1]

    def stop_listening(self) -> None:
        """Close the port. What is connected goes on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def close(self, seconds: float = 0.0) -> None:
        """Close the port, and all that is connected: requests may end within so many seconds; WebSockets get 1001."""
        self.stop_listening()
        stopped = Refused(503, "shutting_down", "the gateway is being stopped", "server_error")
        openings = [connection.give_up(stopped) for connection in list(self._connections)]
        await asyncio.gather(*(task for task in openings if task), return_exceptions=True)
        for socket in list(self._sockets):
            socket.close(1001, "the gateway is being stopped")
        await self.http.close(seconds)
        try:
            async with asyncio.timeout(_FAREWELL_S):
                while self._sockets:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            for socket in list(self._sockets):
                socket.abort()

    # -- for the connections

    def opener(self, request: Request) -> Opener | None:
        """Who decides about this request; None: it is the application's."""
        return self._openers.get(request.path) if request.upgrades else None

    def arrived(self, connection: Connection) -> None:
        """Somebody has connected."""
        if len(self) >= self._max_connections:
            connection.answer(
                Refused(503, "overloaded", "too many connections", "server_error", retry_after=5)
            )
        if len(self._unasked) >= self._max_unasked:
            oldest = next(iter(self._unasked))
            del self._unasked[oldest]
            oldest.abort()
        self._connections[connection] = self._unasked[connection] = None

    def has_asked(self, connection: Connection) -> None:
        """Its request is complete."""
        self._unasked.pop(connection, None)

    def left(self, connection: Connection) -> None:
        """It is another's now, or gone."""
        self._connections.pop(connection, None)

    def socket_came(self, socket: ServerSocket) -> None:
        """A WebSocket is about to be opened."""
        self._sockets.add(socket)

    def socket_gone(self, socket: ServerSocket) -> None:
        """It is closed."""
        self._sockets.discard(socket)
        self._changed.set()
