"""A port of this machine, and the connections that were made to it: what all servers of emulators have in common."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol, TypeAlias

__all__ = ["Connection", "Connections", "Listener"]


class Connection(Protocol):
    """One connection to the port. It puts itself among the `Connections` when it is made, and takes itself out."""

    #: Done when the connection is gone.
    gone: asyncio.Future[None]

    def abort(self) -> None:
        """Cut it."""

    def go_away(self) -> None:
        """Close it in an orderly way."""


Connections: TypeAlias = set[Connection]


class Listener:
    """Listens on a port of this machine.

    Args:
        make: makes what serves a connection. It is given the set in which the connection keeps itself.
        host: the address to listen on.
        port: the port; 0 takes a free one, and `port` then says which. It is kept when started again.
        tls: the certificate; None speaks in the clear.
    """

    def __init__(
        self,
        make: Callable[[Connections], asyncio.BaseProtocol],
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.host = host
        self.port = port
        self.tls = tls
        self._make = make
        self._server: asyncio.Server | None = None
        self._connections: Connections = set()

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
            self._server = await asyncio.get_running_loop().create_server(
                lambda: self._make(self._connections), self.host, self.port, ssl=self.tls
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def stop_listening(self) -> None:
        """Close the port; connections that are open go on. Whoever connects is refused by the system."""
        if self._server is not None:
            self._server.close()
            self._server = None
            await asyncio.sleep(0)

    async def kill(self) -> None:
        """Cut all connections, and close the port, as a crash does."""
        await self.stop_listening()
        await self._end(lambda connection: connection.abort())

    async def close(self) -> None:
        """Close all connections, each as its protocol does when a server goes away, and the port."""
        await self.stop_listening()
        await self._end(lambda connection: connection.go_away())

    async def _end(self, how: Callable[[Connection], None]) -> None:
        gone = [connection.gone for connection in self._connections]
        for connection in list(self._connections):
            how(connection)
        if gone:
            await asyncio.wait(gone)
