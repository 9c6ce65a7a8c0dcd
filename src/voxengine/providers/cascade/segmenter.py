"""Where speech begins and ends: hysteresis over the probabilities that a VAD gives for frame after frame.

Synchronous, without clock and I/O; all times are counted in samples of the audio itself.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

from voxengine.providers.cascade.parts import INPUT_RATE, VADStream

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

__all__ = ["Change", "Segmenter"]

_PER_MS = INPUT_RATE / 1000


class Change(Enum):
    """What a frame brought about."""

    STARTED = 1
    ENDED = 2


class Segmenter:
    """Speech or silence, with the position of every change.

    Args:
        start: probability from which a frame is speech.
        end: probability below which it no longer is, once there was speech.
        end_silence_ms: silence that ends a stretch of speech.
        preroll_ms: audio that is kept in silence, for the beginning of the next stretch: it has to hold the frames that
            decide, too.
    """

    def __init__(
        self, vad: VADStream, *, start: float, end: float, end_silence_ms: float, preroll_ms: float
    ) -> None:
        self._vad = vad
        self._start = start
        self._end = end
        self._end_silence = end_silence_ms * _PER_MS
        #: Samples of one frame.
        self.frame_samples: int = vad.frame_samples
        #: Samples processed.
        self.position = 0
        self.speaking = False
        #: Where the present (or last) stretch of speech began, and where its last frame of speech ended.
        self.onset = 0
        self.voice_end = 0
        #: Where the stretch before ended.
        self.last_voice = 0
        #: Samples of speech in the stretch, pauses within it not counted.
        self.voiced = 0
        #: Whether the last frame was speech.
        self.voice_now = False
        #: The probability of the last frame.
        self.probability = 0.0
        self._run = 0
        self._before: deque[Samples] = deque(
            maxlen=max(1, round(preroll_ms * _PER_MS / self.frame_samples))
        )

    def configure(self, *, start: float, end: float, preroll_ms: float) -> None:
        """Go on with another threshold, and another length of what is kept in silence."""
        self._start, self._end = start, end
        self._before = deque(
            self._before, maxlen=max(1, round(preroll_ms * _PER_MS / self.frame_samples))
        )

    def push(self, frame: Samples, min_speech_ms: float) -> Change | None:
        """Take the next frame [frame_samples]; speech starts when there was `min_speech_ms` of it."""
        self.probability = p = self._vad.process(frame)
        self.position += self.frame_samples
        if self.speaking:
            return self._in_speech(p)
        self._before.append(frame)
        if p >= self._start:
            self._run += self.frame_samples
        elif p < self._end:
            self._run = 0
        if self._run == 0 or p < self._start or self._run < min_speech_ms * _PER_MS:
            return None
        self.speaking = self.voice_now = True
        self.onset = self.position - self._run
        self.last_voice = self.voice_end
        self.voice_end = self.position
        self.voiced, self._run = self._run, 0
        return Change.STARTED

    def _in_speech(self, p: float) -> Change | None:
        self.voice_now = p >= self._end
        if self.voice_now:
            self.voiced += self.frame_samples
            self.voice_end = self.position
        elif self.position - self.voice_end >= self._end_silence:
            return self.end()
        return None

    def end(self) -> Change | None:
        """End the stretch of speech now, if there is one."""
        if not self.speaking:
            return None
        self.speaking = self.voice_now = False
        self._run = 0
        self._before.clear()
        return Change.ENDED

    def take_preroll(self) -> list[Samples]:
        """The frames before the speech that has just started, with its first ones. They are given once."""
        frames = list(self._before)
        self._before.clear()
        return frames

    def reset(self) -> None:
        """Forget the speech so far; positions go on."""
        self.end()
        self._run = 0
        self._before.clear()
        self._vad.reset()
