"""The client's audio: from the track's frames to the session's input, without a gap in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.resample import Converter

if TYPE_CHECKING:
    from voxengine.gateway.wire.session import RealtimeSession

__all__ = ["Microphone"]

#: Samples per second of the track, and what its decoder gives.
RATE = 48_000
_DECODED = AudioFormat(sample_rate=RATE, channels=2)
#: Seconds without a frame after which the track is taken for silent, and how often that is looked at. The jitter
#: buffer gives frames back to back after a loss of up to 16 packets.
STALLED_AFTER = 0.4
LOOK = 0.1
#: Samples of a gap that is filled: more is another stream, not one that has lost something.
MAX_GAP = RATE


class Microphone:
    """Passes a track on.

    What was lost on the way is silence of its length. A track from which nothing comes is silence as well, so that a
    turn has an end; it goes on where its frames do.
    """

    def __init__(self, session: RealtimeSession, track: MediaStreamTrack) -> None:
        self._session = session
        self._track = track
        self._loop = asyncio.get_running_loop()
        self._converter: Converter | None = None
        #: The timestamp that is due next; None before the first frame.
        self._due: int | None = None
        #: The loop's time up to which there is audio, and the seconds of silence since the last frame.
        self._covered = 0.0
        self._filled = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task = self._loop.create_task(self._run(), name="voxengine-webrtc-microphone")

    def close(self) -> None:
        """Pass nothing on any more."""
        self._task.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _run(self) -> None:
        while True:
            try:
                frame = await self._track.recv()
            except MediaStreamError:
                return  # from now on it is silent, until the connection ends
            if isinstance(frame, AudioFrame):
                self._take(frame)

    def _take(self, frame: AudioFrame) -> None:
        if self._due is None:
            self._timer = self._loop.call_later(LOOK, self._look)
        elif frame.pts is not None:
            gap = frame.pts - self._due - round(self._filled * RATE)
            if 0 < gap <= MAX_GAP:
                self._give(bytes(4 * gap), heard=False)
        pts = frame.pts if frame.pts is not None else self._due or 0
        self._due = pts + frame.samples
        self._covered, self._filled = self._loop.time(), 0.0
        self._give(bytes(frame.planes[0])[: 4 * frame.samples])

    def _give(self, audio: bytes, *, heard: bool = True) -> None:
        format = self._session.input.format
        converter = self._converter
        if converter is None or converter.target != format:
            converter = self._converter = Converter(_DECODED, format)
        given = converter.process(audio)
        if given:
            self._session.on_audio(given, heard=heard)

    def _look(self) -> None:
        """Whether the track has stalled."""
        self._timer = self._loop.call_later(LOOK, self._look)
        now = self._loop.time()
        if not self._filled and now - self._covered < STALLED_AFTER:
            return
        missing = now - self._covered
        self._covered = now
        self._filled += missing
        format = self._session.input.format
        self._session.on_audio(silence(missing * 1000, format), heard=False)
