"""The bounded queue between the event loop and a consumer that takes its time.

Policy: audio may be dropped, oldest first, and an `AudioDropped` event before what is left tells how much. Everything
else is kept; a consumer that lets even that pile up to `HARD_FACTOR` times the bound gets what is queued and then a
`SlowConsumerError`, and is let go.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from voxengine.errors import SlowConsumerError
from voxengine.events.types import AudioDropped, AudioOutputChunk, ProviderEvent

__all__ = ["DEFAULT_SIZE", "HARD_FACTOR", "EventQueue"]

#: Events that a consumer may be behind before audio is dropped.
DEFAULT_SIZE = 1024
#: Times the bound at which a consumer that also lets control events pile up is let go.
HARD_FACTOR = 16


class EventQueue:
    """Single consumer, filled on the event loop. `put` never waits."""

    __slots__ = (
        "_chunks",
        "_closed",
        "_dropped",
        "_dropped_ms",
        "_failed",
        "_items",
        "_report",
        "_size",
        "_waiter",
        "tell_drop",
    )

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        if size < 1:
            raise ValueError(f"a queue holds at least one event, not {size}")
        self._size = size
        self._items: deque[ProviderEvent] = deque()
        self._chunks = 0  # audio chunks among the items
        self._dropped = 0
        self._dropped_ms = 0.0
        self._report: AudioDropped | None = None
        #: Told of a drop when the consumer would be told; unless it returns True, the consumer is not.
        self.tell_drop: Callable[[AudioDropped], bool] | None = None
        self._closed = False
        self._failed = False
        self._waiter: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._items)

    @property
    def closed(self) -> bool:
        """Whether nothing can be put in any more."""
        return self._closed

    def put(self, event: ProviderEvent) -> None:
        """Add an event; what happens at the bound is the policy of this module. After `close` it is ignored."""
        if (
            self._closed or event is self._report
        ):  # the report of our own drop was given in its place
            return
        items = self._items
        if len(items) >= self._size:
            if self._chunks:
                self._drop_oldest_audio()
            elif len(items) >= self._size * HARD_FACTOR:
                self._failed = self._closed = True
                self._wake()
                return
        if type(event) is AudioOutputChunk:
            self._chunks += 1
        items.append(event)
        self._wake()

    def close(self) -> None:
        """No more events will come. What is queued can still be taken."""
        self._closed = True
        self._wake()

    async def get(self) -> ProviderEvent:
        """The next event.

        Raises:
            StopAsyncIteration: the queue is closed and empty.
            SlowConsumerError: events that may not be dropped had piled up beyond the hard bound.
        """
        while not self._items:
            if self._failed:
                raise self.failure()
            if self._closed:
                raise StopAsyncIteration
            if self._waiter is None:
                self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self.get_nowait()

    def failure(self) -> SlowConsumerError:
        """What a consumer is told that has let too much pile up."""
        return SlowConsumerError(
            f"this consumer fell {self._size * HARD_FACTOR} events behind and was let go; handle events faster, "
            "subscribe to fewer types, or ask for a larger queue"
        )

    def clear(self) -> None:
        """Throw away what is queued: the consumer is gone."""
        self._items.clear()
        self._chunks = self._dropped = 0
        self._dropped_ms = 0.0

    def get_nowait(self) -> ProviderEvent:
        """The next event of a queue that is not empty."""
        if self._dropped:
            report = self._report = AudioDropped(
                audio_ms=self._dropped_ms,
                chunks=self._dropped,
                reason="slow consumer",
                timestamp=self._items[0].timestamp,
                provider=self._items[0].provider,
            )
            self._dropped, self._dropped_ms = 0, 0.0
            if self.tell_drop is None or self.tell_drop(report):
                return report
        event = self._items.popleft()
        if type(event) is AudioOutputChunk:
            self._chunks -= 1
        return event

    def _drop_oldest_audio(self) -> None:
        # Only a queue that is already full pays for the search.
        for i, event in enumerate(self._items):
            if type(event) is AudioOutputChunk:
                del self._items[i]
                self._chunks -= 1
                self._dropped += 1
                width = 2 if event.encoding == "pcm16" else 1
                self._dropped_ms += len(event.audio_data) / width / event.sample_rate * 1000
                return

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
