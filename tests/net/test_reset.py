"""A peer that resets the connection before anything is written to it leaves nothing that harms the next connection."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from tests.net.peers import TEXT, Client, Peer, ws_server
from voxengine.errors import ConnectionError

#: Closing resets the connection.
LINGER = struct.pack("ii", 1, 0)


class Dying:
    """Accepts, and resets so many turns of the loop later, which the other side shares."""

    def __init__(self, turns: int) -> None:
        self.resets = 0
        self._turns = turns
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._socket.getsockname()[1]}/"

    def __enter__(self) -> Dying:
        asyncio.get_running_loop().add_reader(self._socket, self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _accept(self) -> None:
        accepted, _ = self._socket.accept()
        self._reset(accepted, self._turns)

    def _reset(self, accepted: socket.socket, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._reset, accepted, turns - 1)
            return
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        accepted.close()
        self.resets += 1


@pytest.mark.parametrize("turns", range(12))
async def test_the_next_connection_is_not_harmed(turns: int) -> None:
    """Before it is known that there is a connection, before the request is written, after that."""

    async def greet(peer: Peer) -> None:
        peer.send(TEXT, b"hello")
        await peer.rest()

    async with ws_server(greet) as url:
        with Dying(turns) as dying:
            with pytest.raises(ConnectionError) as failure:
                await Client().connect(dying.url)
            assert failure.value.retryable
            assert dying.resets == 1
        client = Client()
        websocket = await client.connect(url)
        await client.until(lambda: client.texts)
        assert client.texts == [b"hello"]
        await websocket.close()
