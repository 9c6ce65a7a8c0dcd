"""What a session has used, and how much of that was not reported yet."""

from __future__ import annotations

from typing import Any

from voxengine.providers.cascade.parts import BrainUsage

__all__ = ["Usage"]

#: What the voice makes of a text, by the names of `UsageUpdated`.
_SPOKEN = ("output_audio_seconds", "characters")


class Usage:
    """Counts of one session. `model` is the name of the brain, until it says its own.

    `voice` is what the voice is called where what it speaks is reported by itself, as one is that is paid for.
    """

    def __init__(self, model: str, voice: str | None = None) -> None:
        self.model = model
        self._voice = voice
        self._totals: dict[str, float] = {}
        self._reported: dict[str, float] = {}

    def add(self, usage: BrainUsage) -> None:
        """What the brain says an answer cost."""
        self.model = usage.model or self.model
        for name, tokens in (
            ("input_text_tokens", usage.input_tokens),
            ("cached_text_tokens", usage.cached_tokens),
            ("output_text_tokens", usage.output_tokens),
        ):
            self._totals[name] = self._totals.get(name, 0) + tokens

    def since_last(self, heard_s: float, spoken_s: float, characters: int) -> list[dict[str, Any]]:
        """The fields of each `UsageUpdated`, of what came since the last call; none if nothing did."""
        self._totals.update(self._audio(heard_s, spoken_s, characters))
        new = {name: n - self._reported.get(name, 0) for name, n in self._totals.items()}
        self._reported = dict(self._totals)
        new = {name: n for name, n in new.items() if n}
        spoken = {name: new.pop(name) for name in _SPOKEN if self._voice and name in new}
        reports = ((self.model, new), (self._voice, spoken))
        return [{"model": model, **counts} for model, counts in reports if counts]

    def total(self, heard_s: float, spoken_s: float, characters: int) -> dict[str, Any]:
        """Everything so far, by the names of `UsageUpdated`."""
        return {"model": self.model, **self._totals, **self._audio(heard_s, spoken_s, characters)}

    @staticmethod
    def _audio(heard_s: float, spoken_s: float, characters: int) -> dict[str, float]:
        return {
            "input_audio_seconds": heard_s,
            "output_audio_seconds": spoken_s,
            "characters": characters,
        }
