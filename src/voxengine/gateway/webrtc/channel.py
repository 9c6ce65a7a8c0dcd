"""The data channel of a connection, as the rest of the gateway sees it: a `Peer`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from aiortc.exceptions import InvalidStateError

if TYPE_CHECKING:
    from aiortc import RTCDataChannel

__all__ = ["LABEL", "Channel"]

logger = logging.getLogger("voxengine.gateway")

#: What OpenAI's clients call it.
LABEL = "oai-events"
#: Bytes that may wait: for a channel that is not open yet, and for a client that does not read.
MAX_EARLY = 1024 * 1024
MAX_UNSENT = 8 * 1024 * 1024
#: Seconds in which what was sent has to arrive before the channel is closed, and in which it has to close.
FLUSH_BUDGET = 2.0
CLOSE_BUDGET = 1.0


class Channel:
    """One client's messages.

    What is sent before the channel is open waits for it. A client for which too much waits is cut off; one that has
    offered no channel is told nothing.

    Args:
        expected: the client has offered a channel.
        on_message, on_close: what the client sends, and that it has closed the channel.
        on_overflow: too much waits; the argument says how much.
        close: the client is to be hung up, with a close code and a reason.
    """

    def __init__(
        self,
        *,
        expected: bool,
        max_message: int,
        on_message: Callable[[bytes], None],
        on_close: Callable[[], None],
        on_overflow: Callable[[str], None],
        close: Callable[[int, str], None],
    ) -> None:
        self._expected = expected
        self._max_message = max_message
        self._on_message = on_message
        self._on_close = on_close
        self._on_overflow = on_overflow
        self._close = close
        self._channel: RTCDataChannel | None = None
        self._early: deque[bytes] = deque()
        self._early_bytes = 0
        self._shut = False
        #: Set when nothing waits, and when the channel is closed.
        self._empty = asyncio.Event()
        self._closed = asyncio.Event()

    # -- the client

    def take(self, channel: RTCDataChannel) -> None:
        """The client has opened a channel. Only the first of that name counts."""
        if channel.label != LABEL or self._channel is not None or self._shut:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._received)
        channel.on("close", self._channel_closed)
        channel.on("bufferedamountlow", self._empty.set)
        early, self._early = self._early, deque()
        for message in early:
            self.send(message)

    def _received(self, message: str | bytes) -> None:
        if self._shut:
            return
        data = message.encode() if isinstance(message, str) else message
        if len(data) > self._max_message:
            self.close(1009, "a message is too long")
        else:
            self._on_message(data)

    def _channel_closed(self) -> None:
        self._closed.set()
        if not self._shut:
            self._on_close()

    # -- a Peer

    def send(self, message: bytes) -> None:
        """Send a message, when the channel is open."""
        if self._shut or not self._expected:
            return
        channel = self._channel
        if channel is None:
            self._early.append(message)
            self._early_bytes += len(message)
            if self._early_bytes > MAX_EARLY:
                self._overflow(self._early_bytes)
            return
        try:
            channel.send(message.decode())
        except InvalidStateError:
            return  # it is about to close; the handler is told
        except ValueError as failure:
            logger.warning("a client cannot be told of something: %s", failure)
            return
        if channel.bufferedAmount > MAX_UNSENT:
            self._overflow(channel.bufferedAmount)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Hang the client up. What was sent before still arrives."""
        self._close(code, reason)

    # -- inside

    def _overflow(self, waiting: int) -> None:
        self.shut()
        self._on_overflow(f"{waiting} bytes wait for a client that does not read")

    def shut(self) -> None:
        """Nothing is sent or received any more."""
        self._shut = True
        self._early.clear()

    async def finish(self) -> None:
        """Close the channel, when the client has what was sent. Takes no longer than the budgets."""
        channel = self._channel
        self.shut()
        if channel is None or channel.readyState != "open":
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_BUDGET):
                while channel.bufferedAmount and channel.readyState == "open":
                    self._empty.clear()
                    await self._empty.wait()
        channel.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_BUDGET):
                await self._closed.wait()
