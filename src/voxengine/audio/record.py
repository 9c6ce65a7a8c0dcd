"""Writing WAV files as the audio comes, in bounded memory."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from voxengine.audio.formats import AudioFormat, check_audio
from voxengine.audio.resample import Converter
from voxengine.errors import AudioError, ConfigurationError

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SampleWriter", "StereoRecorder", "WavWriter"]

#: The sizes in the header have 32 bits.
_MAX_BYTES = 0xFFFFFFFF - 64


class SampleWriter(Protocol):
    """Whatever samples can be written to, such as a `WavWriter`."""

    def write(self, audio: bytes) -> None:
        """Add audio."""

    def close(self) -> None:
        """Finish the file. A second call does nothing."""


class WavWriter:
    """Writes a WAV file of 16-bit PCM as the audio comes.

    The header is brought up to date every second of audio: if the process dies, the file is valid
    up to there.
    """

    def __init__(self, path: str | os.PathLike[str], format: AudioFormat) -> None:
        """Opens the file, and makes its folder if need be.

        Raises:
            AudioError: `format` is not pcm16.
            OSError: the file cannot be written.
        """
        if format.encoding != "pcm16":
            raise AudioError(
                f"a WAV file is written as pcm16, not {format.encoding}; convert it first",
                code="audio_format",
            )
        self.path = Path(path)
        self.format = format
        self._bytes = 0
        self._stated = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("wb")
        f = format
        head = struct.pack(
            "<4sI4s4sIHHIIHH", b"RIFF", 36, b"WAVE", b"fmt ", 16, 1, f.channels, f.sample_rate, f.bytes_per_second,
            f.bytes_per_frame, 16,
        )  # fmt: skip
        self._file.write(head + struct.pack("<4sI", b"data", 0))
        self._file.flush()

    @property
    def duration_ms(self) -> float:
        """How much was written."""
        return self.format.duration_ms(self._bytes)

    def write(self, audio: bytes) -> None:
        """Add audio.

        Raises:
            AudioError: `audio` is not a whole number of samples, or the file would grow beyond the
                4 GB of a WAV.
        """
        check_audio(audio, self.format)
        if self._bytes + len(audio) > _MAX_BYTES:
            raise AudioError(
                f"{self.path} has reached the 4 GB that a WAV file can hold", code="audio_too_large"
            )
        self._file.write(audio)
        self._bytes += len(audio)
        if self._bytes - self._stated >= self.format.bytes_per_second:
            self._state_sizes()

    def _state_sizes(self) -> None:
        self._file.seek(4)
        self._file.write(struct.pack("<I", 36 + self._bytes))
        self._file.seek(40)
        self._file.write(struct.pack("<I", self._bytes))
        self._file.seek(0, os.SEEK_END)
        self._file.flush()
        self._stated = self._bytes

    def close(self) -> None:
        """Bring the header up to date and close the file. A second call does nothing."""
        if not self._file.closed:
            self._state_sizes()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Track:
    """One side of the recording: turns chunks with a time into samples with a place."""

    #: A chunk that begins this close to the end of the one before continues it: arrival times
    #: jitter, audio does not.
    _NEAR_MS = 20.0

    def __init__(self, channel: int, source: AudioFormat, target: AudioFormat) -> None:
        self.channel = channel
        self.converter = Converter(source, target)
        self._rate = target.sample_rate
        self._next_ms = float("-inf")
        self._place = 0

    def add(self, audio: bytes, at_ms: float) -> list[tuple[int, bytes]]:
        """Pairs of a place (in samples) and pcm16 that belongs there."""
        check_audio(audio, self.converter.source)
        out = []
        if abs(at_ms - self._next_ms) > self._NEAR_MS:
            out.append(self.end())
            self._place = round(at_ms * self._rate / 1000)
            self._next_ms = at_ms
        ready = self.converter.process(audio)
        out.append((self._place, ready))
        self._place += len(ready) // 2
        self._next_ms += self.converter.source.duration_ms(len(audio))
        return out

    def end(self) -> tuple[int, bytes]:
        """What is still inside the converter, and where it belongs. The next chunk begins anew."""
        place = self._place
        self._next_ms = float("-inf")
        return place, self.converter.flush()

    def drop(self) -> None:
        """Forget what is inside the converter. The next chunk begins anew."""
        self._next_ms = float("-inf")
        self.converter.reset()


class StereoRecorder:
    """Records a call to a stereo file: left the caller, right the engine, each chunk at its own time.

    Chunks may come in any order within a window, and ahead of time (speech is made faster than it
    is played). What leaves the window at its old end is written to the file. The window moves on
    with `advance`, with the caller's audio (which comes in real time), and when a chunk would lie
    beyond its new end.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | SampleWriter,
        rate: int = 24000,
        *,
        left: AudioFormat | None = None,
        right: AudioFormat | None = None,
        window_ms: float = 120_000.0,
        settle_ms: float = 5_000.0,
    ) -> None:
        """`path` is that of a WAV file, or a writer that takes stereo pcm16 at `rate`.

        `left` and `right` are the formats of what is added; without them, pcm16 mono at `rate`.

        `window_ms` is how much is kept in memory (4 bytes a sample), `settle_ms` how long the past
        stays open to changes.

        Raises:
            ConfigurationError: a rate makes no sense, or the window is not a second longer than the
                settling time.
            OSError: the file cannot be written.
        """
        if window_ms < settle_ms + 1000:
            raise ConfigurationError(
                f"a window of {window_ms} ms is too short to keep the last {settle_ms} ms open"
            )
        mono = AudioFormat(sample_rate=rate)
        self._mono = mono
        self._writer: SampleWriter = (
            WavWriter(path, AudioFormat(sample_rate=rate, channels=2))
            if isinstance(path, (str, os.PathLike))
            else path
        )
        self._rate = rate
        self._tracks = [_Track(0, left or mono, mono), _Track(1, right or mono, mono)]
        self._limit = round(window_ms * rate / 1000)
        self._settle_ms = settle_ms
        #: Place of the first sample of the window: so many were written.
        self._base = 0
        #: The window, int16 [n, 2], of which the first `_used` were set; the others are zero.
        self._window: NDArray[np.int16] = self._zeros(0)
        self._used = 0
        #: Samples that came too late: their place was already written.
        self._late = 0

    @property
    def late_ms(self) -> float:
        """Audio that was lost because its place was already written."""
        return self._late * 1000 / self._rate

    def left(self, audio: bytes, at_ms: float) -> None:
        """The caller said this, from `at_ms` on.

        Raises:
            AudioError: `audio` is not audio of the left format.
        """
        self._add(0, audio, at_ms)
        self.advance(at_ms)

    def right(self, audio: bytes, at_ms: float) -> None:
        """The caller will hear this, from `at_ms` on.

        Raises:
            AudioError: `audio` is not audio of the right format.
        """
        self._add(1, audio, at_ms)

    def put(self, channel: int, audio: bytes, at_ms: float, format: AudioFormat) -> None:
        """As `left` (channel 0) or `right` (1), in a format that may change; only `advance` moves the window on.

        Raises:
            AudioError: `audio` is not audio of the format.
        """
        track = self._tracks[channel]
        if format != track.converter.source:
            self._set(channel, *track.end())
            self._tracks[channel] = _Track(channel, format, self._mono)
        self._add(channel, audio, at_ms)

    def cut_right(self, at_ms: float) -> None:
        """The engine was interrupted: from `at_ms` on nothing of what was added is heard."""
        self._tracks[1].drop()
        start = max(0, round(at_ms * self._rate / 1000) - self._base)
        self._window[start:, 1] = 0

    def advance(self, now_ms: float) -> None:
        """It is `now_ms`: what is older than the settling time is final, and goes to the file."""
        final = round((now_ms - self._settle_ms) * self._rate / 1000) - self._base
        # In steps of a second, not with every chunk: the rest of the window is moved each time.
        if final >= self._rate:
            self._write(min(final, self._used))

    def close(self) -> None:
        """Write all that is left and close the file. A second call does nothing."""
        for track in self._tracks:
            self._set(track.channel, *track.end())
        self._write(self._used)
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _add(self, channel: int, audio: bytes, at_ms: float) -> None:
        for place, ready in self._tracks[channel].add(audio, at_ms):
            self._set(channel, place, ready)

    def _set(self, channel: int, place: int, pcm16: bytes) -> None:
        import numpy as np

        samples = np.frombuffer(pcm16, "<i2")
        # Second by second, so that a chunk may be longer than the window.
        for i in range(0, len(samples), self._rate):
            self._set_part(channel, place + i, samples[i : i + self._rate])

    def _set_part(self, channel: int, place: int, samples: NDArray[np.int16]) -> None:
        start = place - self._base
        if start < 0:
            late = min(-start, len(samples))
            self._late += late
            samples = samples[late:]
            start = 0
        overflow = start + len(samples) - self._limit
        if overflow > 0:
            self._write(overflow)
            start -= overflow
        end = start + len(samples)
        if end > len(self._window):
            grown = self._zeros(end + self._rate)
            grown[: self._used] = self._window[: self._used]
            self._window = grown
        self._window[start:end, channel] = samples
        self._used = max(self._used, end)

    def _write(self, n: int) -> None:
        """Write the next n samples of the recording, silence where the window holds none."""
        held = min(n, self._used)
        for i in range(0, n, self._rate):
            step = min(self._rate, n - i)
            part = self._window[i : min(i + step, held)].tobytes()
            self._writer.write(part + bytes(4 * step - len(part)))
        self._window = self._window[held:].copy()
        self._used -= held
        self._base += n

    @staticmethod
    def _zeros(n: int) -> NDArray[np.int16]:
        import numpy as np

        return np.zeros((n, 2), np.int16)
