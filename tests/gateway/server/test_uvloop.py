"""The front door on uvloop's transports, on which it runs in earnest."""

from __future__ import annotations

import asyncio
import ssl

import httpx
import pytest
import trustme
import websockets

from tests.gateway.server.doors import door, handshake, talk
from voxengine.gateway.server import ServerSocket, SocketLimits

uvloop = pytest.importorskip("uvloop")


@pytest.mark.parametrize("secure", [False, True])
def test_requests_and_websockets(secure):
    authority = trustme.CA()
    server, client_side = (
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(),
    )
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client_side)
    s = "s" if secure else ""

    async def run() -> None:
        async with door(tls=server if secure else None) as (front, house):
            base = f"127.0.0.1:{front.port}"
            async with httpx.AsyncClient(base_url=f"http{s}://{base}", verify=client_side) as http:
                assert (await http.get("/hello")).json()["client"] == "127.0.0.1"
                assert (await http.post("/v1/realtime", content=b"x" * 99)).json() == {"n": 99}
            options = {"ssl": client_side} if secure else {}
            url = f"ws{s}://{base}/v1/realtime"
            async with websockets.connect(url, **options) as socket:  # type: ignore[arg-type]
                assert await socket.recv() == "welcome"
                for text in ("a", "x" * 500_000, "ä" * 50_000):
                    await socket.send(text)
                    assert await socket.recv() == text
                await socket.send(b"audio")
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1003
            await asyncio.wait_for(house.echoes[0].gone.wait(), 5)
            async with websockets.connect(url, **options) as socket:  # type: ignore[arg-type]
                assert await socket.recv() == "welcome"
                peer = house.echoes[1].peer
                assert isinstance(peer, ServerSocket)
                peer.close(4001, "enough")
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4001

    uvloop.run(run())


def test_early_bytes_and_who_goes_while_it_is_decided():
    async def run() -> None:
        async with door() as (front, house):
            hello = bytes([0x81, 0x82, 0, 0, 0, 0]) + b"hi"
            bye = bytes([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8])
            answer = await talk(front, handshake() + hello + bye)
            assert answer.endswith(b"\x81\x07welcome\x81\x02hi\x88\x02\x03\xe8")
            _, writer = await asyncio.open_connection("127.0.0.1", front.port)
            writer.write(handshake("/slow"))
            await house.asked.wait()
            writer.close()
            await asyncio.wait_for(house.cancelled.wait(), 5)

    uvloop.run(run())


def test_a_slow_reader_is_cut_off():
    limits = SocketLimits(max_unsent=200_000, unsent_budget=0.2)

    async def run() -> None:
        async with door(limits=limits) as (front, house):
            _, writer = await asyncio.open_connection("127.0.0.1", front.port, limit=1000)
            writer.write(handshake())
            while not (house.echoes and house.echoes[0].peer):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            echo = house.echoes[0]
            assert isinstance(echo.peer, ServerSocket)
            while not echo.closed:
                echo.peer.send(b"x" * 10_000)
                await asyncio.sleep(0)
            assert echo.closed[0][0] == 1008
            writer.close()

    uvloop.run(run())
