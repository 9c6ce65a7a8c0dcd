"""Where time comes from.

Everything in VoxEngine that measures or waits uses the running event loop's clock, so that a loop with a virtual clock
(`voxengine.testing`) makes a whole conversation exact. Two readings of the same instant are needed: a monotonic one to
measure with, and a Unix one to show. `Clock` derives the second from the first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["Clock"]


class Clock:
    """The clock of one event loop."""

    __slots__ = ("_loop", "epoch", "now")

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        #: Monotonic seconds, as `loop.time()`; which in asyncio's own loops is this function and a call around it.
        plain = type(self._loop).time is asyncio.BaseEventLoop.time
        self.now: Callable[[], float] = time.monotonic if plain else self._loop.time
        #: Unix time at which `now()` was zero. A loop may state its own (the virtual one does).
        self.epoch: float = getattr(self._loop, "epoch", None) or time.time() - self._loop.time()

    def wall(self) -> float:
        """Unix time in seconds. It never steps back, whatever the system's clock does."""
        return self.now() + self.epoch
