"""How the mock hears: voice activity by energy, turns by silence, words by the signal they carry.

Pure: audio goes in, what was noticed comes out. Positions are milliseconds of all audio that ever came in.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import mean_squares

__all__ = ["Began", "Ears", "Heard", "Paused", "Speaking", "TurnOver"]

FRAME_MS = 20
#: Frames that must be loud before it counts as speech: a click is none.
_LOUD_FRAMES = 3


class Began(msgspec.Struct, frozen=True):
    """Speech began at `at_ms`."""

    at_ms: float


class Speaking(msgspec.Struct, frozen=True):
    """Speech goes on: all of the turn's audio so far, and how long it lasts."""

    audio: bytes
    speech_ms: float


class Paused(msgspec.Struct, frozen=True):
    """Speech ended at `at_ms`, `lag_ms` ago."""

    at_ms: float
    lag_ms: float


class TurnOver(msgspec.Struct, frozen=True):
    """The silence lasted long enough: the turn is over, and this is its audio."""

    at_ms: float
    audio: bytes


Heard: TypeAlias = Began | Speaking | Paused | TurnOver


class Ears:
    """Listens to one stream of audio.

    `pause_ms` of silence end speech, `silence_ms` end the turn. With `detect` False there are no turns but those that
    `take` makes. `step_ms`: how often `Speaking` tells of speech that goes on; `prefix_ms`: how
    much of what was just before the first loud frame belongs to the turn, too.
    """

    def __init__(
        self,
        format: AudioFormat,
        *,
        detect: bool = True,
        silence_ms: float = 500.0,
        pause_ms: float | None = None,
        threshold_db: float = -45.0,
        step_ms: float = 300.0,
        prefix_ms: float = 300.0,
    ) -> None:
        self.format = format
        self._prefix_ms = prefix_ms
        self.detect = detect
        self._silence = max(FRAME_MS, silence_ms)
        self._pause = min(self._silence, silence_ms if pause_ms is None else pause_ms)
        self._threshold = 32768.0**2 * 10 ** (threshold_db / 10)
        self._step = step_ms
        self._frame_bytes = format.n_bytes(FRAME_MS)
        self._rest = b""
        self.clear()
        #: Milliseconds of all audio so far, in whole frames.
        self.position_ms = 0.0

    def clear(self) -> None:
        """Forget what is not yet a turn."""
        self._buffer = bytearray()
        self._loud = 0
        self._speaking = False
        self._in_turn = False
        self._quiet_ms = 0.0
        self._since_step = 0.0
        self._speech_ms = 0.0

    @property
    def held_ms(self) -> float:
        """Milliseconds of audio that are not yet a turn."""
        return self.format.duration_ms(len(self._buffer) + len(self._rest))

    @property
    def so_far(self) -> bytes:
        """The audio that is not yet a turn, in whole frames."""
        return bytes(self._buffer)

    @property
    def speaking(self) -> bool:
        """Whether somebody is speaking."""
        return self._speaking

    def take(self) -> bytes:
        """Declare what was heard so far a turn, and return its audio."""
        audio = bytes(self._buffer) + self._rest
        self._rest = b""
        self.clear()
        return audio

    def feed(self, audio: bytes) -> list[Heard]:
        """Listen to some more; returns what was noticed, in order."""
        data = self._rest + audio
        whole = len(data) - len(data) % self._frame_bytes
        self._rest = data[whole:]
        if not whole:
            return []
        if not self.detect:
            self._buffer += data[:whole]
            self.position_ms += self.format.duration_ms(whole)
            return []
        noticed: list[Heard] = []
        for i, power in enumerate(mean_squares(data[:whole], self.format, self._frame_bytes)):
            frame = data[i * self._frame_bytes : (i + 1) * self._frame_bytes]
            self._frame(frame, power > self._threshold, noticed)
        return noticed

    def _frame(self, frame: bytes, loud: bool, noticed: list[Heard]) -> None:
        self.position_ms += FRAME_MS
        self._buffer += frame
        self._loud = self._loud + 1 if loud else 0
        if self._speaking:
            self._while_speaking(loud, noticed)
        elif self._loud >= _LOUD_FRAMES:
            self._speaking = self._in_turn = True
            self._quiet_ms = 0.0
            noticed.append(Began(self.position_ms - self._loud * FRAME_MS))
        elif self._in_turn:
            self._quiet_ms += 0 if loud else FRAME_MS
        else:
            keep = self.format.n_bytes(self._prefix_ms)
            if len(self._buffer) > 2 * keep:
                del self._buffer[:-keep]
        if self._in_turn and not self._speaking and self._quiet_ms >= self._silence:
            at = self.position_ms - self._quiet_ms
            noticed.append(TurnOver(at, self._taken()))

    def _while_speaking(self, loud: bool, noticed: list[Heard]) -> None:
        self._quiet_ms = 0.0 if loud else self._quiet_ms + FRAME_MS
        self._speech_ms += FRAME_MS
        self._since_step += FRAME_MS
        if self._quiet_ms >= self._pause:
            self._speaking = False
            noticed.append(Paused(self.position_ms - self._quiet_ms, self._quiet_ms))
        elif self._since_step >= self._step:
            self._since_step = 0.0
            noticed.append(Speaking(bytes(self._buffer), self._speech_ms))

    def _taken(self) -> bytes:
        audio = bytes(self._buffer)
        self.clear()
        return audio
