"""Open a TCP connection: look the name up, and try its addresses, IPv6 and IPv4 in turn, each with a head start.

A host whose IPv6 leads nowhere would otherwise use up the whole budget (RFC 8305, "Happy Eyeballs").
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import socket
from contextlib import suppress
from typing import Any, Protocol

__all__ = ["SocketOpener"]

#: Seconds that an address has before the next one is tried as well (RFC 8305, section 5).
_HEAD_START = 0.25
#: Bytes that the kernel may hold unsent. Its own limit is megabytes: a minute of speech that is late before we know.
_UNSENT = 64 * 1024

#: What is read of an error beyond the first packet, and for how many seconds: the error itself is known by then.
_REST_BYTES = 16 * 1024
_REST_WAIT = 0.5

#: A family, and the address as the socket takes it.
_AddressInfo = tuple[int, tuple[Any, ...]]


class _Endpoint(Protocol):
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


class _Socket(socket.socket):
    """A socket that the event loop forgets when it is closed.

    Where the peer resets a connection before the first byte is written, aiofastnet 1.2, on which picows stands, closes
    the socket while the loop is still told to watch it. Whoever gets the same file number next would be refused, with
    "No such file or directory": that is just when another connection is needed.
    """

    def close(self) -> None:
        """Close it, unwatched."""
        number = self.fileno()
        if number >= 0:
            with suppress(
                RuntimeError, NotImplementedError
            ):  # no loop runs; one that watches no numbers
                asyncio.get_running_loop().remove_reader(number)
        super().close()


class SocketOpener:
    """Opens the socket of one connection, and remembers how far it came."""

    def __init__(self, readable: bool) -> None:
        """`readable`: without TLS, so that what comes can be read by us as well."""
        #: What is going on: "dns", then "connect", then "handshake" for all that comes after.
        self.stage = "dns"
        self._readable = readable
        self._socket: socket.socket | None = None
        # The same connection once more: it stays when picows has closed its own.
        self._second: socket.socket | None = None

    async def __call__(self, endpoint: _Endpoint) -> socket.socket:
        """A connected socket.

        Raises:
            OSError: the name is unknown (`socket.gaierror`), or no address could be reached.
        """
        addresses = await _look_up(endpoint.host, endpoint.port)
        self.stage = "connect"
        self._socket = sock = await _connect_first(addresses)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        if self._readable:
            self._second = sock.dup()
        self.stage = "handshake"
        return sock

    async def read_rest(self, n_bytes: int) -> bytes:
        """The rest of the body of an answer that picows has given up after its head; empty if it cannot be read."""
        rest = b""
        if self._second is None:
            return rest
        loop = asyncio.get_running_loop()
        with suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(_REST_WAIT):
                while len(rest) < min(n_bytes, _REST_BYTES):
                    more = await loop.sock_recv(self._second, _REST_BYTES)
                    if not more:
                        break
                    rest += more
        return rest

    def cut(self) -> None:
        """Break the connection: whoever reads from it sees its end."""
        if self._socket is not None:
            with suppress(OSError):
                (self._second or self._socket).shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """The opening has failed: close a socket that nobody has taken over, or whose taker has failed at that.

        Under TLS it is left to those layers, which may have more to do with it.
        """
        if self._readable and self._socket is not None:
            self._socket.close()

    def finish(self) -> None:
        """The opening is over."""
        if self._second is not None:
            self._second.close()


async def _look_up(host: str, port: int) -> list[_AddressInfo]:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        families = [
            [info for info in found if info[0] == family]
            for family in dict.fromkeys(info[0] for info in found)
        ]
        turns = itertools.chain.from_iterable(itertools.zip_longest(*families))
        return [(info[0], info[4]) for info in turns if info is not None]
    return [(socket.AF_INET if version == 4 else socket.AF_INET6, (host, port))]


async def _connect_first(addresses: list[_AddressInfo]) -> socket.socket:
    """The first socket that is connected. The others are closed."""
    waiting = iter(addresses)
    attempts: set[asyncio.Task[socket.socket]] = set()
    failure: OSError | None = None
    try:
        while True:
            address = next(waiting, None)
            if address is not None:
                attempts.add(asyncio.create_task(_connect(address), name="voxengine-connect"))
            elif not attempts:
                raise failure or OSError("the name has no address")
            done, _ = await asyncio.wait(
                attempts,
                timeout=None if address is None else _HEAD_START,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in done:
                error = attempt.exception()
                if error is None:
                    attempts.remove(attempt)
                    return attempt.result()
                if not isinstance(error, OSError):
                    raise error
                attempts.remove(attempt)
                failure = failure or error
    finally:
        for attempt in attempts:
            attempt.cancel()
            attempt.add_done_callback(_close_result)


async def _connect(address: _AddressInfo) -> socket.socket:
    family, where = address
    sock = _Socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _close_result(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
