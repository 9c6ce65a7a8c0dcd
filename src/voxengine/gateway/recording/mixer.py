"""Where in a recording each piece of audio belongs, and the file that it goes to. Runs in a thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from voxengine.audio import AudioFormat, StereoRecorder
from voxengine.audio.record import SampleWriter
from voxengine.errors import AudioError

__all__ = ["Cut", "Heard", "Mixer", "Said", "place"]

logger = logging.getLogger("voxengine.gateway")

#: Milliseconds that the past stays open to what comes late, and that are kept in memory at most.
SETTLE, WINDOW = 3_000.0, 60_000.0


class Said(msgspec.Struct, frozen=True, gc=False):
    """The user said this, and it arrived at `at` (ms of the recording)."""

    audio: bytes
    at: float
    format: AudioFormat


class Heard(msgspec.Struct, frozen=True, gc=False):
    """The user hears this of the assistant from `at` on (ms of the recording), unless it is cut."""

    audio: bytes
    at: float
    format: AudioFormat


class Cut(msgspec.Struct, frozen=True, gc=False):
    """Of what was to be heard from `at` on (ms of the recording), nothing was."""

    at: float


def place(pieces: Sequence[Said], not_before: float) -> list[float]:
    """Where each piece begins, in ms.

    A piece ends when it arrives, or when the next begins: after a stall of the network, what comes in one burst fills
    the gap that the stall has left. What was sent faster than it was spoken follows on itself.
    """
    begins: list[float] = []
    following = float("inf")
    for piece in reversed(pieces):
        following = min(piece.at, following) - piece.format.duration_ms(len(piece.audio))
        begins.append(following)
    begins.reverse()
    end = not_before
    for i, piece in enumerate(pieces):
        begins[i] = max(begins[i], end)
        end = begins[i] + piece.format.duration_ms(len(piece.audio))
    return begins


class Mixer:
    """One recording. Opens its file with the first audio."""

    def __init__(self, make: Callable[[], SampleWriter], rate: int) -> None:
        self._make = make
        self._rate = rate
        self._recorder: StereoRecorder | None = None
        self._said_until = 0.0

    def take(self, said: Sequence[Said], heard: Sequence[Heard | Cut], now_ms: float) -> None:
        """Add what came since the last time.

        Raises:
            OSError, AudioError: the file cannot be written, or is full.
        """
        recorder = self._recorder
        if recorder is None:
            recorder = self._recorder = StereoRecorder(
                self._make(), self._rate, window_ms=WINDOW, settle_ms=SETTLE
            )
        for piece, begin in zip(said, place(said, self._said_until), strict=True):
            self._put(recorder, 0, piece, begin)
            self._said_until = begin + piece.format.duration_ms(len(piece.audio))
        for event in heard:
            if isinstance(event, Cut):
                recorder.cut_right(event.at)
            else:
                self._put(recorder, 1, event, event.at)
        recorder.advance(now_ms)

    @staticmethod
    def _put(recorder: StereoRecorder, channel: int, piece: Said | Heard, at: float) -> None:
        try:
            recorder.put(channel, piece.audio, at, piece.format)
        except AudioError as failure:
            if failure.code == "audio_too_large":
                raise
            logger.warning("a piece of audio is missing in a recording: %s", failure)

    def close(self) -> None:
        """Write what is left, and finish the file.

        Raises:
            OSError, AudioError: it cannot be written.
        """
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            if recorder.late_ms:
                logger.warning("%.0f ms of audio came too late for a recording", recorder.late_ms)
            recorder.close()
