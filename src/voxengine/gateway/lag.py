"""How late the event loop is: what a timer that should fire now has to wait."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque

__all__ = ["LoopLag"]

#: Seconds between two readings, and over which the figures are taken. So many readings that one stall, such as that of
#: the first import of a module, is less than one in a hundred of them.
INTERVAL = 0.02
WINDOW = 5.0


class LoopLag:
    """Reads the lag of the running loop at intervals, and keeps the last few seconds."""

    def __init__(self, interval: float = INTERVAL, window: float = WINDOW) -> None:
        self._interval = interval
        self._size = max(1, round(window / interval))
        self._lags: deque[float] = deque(maxlen=self._size)
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to read, on the running loop."""
        if self._timer is None:
            self._loop = asyncio.get_running_loop()
            self._set()

    def stop(self) -> None:
        """Read no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def percentile(self, percent: float) -> float:
        """In milliseconds, over the last few seconds. What was not read yet counts as on time."""
        above = int(self._size * (100 - percent) / 100)
        worst = heapq.nlargest(above + 1, self._lags)
        return worst[above] * 1000 if above < len(worst) else 0.0

    def _set(self) -> None:
        assert self._loop is not None
        due = self._loop.time() + self._interval
        self._timer = self._loop.call_at(due, self._read, due)

    def _read(self, due: float) -> None:
        assert self._loop is not None
        self._lags.append(max(0.0, self._loop.time() - due))
        self._set()
