"""One port: plain requests for the application, WebSockets for the openers, and what is neither."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl

import httpx
import pytest
import trustme
import websockets

from tests.gateway.server.doors import door, handshake, talk
from voxengine.errors import ConfigurationError
from voxengine.gateway.server import Front
from voxengine.gateway.server.proxies import Proxies


async def test_requests_and_websockets_share_the_port():
    async with door() as (front, house):
        base = f"127.0.0.1:{front.port}"
        async with httpx.AsyncClient(base_url=f"http://{base}") as client:
            first = await client.get("/hello")
            assert first.json() == {"client": "127.0.0.1", "scheme": "http"}
            assert first.headers["date"].endswith("GMT")
            assert (await client.post("/v1/realtime", content=b"x" * 100_000)).json() == {
                "n": 100_000
            }
            assert (await client.get("/nothing")).status_code == 404
        async with websockets.connect(
            f"ws://{base}/v1/realtime?model=a%20b",
            subprotocols=["x", "realtime"],  # type: ignore[list-item]
            additional_headers={"Authorization": "Bearer k"},
        ) as socket:
            assert socket.subprotocol == "realtime"
            assert socket.response is not None
            assert socket.response.headers["x-call"] == "7"
            assert await socket.recv() == "welcome"
            for text in ("", "ä", "x" * 300_000):
                await socket.send(text)
                assert await socket.recv() == text
            await socket.send(["in ", "three ", "pieces"])
            assert await socket.recv() == "in three pieces"
        (request,) = house.requests
        assert request.query == {"model": "a b"}
        assert request.bearer == "k"
        assert request.address == "127.0.0.1"
        assert not request.secure
        await house.echoes[0].gone.wait()
        assert house.echoes[0].closed == [(1000, "")]
    assert house.lifespan == ["up", "down"]


async def test_early_bytes_and_a_head_in_pieces():
    async with door() as (front, house):
        head = handshake()
        hello = bytes([0x81, 0x82, 0, 0, 0, 0]) + b"hi"
        bye = bytes([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8])
        answer = await talk(front, head[:50], head[50:-1], head[-1:] + hello + bye)
        head, _, frames = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert frames == b"\x81\x07welcome\x81\x02hi\x88\x02\x03\xe8"
        assert house.echoes[0].closed == [(1000, "")]


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (handshake("/refused"), b"429", b"rate_limit_exceeded"),
        (handshake("/nowhere"), b"404", b"Not Found"),
        (handshake().replace(b": 13", b": 8"), b"426", b"version 13"),
        (handshake().replace(b"MDEy", b"M"), b"400", b"Sec-WebSocket-Key"),
        (handshake().replace(b"MDEy", b"M\xe4y!"), b"400", b"Sec-WebSocket-Key"),
        (handshake().replace(b"keep-alive, Upgrade", b"close"), b"400", b"no request"),
        (handshake().replace(b"GET", b"PUT"), b"400", b"no request"),
        (b"GET /hello HTTP/1.0\r\n\r\n", b"200", b"127.0.0.1"),
        (b"nonsense\r\n\r\n", b"400", b"Invalid HTTP"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", b"400", b""),
        (b"GET /hello HTTP/1.1\r\nbad header : 1\r\n\r\n", b"400", b""),
        (b"GET /hello HTTP/1.1\r\nX: " + b"x" * 20_000, b"431", b"headers_too_large"),
        (
            b"POST /v1/realtime HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n"
            + b"x" * 1_100_000,
            b"413",
            b"body_too_large",
        ),
    ],
)
async def test_what_is_refused(sent, status, said):
    async with door() as (front, _):
        answer = await talk(front, sent)
        assert answer.split()[1] == status
        assert said in answer


async def test_a_refusal_is_told_as_openai_tells_it():
    async with door() as (front, _):
        answer = await talk(front, handshake("/refused"))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"retry-after: 3" in head
        assert json.loads(body)["error"] == {
            "message": "too much",
            "type": "rate_limit_error",
            "param": None,
            "code": "rate_limit_exceeded",
        }


async def test_a_failure_of_the_opener_is_not_told(caplog):
    async with door() as (front, _):
        with caplog.at_level(logging.CRITICAL, logger="voxengine.gateway"):
            answer = await talk(front, handshake("/failed"))
        assert answer.split()[1] == b"500"
        assert b"secret" not in answer


async def test_the_opening_is_cancelled_when_the_client_goes():
    async with door() as (front, house):
        _, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(handshake("/slow"))
        await house.asked.wait()
        writer.close()
        await asyncio.wait_for(house.cancelled.wait(), 1)
        assert house.echoes == []
        await writer.wait_closed()


async def test_an_opening_takes_no_longer_than_its_budget():
    async with door(opening_budget=3.0) as (front, house):
        began = asyncio.get_running_loop().time()
        assert (await talk(front, handshake("/slow"))).split()[1] == b"504"
        assert asyncio.get_running_loop().time() - began == pytest.approx(3.0, abs=0.1)
        assert house.cancelled.is_set()


async def test_who_talks_before_the_answer_is_bounded():
    async with door() as (front, house):
        _, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(handshake("/slow"))
        await house.asked.wait()
        writer.write(b"x" * 200_000)
        await asyncio.wait_for(house.cancelled.wait(), 1)
        writer.close()


async def test_who_never_finishes_a_request_is_cut_off():
    async with door() as (front, _):
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await talk(front, b"GET /hel") == b""
        assert loop.time() - began == pytest.approx(10.0, abs=0.1)
        # Also with a second request on the same connection, and with a body.
        began = loop.time()
        answer = await talk(front, b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /hel")
        assert answer.count(b"HTTP/1.1") == 2
        assert b" 408 " in answer
        assert loop.time() - began == pytest.approx(10.0, abs=0.1)
        began = loop.time()
        half = b"POST /v1/realtime HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"
        assert b" 408 " in await talk(front, half)
        assert loop.time() - began == pytest.approx(20.0, abs=0.1)


async def test_headers_without_end_on_a_second_request():
    async with door() as (front, _):
        line = b"X-Long: " + b"x" * 8000 + b"\r\n"
        first = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = await talk(front, first, b"GET /hello HTTP/1.1\r\n", line, line, line)
        assert answer.split()[1] == b"200"
        assert b"headers_too_large" in answer


async def test_the_oldest_incomplete_request_makes_room():
    async with door(max_unasked=3) as (front, _):
        idle = [await asyncio.open_connection("127.0.0.1", front.port) for _ in range(5)]
        await asyncio.sleep(0.01)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{front.port}") as client:
            assert (await client.get("/hello")).status_code == 200
        gone = 0
        for reader, _ in idle[:3]:
            try:
                gone += await asyncio.wait_for(reader.read(), 1) == b""
            except ConnectionError:
                gone += 1
        assert gone == 3
        for _, writer in idle:
            writer.close()


async def test_too_many_connections_are_told_so():
    async with door(max_connections=2) as (front, _):
        url = f"ws://127.0.0.1:{front.port}/v1/realtime"
        async with websockets.connect(url), websockets.connect(url) as other:
            answer = await talk(front, b"")
            assert answer.split()[1] == b"503"
            assert b"retry-after: 5" in answer
            await other.send("x")  # nobody else is disturbed
            assert [await other.recv(), await other.recv()] == ["welcome", "x"]
        async with websockets.connect(url) as socket:
            assert await socket.recv() == "welcome"


async def test_closing_ends_everything():
    async with door() as (front, house):
        base = f"127.0.0.1:{front.port}"
        socket = await websockets.connect(f"ws://{base}/v1/realtime")
        assert await socket.recv() == "welcome"
        pending = asyncio.create_task(talk(front, handshake("/slow")))
        async with (
            httpx.AsyncClient(base_url=f"http://{base}") as client,
            client.stream("GET", "/events") as stream,
        ):
            lines = stream.aiter_lines()
            assert await anext(lines) == "data: 1"
            await house.asked.wait()
            await front.close(2)
            with pytest.raises(httpx.HTTPError):
                async for _ in lines:
                    pass
        assert (await pending).split()[1] == b"503"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        assert house.echoes[0].closed == [(1001, "the gateway is being stopped")]
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", front.port)
        await socket.wait_closed()


async def test_an_application_that_fails_to_start_opens_no_port():
    async def app(scope, receive, send):
        assert scope["type"] == "lifespan"
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no disk"})

    front = Front(app, sockets={})
    with pytest.raises(ConfigurationError):
        await front.start()
    assert front.port == 0


@pytest.mark.real_clock
async def test_tls_for_both(tmp_path):
    authority = trustme.CA()
    server, client_side = (
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(),
    )
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client_side)
    async with door(tls=server) as (front, house):
        async with httpx.AsyncClient(verify=client_side) as client:
            answer = await client.get(f"https://127.0.0.1:{front.port}/hello")
            assert answer.json()["scheme"] == "https"
        url = f"wss://127.0.0.1:{front.port}/v1/realtime"
        async with websockets.connect(url, ssl=client_side) as socket:
            assert await socket.recv() == "welcome"
            await socket.send("x" * 500_000)
            assert await socket.recv() == "x" * 500_000
        assert house.requests[0].secure
        assert (await talk(front, b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"))[:4] != b"HTTP"


@pytest.mark.parametrize(
    ("peer", "headers", "seen"),
    [
        (
            "9.9.9.9",
            {"x-forwarded-for": "1.1.1.1", "x-forwarded-proto": "https"},
            ("9.9.9.9", False),
        ),
        ("10.0.0.1", {}, ("10.0.0.1", False)),
        ("10.0.0.1", {"x-forwarded-for": "1.1.1.1"}, ("1.1.1.1", False)),
        ("::ffff:10.0.0.1", {"x-forwarded-for": "::1"}, ("::1", False)),
        ("10.0.0.1", {"x-forwarded-for": "6.6.6.6, 1.1.1.1, 10.2.3.4"}, ("1.1.1.1", False)),
        ("10.0.0.1", {"x-forwarded-for": "6.6.6.6, <script>"}, ("10.0.0.1", False)),
        ("10.0.0.1", {"x-forwarded-proto": "http, https"}, ("10.0.0.1", True)),
    ],
)
def test_only_trusted_proxies_are_believed(peer, headers, seen):
    assert Proxies(["10.0.0.0/8"]).client(peer, False, headers) == seen


async def test_the_client_behind_a_proxy():
    async with door(proxies=["127.0.0.1"]) as (front, house):
        headers = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{front.port}") as client:
            answer = await client.get("/hello", headers=headers)
            assert answer.json() == {"client": "1.2.3.4", "scheme": "https"}
        url = f"ws://127.0.0.1:{front.port}/v1/realtime"
        async with websockets.connect(url, additional_headers=headers):
            pass
        assert house.requests[0].address == "1.2.3.4"
        assert house.requests[0].secure
    with pytest.raises(ConfigurationError, match="proxy"):
        Proxies(["localhost"])
