"""A client of the gateway's wire without a socket: what it sends goes straight into a session, and back.

Each event that it is sent is judged by the types that OpenAI publishes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.emulators.wire import Wire
from tests.gateway.gateways import ANYONE, running
from voxengine.gateway.call import Call
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.wire.session import RealtimeSession
from voxengine.testing.oracles.openai_realtime import realtime_judge

Event = dict[str, Any]


class _Peer:
    def __init__(self, line: Line) -> None:
        self.send = line.send_to_client
        self.close = line.close


class Line:
    """Both ends of a connection: the session's peer, and the client's socket."""

    def __init__(self, beta: bool) -> None:
        self.judge = None if beta else realtime_judge()
        self.problems: list[str] = []
        self.came: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed: tuple[int, str] | None = None
        self.session: RealtimeSession
        self.peer = _Peer(self)

    # as a peer

    def send_to_client(self, message: bytes) -> None:
        if self.judge is not None:
            self.problems += self.judge.server(message)
        self.came.put_nowait(bytes(message))

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed = self.closed or (code, reason)

    # as a socket

    async def send(self, message: str) -> None:
        self.session.on_message(message.encode())

    async def recv(self) -> bytes:
        async with asyncio.timeout(60):
            return await self.came.get()


class Talk(Wire):
    """A client that talks to a call."""

    def __init__(self, line: Line, gateway: Gateway, call: Call) -> None:
        super().__init__(line)  # type: ignore[arg-type]
        self.line = line
        self.gateway = gateway
        self.call = call
        self.engine = call.engine

    async def quiet(self, seconds: float = 5.0) -> list[Event]:
        """All that comes within so many seconds."""
        seen = []
        await asyncio.sleep(seconds)
        while not self.line.came.empty():
            seen.append(await self.recv())
        return seen

    def said(self) -> list[tuple[str, str]]:
        """The gateway's log: roles and texts."""
        return [
            (item.role, item.text or item.output or item.name or "")
            for item in self.engine.conversation
        ]


@asynccontextmanager
async def talking(
    content: Mapping[str, Any] | None = None,
    *,
    model: str = "play",
    beta: bool = False,
    rtc: bool = False,
    **mock: Any,
) -> AsyncIterator[Talk]:
    """A call through a gateway, after `session.created`. `mock` are settings of the mock provider."""
    async with running(content or mocks(**mock), vad="energy") as gateway:
        call = await gateway.open_call(wire="websocket", model=model, grant=ANYONE)
        line = Line(beta)
        line.session = RealtimeSession(gateway, call, beta=beta, rtc=rtc)
        line.session.on_open(line.peer)
        talk = Talk(line, gateway, call)
        try:
            await talk.until("session.created")
            yield talk
        finally:
            line.session.on_close(1000, "")
            await call.end("the test is over")
        assert line.problems == []


def mocks(**mock: Any) -> dict[str, Any]:
    """The content of a configuration with one route to the mock."""
    provider = {"provider": "mock", "metadata": mock}
    return {"providers": {"toy": provider}, "routes": {"play": {"providers": ["toy"]}}}
