"""The most recent stretch of a stream of audio, addressed by its place in the stream."""

from __future__ import annotations

from voxengine.audio.formats import AudioFormat, check_audio
from voxengine.errors import ConfigurationError

__all__ = ["AudioRing"]


class AudioRing:
    """Keeps the last `max_ms` of a stream; what is older is dropped, and counted.

    Positions are milliseconds from the start of the stream, whatever was dropped since. Bytes are
    only ever cut between samples (of all channels).
    """

    __slots__ = ("_data", "_limit", "_start", "dropped_bytes", "format")

    def __init__(self, format: AudioFormat, max_ms: float) -> None:
        """Begin an empty ring, at position 0.

        Raises:
            ConfigurationError: `max_ms` is shorter than one sample.
        """
        self.format = format
        self._limit = format.n_bytes(max_ms)
        if self._limit <= 0:
            raise ConfigurationError(f"a ring of {max_ms} ms holds no audio")
        # Deleting from the front of a bytearray moves a pointer, not the bytes; so this is a queue
        # at its best.
        self._data = bytearray()
        #: Bytes of the stream before the first one that is held.
        self._start = 0
        #: Bytes that were lost because they did not fit. What `discard_before` removes is not lost.
        self.dropped_bytes = 0

    def append(self, audio: bytes) -> int:
        """Add the next audio of the stream. Returns how many bytes of the oldest had to be dropped for it.

        Raises:
            AudioError: `audio` is not a whole number of samples, or is a WAV file.
        """
        check_audio(audio, self.format)
        data = self._data
        excess = len(data) + len(audio) - self._limit
        if excess > 0:
            if len(audio) >= self._limit:
                data.clear()
                data += audio[len(audio) - self._limit :]
            else:
                del data[:excess]
                data += audio
            self._start += excess
            self.dropped_bytes += excess
            return excess
        data += audio
        return 0

    def since(self, ms: float) -> bytes:
        """All that is held from position `ms` on (nothing, if that is later than `end_ms`)."""
        return bytes(memoryview(self._data)[self._index(ms) :])

    def discard_before(self, ms: float) -> None:
        """Let go of what lies before position `ms`; it is no longer needed."""
        n = self._index(ms)
        del self._data[:n]
        self._start += n

    def clear(self) -> None:
        """Let go of everything. Positions go on from `end_ms`."""
        self.discard_before(self.end_ms)

    @property
    def start_ms(self) -> float:
        """Position of the first sample that is held."""
        return self.format.duration_ms(self._start)

    @property
    def end_ms(self) -> float:
        """Position after the last sample: the length of the stream so far."""
        return self.format.duration_ms(self._start + len(self._data))

    @property
    def dropped_ms(self) -> float:
        """How much was lost because it did not fit."""
        return self.format.duration_ms(self.dropped_bytes)

    def __len__(self) -> int:
        """Bytes that are held."""
        return len(self._data)

    def _index(self, ms: float) -> int:
        return min(max(self.format.n_bytes(ms) - self._start, 0), len(self._data))
