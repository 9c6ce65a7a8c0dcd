"""Opus in Ogg (RFC 7845), written as the audio comes."""

from __future__ import annotations

from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from voxengine.audio import AudioFormat

__all__ = ["OPUS_RATES", "OpusWriter", "has_opus"]

#: The rates that Opus knows, in Hz.
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
#: Bits per second of two voices.
BIT_RATE = 48_000
#: Microseconds of audio in a page: what a crash may cost at most, beside what was not written yet.
PAGE_US = 1_000_000


def has_opus() -> bool:
    """Whether the codec is installed."""
    return find_spec("av") is not None


class OpusWriter:
    """Writes stereo pcm16 of one of `OPUS_RATES` as Opus. Needs PyAV, which the extra `webrtc` brings."""

    def __init__(self, path: Path, rate: int) -> None:
        """Opens the file.

        Raises:
            OSError: it cannot be written.
        """
        import av

        self._av = av
        self._rate = rate
        self._format = AudioFormat(sample_rate=rate, channels=2)
        self._samples = 0
        options = {"page_duration": str(PAGE_US), "flush_packets": "1"}
        self._file = av.open(str(path), "w", format="ogg", options=options)
        self._stream = self._file.add_stream("libopus", rate=rate)
        self._stream.layout = "stereo"
        self._stream.bit_rate = BIT_RATE
        self._open = True

    def write(self, audio: bytes) -> None:
        """Add audio.

        Raises:
            OSError: the disk does not take it.
        """
        samples = np.frombuffer(audio, "<i2").reshape(1, -1)
        frame = self._av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate = self._rate
        frame.pts = self._samples
        frame.time_base = Fraction(1, self._rate)
        self._samples += samples.shape[1] // 2
        for packet in self._stream.encode(frame):
            self._file.mux(packet)

    def close(self) -> None:
        """Finish the file. A second call does nothing."""
        if self._open:
            self._open = False
            try:
                for packet in self._stream.encode(None):
                    self._file.mux(packet)
            finally:
                self._file.close()
