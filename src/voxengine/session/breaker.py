"""Circuit breakers: a provider that has just failed one call is not tried by the next.

One breaker stands for a provider at an address with a key, and is shared by all sessions of an event loop, which is to
say of a process. It opens when a session gives the provider up (not with each attempt), for `COOL_DOWN` seconds, then
for twice as long each time, up to `LONGEST`. After that one session at a time may try it (half-open); the breaker
closes when a connection has carried something of a conversation: a handshake is no success.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["COOL_DOWN", "LONGEST", "Breaker", "breaker_of"]

#: Seconds for which a provider is left alone after it was given up, and the most that this grows to.
COOL_DOWN = 15.0
LONGEST = 300.0
#: Seconds within which a probe has to have worked, or another session may try.
PROBE = 20.0
#: Breakers that are remembered of a loop; those used longest ago are forgotten first.
_KEPT = 256


class Breaker:
    """The state of one provider. Times are seconds of the loop's clock."""

    __slots__ = ("_pause", "_probe_until", "_until", "code")

    def __init__(self) -> None:
        self._until: float | None = None
        self._pause = 0.0
        self._probe_until = 0.0
        #: Why it is open.
        self.code = ""

    def allows(self, now: float) -> bool:
        """Whether it may be tried: it is closed, or half-open and nobody tries it."""
        return self._until is None or (now >= self._until and now >= self._probe_until)

    def trying(self, now: float) -> None:
        """It is tried: while it is half-open, others wait for what comes of that."""
        if self._until is not None:
            self._probe_until = now + PROBE

    def failed(self, now: float, code: str, retry_after: float | None = None) -> None:
        """It was given up, for this reason; `retry_after` seconds are its own wish."""
        self._pause = min(LONGEST, self._pause * 2 if self._pause else COOL_DOWN)
        self._until = now + max(self._pause, retry_after or 0.0)
        self._probe_until = 0.0
        self.code = code

    def worked(self) -> None:
        """Something of a conversation has come over a connection."""
        self._until, self._pause, self._probe_until, self.code = None, 0.0, 0.0, ""


_breakers: WeakKeyDictionary[asyncio.AbstractEventLoop, OrderedDict[Any, Breaker]] = (
    WeakKeyDictionary()
)


def breaker_of(provider: str, endpoint: str, api_key: str | None) -> Breaker:
    """The breaker of a provider at an address with a key, on the running loop. Of the key only a hash is kept."""
    loop = asyncio.get_running_loop()
    known = _breakers.setdefault(loop, OrderedDict())
    key = (provider, endpoint, hash(api_key))
    breaker = known.get(key)
    if breaker is None:
        breaker = known[key] = Breaker()
        if len(known) > _KEPT:
            known.popitem(last=False)
    known.move_to_end(key)
    return breaker
