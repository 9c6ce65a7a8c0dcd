"""The way out of an emulated session: messages in their order, but for the faults that are about messages."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

from voxengine.testing.emulators.faults import Duplicate, FaultPlan, Late, OutOfOrder

__all__ = ["MAX_HELD", "Link", "WireOut"]

#: Messages that a stall keeps back, the oldest of which are lost then; and that a lag does, which sends no more then.
MAX_HELD = 10_000
#: Seconds by which a timer may be early.
_ROUNDING = 0.001


class Link(Protocol):
    """The server's side of a connection: a `Socket`, or something like it on another transport."""

    def send(self, message: str | bytes) -> None:
        """Send a message: str as text, bytes as binary."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it orderly."""

    def kill(self) -> None:
        """Cut it."""


class WireOut:
    """One session's way out to `link`. `faults` strike messages by their type: Late, Duplicate, OutOfOrder."""

    def __init__(self, link: Link, faults: FaultPlan) -> None:
        self._link = link
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._timers: set[asyncio.TimerHandle] = set()
        #: Messages that come after so many others.
        self._behind: list[tuple[int, str | bytes]] = []
        self._held: deque[str | bytes] = deque(maxlen=MAX_HELD)
        #: The loop's time until which nothing is sent, and the seconds by which everything is late.
        self._stalled_until = 0.0
        self._lag = 0.0

    def pass_on(self, message: str | bytes, kind: str) -> None:
        """Send a message of this type."""
        match self._faults.on_event(kind):
            case Late(by=by):
                self._later(by, message)
                return
            case OutOfOrder(behind=behind):
                self._behind.append((behind, message))
                return
            case Duplicate():
                self.send_raw(message)
        self.send_raw(message)
        if self._behind:
            due = [late for left, late in self._behind if left <= 1]
            self._behind = [(left - 1, late) for left, late in self._behind if left > 1]
            for late in due:
                self.send_raw(late)

    def send_raw(self, message: str | bytes) -> None:
        """Send a message that has no type, or that is wrong on purpose."""
        if self._loop.time() < self._stalled_until:
            if self._stalled_until < math.inf:
                self._held.append(message)
        elif self._lag:
            self._later(self._lag, message)
        else:
            self._link.send(message)

    def stall(self, seconds: float) -> None:
        """Send nothing for so long; then all that was due comes at once. `inf`: never again."""
        self._stalled_until = self._loop.time() + seconds
        if seconds < math.inf:
            self._timer(seconds, self._flush)

    def lag(self, seconds: float) -> None:
        """Send everything so much later, in its order."""
        self._lag = seconds

    def close(self) -> None:
        """Send nothing more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._held.clear()
        self._behind.clear()

    # -- inside

    def _later(self, seconds: float, message: str | bytes) -> None:
        if len(self._timers) < MAX_HELD:
            self._timer(seconds, lambda: self._link.send(message))

    def _timer(self, seconds: float, call: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            call()

        timer = self._loop.call_later(seconds, run)
        self._timers.add(timer)

    def _flush(self) -> None:
        if self._stalled_until - self._loop.time() > _ROUNDING:
            return  # it was stalled anew meanwhile, and is let go of then
        self._stalled_until = 0.0  # or what comes at this very moment would be held, and stay so
        while self._held:
            self._link.send(self._held.popleft())
