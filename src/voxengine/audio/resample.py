"""From one audio format to another, as a stream.

`Resampler` changes the rate of pcm16; `Converter` also the encoding and the channels. Both keep the
audio's time: output sample n belongs to second n / rate of the input, none is added at the start,
and `flush` gives the rest at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxengine.audio.formats import AudioFormat, check_audio
from voxengine.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voxengine.audio.fir import Polyphase

__all__ = ["Converter", "Resampler", "converter_for", "same_audio"]


class Resampler:
    """Changes the rate of a stream of pcm16 mono audio.

    Delay: 24 sample periods of the lower rate (3 ms where one side is 8 kHz, 1.5 ms at 16 kHz, 1 ms
    at 24 kHz), the same for every chunk. It was measured by feeding frames of 20 ms and comparing
    the duration of all input with that of all output after each; `voxengine.audio.fir` shows the
    figures beside those of libsoxr's streams, which hold 20 to 118 ms.

    Alias and image products are 80 dB down from 0.52 of the lower rate on; the pass band ends at
    0.42 of it.
    """

    __slots__ = ("_filter", "_format", "source_rate", "target_rate")

    def __init__(self, source_rate: int, target_rate: int) -> None:
        """Rates are in samples per second, 4000 to 192000.

        Raises:
            ConfigurationError: a rate makes no sense.
        """
        self._format = AudioFormat(sample_rate=source_rate)
        AudioFormat(sample_rate=target_rate)
        self.source_rate = source_rate
        self.target_rate = target_rate
        self._filter = _filter_for(source_rate, target_rate)

    @property
    def delay_ms(self) -> float:
        """Milliseconds by which output lags input."""
        return self._filter.delay * 1000 if self._filter else 0.0

    def process(self, audio: bytes) -> bytes:
        """Take pcm16 mono; return what is now complete at the target rate (b"" at first, if `audio` is very short).

        Raises:
            AudioError: `audio` is not a whole number of samples, or is a WAV file.
        """
        if self._filter is None:
            return audio
        check_audio(audio, self._format)
        import numpy as np

        return self._filter.push(np.frombuffer(audio, "<i2")).tobytes()

    def flush(self) -> bytes:
        """Return the rest of the stream, as if silence followed, and begin anew."""
        return b"" if self._filter is None else self._filter.finish().tobytes()

    def reset(self) -> None:
        """Forget what is inside, and begin anew."""
        if self._filter is not None:
            self._filter.reset()


def _filter_for(source_rate: int, target_rate: int) -> Polyphase | None:
    if source_rate == target_rate:
        return None
    from voxengine.audio.fir import Polyphase

    return Polyphase(source_rate, target_rate)


def same_audio(a: AudioFormat, b: AudioFormat) -> bool:
    """Whether bytes of one format are bytes of the other. The size of frames does not matter for that."""
    return a.sample_rate == b.sample_rate and a.encoding == b.encoding and a.channels == b.channels


def converter_for(source: AudioFormat, target: AudioFormat) -> Converter | None:
    """A new `Converter`, or None where nothing has to be converted.

    Raises:
        ConfigurationError: the channels cannot be converted.
    """
    return None if same_audio(source, target) else Converter(source, target)


class Converter:
    """Turns a stream of one audio format into another: encoding, channels and rate.

    More channels become one by their mean; one becomes more by repetition. Its delay is that of the
    `Resampler`.
    """

    __slots__ = ("_filter", "identity", "source", "target")

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        """Make a converter for one stream.

        Raises:
            ConfigurationError: the channels differ and neither side is mono, or both have several
                and the rate differs.
        """
        resampled = source.sample_rate != target.sample_rate
        if 1 not in (source.channels, target.channels) and (
            source.channels != target.channels or resampled
        ):
            raise ConfigurationError(
                f"cannot convert {source} to {target}: one of the two has to be mono"
            )
        #: Whether nothing has to be done; `process` then returns its argument itself.
        self.identity = same_audio(source, target)
        self.source = source
        self.target = target
        self._filter = _filter_for(source.sample_rate, target.sample_rate)

    @property
    def delay_ms(self) -> float:
        """Milliseconds by which output lags input."""
        return self._filter.delay * 1000 if self._filter else 0.0

    def process(self, audio: bytes) -> bytes:
        """Take audio of the source format; return what is now complete of the target format.

        Raises:
            AudioError: `audio` is not a whole number of samples, or is a WAV file (not looked at
                when `identity`).
        """
        if self.identity:
            return audio
        check_audio(audio, self.source)
        samples = self._mono(self._decode(audio))
        if self._filter is not None:
            samples = self._filter.push(samples)
        return self._encode(samples)

    def flush(self) -> bytes:
        """Return the rest of the stream, as if silence followed, and begin anew."""
        return b"" if self._filter is None else self._encode(self._filter.finish())

    def reset(self) -> None:
        """Forget what is inside, and begin anew."""
        if self._filter is not None:
            self._filter.reset()

    def _decode(self, audio: bytes) -> NDArray[np.int16]:
        if self.source.encoding == "pcm16":
            import numpy as np

            return np.frombuffer(audio, "<i2")
        from voxengine.audio.g711 import decode_samples

        return decode_samples(audio, self.source.encoding)

    def _mono(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        if self.source.channels == 1 or self.target.channels != 1:
            return samples
        return downmix(samples, self.source.channels)

    def _encode(self, samples: NDArray[Any]) -> bytes:
        if self.target.channels > self.source.channels:
            samples = samples.repeat(self.target.channels)
        if self.target.encoding == "pcm16":
            return samples.tobytes()
        from voxengine.audio.g711 import encode_samples

        return encode_samples(samples, self.target.encoding).tobytes()


def downmix(samples: NDArray[np.int16], channels: int) -> NDArray[np.int16]:
    """The mean of interleaved int16 channels: [n * channels] becomes [n]."""
    import numpy as np

    total = samples.reshape(-1, channels).sum(axis=1, dtype=np.int32)
    return np.asarray(np.rint(total / channels), dtype=np.int16)
