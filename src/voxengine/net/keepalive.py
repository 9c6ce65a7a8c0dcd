"""Ask a silent peer whether it is still there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Keepalive"]

#: Looks in one interval. So a ping goes out after 1 to 1.25 intervals of silence, and no frame needs to read a clock.
_LOOKS = 4


class Keepalive:
    """One timer. `heard()` says whether anything has come since it was last asked; every byte is a sign of life.

    After `interval` seconds without one, `ping()` is called; if nothing has come within `timeout` seconds after that,
    `dead()` is, and the keepalive has ended.
    """

    __slots__ = (
        "_dead",
        "_deadline",
        "_heard",
        "_loop",
        "_ping",
        "_quiet",
        "_step",
        "_timeout",
        "_timer",
    )

    def __init__(
        self,
        interval: float,
        timeout: float,
        *,
        heard: Callable[[], bool],
        ping: Callable[[], None],
        dead: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard = heard
        self._ping = ping
        self._dead = dead
        self._timeout = timeout
        self._step = interval / _LOOKS
        self._quiet = 0
        self._deadline: float | None = None  # of the answer to a ping
        self._timer = self._loop.call_later(self._step, self._look)

    def stop(self) -> None:
        """End it. May be called more than once."""
        self._timer.cancel()

    def _look(self) -> None:
        wait = self._step
        if self._heard():
            self._quiet, self._deadline = 0, None
        elif self._deadline is None:
            self._quiet += 1
            if self._quiet >= _LOOKS:
                self._ping()
                self._deadline = self._loop.time() + self._timeout
                wait = min(wait, self._timeout)
        else:
            left = self._deadline - self._loop.time()
            if left <= 0:
                self._dead()
                return
            wait = min(wait, left)
        self._timer = self._loop.call_later(wait, self._look)
