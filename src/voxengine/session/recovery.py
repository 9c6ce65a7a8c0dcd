"""When to connect again, and when to give up: the policy, without I/O, clock or randomness.

The first attempt follows a loss at once; then the pauses grow, each cut by chance so that many sessions do not come
back in step. All attempts of a series share one budget, in seconds of outage. A handshake is no success: the series
ends, and with it the growing of the pauses, only with a connection that has lasted `STABLE_AFTER` seconds and has done
something, or has lasted `LASTING` seconds. After `QUICK_LOSSES` losses in a row of connections that did not, it is
given up as "flapping". Where another provider can take over, there is one attempt only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from voxengine.errors import RateLimitError, VoiceEngineError

__all__ = [
    "LASTING",
    "QUICK_LOSSES",
    "STABLE_AFTER",
    "Attempt",
    "GiveUp",
    "Recovery",
    "Step",
    "code_of",
]

#: Seconds that a connection has to last, and do something in, to count as one that works.
STABLE_AFTER = 5.0
#: Seconds after which it counts as one that works although nobody has said anything.
LASTING = 300.0
#: Losses in a row of connections that did not, after which no more is tried.
QUICK_LOSSES = 5
#: Seconds that an outage may last where the same provider is not tried again, but others are.
_BUDGET = 10.0
#: Seconds before the second attempt; each pause is twice the one before, up to the longest.
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0


class Attempt(msgspec.Struct, frozen=True):
    """Connect in `delay` seconds, and by `deadline` (of the loop's clock) at the latest. `code`, `reason`: why."""

    number: int
    delay: float
    deadline: float
    code: str
    reason: str


class GiveUp(msgspec.Struct, frozen=True):
    """It is of no use."""

    code: str
    reason: str


Step: TypeAlias = Attempt | GiveUp


class Recovery:
    """The policy for one session. Times are seconds of the loop's clock; `jitter` gives numbers from 0 to 1."""

    def __init__(self, budget: float, jitter: Callable[[], float]) -> None:
        self._budget = budget
        self._jitter = jitter
        self._up_since = 0.0
        self._down_since = 0.0
        #: Seconds of outage, attempts, and quick losses of this series.
        self._spent = 0.0
        self._tries = 0
        self._quick = 0
        #: Attempts of this outage.
        self.attempts = 0
        #: Seconds within which another provider is to be asked, where there is one: then one attempt is made, and a
        #: second quick loss is one too many.
        self.patience: float | None = None

    def connected(self, now: float, anew: bool = False) -> None:
        """A connection is at work from now on. `anew`: by the application's wish, so that another series begins."""
        self._up_since = now
        if anew:
            self._begin()

    def _begin(self) -> None:
        self._spent, self._tries, self._quick = 0.0, 0, 0

    def lost(self, now: float, worked: bool, code: str, reason: str, retryable: bool) -> Step:
        """It was lost. `worked`: something of the conversation had come over it."""
        if now - self._up_since >= (STABLE_AFTER if worked else LASTING):
            self._begin()
        else:
            self._quick += 1
        self._down_since, self.attempts = now, 0
        return self._next(now, code, reason, retryable)

    def failed(self, now: float, error: Exception, was_open: bool) -> Step:
        """An attempt failed. `was_open`: there was a connection, which was lost before it could be used."""
        self._quick += was_open
        retryable = bool(getattr(error, "retryable", False))
        pause = error.retry_after if isinstance(error, RateLimitError) else None
        return self._next(now, code_of(error), str(error), retryable, pause or 0.0)

    @property
    def deadline(self) -> float:
        """When the outage has lasted as long as it may, whoever ends it."""
        return self._down_since + (self._budget or _BUDGET)

    def restored(self, now: float) -> float:
        """It worked; returns how many seconds that took."""
        outage = now - self._down_since
        self._spent += outage
        self._up_since = now
        return outage

    def _next(
        self, now: float, code: str, reason: str, retryable: bool, pause: float = 0.0
    ) -> Step:
        if not retryable:
            return GiveUp(code, reason)
        if self._quick >= (QUICK_LOSSES if self.patience is None else 2):
            return GiveUp(
                "flapping", f"{self._quick} connections in a row were lost soon ({reason})"
            )
        if self._tries and self.patience is not None:
            return GiveUp(code, reason)
        if self._tries:
            grown = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (self._tries - 1))
            pause = max(pause, grown * (0.5 + self._jitter() / 2))
        deadline = self._down_since + self._budget - self._spent
        if self.patience is not None:
            deadline = self._down_since + self.patience
        if now + pause >= deadline:
            words = f"no connection within {deadline - self._down_since:g} s ({reason})"
            return GiveUp("reconnect_timeout", words)
        self._tries += 1
        self.attempts += 1
        return Attempt(self.attempts, pause, deadline, code, reason)


def code_of(failure: Exception) -> str:
    """The code of an error, or a word made of its name."""
    code = getattr(failure, "code", None)
    if isinstance(failure, VoiceEngineError) and isinstance(code, str):
        return code
    name = type(failure).__name__.removesuffix("Error")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
