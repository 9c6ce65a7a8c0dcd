"""How loud audio is, where it begins to be audible, and silence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

from voxengine.audio.formats import AudioFormat, check_audio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _S = TypeVar("_S", np.float32, np.int16)

__all__ = [
    "AUDIBLE",
    "first_audible_ms",
    "mean_squares",
    "peak",
    "rms_db",
    "silence",
    "trim_silence",
]

#: What counts as audible, as a part of full scale: -40 dBFS, above the noise of a quiet recording.
AUDIBLE = 0.01

#: The byte that stands for silence. G.711 has no zero; these are its smallest positive values.
_SILENCE = {"pcm16": b"\0", "g711_ulaw": b"\xff", "g711_alaw": b"\xd5"}


def _samples(audio: bytes, format: AudioFormat) -> NDArray[np.int16]:
    """All samples of all channels, as int16."""
    check_audio(audio, format)
    if format.encoding != "pcm16":
        from voxengine.audio.g711 import decode_samples

        return decode_samples(audio, format.encoding)
    import numpy as np

    return np.frombuffer(audio, "<i2")


def mean_squares(audio: bytes, format: AudioFormat, frame_bytes: int) -> list[float]:
    """The mean square of each frame of so many bytes, in squares of 16 bit samples. `audio` holds whole frames.

    Raises:
        AudioError: `audio` is not audio of this format.
    """
    import numpy as np

    size = frame_bytes // format.bytes_per_frame * format.channels
    frames = _samples(audio, format).astype("f4").reshape(-1, size)
    powers: list[float] = (np.einsum("ij,ij->i", frames, frames) / size).tolist()
    return powers


def rms_db(audio: bytes, format: AudioFormat) -> float:
    """Root mean square in dB below full scale (a square wave at full scale is 0); minus infinity for digital silence.

    Raises:
        AudioError: `audio` is not audio of this format.
    """
    samples = _samples(audio, format).astype("f8")
    power = float((samples**2).mean()) if len(samples) else 0.0
    return 10 * math.log10(power) - 20 * math.log10(32768) if power else -math.inf


def peak(audio: bytes, format: AudioFormat) -> float:
    """The largest magnitude, as a part of full scale: 0 to 1.

    Raises:
        AudioError: `audio` is not audio of this format.
    """
    samples = _samples(audio, format)
    return max(-int(samples.min()), int(samples.max())) / 32768 if len(samples) else 0.0


def first_audible_ms(audio: bytes, format: AudioFormat, threshold: float = AUDIBLE) -> float | None:
    """Milliseconds before the first sample that is above `threshold` of full scale; None if there is none.

    Raises:
        AudioError: `audio` is not audio of this format.
    """
    import numpy as np

    loud = np.abs(_samples(audio, format).astype(np.int32)) > threshold * 32768
    first = int(loud.argmax()) if len(loud) else 0
    if not len(loud) or not loud[first]:
        return None
    return first // format.channels * 1000 / format.sample_rate


def trim_silence(
    samples: NDArray[_S],
    rate: int,
    lead_ms: float = 0.0,
    trail_ms: float = 0.0,
    threshold: float = AUDIBLE,
) -> NDArray[_S]:
    """Cut silence off both ends, but for `lead_ms` before and `trail_ms` after what is audible.

    `samples` is mono, float32 in [-1, 1] or int16, [n] at `rate` Hz. Returns a view of it; an empty
    one if nothing is audible.
    """
    import numpy as np

    full = 32768 if samples.dtype == np.int16 else 1
    # A comparison on each side, because the magnitude of -32768 does not fit in 16 bits.
    loud: NDArray[Any] = np.flatnonzero(
        (samples > threshold * full) | (samples < -threshold * full)
    )
    if not len(loud):
        return samples[:0]
    start = max(0, int(loud[0]) - round(lead_ms * rate / 1000))
    return samples[start : int(loud[-1]) + 1 + round(trail_ms * rate / 1000)]


def silence(ms: float, format: AudioFormat) -> bytes:
    """So many milliseconds of digital silence."""
    return _SILENCE[format.encoding] * format.n_bytes(ms)
