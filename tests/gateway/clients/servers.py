"""A gateway with its port open, as `voxengine serve` has it, that keeps a record of all it sends, and judges it."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from tests.gateway.clients.order import check
from tests.gateway.clients.providers import YOUNG_MAN, Emulator, provider
from tests.gateway.gateways import config
from voxengine.gateway.app import create_app
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.peer import Peer, PeerHandler
from voxengine.gateway.realtime import REALTIME_PATHS, open_realtime
from voxengine.gateway.server import Front, Opened
from voxengine.net.http1 import Request
from voxengine.testing.oracles.openai_realtime import realtime_judge

Event = dict[str, Any]


class Record:
    """What one client sent, and what it was sent, as it was on the wire."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.taken: list[bytes] = []

    @property
    def events(self) -> list[Event]:
        """What it was sent."""
        return [json.loads(message) for message in self.sent]

    @property
    def asked(self) -> list[Event]:
        """What it sent, but audio."""
        events = [json.loads(message) for message in self.taken]
        return [event for event in events if event["type"] != "input_audio_buffer.append"]

    def judge(self, *, revising: bool) -> None:
        """Every message is valid by OpenAI's types, and they come in an order that makes sense."""
        judge = realtime_judge()
        wrong = [problem for message in self.sent for problem in judge.server(message)]
        assert wrong == []
        check(self.events, revising=revising)


class _Tap:
    """Stands between a connection and the session that it belongs to."""

    def __init__(self, handler: PeerHandler, record: Record) -> None:
        self._handler = handler
        self._record = record
        self._peer: Peer

    def on_open(self, peer: Peer) -> None:
        self._peer = peer
        self._handler.on_open(self)

    def on_message(self, message: memoryview | bytes) -> None:
        self._record.taken.append(bytes(message))
        self._handler.on_message(message)

    def on_close(self, code: int, reason: str) -> None:
        self._handler.on_close(code, reason)

    def send(self, message: bytes) -> None:
        self._record.sent.append(bytes(message))
        self._peer.send(message)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._peer.close(code, reason)


class Server:
    """A gateway at work. `records` are its clients, in the order in which they came."""

    def __init__(
        self,
        gateway: Gateway,
        front: Front,
        records: list[Record],
        emulators: Mapping[str, Emulator],
    ) -> None:
        self.gateway = gateway
        self.front = front
        self.records = records
        self.emulators = emulators

    @property
    def http(self) -> str:
        scheme = "https" if self.front.secure else "http"
        return f"{scheme}://127.0.0.1:{self.front.port}/v1"

    @property
    def websocket(self) -> str:
        return f"ws://127.0.0.1:{self.front.port}/v1/realtime"


async def _open(gateway: Gateway, records: list[Record], request: Request) -> Opened:
    opened = await open_realtime(gateway, request)
    record = Record()
    records.append(record)
    return msgspec.structs.replace(opened, handler=_Tap(opened.handler, record))


@asynccontextmanager
async def serving(
    *names: str,
    recording: Path = YOUNG_MAN,
    tls: ssl.SSLContext | None = None,
    content: Mapping[str, Any] | None = None,
    revising: bool = False,
    **options: Any,
) -> AsyncIterator[Server]:
    """A gateway with one route to each of these providers, of the provider's name. All it sends is judged.

    `content` is more of its configuration, and `options` more of `[gateway]`. `revising`: of the
    user's words some are taken back.
    """
    async with AsyncExitStack() as stack:
        behind = {
            name: await stack.enter_async_context(provider(name, recording)) for name in names
        }
        providers = {name: settings for name, (settings, _) in behind.items()}
        routes: Mapping[str, Any] = {name: {"providers": [name]} for name in names}
        made = {"providers": providers, "routes": routes, **(content or {})}
        gateway = Gateway(config(made, port=0, vad="energy", **options))
        records: list[Record] = []
        opener = partial(_open, gateway, records)
        sockets = dict.fromkeys(REALTIME_PATHS, opener)
        front = Front(create_app(gateway), sockets=sockets, tls=tls)
        await front.start()
        try:
            emulators = {name: emulator for name, (_, emulator) in behind.items()}
            yield Server(gateway, front, records, emulators)
        finally:
            for call in list(gateway.calls):
                await call.end("the test is over")
            await front.close(1.0)
        for record in records:
            record.judge(revising=revising)
