"""What the mock's vendor counts, and tells, of what a session uses."""

from __future__ import annotations

from typing import Any

from voxengine.providers.capabilities import UsageUnit

__all__ = ["Meter"]


class Meter:
    """Counts in the unit of the capabilities; seconds are counted always, because the price is by the minute."""

    def __init__(self, unit: UsageUnit) -> None:
        self._unit = unit
        self._heard_s = 0.0
        self._told = ""
        #: All so far, by the names of `UsageUpdated`.
        self.total: dict[str, float] = {}
        #: Seconds of audio in both directions.
        self.seconds = 0.0

    def heard(self, seconds: float) -> None:
        """Count audio that came in."""
        self._heard_s += seconds
        self.seconds += seconds

    def told(self, text: str) -> None:
        """Count text that is answered."""
        self._told += text

    def response(self, text: str, seconds: float) -> dict[str, Any] | None:
        """Count a response; returns what was used since the last one, None if that is not told."""
        heard, self._heard_s = self._heard_s, 0.0
        told, self._told = self._told, ""
        self.seconds += seconds
        values: dict[str, float] = {}
        match self._unit:
            case "none":
                return None
            case "seconds":
                values = {"input_audio_seconds": heard, "output_audio_seconds": seconds}
            case "characters":
                values = {"characters": len(text)}
            case "tokens":
                values = {
                    "input_text_tokens": _tokens(told),
                    "input_audio_tokens": round(heard * 10),
                    "output_text_tokens": _tokens(text),
                    "output_audio_tokens": round(seconds * 20),
                }
        for name, value in values.items():
            self.total[name] = self.total.get(name, 0) + value
        return values


def _tokens(text: str) -> int:
    return (len(text.encode()) + 3) // 4
