"""A front door with an application and a few openers behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from voxengine.gateway.peer import Peer
from voxengine.gateway.refusal import Refused
from voxengine.gateway.server import Front, Opened
from voxengine.gateway.server import Request as UpgradeRequest


class Echo:
    """Sends back what it gets, and notes all that it is told."""

    def __init__(self) -> None:
        self.peer: Peer | None = None
        self.got: list[bytes] = []
        self.closed: list[tuple[int, str]] = []
        self.gone = asyncio.Event()

    def on_open(self, peer: Peer) -> None:
        self.peer = peer
        peer.send(b"welcome")

    def on_message(self, message: memoryview | bytes) -> None:
        assert self.peer is not None
        self.got.append(bytes(message))
        self.peer.send(bytes(message))

    def on_close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))
        self.gone.set()


class House:
    """What is behind the door."""

    def __init__(self) -> None:
        self.echoes: list[Echo] = []
        self.requests: list[UpgradeRequest] = []
        self.lifespan: list[str] = []
        self.cancelled = asyncio.Event()
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.app = self._app()

    async def open(self, request: UpgradeRequest) -> Opened:
        self.requests.append(request)
        self.echoes.append(Echo())
        chosen = "realtime" if "realtime" in request.subprotocols else None
        return Opened(self.echoes[-1], {"x-call": "7"}, chosen)

    async def refuse(self, request: UpgradeRequest) -> Opened:
        raise Refused(429, "rate_limit_exceeded", "too much", "rate_limit_error", retry_after=2.5)

    async def fail(self, request: UpgradeRequest) -> Opened:
        raise RuntimeError("the key is sk-secret")

    async def wait(self, request: UpgradeRequest) -> Opened:
        self.asked.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return await self.open(request)

    def _app(self) -> FastAPI:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            self.lifespan.append("up")
            yield
            self.lifespan.append("down")

        app = FastAPI(lifespan=lifespan)

        @app.get("/hello")
        async def hello(request: Request) -> dict[str, Any]:
            client = request.client.host if request.client else ""
            return {"client": client, "scheme": request.url.scheme}

        @app.post("/v1/realtime")
        async def post(request: Request) -> dict[str, int]:
            return {"n": len(await request.body())}

        @app.get("/events")
        async def events() -> StreamingResponse:
            async def lines() -> AsyncIterator[str]:
                n = 0
                while True:
                    n += 1
                    yield f"data: {n}\n\n"
                    await asyncio.sleep(1)

            return StreamingResponse(lines(), media_type="text/event-stream")

        return app


@asynccontextmanager
async def door(**options: Any) -> AsyncIterator[tuple[Front, House]]:
    house = House()
    openers = {
        "/v1/realtime": house.open,
        "/refused": house.refuse,
        "/failed": house.fail,
        "/slow": house.wait,
    }
    front = Front(house.app, sockets=openers, **options)
    await front.start()
    try:
        yield front, house
    finally:
        await front.close(1)
        assert len(front) == 0


async def talk(front: Front, *pieces: bytes) -> bytes:
    """Send these pieces one after the other over a plain connection; all that comes back until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.01)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def handshake(path: str = "/v1/realtime", *more: str) -> bytes:
    """The head of a request for a WebSocket."""
    return "\r\n".join(
        [
            f"GET {path} HTTP/1.1",
            "Host: x",
            "Upgrade: WebSocket",
            "Connection: keep-alive, Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
            *more,
            "",
            "",
        ]
    ).encode()
