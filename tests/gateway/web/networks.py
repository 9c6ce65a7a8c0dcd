"""Networks between a browser and a gateway that can be cut: for TCP a proxy, for media a relay of datagrams."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Route

_CANDIDATE = re.compile(r"^(a=candidate:\S+ \d+ udp \d+) (\S+) (\d+) (typ host.*)$", re.MULTILINE)


class Cable:
    """A TCP proxy. While it is cut, connections are reset, those there are and new ones."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._ends: set[asyncio.StreamWriter] = set()
        self.whole = True
        self.address = ""

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if not self.whole:
            writer.transport.abort()
            return
        back, forth = await asyncio.open_connection(*self._target)
        self._ends |= {writer, forth}
        with suppress(OSError):
            await asyncio.gather(_pump(reader, forth), _pump(back, writer))
        for end in (writer, forth):
            end.transport.abort()
            self._ends.discard(end)

    def cut(self) -> None:
        """Lose all connections, without a good-bye."""
        self.whole = False
        for end in self._ends:
            end.transport.abort()

    def mend(self) -> None:
        """Carry new connections again."""
        self.whole = True


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def cable(address: str) -> AsyncIterator[Cable]:
    """A cable to a gateway; `address` of the cable is where the browser goes."""
    target = urlsplit(address)
    made = Cable(str(target.hostname), int(target.port or 0))
    server = await asyncio.start_server(made.carry, "127.0.0.1", 0)
    made.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        made.cut()
        await server.wait_closed()


class _Side(asyncio.DatagramProtocol):
    """One socket of a relay: hands on what it receives to the other."""

    def __init__(self) -> None:
        self.transport: asyncio.DatagramTransport
        self.other: _Side
        self.peer: Any = None
        self.whole = True

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.peer = addr
        if self.whole and self.other.peer is not None:
            self.other.transport.sendto(data, self.other.peer)


class Air:
    """Carries the media of the calls of a page: each through a relay of its own, which can be cut."""

    def __init__(self) -> None:
        self._sides: list[_Side] = []

    async def intercept(self, route: Route) -> None:
        """Answer the page's offer as the gateway does, but with the relay in place of the gateway's address."""
        body = route.request.post_data or ""
        # The gateway is not to know another way to the page than the relay.
        offer = "".join(line for line in body.splitlines(True) if "a=candidate:" not in line)
        answer = await route.fetch(post_data=offer)
        text = await answer.text()
        found = _CANDIDATE.search(text)
        if found is None:
            await route.fulfill(response=answer)
            return
        host, port = found[2], int(found[3])
        here = await self._relay(host, port)
        only = f"{found[1]} {host} {here} {found[4]}"
        head, tail = text[: found.start()], text[found.end() :]
        rest = "".join(line for line in tail.splitlines(True) if "a=candidate:" not in line)
        await route.fulfill(response=answer, body=head + only + rest)

    async def _relay(self, host: str, port: int) -> int:
        loop = asyncio.get_running_loop()
        _, near = await loop.create_datagram_endpoint(_Side, local_addr=(host, 0))
        _, far = await loop.create_datagram_endpoint(_Side, local_addr=(host, 0))
        near.other, far.other = far, near
        far.peer = (host, port)
        self._sides += [near, far]
        return int(near.transport.get_extra_info("sockname")[1])

    def cut(self) -> None:
        """Lose all packets of the calls so far."""
        for side in self._sides:
            side.whole = False

    def __enter__(self) -> Air:
        return self

    def __exit__(self, *_: object) -> None:
        for side in self._sides:
            side.transport.close()
