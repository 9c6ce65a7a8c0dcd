"""The way from the mock's vendor to us: in order, with a delay, and with the faults of a plan.

All timers of the mock are kept here, so that closing the wire leaves none behind.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from voxengine.events import AudioOutputChunk, EventType, ProviderEvent
from voxengine.providers.mock.faults import Duplicate, FaultPlan, Late, OutOfOrder

__all__ = ["Wire"]

#: The class of an event and its fields. It becomes an event when it arrives, so that its time is that of arrival.
_Message: TypeAlias = tuple[type[ProviderEvent], dict[str, Any]]

#: Seconds after which an event that waits for others to overtake it comes all the same.
_OVERTAKEN_BY_NOTHING = 1.0


@cache
def _type_of(cls: type[ProviderEvent]) -> str:
    return str(cls().type)  # type: ignore[call-arg]


class Wire:
    """Delivers events to `emit`, never within the call that caused them."""

    def __init__(
        self,
        emit: Callable[[ProviderEvent], None],
        meta: Callable[[], dict[str, Any]],
        faults: FaultPlan,
        delay: float = 0.0,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._emit = emit
        self._meta = meta
        self.faults = faults
        self._delay = delay
        self._queue: deque[tuple[float, _Message]] = deque()
        self._behind: list[tuple[int, _Message]] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._pumping: asyncio.TimerHandle | None = None
        self._stalled_until = 0.0
        self._count = 0
        self._closed = False
        self._id_chunks = faults.touches(EventType.AUDIO_OUTPUT_CHUNK)

    # -- events

    def send(self, cls: type[ProviderEvent], **fields: Any) -> None:
        """Send an event on its way."""
        if self._closed:
            return
        kind = _type_of(cls)
        # Audio has no id, as with most vendors; only where it may come twice.
        if cls is not AudioOutputChunk or self._id_chunks:
            self._count += 1
            fields.setdefault("event_id", f"event_{self._count}")
        message = (cls, fields)
        fault = self.faults.on_event(kind)
        match fault:
            case Late():
                self.later(fault.by, self._enqueue, message)
            case OutOfOrder():
                self._behind.append((fault.behind, message))
                self.later(_OVERTAKEN_BY_NOTHING, self._overtaken, fault.behind)
            case Duplicate():
                self._enqueue(message)
                self._enqueue(message)
            case _:
                self._enqueue(message)

    def stall(self, seconds: float) -> None:
        """Of what is sent from now on, nothing arrives for so many seconds."""
        self._stalled_until = max(self._stalled_until, self._loop.time() + seconds)

    def _enqueue(self, message: _Message) -> None:
        self._put(message)
        self._overtaken(1)

    def _overtaken(self, count: int) -> None:
        """So many events went past those that wait for it."""
        if self._behind:
            waiting = [(left - count, message) for left, message in self._behind]
            self._behind = [(left, message) for left, message in waiting if left > 0]
            for left, message in waiting:
                if left <= 0:
                    self._put(message)

    def _put(self, message: _Message) -> None:
        self._queue.append((max(self._loop.time() + self._delay, self._stalled_until), message))
        if self._pumping is None:
            self._schedule()

    def _schedule(self) -> None:
        if self._queue and self._queue[0][0] != math.inf:
            self._pumping = self._loop.call_at(self._queue[0][0], self._pump)

    def _pump(self) -> None:
        """Deliver what is due."""
        self._pumping = None
        now = self._loop.time()
        try:
            while self._queue and self._queue[0][0] <= now and not self._closed:
                cls, fields = self._queue.popleft()[1]
                self._emit(cls(**self._meta(), **fields))
        finally:
            # A handler that raises must not stop what comes after.
            if not self._closed and self._pumping is None:
                self._schedule()

    # -- timers

    def later(
        self, seconds: float, function: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        """Call a function after so many seconds, unless the wire is closed by then."""
        return self.at(self._loop.time() + seconds, function, *args)

    def at(self, when: float, function: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """As `later`, at a time of the loop."""

        def fire() -> None:
            self._timers.discard(handle)
            function(*args)

        handle = self._loop.call_at(when, fire)
        self._timers.add(handle)
        return handle

    def forget(self, handle: asyncio.TimerHandle | None) -> None:
        """Cancel a timer."""
        if handle is not None:
            handle.cancel()
            self._timers.discard(handle)

    def after_what_was_sent(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function when all that was sent before has arrived, unless a stall keeps it."""
        self.later(self._delay, function, *args)

    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    def close(self) -> None:
        """What is on its way is lost; no timer is left."""
        self._closed = True
        for handle in self._timers:
            handle.cancel()
        self._timers.clear()
        if self._pumping is not None:
            self._pumping.cancel()
            self._pumping = None
        self._queue.clear()
        self._behind.clear()
