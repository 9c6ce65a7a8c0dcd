"""Voice activity by loudness alone: needs no model and no library, and cannot tell a voice from a slamming door.

It follows the noise floor (down at once, up slowly) and calls speech what is clearly above it. Good for close
microphones, for tests, and as a fallback; where Silero VAD is installed, use that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from voxengine.errors import AudioError, ConfigurationError
from voxengine.providers.cascade.parts import INPUT_RATE

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

__all__ = ["EnergyStream", "EnergyVAD"]

#: What digital silence counts as, in dBFS.
_SILENCE_DB = -100.0


class EnergyVAD:
    """Speech is what is loud.

    Args:
        threshold_db: nothing below this is speech; RMS of a frame in dBFS, as all levels here.
        margin_db: how far above the noise floor the probability is 0.5.
        slope_db: how many dB more make it 0.73, how many less 0.27.
        rise_db_s: how fast the floor follows a room that has become louder, per second.
        frame_ms: length of a frame.
    """

    name = "energy"

    def __init__(
        self,
        *,
        threshold_db: float = -50.0,
        margin_db: float = 12.0,
        slope_db: float = 2.0,
        rise_db_s: float = 3.0,
        frame_ms: float = 32.0,
    ) -> None:
        if slope_db <= 0 or rise_db_s < 0 or not 5 <= frame_ms <= 200:
            raise ConfigurationError(
                "energy: slope_db is above 0, rise_db_s at least 0, frame_ms 5 to 200"
            )
        self.threshold_db = threshold_db
        self.margin_db = margin_db
        self.slope_db = slope_db
        self.rise_db_s = rise_db_s
        self.frame_samples = round(frame_ms * INPUT_RATE / 1000)

    async def load(self) -> None:
        """There is nothing to load."""

    def stream(self) -> EnergyStream:
        """State for one session."""
        return EnergyStream(self)


class EnergyStream:
    """The noise floor of one session."""

    def __init__(self, settings: EnergyVAD) -> None:
        self._settings = settings
        self.frame_samples = settings.frame_samples
        self._rise = settings.rise_db_s * settings.frame_samples / INPUT_RATE
        #: Noise floor in dBFS; what a quiet room has until more is known.
        self.floor_db = settings.threshold_db - settings.margin_db

    def process(self, frame: Samples) -> float:
        """Probability in [0, 1] that the frame holds speech.

        Raises:
            AudioError: the frame has another length.
        """
        if len(frame) != self.frame_samples:
            raise AudioError(
                f"this VAD takes {self.frame_samples} samples at a time, not {len(frame)}",
                code="audio_frame",
            )
        power = float(frame.dot(frame)) / len(frame)
        level = 10 * math.log10(power) if power > 1e-10 else _SILENCE_DB
        settings = self._settings
        limit = max(settings.threshold_db, self.floor_db + settings.margin_db)
        self.floor_db = (
            min(level, self.floor_db + self._rise) if level > _SILENCE_DB else self.floor_db
        )
        # Bounded, so that exp() cannot overflow.
        return 1 / (1 + math.exp(max(-50.0, min(50.0, (limit - level) / settings.slope_db))))

    def reset(self) -> None:
        """Forget the stream so far."""
        self.floor_db = self._settings.threshold_db - self._settings.margin_db
