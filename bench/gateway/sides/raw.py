"""The least that a relay can do in Python: picows in, picows out, nothing decoded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_connect,
    ws_create_server,
)

_TEXT = WSMsgType.TEXT


class _Upstream(WSListener):
    def __init__(self, client: WSTransport) -> None:
        self._client = client

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is _TEXT:
            self._client.send(_TEXT, frame.get_payload_as_memoryview())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._client.disconnect()


class _Client(WSListener):
    def __init__(self, url: str) -> None:
        self._url = url
        self._early: list[bytes] = []
        self._upstream: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._dialling = asyncio.create_task(self._dial(transport))

    async def _dial(self, transport: WSTransport) -> None:
        self._upstream, _ = await ws_connect(lambda: _Upstream(transport), self._url)
        for message in self._early:
            self._upstream.send(_TEXT, message)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is _TEXT:
            if self._upstream is not None:
                self._upstream.send(_TEXT, frame.get_payload_as_memoryview())
            else:
                self._early.append(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.send_close()
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._upstream is not None:
            self._upstream.disconnect()


@asynccontextmanager
async def relay(server_port: int) -> AsyncIterator[int]:
    url = f"ws://127.0.0.1:{server_port}/v1/realtime?model=gpt-realtime"

    def accept(_: WSUpgradeRequest) -> WSListener:
        return _Client(url)

    server = await ws_create_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
