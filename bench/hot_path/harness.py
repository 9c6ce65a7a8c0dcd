"""What all sides have in common: the pace of the calls, and what is noted of them.

A side is a class whose objects are calls: `Line(url, ear, chunk_ms)` with `connect`, `send` and `close`. What a call
receives it reports to its `Ear`. A frame of 20 ms is sent every 20 ms of each call, the calls spread over the 20 ms,
each by a task of its own: some sides have to be awaited.
"""

from __future__ import annotations

import asyncio
import struct
import time
from array import array
from collections.abc import Awaitable, Callable
from typing import Protocol

from bench.hot_path.messages import DELTA_BYTES

__all__ = ["FRAME", "FRAME_S", "Ear", "Line", "Pacer", "Window"]

FRAME_S = 0.02
#: 20 ms of pcm16 at 24 kHz, as loud as speech.
FRAME = struct.pack("<480h", *(abs(k % 80 - 40) * 300 - 6000 for k in range(480)))
#: Frames are sent in multiples of so many, which is what `chunking="density"` puts together.
_GROUP = 5
#: A frame that is sent later than this has missed its time.
_LATE_S = 0.010
_GOLDEN = 0.6180339887
_STAMP = struct.Struct("<q")


class Line(Protocol):
    """One call of a side."""

    async def connect(self) -> None:
        """Open it; when this returns the session is configured."""

    def send(self, frame: bytes) -> Awaitable[object] | None:
        """Send 20 ms of the user's audio. What is returned is awaited."""

    async def close(self) -> None:
        """End it."""


class Window:
    """What is noted while it is measured; `clear` begins anew."""

    def __init__(self) -> None:
        self.latencies_ns = array("q")
        self.lags_s = array("d")
        self.late_s = array("d")

    def clear(self) -> None:
        """Forget what was noted."""
        for values in (self.latencies_ns, self.lags_s, self.late_s):
            del values[:]

    @property
    def missed(self) -> int:
        """Frames that were sent too late."""
        return sum(late > _LATE_S for late in self.late_s)


class Ear:
    """The handlers of one call."""

    __slots__ = ("_note", "audio_bytes", "characters")

    def __init__(self, window: Window) -> None:
        self._note = window.latencies_ns.append
        self.audio_bytes = 0
        self.characters = 0

    def audio(self, audio: bytes) -> None:
        """Audio of the assistant. A delta begins with the time at which it was sent."""
        if not self.audio_bytes % DELTA_BYTES:
            self._note(time.monotonic_ns() - _STAMP.unpack_from(audio)[0])
        self.audio_bytes += len(audio)

    def text(self, text: str) -> None:
        """Words of the assistant."""
        self.characters += len(text)


class Pacer:
    """Sends the frames of all calls when they are due, and watches the loop meanwhile.

    `clock` is finer than the loop's own, which uvloop reads once a round and rounds to milliseconds.
    """

    def __init__(self, window: Window, clock: Callable[[], float] = time.monotonic) -> None:
        self._window = window
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._watch: asyncio.TimerHandle | None = None
        #: Sent by lines that have ended.
        self.audio_bytes = 0

    def begin(self, line: Line) -> None:
        """Send on this line from now on."""
        self._tasks.append(self._loop.create_task(self._pace(line, len(self._tasks))))

    def watch(self) -> None:
        """Begin to sample how late the loop is."""
        self._sample(self._clock())

    async def stop(self) -> None:
        """Send no more; raises what a line raised."""
        self._stopping = True
        await asyncio.gather(*self._tasks)
        if self._watch is not None:
            self._watch.cancel()

    async def _pace(self, line: Line, number: int) -> None:
        loop, window, clock = self._loop, self._window, self._clock
        due = clock() + number * _GOLDEN % 1 * FRAME_S
        sent = 0
        while not (self._stopping and sent % _GROUP == 0):
            ahead = due - clock()
            if ahead > 0:
                tick = loop.create_future()
                loop.call_later(ahead, tick.set_result, None)
                await tick
            window.late_s.append(clock() - due)
            waiting = line.send(FRAME)
            if waiting is not None:
                await waiting
            sent += 1
            due += FRAME_S
        self.audio_bytes += sent * len(FRAME)

    def _sample(self, due: float) -> None:
        now = self._clock()
        self._window.lags_s.append(now - due)
        due = max(due + FRAME_S, now)
        self._watch = self._loop.call_later(due - now, self._sample, due)
