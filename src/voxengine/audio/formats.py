"""Audio formats, and the checks that keep wrong audio out."""

import msgspec

from voxengine.errors import AudioError, ConfigurationError

__all__ = ["ENCODINGS", "MAX_CHUNK_BYTES", "AudioFormat", "check_audio"]

#: Encodings and their bytes per sample: 16-bit signed little-endian PCM, and the two laws of ITU-T G.711.
ENCODINGS: dict[str, int] = {"pcm16": 2, "g711_ulaw": 1, "g711_alaw": 1}

#: The most that may be given in one call: what OpenAI allows in one append message, 5 minutes at 24 kHz.
MAX_CHUNK_BYTES = 15 * 1024 * 1024


class AudioFormat(msgspec.Struct, frozen=True):
    """How audio is laid out in bytes.

    Raises:
        ConfigurationError: the encoding is unknown, or a number makes no sense.
    """

    encoding: str = "pcm16"
    #: Samples per second.
    sample_rate: int = 24000
    channels: int = 1
    #: Bytes of one frame where the other side insists on a size, else None.
    frame_size: int | None = None

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise ConfigurationError(
                f"audio encoding {self.encoding!r} is unknown; it is one of {', '.join(ENCODINGS)}"
            )
        if not 4000 <= self.sample_rate <= 192000:
            raise ConfigurationError(f"a sample rate is 4000 to 192000 Hz, not {self.sample_rate}")
        if self.channels < 1:
            raise ConfigurationError(f"audio has at least one channel, not {self.channels}")

    @property
    def bytes_per_frame(self) -> int:
        """Bytes of one sample of all channels."""
        return ENCODINGS[self.encoding] * self.channels

    @property
    def bytes_per_second(self) -> int:
        """Bytes of one second."""
        return self.bytes_per_frame * self.sample_rate

    def duration_ms(self, n_bytes: int) -> float:
        """Milliseconds that so many bytes last."""
        return n_bytes * 1000 / self.bytes_per_second

    def n_bytes(self, ms: float) -> int:
        """Bytes of so many milliseconds, in whole frames."""
        return round(ms * self.sample_rate / 1000) * self.bytes_per_frame

    def __str__(self) -> str:
        return f"{self.encoding} {self.sample_rate} Hz" + (
            f" x{self.channels}" if self.channels > 1 else ""
        )


def check_audio(audio: bytes, format: AudioFormat, provider: str = "") -> None:
    """Raise an `AudioError` that says what is wrong, if `audio` cannot be audio of this format."""
    n = len(audio)
    # On the audio path: written out, and no slice is made of what does not begin with an R.
    if n % (ENCODINGS[format.encoding] * format.channels):
        raise AudioError(
            f"{n} bytes are not a whole number of {format} samples ({format.bytes_per_frame} bytes each); "
            "do not cut audio inside a sample",
            provider=provider,
            code="audio_odd_bytes",
        )
    if n > MAX_CHUNK_BYTES:
        raise AudioError(
            f"{n} bytes in one call are {format.duration_ms(n) / 1000:.0f} s of audio; at most {MAX_CHUNK_BYTES} bytes "
            "are taken at once. Send frames of 20 to 100 ms as they are recorded",
            provider=provider,
            code="audio_too_large",
        )
    if n >= 12 and audio[0] == 0x52 and audio[:4] == b"RIFF" and audio[8:12] == b"WAVE":
        raise AudioError(
            "this is a WAV file, not bare samples; read it with voxengine.audio.read_wav and send its samples",
            provider=provider,
            code="audio_container",
        )
