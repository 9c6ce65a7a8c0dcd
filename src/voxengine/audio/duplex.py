"""Microphone and loudspeaker as one device, without the echo of one in the other."""

from __future__ import annotations

from typing import Any

from voxengine.audio.device_sides import CaptureSide, PlaybackSide
from voxengine.audio.echo import EchoCanceller
from voxengine.audio.formats import AudioFormat
from voxengine.audio.portaudio import Device, Stream, open_stream

__all__ = ["Duplex"]

#: The canceller is told of a new delay when it differs from the last by so many milliseconds.
_DELAY_STEP_MS = 5


class Duplex(CaptureSide, PlaybackSide):
    """Frames of the microphone to iterate over, the loudspeaker as `write` and `flush`: one stream.

    One stream means one clock: block for block, what is handed to the loudspeaker is the reference
    for what the microphone gives, and the delay between the two is constant and known. Two streams
    would drift.

    `echo_cancellation=False` is for headphones, and for systems that have their own (PipeWire's
    echo-cancel module).
    """

    def __init__(
        self,
        capture: AudioFormat | None = None,
        playback: AudioFormat | None = None,
        frame_ms: int = 20,
        *,
        device: Device = None,
        echo_cancellation: bool = True,
        max_ms: float = 2000.0,
        buffer_ms: float = 120_000.0,
    ) -> None:
        """Describe the device; `start` opens it.

        `capture` is the format of the frames that come out (pcm16 at 16 kHz), `playback` of what is
        written (at 24 kHz). `max_ms` bounds what waits to be taken, of which the oldest is dropped,
        and `buffer_ms` what waits to be played, of which the newest is.
        """
        self.capture = capture or AudioFormat(sample_rate=16000)
        self.playback = playback or AudioFormat(sample_rate=24000)
        CaptureSide.__init__(self, self.capture, frame_ms, max_ms)
        PlaybackSide.__init__(self, self.playback, buffer_ms)
        self._device = device
        self._cancel = echo_cancellation
        self._canceller: EchoCanceller | None = None

    def _open(self) -> Stream:
        # The stream runs at the rate of the microphone's frames: then these need no conversion.
        stream, rate = open_stream(
            "RawStream", self.capture.sample_rate, self._frame_ms, self._device, self._callback
        )
        try:
            self._canceller = EchoCanceller(rate) if self._cancel else None
            self._open_capture(rate)
            self._open_playback(rate)
        except Exception:
            stream.close()
            raise
        return stream

    def _callback(self, indata: Any, outdata: Any, frames: int, time: Any, status: Any) -> None:
        played = self._playing.read(frames * 2, time.outputBufferDacTime)
        outdata[:] = played
        heard = bytes(indata)
        canceller = self._canceller
        if canceller is not None:
            delay = round((time.outputBufferDacTime - time.inputBufferAdcTime) * 1000)
            # Some drivers give no times, or nonsense; then the canceller finds the delay itself.
            if 0 < delay < 500 and abs(delay - canceller.delay_ms) >= _DELAY_STEP_MS:
                canceller.delay_ms = delay
            canceller.playback(played)
            heard = canceller.capture(heard)
        self._captured(heard)
