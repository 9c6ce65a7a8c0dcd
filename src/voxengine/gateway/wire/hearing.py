"""The gateway's own ear, for providers that find no turns, or not as the client wants them.

Pure, but for the model of the detector: audio goes in, what was noticed comes out. Positions are milliseconds of all
that the client has sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np

from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import converter_for
from voxengine.errors import MissingDependencyError, ModelError
from voxengine.providers.cascade.parts import INPUT_RATE, VADStream
from voxengine.providers.cascade.registry import create_part
from voxengine.providers.cascade.segmenter import Change, Segmenter

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

__all__ = ["Began", "Ear", "Ended", "Heard", "load_detector"]

#: Speech that it takes to count: a click is none.
MIN_SPEECH_MS = 64.0
#: How far below the threshold of its beginning speech has to fall to be over.
_BELOW = 0.15
#: Silence that ends a turn, where that is asked for by eagerness: OpenAI's semantic detection waits for words, too,
#: which an ear has not.
_PATIENCE_MS = {"low": 1500.0, "medium": 800.0, "auto": 800.0, "high": 400.0}
_PER_MS = INPUT_RATE / 1000
_HEARD_AS = AudioFormat(sample_rate=INPUT_RATE)


class Began(msgspec.Struct, frozen=True):
    """Speech began; the turn begins at `at_ms`, the padding before it included."""

    at_ms: float


class Ended(msgspec.Struct, frozen=True):
    """It has been quiet for long enough, which is `lag_ms`: the turn is over, at `at_ms`, that silence included."""

    at_ms: float
    lag_ms: float


Heard: TypeAlias = Began | Ended


async def load_detector(name: str | None = None) -> Any:
    """A voice activity detector, ready for use: that of the name, else the best that is installed.

    Raises:
        ConfigurationError: there is none of this name.
        MissingDependencyError, ModelError: the one that was named cannot be used.
    """
    if name is None:
        try:
            silero = create_part("vad", "silero")
            await silero.load()
        except (MissingDependencyError, ModelError):
            name = "energy"
        else:
            return silero
    detector = create_part("vad", name)
    await detector.load()
    return detector


class Ear:
    """Listens to one client.

    Args:
        detector: see `load_detector`.
        format: of the audio.
        vad: the turn detection of the session, in OpenAI's form.
        from_ms: how much audio came before.
    """

    def __init__(
        self, detector: Any, format: AudioFormat, vad: dict[str, Any], from_ms: float = 0.0
    ) -> None:
        self.format = format
        threshold = min(0.95, max(0.05, float(vad.get("threshold", 0.5))))
        self.prefix_ms = float(vad.get("prefix_padding_ms", 300))
        silence_ms = float(vad.get("silence_duration_ms") or 500)
        if vad["type"] == "semantic_vad":
            silence_ms = _PATIENCE_MS[vad.get("eagerness") or "auto"]
        stream: VADStream = detector.stream()
        self._segmenter = Segmenter(
            stream,
            start=threshold,
            end=max(0.05, threshold - _BELOW),
            end_silence_ms=max(silence_ms, 1.0),
            preroll_ms=1.0,
        )
        self._convert = converter_for(format, _HEARD_AS)
        self._rest: Samples = np.zeros(0, np.float32)
        self._from_ms = from_ms
        self._last_end_ms = from_ms

    @property
    def speaking(self) -> bool:
        """Whether a turn is under way."""
        return self._segmenter.speaking

    def reset(self) -> None:
        """Forget that somebody speaks."""
        self._segmenter.reset()

    def feed(self, audio: bytes) -> list[Heard]:
        """Listen to some more; returns what was noticed, in order."""
        if self._convert is not None:
            audio = self._convert.process(audio)
        new = np.frombuffer(audio, "<i2").astype(np.float32) / np.float32(32768)
        samples: Samples = np.concatenate((self._rest, new))
        size, found = self._segmenter.frame_samples, []
        whole = len(samples) - len(samples) % size
        for start in range(0, whole, size):
            change = self._segmenter.push(samples[start : start + size], MIN_SPEECH_MS)
            if change is not None:
                found.append(self._noticed(change))
        self._rest = samples[whole:]
        return found

    def _noticed(self, change: Change) -> Heard:
        segmenter = self._segmenter
        if change is Change.STARTED:
            at_ms = self._from_ms + segmenter.onset / _PER_MS - self.prefix_ms
            return Began(max(at_ms, self._last_end_ms))
        self._last_end_ms = self._from_ms + segmenter.position / _PER_MS
        lag_ms = (segmenter.position - segmenter.voice_end) / _PER_MS
        return Ended(self._last_end_ms, lag_ms)
