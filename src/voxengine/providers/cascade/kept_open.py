"""A recogniser's stream that is kept open: when it fails, another one hears again what was not written down yet.

What was fed and may still be needed is held in a ring. In silence that is the last second, for the beginning of the
next turn; during a turn all of it, up to a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from voxengine.errors import ProviderError
from voxengine.providers.cascade.parts import StreamingSTT, STTEvent, STTFailed, STTStream, STTUsage
from voxengine.providers.cascade.watch import as_provider_error, within

__all__ = ["KeptOpen", "StreamUser"]

#: Audio of an unfinished turn that is held, and of a silence. In seconds.
_HELD_S = 30.0
_HELD_IDLE_S = 1.0
#: The least audio that is fed at a time. In seconds.
_LEAST_S = 0.01
#: Failures without a word in between after which the turn is given up, and after which the recogniser is.
_TURN_FAILURES, _ALL_FAILURES = 3, 6
#: A stream that has lasted so many seconds was not a bad one.
_SOUND_S = 10.0
#: Seconds before the second attempt to open; each further one waits twice as long, up to the longest.
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 2.0
#: Seconds that a stream may take to close.
_CLOSING = 1.0


class StreamUser(Protocol):
    """Whom the stream is kept open for. All are called on the event loop."""

    def on_stt(self, event: STTEvent) -> None:
        """What the recogniser says; a failure is none of it."""

    def unfinished(self) -> bool:
        """Whether words of what was fed are still awaited."""

    def heard_again(self, whole: bool) -> None:
        """Another stream is about to hear what was not written down yet: words that came of it come once more.

        Not `whole`: it was too long to be held, and what is known of it has to do.
        """

    def turn_lost(self, failure: ProviderError) -> None:
        """What is in the ring cannot be written down."""

    def lost(self, failure: ProviderError) -> None:
        """The recogniser cannot be had any more."""


class KeptOpen:
    """The stream of one session.

    Args:
        budget: seconds that opening, with all attempts, may take.
        session, language, vocabulary: as `StreamingSTT.open` takes them.
    """

    def __init__(
        self,
        stt: StreamingSTT,
        user: StreamUser,
        *,
        budget: float,
        session: str,
        language: str | None,
        vocabulary: Sequence[str],
    ) -> None:
        self._stt = stt
        self._user = user
        self._budget = budget
        self._session = session
        self._language = language
        self._vocabulary = tuple(vocabulary)
        self._turn_options: Mapping[str, Any] | None = None
        self._clock = asyncio.get_running_loop().time
        self._stream: STTStream | None = None
        #: Counts the streams: what an earlier one still says is not listened to.
        self._number = 0
        self._opened_at = 0.0
        self._opening: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        #: What was fed, and None where `finalize` was called.
        self._ring: deque[bytes | None] = deque()
        self._ring_bytes = 0
        self._short = b""
        self._failures = 0
        self._overflowed = False
        self._outdated = False
        self._closed = False
        #: Why a stream failed that is being opened, or was opened last.
        self._failure: ProviderError | None = None
        self._being_opened = False
        #: Seconds of audio fed, all that was fed again included.
        self.fed_s = 0.0

    # -- opening

    def configure(self, turn_options: Mapping[str, Any]) -> None:
        """Settings of its turn detection: those of the next stream, which is opened when nothing is awaited."""
        if self._turn_options is not None and dict(turn_options) != dict(self._turn_options):
            self._outdated = self._stream is not None
        self._turn_options = dict(turn_options)

    async def open(self) -> None:
        """Open it for the first time.

        Raises:
            ProviderError: it could not be opened.
        """
        self._adopt(await self._open_one(self._budget))

    async def _open_one(self, seconds: float) -> STTStream:
        self._number += 1
        number = self._number
        options = self._turn_options or None
        self._being_opened = True
        try:
            work = self._stt.open(
                lambda event: self._take(number, event),
                session=self._session,
                language=self._language,
                vocabulary=self._vocabulary,
                turn_options=options,
            )
            stream = await within(work, seconds, "opening speech recognition")
        except Exception as failure:
            raise as_provider_error(failure, "opening speech recognition") from failure
        finally:
            self._being_opened = False
        if number != self._number:  # it failed in the meantime
            self._let_go(stream)
            assert self._failure is not None
            raise self._failure
        return stream

    def _adopt(self, stream: STTStream) -> None:
        self._stream, self._opened_at, self._outdated = stream, self._clock(), False
        if self._overflowed:
            self._overflowed = False
            self._trim(self._bytes(_HELD_IDLE_S))
            self._user.heard_again(False)
        else:
            self._user.heard_again(True)
        for piece in list(self._ring):
            self._give(piece)

    def _drop(self) -> None:
        """The stream is of no use any more."""
        self._number += 1
        stream, self._stream = self._stream, None
        if stream is not None:
            self._let_go(stream)

    def _reopen(self, why: ProviderError) -> None:
        """Put another stream into its place."""
        self._drop()
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._try(why))

    async def _try(self, failure: ProviderError) -> None:
        deadline, delay = self._clock() + self._budget, 0.0
        while failure.retryable and (left := deadline - self._clock()) > delay:
            await asyncio.sleep(delay)
            delay = min(max(2 * delay, _FIRST_DELAY), _LONGEST_DELAY)
            try:
                stream = await self._open_one(left)
            except ProviderError as error:
                failure = error
                continue
            self._opening = None
            self._adopt(stream)
            return
        self._opening = None
        self._give_up(failure)

    def _give_up(self, failure: ProviderError) -> None:
        if not self._closed:
            self._closed = True
            self._user.lost(failure)

    def _let_go(self, stream: STTStream) -> None:
        task = asyncio.ensure_future(_close(stream))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    # -- what it says

    def _take(self, number: int, event: STTEvent) -> None:
        if number != self._number or (self._closed and not isinstance(event, STTUsage)):
            return
        if isinstance(event, STTFailed):
            self._failed(event.error)
        else:
            self._user.on_stt(event)

    def _failed(self, failure: ProviderError) -> None:
        self._failure = failure
        if self._being_opened:
            self._number += 1
            return
        if self._clock() - self._opened_at > _SOUND_S:
            self._failures = 0
        self._failures += 1
        if self._failures >= _ALL_FAILURES or not failure.retryable:
            self._drop()
            self._give_up(failure)
            return
        if self._failures >= _TURN_FAILURES and self._user.unfinished():
            self.forget()
            self._user.turn_lost(failure)
        self._reopen(failure)

    def went_well(self) -> None:
        """It has written down words."""
        self._failures = 0

    def late(self, failure: ProviderError) -> None:
        """It did not answer in time, and what it says now would come too late: go on with another one."""
        self._failed(failure)

    # -- what it is given

    def feed(self, audio: bytes) -> None:
        """Take the next audio, pcm16 at the recogniser's rate."""
        if self._closed:
            return
        audio = self._short + audio
        if len(audio) < self._bytes(_LEAST_S):
            self._short = audio
            return
        self._short = b""
        busy = self._user.unfinished()
        if self._outdated and not busy:
            self._outdated = False
            self._reopen(ProviderError("other settings", code="outdated", retryable=True))
        self._ring.append(audio)
        self._ring_bytes += len(audio)
        held = self._bytes(_HELD_S if busy else _HELD_IDLE_S)
        self._overflowed = busy and (self._overflowed or self._ring_bytes > held)
        self._trim(held)
        if self._stream is not None:
            self._give(audio)

    def finalize(self) -> None:
        """Ask for the words of all that was fed."""
        if self._closed:
            return
        self._short = b""
        self._ring.append(None)
        if self._stream is not None:
            self._give(None)

    def _give(self, piece: bytes | None) -> None:
        stream = self._stream
        if stream is None:  # it failed on an earlier piece
            return
        try:
            if piece is None:
                stream.finalize()
            else:
                self.fed_s += len(piece) / 2 / self._stt.sample_rate
                stream.feed(piece)
        except Exception as failure:
            error = as_provider_error(failure, "speech recognition")
            self._failed(ProviderError(str(error), code=error.code, retryable=True))

    def _bytes(self, seconds: float) -> int:
        return int(seconds * self._stt.sample_rate) * 2

    def _trim(self, most: int) -> None:
        while self._ring_bytes > most:
            self._ring_bytes -= len(self._ring.popleft() or b"")

    def answered(self) -> None:
        """The words are there of all that was fed before the first `finalize` of those in the ring."""
        self._overflowed = False
        if None not in self._ring:
            return
        while (piece := self._ring.popleft()) is not None:
            self._ring_bytes -= len(piece)

    def forget(self, but_s: float = 0.0) -> None:
        """Nothing of what was fed so far is needed any more, but the last so many seconds."""
        self._overflowed = False
        self._trim(self._bytes(but_s))
        while self._ring and self._ring[0] is None:
            self._ring.popleft()

    # -- the end

    async def close(self) -> None:
        """Close it."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait((self._opening,))
        stream, self._stream = self._stream, None
        if stream is not None:
            await _close(stream)  # what it used may be told meanwhile
        if self._leaving:
            await asyncio.wait(self._leaving)


async def _close(stream: STTStream) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_CLOSING):
            await stream.close()
