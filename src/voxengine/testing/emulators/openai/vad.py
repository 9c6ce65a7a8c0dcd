"""Where speech begins and ends in the input, by its loudness.

Pure: audio goes in, what was noticed comes out. Positions are milliseconds of all audio that ever came in.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import mean_squares

__all__ = ["Noticed", "Paused", "Resumed", "Started", "Stopped", "VoiceActivity", "threshold_db"]

FRAME_MS = 20
#: Frames that must be loud before it counts as speech: a click is none.
LOUD_FRAMES = 3


def threshold_db(threshold: float) -> float:
    """The level above which a frame is loud, in dBFS: -45 at the vendor's default of 0.5, and 6 dB more per 0.1."""
    return -45.0 + (threshold - 0.5) * 60.0


class Started(msgspec.Struct, frozen=True):
    """Speech began. `at_ms` is the first millisecond that belongs to the turn, the padding before it included."""

    at_ms: float


class Paused(msgspec.Struct, frozen=True):
    """It has been quiet for `pause_ms`; the turn is not over yet. `audio` is all of it so far."""

    audio: bytes


class Resumed(msgspec.Struct, frozen=True):
    """After a pause, the turn went on."""


class Stopped(msgspec.Struct, frozen=True):
    """It has been quiet for long enough: the turn is over at `at_ms`, that silence included."""

    at_ms: float
    audio: bytes


Noticed: TypeAlias = Started | Paused | Resumed | Stopped


class VoiceActivity:
    """Listens to one stream of audio.

    Args:
        format: of the audio.
        detect: whether to look for speech; without it, all audio is kept until it is taken.
        level_db: frames above this are loud.
        prefix_ms: how much before the first loud frame belongs to a turn.
        silence_ms: the silence that ends a turn; `wait` changes it.
        pause_ms: the silence after which `Paused` asks whether the turn may be over; None never asks.
        position_ms: how much audio came before, under other settings.
    """

    def __init__(
        self,
        format: AudioFormat,
        *,
        detect: bool = True,
        level_db: float = -45.0,
        prefix_ms: float = 300.0,
        silence_ms: float = 500.0,
        pause_ms: float | None = None,
        position_ms: float = 0.0,
    ) -> None:
        self.format = format
        self.detect = detect
        self.silence_ms = silence_ms
        #: Milliseconds of all audio so far, in whole frames.
        self.position_ms = position_ms
        self._power = 32768.0**2 * 10 ** (level_db / 10)
        self._prefix_ms = prefix_ms
        self._pause_ms = pause_ms
        self._frame = format.n_bytes(FRAME_MS)
        self._frame_ms = format.duration_ms(self._frame)
        self._rest = b""
        self.clear()

    def clear(self) -> None:
        """Forget what is not a turn yet, and that somebody speaks."""
        self._buffer = bytearray()
        self._rest = b""
        self._loud = 0
        self._quiet_ms = 0.0
        #: Whether a turn is under way.
        self.speaking = False
        self._paused = False

    @property
    def held_ms(self) -> float:
        """Milliseconds of audio that are kept."""
        return self.format.duration_ms(len(self._buffer) + len(self._rest))

    def take(self) -> bytes:
        """The audio that is kept, which is forgotten then."""
        whole = len(self._rest) - len(self._rest) % self.format.bytes_per_frame
        audio = bytes(self._buffer) + self._rest[:whole]
        self.position_ms += self.format.duration_ms(whole)
        self.clear()
        return audio

    def feed(self, audio: bytes) -> list[Noticed]:
        """Listen to some more; returns what was noticed, in order."""
        data = self._rest + audio
        whole = len(data) - len(data) % self._frame
        self._rest = data[whole:]
        if not whole:
            return []
        if not self.detect:
            self._buffer += data[:whole]
            self.position_ms += self.format.duration_ms(whole)
            return []
        noticed: list[Noticed] = []
        for i, power in enumerate(mean_squares(data[:whole], self.format, self._frame)):
            self._buffer += data[i * self._frame : (i + 1) * self._frame]
            self.position_ms += self._frame_ms
            self._hear(power > self._power, noticed)
        return noticed

    def _hear(self, loud: bool, noticed: list[Noticed]) -> None:
        self._loud = self._loud + 1 if loud else 0
        if self.speaking:
            self._go_on(loud, noticed)
        elif self._loud >= LOUD_FRAMES:
            self.speaking, self._quiet_ms = True, 0.0
            self._keep(self._prefix_ms + self._loud * FRAME_MS)
            noticed.append(Started(self.position_ms - self.format.duration_ms(len(self._buffer))))
        else:
            self._keep(self._prefix_ms + LOUD_FRAMES * FRAME_MS)

    def _keep(self, ms: float) -> None:
        """Forget all but the last so many milliseconds."""
        extra = len(self._buffer) - self.format.n_bytes(ms)
        if extra > 0:
            del self._buffer[:extra]

    def _go_on(self, loud: bool, noticed: list[Noticed]) -> None:
        if loud:
            if self._paused and self._loud >= LOUD_FRAMES:
                self._paused = False
                noticed.append(Resumed())
            self._quiet_ms = 0.0
            return
        self._quiet_ms += self._frame_ms
        if not self._paused and self._pause_ms is not None and self._quiet_ms >= self._pause_ms:
            self._paused = True
            noticed.append(Paused(bytes(self._buffer)))
        noticed += self.wait(self.silence_ms)

    def wait(self, silence_ms: float) -> list[Noticed]:
        """From now on so much silence ends a turn, the silence that there is already included."""
        self.silence_ms = silence_ms
        noticed: list[Noticed] = []
        if self.speaking and self._quiet_ms >= silence_ms:
            audio = bytes(self._buffer)
            self._buffer = bytearray()
            self._loud, self._quiet_ms = 0, 0.0
            self.speaking = self._paused = False
            noticed.append(Stopped(self.position_ms, audio))
        return noticed
