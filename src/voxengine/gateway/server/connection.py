"""One connection until it is known what it is for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import msgspec

from voxengine.gateway.refusal import Refused
from voxengine.gateway.server.opening import Opened, Opener, open_within
from voxengine.gateway.server.socket import ServerSocket
from voxengine.net.http1 import MAX_HEAD, BadRequest, Request, json_answer, parse_head
from voxengine.net.serving import check_upgrade
from voxengine.realtime.errors import http_error

if TYPE_CHECKING:
    from voxengine.gateway.server.front import Front

__all__ = ["Connection"]

#: Seconds in which the head of the first request has to be complete.
HEAD_S = 10.0
#: Bytes that a client may send before its handshake is answered.
MAX_EARLY = 64 * 1024


class Connection(asyncio.Protocol):
    """Reads the head of the first request, and hands the connection on."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._data = bytearray()
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._receive: Callable[[], None] = self._read_head

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has connected."""
        # It is one, though uvloop's does not say so.
        self._transport = cast("asyncio.Transport", transport)
        self._timer = asyncio.get_running_loop().call_later(HEAD_S, self.abort)
        self._front.arrived(self)

    def data_received(self, data: bytes) -> None:
        """Some more came."""
        self._data += data
        self._receive()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._leave()
        if self._opening is not None:
            self._opening.cancel()

    def abort(self) -> None:
        """Cut it."""
        if self._transport is not None:
            self._transport.abort()

    def answer(self, refused: Refused) -> None:
        """Answer with that, and close."""
        if self._transport is not None and not self._transport.is_closing():
            answer = json_answer(refused.status, refused.body, refused.headers)
            self._transport.write(answer.to_bytes())
            self._transport.close()
        self._receive = self._data.clear

    def give_up(self, refused: Refused) -> asyncio.Task[None] | None:
        """Answer with that, and close. What is returned ends when nothing is left of it."""
        self.answer(refused)
        self._leave()
        if self._opening is not None:
            self._opening.cancel()
        return self._opening

    # -- inside

    def _read_head(self) -> None:
        assert self._transport is not None
        end = self._data.find(b"\r\n\r\n")
        if not 0 <= end <= MAX_HEAD:
            if len(self._data) > MAX_HEAD:
                self.answer(
                    Refused(431, "headers_too_large", "the head of the request is too large")
                )
            return
        self._has_asked()
        try:
            request = parse_head(bytes(self._data[:end]))
        except BadRequest:
            request = None  # HTTP/1.0, or nonsense: the other side knows what to say
        opener = self._front.opener(request) if request is not None else None
        if request is None or opener is None:
            self._leave()
            self._front.http.take(self._transport, bytes(self._data))
            return
        del self._data[: end + 4]
        try:
            check_upgrade(request)
        except BadRequest as failure:
            self._refuse_upgrade(failure)
            return
        self._receive = self._wait
        self._opening = asyncio.get_running_loop().create_task(
            self._open(opener, self._with_address(request)), name="voxengine-opening"
        )

    def _wait(self) -> None:
        if len(self._data) > MAX_EARLY:
            self.abort()

    async def _open(self, opener: Opener, request: Request) -> None:
        try:
            opened = await open_within(opener, request, self._front.opening_budget)
        except Refused as refused:
            self.answer(refused)
            return
        self._opening = None
        self._upgrade(request, opened)

    def _upgrade(self, request: Request, opened: Opened) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            opened.handler.on_close(1006, "")
            return
        headers = dict(opened.headers)
        if opened.subprotocol is not None:
            headers["Sec-WebSocket-Protocol"] = opened.subprotocol
        self._leave()
        socket = ServerSocket(opened.handler, self._front.limits, self._front.socket_gone)
        self._front.socket_came(socket)
        # Whoever reads chooses its way when reading begins.
        self._transport.pause_reading()
        socket.accept(self._transport, request, bytes(self._data), headers)
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _refuse_upgrade(self, failure: BadRequest) -> None:
        assert self._transport is not None
        body = http_error("invalid_request_error", "invalid_handshake", str(failure))
        headers = {"Sec-WebSocket-Version": "13"} if failure.status == 426 else {}
        self._transport.write(json_answer(failure.status, body, headers).to_bytes())
        self._transport.close()
        self._receive = self._data.clear

    def _with_address(self, request: Request) -> Request:
        assert self._transport is not None
        peer = self._transport.get_extra_info("peername")
        secure = self._transport.get_extra_info("ssl_object") is not None
        name = str(peer[0]) if isinstance(peer, tuple) else ""
        address, secure = self._front.proxies.client(name, secure, request.headers)
        return msgspec.structs.replace(request, address=address, secure=secure)

    def _has_asked(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._front.has_asked(self)

    def _leave(self) -> None:
        self._has_asked()
        self._front.left(self)
