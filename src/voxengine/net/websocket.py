"""One open WebSocket: what is sent, how it ends, and what is told about it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from voxengine.errors import ConfigurationError, ConnectionError
from voxengine.net.keepalive import Keepalive
from voxengine.net.masking import Mask, clip
from voxengine.net.writes import WriteQueue

if TYPE_CHECKING:
    from picows import WSTransport

    from voxengine.net.listener import Listener

__all__ = ["BINARY", "TEXT", "Closed", "Settings", "WebSocket"]

_log = logging.getLogger("voxengine.net")

#: Opcodes of frames (RFC 6455, section 5.2).
TEXT, BINARY = 1, 2
#: Messages above this size are sent from a copy: picows would keep a buffer of that size until the connection ends.
_LARGE = 128 * 1024
#: Bytes that the header of a frame takes at most.
_HEADER = 14
#: Bytes of a reason in a close frame (RFC 6455, section 5.5).
_REASON = 123
#: Seconds for which dropped audio is gathered into one report.
_DROP_REPORT = 0.25

Cause = Literal["closed", "aborted", "dead_peer", "too_big", "protocol", "overloaded", "local"]


class Closed(msgspec.Struct, frozen=True):
    """How a connection ended."""

    #: The code of the close frame that ended it (RFC 6455, section 7.4): the peer's, or ours where `by_us`. 1005 for a
    #: frame of the peer without a code; None where it ended without a close frame.
    code: int | None
    #: The text of that frame, or in words what happened; of bounded length, on one line, without our keys.
    reason: str
    #: Whether we ended it.
    by_us: bool
    #: "closed": the peer sent a close frame. "aborted": the connection was lost without one. "dead_peer": no sign of
    #: life after a ping. "too_big": a message above the limit came. "protocol": the peer broke the protocol.
    #: "overloaded": the peer took nothing until the queue was full. "local": `close` or `abort` was called.
    cause: Cause


class Settings(msgspec.Struct, frozen=True):
    """What `connect_websocket` was given for the time after the handshake."""

    #: The address as it may be shown.
    where: str
    provider: str
    mask: Mask
    ping_interval: float
    ping_timeout: float
    close_timeout: float
    audio_buffer: int
    control_buffer: int


class WebSocket:
    """A connection that `connect_websocket` has opened.

    Everything is called on the event loop's own thread. A message may be reused as soon as a `send_...` has returned.
    """

    __slots__ = (
        "__weakref__",
        "_closing",
        "_drop_timer",
        "_gone",
        "_keepalive",
        "_last_timer",
        "_listener",
        "_on_closed",
        "_on_dropped",
        "_paused",
        "_queue",
        "_set",
        "_transport",
        "_verdict",
        "closed",
        "response_headers",
        "send_now",
        "subprotocol",
    )

    def __init__(
        self,
        settings: Settings,
        on_closed: Callable[[Closed], None],
        on_dropped: Callable[[int, int], None] | None,
    ) -> None:
        self._set = settings
        self._on_closed: Callable[[Closed], None] | None = on_closed
        self._on_dropped = on_dropped
        #: How it ended; None until that has been reported.
        self.closed: Closed | None = None
        #: The subprotocol that the server chose, None if it chose none.
        self.subprotocol: str | None = None
        #: Of the server's answer to the handshake. Names are found in any case.
        self.response_headers: Mapping[str, str] = {}
        #: Sends a message of that type (TEXT, BINARY) at once; None while it would have to wait, or cannot be sent at
        #: all. It spares the audio path a call; `send_audio` does the same, and the rest of what may have to be done.
        self.send_now: Callable[[int, Any], None] | None = None
        self._transport: WSTransport | None = None
        self._listener: Listener | None = None
        self._paused = False
        self._queue = WriteQueue(settings.audio_buffer, settings.control_buffer)
        self._closing: tuple[int, str] | None = None  # the close frame that is to follow the queue
        self._verdict: Closed | None = None
        self._gone = asyncio.Event()  # the socket is closed
        self._keepalive: Keepalive | None = None
        self._last_timer: asyncio.TimerHandle | None = None
        self._drop_timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed" if self.closed else "closing"
        return f"<WebSocket {self._set.where} {state}>"

    # -- state

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent. False as soon as one side has begun to close."""
        return self._transport is not None and self._verdict is None and self._closing is None

    @property
    def paused(self) -> bool:
        """Whether the socket takes nothing at present, so that messages wait in the queue."""
        return self._paused

    @property
    def buffered_bytes(self) -> int:
        """Bytes that were sent and have not been given to the operating system."""
        waiting = self._queue.audio_bytes + self._queue.control_bytes
        if self._transport is None:
            return waiting
        return waiting + self._transport.underlying_transport.get_write_buffer_size()

    # -- sending

    def send_text(self, message: bytes | bytearray | memoryview) -> None:
        """Send UTF-8 as a text message, which is never dropped.

        Raises:
            ConnectionError: the connection is closed or closing (code "closed"), or the peer took nothing until the
                queue was full (code "overloaded"); then the connection is lost as well.
        """
        send = self.send_now
        if send is None or len(message) > _LARGE:
            self._send_control(TEXT, message)
        else:
            send(TEXT, message)

    def send_binary(self, message: bytes | bytearray | memoryview) -> None:
        """Send a binary message, which is never dropped. Raises as `send_text`."""
        send = self.send_now
        if send is None or len(message) > _LARGE:
            self._send_control(BINARY, message)
        else:
            send(BINARY, message)

    def send_audio(
        self,
        message: bytes | bytearray | memoryview,
        audio_bytes: int,
        *,
        binary: bool = False,
    ) -> None:
        """Send a message that holds `audio_bytes` of audio, as a text or a binary message.

        If the peer does not take it in time, the oldest audio is dropped and `on_dropped` told.

        Raises:
            ConnectionError: the connection is closed or closing (code "closed").
        """
        send = self.send_now
        if send is not None:
            send(BINARY if binary else TEXT, message)
            return
        self._check_open()
        queue = self._queue
        queue.put_audio(BINARY if binary else TEXT, bytes(message), audio_bytes)
        if queue.dropped_chunks and self._drop_timer is None:
            loop = asyncio.get_running_loop()
            self._drop_timer = loop.call_later(_DROP_REPORT, self._report_dropped)

    # -- closing

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame after all that waits, wait for the peer's, and close the socket.

        When this returns, or is cancelled, nothing is left of the connection and `on_closed` has been called, or is
        about to be. It takes no longer than `close_timeout`. Messages that still come are not delivered. May be called
        more than once: the first call decides.

        Raises:
            ConfigurationError: `code` is not one that may be sent: 1000 to 1003, 1007 to 1014, 3000 to 4999.
        """
        if not _may_be_sent(code):
            raise ConfigurationError(f"a close frame cannot carry code {code}")
        if self._gone.is_set():
            return
        self.start_closing(code, reason)
        try:
            await self._gone.wait()
        except asyncio.CancelledError:
            self.abort()
            raise

    def start_closing(self, code: int = 1000, reason: str = "") -> None:
        """Begin what `close` does, and do not wait for its end. A code that may not be sent goes out as 1011."""
        if not self.is_open:
            return
        reason = reason.encode()[:_REASON].decode("utf-8", "ignore")
        self._closing = (code if _may_be_sent(code) else 1011), reason
        self.send_now = None
        self._limit_farewell()
        if self._listener is not None:
            self._listener.stop()
        if not self._paused:
            self._send_close_frame()

    def give_up(self, reason: str) -> None:
        """The peer does not take what it is sent: close the socket at once ("overloaded")."""
        self._conclude(Closed(None, reason, by_us=True, cause="overloaded"))
        self.abort()

    def abort(self) -> None:
        """Close the socket at once, without a word; what waits is lost. `on_closed` is called soon, not in here."""
        self._conclude(Closed(None, "", by_us=True, cause="local"))
        if self._transport is not None:
            if self._listener is not None:
                self._listener.stop()
            self._transport.disconnect(graceful=False)

    # -- what the listener tells

    def opened(self, transport: WSTransport, listener: Listener) -> None:
        """The handshake is done."""
        self._transport = transport
        self._listener = listener
        if self._verdict is not None:  # it was given up a moment ago
            self.abort()
            return
        self.send_now = transport.send  # type: ignore[assignment]  # a number is as good as its enum
        if self._set.ping_interval > 0:
            self._keepalive = Keepalive(
                self._set.ping_interval,
                self._set.ping_timeout,
                heard=listener.heard_anything,
                ping=transport.send_ping,
                dead=self._peer_is_dead,
            )

    def discard(self) -> None:
        """The opening has failed: there never was a connection, and nobody is told of it."""
        self._on_closed = self._on_dropped = None
        self.abort()

    def pause(self) -> None:
        """The socket takes no more for now."""
        self._paused = True
        self.send_now = None

    def resume(self) -> None:
        """The socket takes messages again."""
        self._paused = False
        if self._transport is None or self._verdict is not None:
            return
        queue = self._queue
        while queue and not self._paused:
            self._write(*queue.pop())
        self._report_dropped()
        if self._paused:
            return
        if self._closing is None:
            self.send_now = self._transport.send  # type: ignore[assignment]
        else:
            self._send_close_frame()

    def peer_closed(self, code: int, reason: str) -> None:
        """The peer sent a close frame."""
        reason = clip(self._set.mask(reason), _REASON)
        self._conclude(Closed(code, reason, by_us=False, cause="closed"))
        self._say_goodbye(code if _may_be_sent(code) else 1000, "")
        if self._transport is not None:
            self._transport.disconnect()

    def fail(self, code: int, reason: str, cause: Cause) -> None:
        """The peer broke a rule: close with that code."""
        reason = clip(reason, _REASON)
        self._conclude(Closed(code, reason, by_us=True, cause=cause))
        self._say_goodbye(code, reason)  # what it still sends is read and let go, until it answers

    def failed(self) -> None:
        """The peer broke a rule of frames; picows has sent the close frame, and closes the socket soon."""
        if self._transport is None or (sent := self._transport.close_handshake.sent) is None:
            return
        code = int(sent.code)  # type: ignore[call-overload]  # it is an IntEnum
        cause: Cause = "too_big" if code == 1009 else "protocol"
        self._conclude(Closed(code, clip(sent.reason, _REASON), by_us=True, cause=cause))
        self._transport.underlying_transport.pause_reading()
        self._limit_farewell()
        self._report()

    def lost(self) -> None:
        """The socket is closed."""
        lost = "the connection was lost without a close frame"
        self._conclude(Closed(None, lost, by_us=False, cause="aborted"))
        for timer in (self._last_timer, self._drop_timer):
            if timer is not None:
                timer.cancel()
        self._last_timer = self._transport = self._listener = None
        self._gone.set()
        self._report()

    def callback_failed(self, name: str) -> None:
        """A callback raised; the connection goes on."""
        _log.exception("%s: the callback %s failed", self._set.where, name)

    # -- inside

    def _check_open(self) -> None:
        if not self.is_open:
            raise ConnectionError(
                f"the connection to {self._set.where} is closed",
                provider=self._set.provider,
                code="closed",
            )

    def _send_control(self, kind: int, message: bytes | bytearray | memoryview) -> None:
        """What is not the direct way: the connection is paused or closed, or the message is large."""
        if self.send_now is not None:
            self._write(kind, message)
            return
        self._check_open()
        if not self._queue.put_control(kind, bytes(message)):
            limit = self._set.control_buffer
            text = f"the peer takes nothing, and {limit} bytes wait for it"
            self.give_up(text)
            raise ConnectionError(
                f"{self._set.where}: {text}; the connection was given up",
                provider=self._set.provider,
                code="overloaded",
            )

    def _write(self, kind: int, message: bytes | bytearray | memoryview) -> None:
        assert self._transport is not None
        if len(message) > _LARGE:
            frame = bytearray(_HEADER)
            frame += message
            self._transport.send_reuse_external_bytearray(kind, frame, _HEADER)  # type: ignore[arg-type]
        else:
            self._transport.send(kind, message)  # type: ignore[arg-type]

    def _send_close_frame(self) -> None:
        """What waited is sent: now the close frame of `close`."""
        assert self._closing is not None
        assert self._transport is not None
        code, reason = self._closing
        self._conclude(Closed(code, reason, by_us=True, cause="local"))
        self._transport.send_close(code, reason.encode())  # type: ignore[arg-type]

    def _conclude(self, verdict: Closed) -> None:
        """Nothing is sent any more. The first verdict counts."""
        self.send_now = None
        if self._verdict is not None:
            return
        self._verdict = verdict
        self._queue.clear()
        if self._keepalive is not None:
            self._keepalive.stop()
            self._keepalive = None
        if self._listener is not None:
            self._listener.stop()

    def _say_goodbye(self, code: int, reason: str) -> None:
        """Send our close frame, if that has not been done, and report at once what the peer did."""
        if self._transport is not None:
            if not self._transport.is_close_frame_sent:
                self._transport.send_close(code, reason.encode())  # type: ignore[arg-type]
            self._limit_farewell()
        if self._verdict is not None and self._verdict.cause != "local":
            self._report()

    def _limit_farewell(self) -> None:
        """However slow the peer is, the socket is closed in time."""
        if self._last_timer is None:
            loop = asyncio.get_running_loop()
            self._last_timer = loop.call_later(self._set.close_timeout, self.abort)

    def _peer_is_dead(self) -> None:
        text = f"no sign of life within {self._set.ping_timeout:g} s after a ping"
        self._conclude(Closed(None, text, by_us=True, cause="dead_peer"))
        self.abort()

    def _report_dropped(self) -> None:
        if self._drop_timer is not None:
            self._drop_timer.cancel()
            self._drop_timer = None
        chunks, audio = self._queue.take_dropped()
        if chunks and self._on_dropped is not None:
            try:
                self._on_dropped(chunks, audio)
            except Exception:
                self.callback_failed("on_dropped")

    def _report(self) -> None:
        if self.closed is not None or self._verdict is None:
            return
        self._report_dropped()
        self.closed = closed = self._verdict
        _log.debug("%s: %s, code %s", self._set.where, closed.cause, closed.code)
        on_closed, self._on_closed, self._on_dropped = self._on_closed, None, None
        if on_closed is None:
            return
        try:
            on_closed(closed)
        except Exception:
            self.callback_failed("on_closed")


def _may_be_sent(code: int) -> bool:
    """Whether a close frame may carry this code (RFC 6455, section 7.4, and its registry)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
