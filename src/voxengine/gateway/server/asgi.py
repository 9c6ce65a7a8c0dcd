"""The same sockets under another ASGI server, for those who mount the application into their own.

    @app.websocket("/v1/realtime")
    async def realtime(websocket: WebSocket) -> None:
        await serve_asgi(websocket, opener)

It is slower than the front door: every message passes a task, and the other server's own WebSocket.
"""

from __future__ import annotations

import asyncio
from collections import deque

from fastapi import WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from voxengine.gateway.peer import PeerHandler
from voxengine.gateway.refusal import Refused
from voxengine.gateway.server.opening import Opener, open_within
from voxengine.gateway.server.socket import SocketLimits
from voxengine.net.http1 import Request

__all__ = ["serve_asgi"]

#: Seconds that an opener may take.
_OPENING_S = 60.0


async def serve_asgi(
    websocket: WebSocket, opener: Opener, limits: SocketLimits | None = None
) -> None:
    """Serve one WebSocket until it is closed. The other server counts the pings, and bounds what it reads."""
    try:
        opened = await open_within(opener, _request(websocket), _OPENING_S)
    except Refused as refused:
        await websocket.send_denial_response(
            JSONResponse(refused.body, refused.status, refused.headers)
        )
        return
    headers = [(name.encode(), value.encode()) for name, value in opened.headers.items()]
    peer = _Peer(websocket, limits or SocketLimits())
    code, reason = 1006, ""
    try:
        await websocket.accept(opened.subprotocol, headers)
        writer = asyncio.create_task(peer.write(), name="voxengine-asgi-writer")
        try:
            opened.handler.on_open(peer)
            code, reason = await _read(websocket, opened.handler, peer)
        finally:
            writer.cancel()
            await asyncio.wait([writer])
    finally:
        opened.handler.on_close(code, reason)


async def _read(websocket: WebSocket, handler: PeerHandler, peer: _Peer) -> tuple[int, str]:
    """Give the handler what comes; returns how it ended."""
    ended = asyncio.create_task(peer.ended.wait())
    try:
        while True:
            message = asyncio.create_task(websocket.receive())
            await asyncio.wait([message, ended], return_when=asyncio.FIRST_COMPLETED)
            if not message.done():
                message.cancel()
                await asyncio.wait([message])
                return peer.code, peer.reason
            got = message.result()
            if got["type"] == "websocket.disconnect":
                return got.get("code") or 1005, got.get("reason") or ""
            text = got.get("text")
            if text is None:
                peer.close(1003, "only text messages are understood")
            elif not peer.closing:
                handler.on_message(text.encode())
    finally:
        ended.cancel()


class _Peer:
    """What is sent waits for the writer, in a queue bounded as the front door's."""

    def __init__(self, websocket: WebSocket, limits: SocketLimits) -> None:
        self._websocket = websocket
        self._limits = limits
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._more = asyncio.Event()
        #: Set when the close frame is sent, or cannot be.
        self.ended = asyncio.Event()
        self.closing = False
        self.code = 1006
        self.reason = ""

    def send(self, message: bytes) -> None:
        """Send a text message."""
        if self.closing:
            return
        self._queue.append(message)
        self._size += len(message)
        self._more.set()
        if self._size > self._limits.max_unsent:
            self._queue.clear()
            self.close(1008, "the client does not read")
            self.ended.set()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say good-bye after all that waits."""
        if not self.closing:
            self.closing = True
            self.code, self.reason = code, reason
            self._more.set()

    async def write(self) -> None:
        """Send what waits, until a close frame was sent."""
        try:
            while True:
                await self._more.wait()
                self._more.clear()
                while self._queue:
                    message = self._queue.popleft()
                    await self._websocket.send_text(message.decode())
                    self._size -= len(message)
                if self.closing:
                    async with asyncio.timeout(self._limits.close_timeout):
                        await self._websocket.close(self.code, self.reason)
                    return
        except (RuntimeError, OSError, WebSocketDisconnect):
            pass  # the client has gone; whoever reads is told
        finally:
            self.ended.set()


def _request(websocket: WebSocket) -> Request:
    headers: dict[str, str] = {}
    for name, value in websocket.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Request(
        "GET",
        websocket.url.path,
        dict(websocket.query_params),
        headers,
        address=websocket.client.host if websocket.client else "",
        secure=websocket.url.scheme == "wss",
    )
