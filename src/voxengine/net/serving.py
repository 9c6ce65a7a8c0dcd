"""The server's side of a WebSocket: from the head of a request on, it is the same `WebSocket` as the client's.

Picows' own server decides about a request while it reads it, takes no other requests, and only a `Connection` header
of one word. So the head is read by whoever owns the port; what is left of the handshake is done here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Mapping

import msgspec
from picows import (
    WSAutoPingStrategy,
    WSFrame,
    WSTransport,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined] # not in its stub

from voxengine.net.http1 import BadRequest, Request
from voxengine.net.listener import Listener, OnMessage, PicowsLog
from voxengine.net.masking import Mask
from voxengine.net.websocket import Closed, Settings, WebSocket

__all__ = ["Limits", "check_upgrade", "serve_websocket"]

#: Bytes of the buffer that is read into; it grows with the messages.
_READ_BUFFER = 16 * 1024
#: Clients have no keys of ours.
_NO_SECRETS = Mask([], {}, [])


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one WebSocket may take up.

    `max_unsent`: bytes that may wait for a peer which does not read; at more it is cut off ("overloaded").
    `ping_interval`: seconds of silence after which the peer is asked whether it is there, 0: never; it has
    `ping_timeout` seconds to answer. `close_timeout`: seconds for its close frame.
    """

    max_message: int = 16 * 1024 * 1024
    max_unsent: int = 32 * 1024 * 1024
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    close_timeout: float = 2.0


def check_upgrade(request: Request) -> None:
    """Raise, if this is no proper request for a WebSocket (RFC 6455, section 4.2.1).

    Raises:
        BadRequest: 400, or 426 for a version other than 13.
    """
    headers = request.headers
    words = {word.strip().lower() for word in headers.get("connection", "").split(",")}
    if request.method != "GET" or not request.upgrades or "upgrade" not in words:
        raise BadRequest(400, "this is no request for a WebSocket")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise BadRequest(400, "a request for a WebSocket has no body")
    if headers.get("sec-websocket-version") != "13":
        raise BadRequest(426, "only version 13 of the WebSocket protocol is spoken here")
    try:
        n = len(base64.b64decode(headers.get("sec-websocket-key", ""), validate=True))
    except (binascii.Error, ValueError):
        n = 0
    if n != 16:
        raise BadRequest(400, "the Sec-WebSocket-Key is malformed")


def serve_websocket(
    transport: asyncio.Transport,
    request: Request,
    early: bytes,
    *,
    on_open: Callable[[WebSocket], None],
    on_text: OnMessage,
    on_binary: OnMessage | None,
    on_closed: Callable[[Closed], None],
    on_gone: Callable[[], None],
    limits: Limits,
    headers: Mapping[str, str],
) -> WebSocket:
    """Accept a request that `check_upgrade` has let pass, with these headers. `early` is what came after its head.

    `on_open` is called before this returns; then nothing has been received yet. `on_closed` is called once, as soon as
    the end is certain, and after it `on_gone`, when nothing is left of the connection. The transport belongs to the
    WebSocket from now on.
    """
    websocket = WebSocket(
        Settings(
            where=f"a client at {request.path}",
            provider="",
            mask=_NO_SECRETS,
            ping_interval=limits.ping_interval,
            ping_timeout=limits.ping_timeout,
            close_timeout=limits.close_timeout,
            audio_buffer=0,
            control_buffer=limits.max_unsent,
        ),
        on_closed,
        None,
    )
    listener = _Listener(websocket, on_text, on_binary, limits.max_message, on_open)
    listener.on_gone = on_gone
    answer = WSUpgradeResponse.create_101_response(extra_headers=dict(headers))
    protocol = WSProtocol(
        None,  # host, path, and whether it is the client's side
        None,
        False,
        lambda _: WSUpgradeResponseWithListener(answer, listener),
        PicowsLog(listener.picows_failed),
        True,  # disconnect if the listener raises
        None,  # the handshake ends before this function does
        False,  # no pings and no pongs of its own
        20.0,
        20.0,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,
        limits.max_message,
        None,
        _READ_BUFFER,
    )
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    _feed(protocol, _canonical(request))
    _feed(protocol, early)
    return websocket


class _Listener(Listener):
    """Tells of the very end as well."""

    __slots__ = ("on_gone",)

    on_gone: Callable[[], None]

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame came. Its reserved bits belong to extensions, and none was agreed on (RFC 6455, section 5.2)."""
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._socket.fail(1002, "a reserved bit is set", "protocol")
        else:
            super().on_ws_frame(transport, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The socket is closed."""
        super().on_ws_disconnected(transport)
        self.on_gone()


def _canonical(request: Request) -> bytes:
    """The head of the request with what picows looks at, in the only form that it takes."""
    key = request.headers["sec-websocket-key"]
    return (
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode("ascii")


def _feed(protocol: WSProtocol, data: bytes) -> None:
    """Give picows bytes that were read already."""
    view = memoryview(data)
    while view:
        room = protocol.get_buffer(-1)
        n = min(len(view), len(room))
        room[:n] = view[:n]
        protocol.buffer_updated(n)
        view = view[n:]
