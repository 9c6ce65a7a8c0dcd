"""The recording of one call on the event loop: audio is put on a list, and once a second handed to a thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Literal, TypeAlias

from voxengine.audio import AudioFormat
from voxengine.audio.record import SampleWriter
from voxengine.clock import Clock
from voxengine.engine import VoiceEngine
from voxengine.events import AudioOutputChunk, AudioOutputStopped, EventType
from voxengine.gateway.recording.mixer import Cut, Heard, Mixer, Said
from voxengine.gateway.recording.opus import OPUS_RATES

__all__ = ["Form", "Recording"]

logger = logging.getLogger("voxengine.gateway")

Form: TypeAlias = Literal["wav", "opus"]

#: Seconds between two times that audio is handed to the thread.
TURN = 1.0
#: Milliseconds of the user's audio that wait for the next time: what a stall has held back may still be arriving.
HELD_BACK = 250.0
#: Milliseconds of audio that may wait for the thread, of each side. What is more is not recorded.
MOST = 60_000.0


class Recording:
    """Stereo: left the user, right the assistant as it was heard. Both are aligned by the clock of the loop."""

    def __init__(
        self,
        name: str,
        engine: VoiceEngine,
        make: Callable[[int], SampleWriter],
        threads: Executor,
    ) -> None:
        """`make` opens the file for samples of a rate, in a thread; `name` is for the log."""
        self._name = name
        self._engine = engine
        self._threads = threads
        rate = engine.config.output_format.sample_rate
        rate = rate if rate in OPUS_RATES else 24000
        self._mixer = Mixer(lambda: make(rate), rate)
        self._now = Clock().now
        self._origin = self._now()
        self._said: list[Said] = []
        self._heard: list[Heard | Cut] = []
        #: Ms on the lists.
        self._waiting = [0.0, 0.0]
        #: Ms that were not recorded, because the disk did not keep up.
        self.lost_ms = 0.0
        #: What ended it before its time, in words.
        self.error = ""
        self._heard_until = 0.0
        self._item: tuple[str | None, float] = (None, 0.0)
        self._job: asyncio.Future[None] | None = None
        self._ended = False
        self._formats: dict[tuple[str, int], AudioFormat] = {}
        self._subscriptions = [
            engine.on(EventType.AUDIO_OUTPUT_CHUNK, self._chunk),
            engine.on(EventType.AUDIO_OUTPUT_STOPPED, self._stopped),
        ]
        self._timer = asyncio.get_running_loop().call_later(TURN, self._turn)

    @property
    def ended(self) -> bool:
        """Whether nothing is added any more."""
        return self._ended

    @property
    def ms(self) -> float:
        """How long it has been going on."""
        return (self._now() - self._origin) * 1000

    def user(self, audio: bytes) -> None:
        """The user said this: what the engine is given, in the engine's format."""
        format = self._engine.config.input_format
        if self._room(0, format.duration_ms(len(audio))):
            self._said.append(Said(audio, self.ms, format))

    def _chunk(self, event: AudioOutputChunk) -> None:
        key = (event.encoding, event.sample_rate)
        format = self._formats.get(key)
        if format is None:
            format = self._formats[key] = AudioFormat(*key)
        begin = max(self.ms, self._heard_until)
        if event.item_id != self._item[0]:
            self._item = (event.item_id, begin)
        length = format.duration_ms(len(event.audio_data))
        self._heard_until = begin + length
        if self._room(1, length):
            self._heard.append(Heard(event.audio_data, begin, format))

    def _stopped(self, event: AudioOutputStopped) -> None:
        if event.interrupted and not self._ended:
            at = self.ms
            if event.item_id == self._item[0]:
                # Its client may know better than the clock what was heard of it.
                at = min(at, self._item[1] + event.heard_ms)
            self._heard.append(Cut(at))
            self._heard_until = min(self._heard_until, self.ms)

    def _room(self, side: int, ms: float) -> bool:
        if self._ended or self.error:
            return False
        if self._waiting[side] + ms > MOST:
            if not self.lost_ms:
                logger.error("the recording of %s has gaps: the disk does not keep up", self._name)
            self.lost_ms += ms
            return False
        self._waiting[side] += ms
        return True

    # -- the thread

    def _turn(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TURN, self._turn)
        if self._job is None and not self.error:
            self._hand_over(self.ms - HELD_BACK)

    def _hand_over(self, until: float) -> None:
        """Give the thread what has come until then."""
        said = [piece for piece in self._said if piece.at <= until]
        self._said = self._said[len(said) :]
        heard, self._heard = self._heard, []
        self._waiting = [sum(p.format.duration_ms(len(p.audio)) for p in self._said), 0.0]
        loop = asyncio.get_running_loop()
        self._job = loop.run_in_executor(self._threads, self._mixer.take, said, heard, self.ms)
        self._job.add_done_callback(self._done)

    def _done(self, job: asyncio.Future[None]) -> None:
        self._job = None
        if not job.cancelled() and (failure := job.exception()) is not None:
            self._failed(failure)

    def _failed(self, failure: BaseException) -> None:
        if not self.error:
            self.error = str(failure) or type(failure).__name__
            logger.error("the recording of %s has ended: %s", self._name, self.error)
        self._said, self._heard = [], []

    async def end(self) -> None:
        """Write what is left, and finish the file. May be called again."""
        if self._ended:
            return
        self._timer.cancel()
        for subscription in self._subscriptions:
            subscription.cancel()
        # What the assistant would have gone on to say was not heard.
        self._heard.append(Cut(self.ms))
        self._ended = True
        if self._job is not None:
            await asyncio.wait([self._job])
        if not self.error:
            self._hand_over(self.ms)
            assert self._job is not None
            await asyncio.wait([self._job])
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._threads, self._mixer.close)
        except Exception as failure:
            self._failed(failure)
