"""One HTTP/2 event stream of an AWS service, open in both directions.

It has what is used of a WebSocket (`voxengine.net.WebSocket`): what is sent never waits, audio that the connection does
not take is dropped, the oldest first, and all that comes is told by callbacks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from voxengine.errors import ConnectionError
from voxengine.net import Closed
from voxengine.providers.aws.failures import failure_of

__all__ = ["EventStream"]

_log = logging.getLogger("voxengine.providers")

#: Bytes of audio messages that may wait, about ten seconds of 24 kHz in base64; and of all others.
MAX_AUDIO = 640_000
MAX_CONTROL = 1_000_000
#: Seconds that the end of a stream may take.
CLOSE_S = 2.0


class EventStream:
    """A stream of AWS's library (`DuplexEventStream`).

    Args:
        stream: the library's.
        wrap: makes the event of a message.
        on_event: is told each event of the server.
        on_closed: is told the end, once, and the failure that led to it, if one did.
        on_dropped: is told how many audio messages, and bytes of audio, were dropped.
        provider: the name for errors.
        done: closes what belongs to the stream, when it has ended.
    """

    #: Nothing can be sent around the queue.
    send_now = None

    def __init__(
        self,
        stream: Any,
        *,
        wrap: Callable[[bytes], Any],
        on_event: Callable[[Any], None],
        on_closed: Callable[[Closed, Exception | None], None],
        on_dropped: Callable[[int, int], None],
        provider: str,
        done: Callable[[], Any] | None = None,
    ) -> None:
        self._stream = stream
        self._wrap = wrap
        self._on_event = on_event
        self._on_closed = on_closed
        self._on_dropped = on_dropped
        self._provider = provider
        self._done = done
        #: Messages that wait: the message, and how many bytes of audio are in it.
        self._queue: deque[tuple[bytes, int]] = deque()
        self._audio_bytes = 0
        self._control_bytes = 0
        self._wake = asyncio.Event()
        self._ending = False
        self._closed = False
        self._output: Any = None
        self._writer = asyncio.create_task(self._write(), name=f"voxengine-{provider}-writer")
        self._reader: asyncio.Task[None] | None = None
        self._closer: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether more can be sent."""
        return not self._closed and not self._ending

    async def answered(self) -> Any:
        """Wait for the server's answer to the request, then read what follows it; the answer's own fields.

        Raises:
            ProviderError: it is a refusal, or none came.
        """
        try:
            output, self._output = await self._stream.await_output()
        except Exception as failure:
            raise failure_of(failure, self._provider) from None
        if not self._closed:
            name = f"voxengine-{self._provider}-reader"
            self._reader = asyncio.create_task(self._read(), name=name)
        return output

    # -- out

    def send_text(self, message: bytes | bytearray | memoryview) -> None:
        """Send a message that must not be lost.

        Raises:
            ConnectionError: the stream has ended, or takes nothing.
        """
        self._check_open()
        payload = bytes(message)
        self._control_bytes += len(payload)
        if self._control_bytes > MAX_CONTROL:
            self._conclude(Closed(None, "nothing is taken any more", False, "overloaded"), None)
            self._check_open()
        self._queue.append((payload, 0))
        self._wake.set()

    def send_audio(
        self, message: bytes | bytearray | memoryview, n_bytes: int, *, binary: bool = False
    ) -> None:
        """Send a message with so many bytes of audio in it.

        Raises:
            ConnectionError: the stream has ended.
        """
        self._check_open()
        payload = bytes(message)
        self._queue.append((payload, n_bytes))
        self._audio_bytes += len(payload)
        if self._audio_bytes > MAX_AUDIO:
            self._drop()
        self._wake.set()

    def finish(self) -> None:
        """Nothing more will be sent: what waits is, then the end of our side. The server may still talk."""
        self._ending = True
        self._wake.set()

    def _drop(self) -> None:
        kept: deque[tuple[bytes, int]] = deque()
        messages = dropped = 0
        for payload, n_bytes in self._queue:
            if n_bytes and self._audio_bytes > MAX_AUDIO:
                self._audio_bytes -= len(payload)
                messages, dropped = messages + 1, dropped + n_bytes
            else:
                kept.append((payload, n_bytes))
        self._queue = kept
        self._on_dropped(messages, dropped)

    async def _write(self) -> None:
        publisher = self._stream.input_stream
        try:
            while True:
                while self._queue:
                    payload, n_bytes = self._queue.popleft()
                    if n_bytes:
                        self._audio_bytes -= len(payload)
                    else:
                        self._control_bytes -= len(payload)
                    await publisher.send(self._wrap(payload))
                if self._ending:
                    await publisher.close()
                    return
                self._wake.clear()
                await self._wake.wait()
        except asyncio.CancelledError:
            raise
        except Exception as failure:
            # Where the server says why, that comes by the reader; here is only that it takes no more.
            if self._reader is None or self._reader.done():
                self._conclude(Closed(None, str(failure), False, "aborted"), None)

    # -- in

    async def _read(self) -> None:
        failure: Exception | None = None
        try:
            while (event := await self._output.receive()) is not None:
                self._on_event(event)
                if self._closed:
                    return
        except asyncio.CancelledError:
            raise
        except Exception as error:
            failure = error
        if failure is None:
            self._conclude(Closed(None, "the stream has ended", False, "closed"), None)
            return
        ours = failure_of(failure, self._provider)
        words = str(ours).removeprefix(f"{self._provider}: ")
        self._conclude(Closed(None, words, False, "aborted"), ours)

    # -- the end

    def start_closing(self, code: int = 1000, reason: str = "") -> None:
        """Close it, without waiting for that."""
        if self._closer is None:
            self._closer = asyncio.create_task(
                self._close(), name=f"voxengine-{self._provider}-close"
            )

    def abort(self) -> None:
        """End it at once."""
        self._conclude(Closed(None, "", True, "local"), None)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it. May be called again, and at any time."""
        self.start_closing()
        assert self._closer is not None
        if self._closer is not asyncio.current_task():
            await asyncio.shield(self._closer)

    async def _close(self) -> None:
        if not self._closed:
            self.finish()
            await asyncio.wait([self._writer], timeout=CLOSE_S)
        self._conclude(Closed(None, "", True, "local"), None)
        for task in (self._writer, self._reader):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
                await asyncio.wait([task])
        for release in (self._close_both, self._done):
            if release is not None:
                await _within(release)

    async def _close_both(self) -> None:
        """Let the library close both directions."""
        await self._stream.input_stream.close()
        if self._output is not None:
            await self._output.close()
        else:
            future = self._stream._output_future
            future.cancel()
            await asyncio.wait([future])

    def _conclude(self, closed: Closed, failure: Exception | None) -> None:
        if self._closed:
            return
        self._closed = True
        self._queue.clear()
        self._writer.cancel()
        self._on_closed(closed, failure)

    def _check_open(self) -> None:
        if not self.is_open:
            raise ConnectionError(
                f"provider {self._provider!r} is not connected",
                provider=self._provider,
                code="closed",
            )


async def _within(release: Callable[[], Any]) -> None:
    """Let something close, for as long as that may take. If it fails there is nobody to tell."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await release()
    except Exception as failure:
        _log.debug("closing a stream failed: %s", type(failure).__name__)
