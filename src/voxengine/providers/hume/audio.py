"""The samples in the audio that EVI sends: WAV files, each a piece of what is spoken.

The vendor's pages say 48 kHz and 16 bits. What counts is what each header says: audio of another rate, or of two
channels, is converted. A size in a header may be wrong, for it is written before the audio is made: what is there is
taken.
"""

from __future__ import annotations

import struct

from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import Converter, converter_for
from voxengine.errors import AudioError

__all__ = ["OUTPUT", "WavPieces"]

#: What is handed on.
OUTPUT = AudioFormat("pcm16", 48000)

_PCM, _EXTENSIBLE = 1, 0xFFFE


class WavPieces:
    """Of one stretch of speech: pieces of WAV go in, samples in `OUTPUT` come out.

    A piece without a header goes on with the format of the one before it. A sample that is cut in two waits for the
    next piece.
    """

    def __init__(self) -> None:
        self._format = OUTPUT
        self._rest = b""
        self._converter: Converter | None = None

    def feed(self, piece: bytes) -> bytes:
        """The samples in one more piece.

        Raises:
            AudioError: it holds something else than 16-bit PCM.
        """
        samples: bytes | memoryview = piece
        if piece[:4] == b"RIFF" and piece[8:12] == b"WAVE":
            format, samples = _read(piece)
            if format != self._format:
                self._format, self._rest = format, b""
                self._converter = converter_for(format, OUTPUT)
        if self._rest:
            samples = self._rest + bytes(samples)
        cut = len(samples) - len(samples) % self._format.bytes_per_frame
        self._rest, whole = bytes(samples[cut:]), bytes(samples[:cut])
        return whole if self._converter is None else self._converter.process(whole)


def _read(piece: bytes) -> tuple[AudioFormat, memoryview]:
    """The format that a header tells, and the samples behind it."""
    format: AudioFormat | None = None
    view, at = memoryview(piece), 12
    while at + 8 <= len(piece):
        name, size = struct.unpack_from("<4sI", piece, at)
        at += 8
        if name == b"data":
            if format is None:
                raise AudioError("a WAV file whose format is not told", code="audio_container")
            # 0 and sizes beyond the end stand for "all that follows".
            return format, view[at : at + size] if size else view[at:]
        if name == b"fmt ":
            format = _format(piece[at : at + size])
        at += size + size % 2
    raise AudioError("a WAV file that holds no audio", code="audio_container")


def _format(fmt: bytes) -> AudioFormat:
    if len(fmt) < 16:
        raise AudioError("a WAV file whose format is cut short", code="audio_container")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == _EXTENSIBLE and len(fmt) >= 26:
        # The true format is in the first two bytes of the sub-format's GUID.
        tag = struct.unpack_from("<H", fmt, 24)[0]
    if tag != _PCM or bits != 16 or channels not in (1, 2) or not 4000 <= rate <= 192000:
        what = f"format {tag}, {bits} bits, {channels} channels, {rate} Hz"
        raise AudioError(f"a WAV file of {what}; 16-bit PCM is read", code="audio_container")
    return AudioFormat("pcm16", rate, channels)
