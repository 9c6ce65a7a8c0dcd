"""The user's audio on its way to the provider: kept as long as it may be needed again, and passed on as it comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from voxengine.audio.formats import AudioFormat, check_audio
from voxengine.errors import AudioError, ConnectionError
from voxengine.session.leg import Leg
from voxengine.session.replay import TurnAudio

__all__ = ["Uplink"]

#: Bytes up to which audio is taken the short way: a third of a second at 24 kHz. More is looked at more closely.
_USUAL = 16_000


class Uplink:
    """Fifty times a second for each call: all that this needs is in one small object, whose state is soon at hand.

    `nobody()` is called where there is no one to take audio: it raises, unless there will be someone.
    `loss_follows(leg, failure)` says whether audio that could not be sent may be taken for a loss about to be told.
    """

    __slots__ = (
        "_audio",
        "_format",
        "_frames",
        "_loss_follows",
        "_nobody",
        "_push",
        "_sample",
        "_second",
        "_sink",
    )

    def __init__(
        self,
        audio: TurnAudio,
        format: AudioFormat,
        *,
        nobody: Callable[[], None],
        loss_follows: Callable[[Leg, ConnectionError], bool],
    ) -> None:
        self._audio = audio
        self._frames = audio.frames
        self._nobody = nobody
        self._loss_follows = loss_follows
        self._sink: Leg | None = None
        self._second: Leg | None = None
        #: The short way, where there is one: a function of the provider.
        self._push: Callable[[bytes], None] | None = None
        self.format = format

    @property
    def format(self) -> AudioFormat:
        """What the application sends."""
        return self._format

    @format.setter
    def format(self, format: AudioFormat) -> None:
        self._format = format
        self._sample = format.bytes_per_frame

    def renew(self) -> None:
        """The sink takes audio in another way than before."""
        self._update()

    @property
    def sink(self) -> Leg | None:
        """Where audio goes as it comes; None while it is only kept."""
        return self._sink

    @sink.setter
    def sink(self, leg: Leg | None) -> None:
        self._sink = leg
        self._update()

    @property
    def second(self) -> Leg | None:
        """Who hears the user as well. If audio does not reach it, the first one is not troubled."""
        return self._second

    @second.setter
    def second(self, leg: Leg | None) -> None:
        self._second = leg
        self._update()

    def _update(self) -> None:
        sink = self._sink
        self._push = sink.direct if sink is not None and self._second is None else None

    def take(self, audio: bytes) -> Awaitable[None] | None:
        """Pass on what the microphone heard. During an outage it is kept.

        Returns what has to be waited for, if anything has: this is the audio path, where each coroutine counts.

        Raises (at once, or out of what is returned):
            AudioError: it cannot be audio of that format.
            SessionClosedError, ConnectionError: there is nobody to send it to, and will be nobody.
        """
        push = self._push
        n = len(audio) if type(audio) is bytes else 0
        # Nearly every frame: nothing to convert, to wait for or to complain of (a WAV file begins with an R).
        if push is not None and 0 < n <= _USUAL and not n % self._sample and audio[0] != 0x52:
            frames = self._frames
            frames.append(audio)
            if len(frames) > self._audio.room:
                self._audio.trim()
            try:
                push(audio)
            except ConnectionError as failure:
                self._not_sent(failure, self._sink)
            return None
        return self._take_any(audio)

    def _take_any(self, audio: bytes) -> Awaitable[None] | None:
        if type(audio) is not bytes:
            if not isinstance(audio, (bytes, bytearray, memoryview)):
                raise AudioError(f"audio is bytes, not {type(audio).__name__}", code="audio_type")
            audio = bytes(audio)
        sink = self._sink
        if sink is None:
            self._nobody()
        check_audio(audio, self._format, sink.name if sink is not None else "")
        if not audio:
            return None
        self._audio.push(audio)
        if self._second is not None:
            _send_too(self._second, audio)
        if sink is None:
            return None
        try:
            waits = sink.take_audio(audio)
        except ConnectionError as failure:
            self._not_sent(failure, sink)
            return None
        return None if waits is None else self._sent(sink, waits)

    async def _sent(self, sink: Leg, waits: Awaitable[None]) -> None:
        try:
            await waits
        except ConnectionError as failure:
            self._not_sent(failure, sink)

    def _not_sent(self, failure: ConnectionError, sink: Leg | None) -> None:
        # It is kept; if the connection is gone, we are about to hear of that.
        if sink is None or not self._loss_follows(sink, failure):
            raise failure


def _send_too(leg: Leg, audio: bytes) -> None:
    """Send it in its turn, and let nobody wait for it. One that is lost is replaced by whoever holds it."""
    leg.outbox.put(partial(leg.send_audio, audio), quiet=True)
