"""The events of a live call as a stream of server-sent events.

A call that nobody listens to pays nothing: its feed begins with the first listener, and ends a minute after the last
one has left. Until then a listener that comes back with `Last-Event-ID` is told what it has missed, as far as it is
among the last `KEEP` events.

Policy of the queue of a listener: `QUEUE` events; one that falls further behind is told `lagged`, and its stream ends.
It may come back with its `Last-Event-ID`.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from voxengine.config import masked
from voxengine.conversation import Item
from voxengine.events import EventType, ProviderEvent
from voxengine.gateway.call import Call
from voxengine.gateway.refusal import Refused

__all__ = ["Feeds"]

#: Events that may wait for one listener, and that are kept for those who come back.
QUEUE = 1000
KEEP = 500
#: Listeners of one call.
MAX_LISTENERS = 16
#: Seconds between two signs of life, and for which a feed without listeners goes on.
KEEP_ALIVE = 15.0
LINGER = 60.0
#: Milliseconds after which a listener whose connection was lost should come back.
_RETRY = 2000
#: Neither audio, nor messages of vendors as they came.
_TYPES = tuple(
    kind for kind in EventType if kind not in (EventType.AUDIO_OUTPUT_CHUNK, EventType.RAW)
)
_ID = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})")


class Feeds:
    """The feeds of a gateway's calls."""

    def __init__(self) -> None:
        self._feeds: dict[str, _Feed] = {}

    def listen(self, call: Call, last_id: str | None = None) -> AsyncIterator[bytes]:
        """The stream for one listener, who has seen the event `last_id` already. Read it to its end, or close it.

        Raises:
            Refused: 409 the call is over; 429 it has too many listeners.
        """
        if call.ending:
            raise Refused(409, "call_is_over", "The call is over.")
        feed = self._feeds.get(call.id)
        if feed is None:
            feed = self._feeds[call.id] = _Feed(call, lambda: self._feeds.pop(call.id, None))
        return feed.listen(last_id)


class _Listener:
    """What waits for one listener."""

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.wake = asyncio.Event()
        self.over = False

    def tell(self, block: bytes) -> None:
        if self.over:
            return
        if len(self.waiting) >= QUEUE:
            self.waiting.append(_block("lagged", {"queue": QUEUE}))
            self.over = True
        else:
            self.waiting.append(block)
        self.wake.set()

    def end(self) -> None:
        self.over = True
        self.wake.set()


class _Feed:
    """Numbers the events of one call, and tells all listeners."""

    def __init__(self, call: Call, forget: Any) -> None:
        self._forget = forget
        #: Ids of events begin with it: those of a feed before mean nothing in this one.
        self._epoch = secrets.token_hex(4)
        self._number = 0
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=KEEP)
        self._listeners: set[_Listener] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._subscription = call.engine.on(_TYPES, self._happened)
        call.on_end(lambda _: self._close())
        self._linger()

    def listen(self, last_id: str | None) -> AsyncIterator[bytes]:
        if len(self._listeners) >= MAX_LISTENERS:
            raise Refused(
                429,
                "too_many_listeners",
                f"The call has {MAX_LISTENERS} listeners.",
                "rate_limit_error",
                retry_after=KEEP_ALIVE,
            )
        return self._stream(last_id)

    def _missed(self, last_id: str | None) -> list[bytes]:
        """What a listener has missed that saw this event."""
        if last_id is None:
            return []
        found = _ID.fullmatch(last_id)
        if found is None or found[1] != self._epoch:
            return [_block("gap", {"missed": None})]
        seen = int(found[2])
        kept = [block for number, block in self._recent if number > seen]
        lost = max(0, self._number - seen - len(kept))
        return [_block("gap", {"missed": lost}), *kept] if lost else kept

    async def _stream(self, last_id: str | None) -> AsyncIterator[bytes]:
        # All of it here, for nobody may ever read the stream.
        listener = _Listener()
        listener.waiting.append(f"retry: {_RETRY}\n\n".encode())
        listener.waiting.extend(self._missed(last_id))
        listener.over = not self._subscription.active
        self._listeners.add(listener)
        self._stop_timer()
        try:
            while True:
                while listener.waiting:
                    yield listener.waiting.popleft()
                if listener.over:
                    return
                listener.wake.clear()
                try:
                    async with asyncio.timeout(KEEP_ALIVE):
                        await listener.wake.wait()
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._left(listener)

    def _left(self, listener: _Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._subscription.active:
            self._linger()

    def _linger(self) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(LINGER, self._close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _happened(self, event: ProviderEvent) -> None:
        self._number += 1
        block = _block(str(event.type), _shown(event), f"{self._epoch}-{self._number}")
        self._recent.append((self._number, block))
        for listener in self._listeners:
            listener.tell(block)

    def _close(self) -> None:
        self._subscription.cancel()
        self._stop_timer()
        for listener in self._listeners:
            listener.end()
        self._forget()


def _shown(event: ProviderEvent) -> dict[str, Any]:
    """An event as plain data: without audio, and without the id of the vendor's session."""
    data = {
        name: value.as_dict() if isinstance(value, Item) else value
        for name, value in event.data.items()
        if not isinstance(value, (bytes, bytearray, memoryview, BaseException))
    }
    shown = {"timestamp": event.timestamp, "provider": event.provider, "data": masked(data)}
    if event.error is not None:
        shown["error"] = event.error
    return shown


def _block(kind: str, content: dict[str, Any], event_id: str | None = None) -> bytes:
    value = {"type": kind, **content}
    try:
        text = msgspec.json.encode(value, enc_hook=str)
    except UnicodeEncodeError:  # a vendor's text that is no text
        text = json.dumps(msgspec.to_builtins(value, enc_hook=str)).encode()
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {kind}\n".encode() + b"data: " + text + b"\n\n"
