"""The side of picows: the frames that come. This module is imported with the first connection, because picows is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from voxengine.net.websocket import WebSocket

__all__ = ["Listener", "PicowsLog"]

_log = logging.getLogger("voxengine.net")

_TEXT, _BINARY, _CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION

OnMessage = Callable[[memoryview], None]
OnOpen = Callable[[WebSocket], None]


class Listener(WSListener):
    """Gives messages to the callbacks."""

    __slots__ = (
        "_aftermath",
        "_binary",
        "_heard",
        "_max_message",
        "_message",
        "_on_binary",
        "_on_open",
        "_on_text",
        "_pong",
        "_room",
        "_skipped",
        "_socket",
        "_text",
        "_transport",
        "_type",
    )

    def __init__(
        self,
        socket: WebSocket,
        on_text: OnMessage,
        on_binary: OnMessage | None,
        max_message: int,
        on_open: OnOpen | None = None,
    ) -> None:
        self._socket = socket
        self._on_open = on_open
        self._on_text = on_text
        self._on_binary = on_binary or self._skip_binary
        self._max_message = max_message
        # The types that can be a whole message of their own. While fragments are gathered, and when nothing is to be
        # delivered any more, no type is: so the short way needs no further question.
        self._text: WSMsgType | None = _TEXT
        self._binary: WSMsgType | None = _BINARY
        self._message: bytearray | None = None  # the fragments so far
        self._type = _TEXT  # what they are fragments of
        self._transport: WSTransport | None = None
        self._heard = False
        self._room = 0
        self._skipped = False
        self._pong: bytes | None = None  # the answer to a ping, while nothing can be sent
        self._aftermath: asyncio.Task[None] | None = None

    # -- what picows calls

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._transport = transport
        self.heard_anything()  # what was heard so far does not count
        self._socket.opened(transport, self)
        if self._on_open is None or not self._socket.is_open:
            return
        try:
            self._on_open(self._socket)
        except Exception:
            self._socket.callback_failed("on_open")
            self._socket.start_closing(1011, "internal error")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame came. This is the hot path; the type is the dearest thing to ask a frame for."""
        self._heard = True
        kind = frame.msg_type
        try:
            if kind is self._text and frame.fin:
                view = frame.get_payload_as_memoryview()
                self._on_text(view)
                view.release()  # it points into a buffer that moves; this turns a view that was kept into an error
            elif kind is self._binary and frame.fin:
                view = frame.get_payload_as_memoryview()
                self._on_binary(view)
                view.release()
            else:
                self._other_frame(kind, frame)
        except Exception:
            self._socket.callback_failed("of messages")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The socket is closed."""
        self._transport = None
        self._socket.lost()
        self._on_text = self._on_binary = _ignore  # no circle keeps what is done with

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self._socket.pause()

    def resume_writing(self) -> None:
        """It has been worked off."""
        if self._pong is not None and self._transport is not None:
            self._transport.send_pong(self._pong)
            self._pong = None
        self._socket.resume()

    # -- what the socket asks

    def heard_anything(self) -> bool:
        """Whether any byte has come since this was last asked."""
        heard, self._heard = self._heard, False
        if self._transport is None:
            return heard
        # Of a frame that is long under way, nothing is told. But it takes up room in the buffer.
        protocol: Any = self._transport.underlying_transport.get_protocol()
        room, self._room = self._room, len(protocol.get_buffer(-1))
        return heard or room != self._room

    def stop(self) -> None:
        """Deliver nothing any more."""
        self._text = self._binary = self._message = None

    def picows_failed(self) -> None:
        """Picows met an error of the peer, and is about to send the close frame."""
        if self._aftermath is None and self._transport is not None:
            self._aftermath = asyncio.get_running_loop().create_task(
                self._after_failure(self._transport), name="voxengine-websocket-failed"
            )

    async def _after_failure(self, transport: WSTransport) -> None:
        self._socket.failed()
        with suppress(Exception):  # it was reported; nobody else asks for it
            await transport.wait_disconnected()

    # -- frames that are not a whole message

    def _other_frame(self, kind: WSMsgType, frame: WSFrame) -> None:
        if kind is WSMsgType.CLOSE:
            code = int.from_bytes(frame.get_payload_as_bytes()[:2]) or 1005
            self._socket.peer_closed(code, frame.get_close_reason() or "")
        elif kind is WSMsgType.PING:
            self._answer(frame.get_payload_as_bytes())
        elif kind is WSMsgType.PONG or not self._socket.is_open:
            pass
        elif kind is _CONTINUATION:
            self._continue(frame)
        elif self._message is not None:
            self._socket.fail(1002, "a message began within another one", "protocol")
        else:
            self._message = bytearray(frame.get_payload_as_memoryview())
            self._type = kind
            self._text = self._binary = None

    def _continue(self, frame: WSFrame) -> None:
        message = self._message
        if message is None:
            self._socket.fail(1002, "a continuation of no message", "protocol")
            return
        if len(message) + frame.payload_size > self._max_message:
            text = f"a message of more than {self._max_message} bytes"
            self._socket.fail(1009, text, "too_big")
            return
        message += frame.get_payload_as_memoryview()
        if frame.fin:
            self._message, self._text, self._binary = None, _TEXT, _BINARY
            deliver = self._on_text if self._type is _TEXT else self._on_binary
            deliver(memoryview(message).toreadonly())

    def _answer(self, ping: bytes) -> None:
        """The latest ping is answered; earlier ones need not be (RFC 6455, section 5.5.3)."""
        if self._socket.paused:
            self._pong = ping
        elif self._transport is not None:
            self._transport.send_pong(ping)

    def _skip_binary(self, message: memoryview) -> None:
        if not self._skipped:
            self._skipped = True
            _log.warning(
                "%r: binary messages came, which nobody expects; they are let go", self._socket
            )


class PicowsLog:
    """What picows takes for its logger. It writes nothing: headers and payloads would be in it.

    Picows reports errors of the peer there, and nowhere else so soon; so they are taken from it, whatever the text.
    """

    def __init__(self, on_error: Callable[[], None]) -> None:
        self._on_error = on_error

    def isEnabledFor(self, level: int) -> bool:
        """Never."""
        return False

    def debug(self, *_: object, **__: object) -> None:
        """Nothing."""

    log = info = warning = debug

    def error(self, *_: object, **__: object) -> None:
        """An error of the peer."""
        self._on_error()

    exception = error


def _ignore(message: memoryview) -> None:
    pass
