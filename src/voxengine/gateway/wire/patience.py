"""How much a client may send, and for how long it may be silent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voxengine.realtime.errors import Complaint

if TYPE_CHECKING:
    from voxengine.gateway.wire.session import RealtimeSession

__all__ = ["Patience"]

#: Seconds of messages at the allowed rate that may come at once, and that may be refused before the call is ended.
BURST = 2.0
TOLERANCE = 2.0
#: Close codes: a policy was violated; the call is over for nobody is there.
TOO_MUCH, IDLE = 1008, 1000


class Patience:
    """Counts one client's messages, and looks for silence."""

    def __init__(self, session: RealtimeSession) -> None:
        self._session = session
        self._rate = float(session.gateway.config.messages_per_second)
        self._idle = session.gateway.config.idle_timeout
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        #: Messages that may come at once, as of the last one; below zero are those that were refused.
        self._credit = self._rate * BURST
        #: What is left after a message that came when nothing had come for long.
        self._full = self._credit - 1.0
        self._last = 0.0
        #: The loop's time at which somebody was last there.
        self._alive = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._refusing = False

    def begin(self) -> None:
        """The client is there."""
        self._last = self._alive = self._now()
        self._timer = self._loop.call_later(self._idle, self._look)

    def close(self) -> None:
        """It is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def takes(self) -> bool:
        """A message has come: whether it is to be taken."""
        now = self._now()
        credit = self._credit + (now - self._last) * self._rate - 1.0
        if credit > self._full:
            credit = self._full
        self._credit = credit
        self._last = now
        if credit >= 0.0:
            self._refusing = False
            return True
        self._refuse()
        return False

    def _refuse(self) -> None:
        if self._credit < -self._rate * TOLERANCE:
            self._session.hang_up("too many messages", TOO_MUCH)
        elif not self._refusing:
            self._refusing = True
            self._session.outbox.fail(
                Complaint(
                    f"Too many messages: at most {self._rate:g} a second are taken. Some were not.",
                    "rate_limit_exceeded",
                    kind="rate_limit_error",
                )
            )

    def _look(self) -> None:
        """Whether anybody is there: the client sends, or something is being said to it."""
        now = self._now()
        if self._session.call.engine.state != "idle":
            self._alive = now
        self._alive = max(self._alive, self._last)
        left = self._alive + self._idle - now
        if left > 0.001:
            self._timer = self._loop.call_later(left, self._look)
            return
        self._timer = None
        words = f"Nothing was heard of the client for {self._idle:g} seconds."
        self._session.outbox.fail(Complaint(words, "session_expired"))
        self._session.hang_up(words, IDLE)
