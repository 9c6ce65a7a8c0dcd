"""What a client is sent: each event numbered, in order, and not before that is stored which it tells of.

An event that acknowledges a change of the conversation may be given a future: it waits for that, and with it all that
follows. It does not wait for longer than `HOLD_BUDGET`: a slow disk must not silence a call.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from typing import Any

import msgspec

from voxengine.gateway.peer import Peer
from voxengine.gateway.wire.beta import as_beta
from voxengine.realtime.errors import Complaint

__all__ = ["Outbox"]

logger = logging.getLogger("voxengine.gateway")

#: Seconds for which an event waits at most until what it tells of is stored.
HOLD_BUDGET = 0.25
#: Messages that wait behind such an event at most. Beyond that nothing waits any longer.
MAX_HELD = 4096
#: Rounding of the loop's timers.
_EARLY = 0.001

_encode = msgspec.json.Encoder().encode


class _Held(msgspec.Struct):
    message: bytes
    #: What it waits for, None for one that only follows, and the loop's time at which it goes all the same.
    after: asyncio.Future[None] | None = None
    until: float = 0.0


class Outbox:
    """One client's way out. `beta`: it is told everything in the beta's form."""

    def __init__(self, peer: Peer, *, beta: bool = False) -> None:
        self._peer = peer
        self.beta = beta
        self._head = f"event_{secrets.token_hex(5)}"
        self._tail = f'","event_id":"{self._head}'.encode()
        self._count = 0
        self._held: deque[_Held] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def send(self, event: dict[str, Any], after: asyncio.Future[None] | None = None) -> None:
        """Send an event, which gets an id; if `after` is given, when that is done, and all that follows then, too."""
        told = as_beta(event) if self.beta else event
        if told is None:
            return
        self._count += 1
        message = _encode(
            {"type": told["type"], "event_id": f"{self._head}{self._count:010d}", **told}
        )
        waits = after is not None and not after.done()
        if waits or self._held:
            self._hold(message, after if waits else None)
        else:
            self._peer.send(message)

    def send_audio(self, head: bytes, audio: bytes) -> None:
        """Send a message that was begun: `head` up to the audio, and the audio in base64. The end is the event's id."""
        self._count += 1
        message = b'%b%b%b%010d"}' % (head, audio, self._tail, self._count)
        if self._held:
            self._hold(message, None)
        else:
            self._peer.send(message)

    def fail(self, complaint: Complaint, client_event_id: str | None = None) -> None:
        """Tell of something that was asked for and cannot be done."""
        self.send(complaint.event(client_event_id))

    def flush(self) -> None:
        """Send all that waits, now: the client is about to be hung up."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._held:
            self._peer.send(self._held.popleft().message)

    # -- waiting

    def _hold(self, message: bytes, after: asyncio.Future[None] | None) -> None:
        if len(self._held) >= MAX_HELD:
            logger.warning("a client is told of what is not stored yet: too much waits for that")
            self.flush()
            self._peer.send(message)
            return
        held = _Held(message, after)
        self._held.append(held)
        if after is not None:
            loop = asyncio.get_running_loop()
            held.until = loop.time() + HOLD_BUDGET
            after.add_done_callback(self._stored)
            if self._timer is None:
                self._timer = loop.call_at(held.until, self._too_late)

    def _stored(self, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and done.exception() is not None:
            logger.warning("a client is told of what could not be stored: %r", done.exception())
        self._release()

    def _release(self) -> None:
        while self._held:
            after = self._held[0].after
            if after is not None and not after.done():
                return
            self._peer.send(self._held.popleft().message)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        late = False
        for held in self._held:
            if held.after is not None and held.until - loop.time() > _EARLY:
                self._timer = loop.call_at(held.until, self._too_late)
                break
            late = late or (held.after is not None and not held.after.done())
            held.after = None
        if late:
            logger.warning(
                "a client is told of what is not stored yet: it takes longer than %g s", HOLD_BUDGET
            )
        self._release()
