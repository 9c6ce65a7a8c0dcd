"""The waterfall of one turn: from the acoustic end of the user's speech to the first audible sample of the answer."""

from __future__ import annotations

from dataclasses import dataclass

from voxengine.events import MetricsUpdated

__all__ = ["TurnLatency"]


@dataclass(slots=True)
class TurnLatency:
    """Moments of one turn, in seconds of the loop's clock. The first report of each counts."""

    end_of_speech: float | None = None
    turn_decided: float | None = None
    transcript: float | None = None
    first_token: float | None = None
    first_audio: float | None = None
    first_audible: float | None = None

    def mark(self, stage: str, at: float) -> None:
        """Note a moment, unless it is known already."""
        if getattr(self, stage) is None:
            setattr(self, stage, at)

    def report(
        self, response_id: str | None, item_id: str | None, timestamp: float, provider: str
    ) -> MetricsUpdated:
        """The event that tells of this turn. For typed text the moments count from its being sent."""
        start = self.end_of_speech if self.end_of_speech is not None else self.turn_decided

        def ms(at: float | None) -> float | None:
            return None if at is None or start is None else round((at - start) * 1000, 3)

        return MetricsUpdated(
            response_id=response_id,
            item_id=item_id,
            turn_decided_ms=ms(self.turn_decided),
            transcript_ms=ms(self.transcript),
            first_token_ms=ms(self.first_token),
            first_audio_ms=ms(self.first_audio),
            first_audible_ms=ms(self.first_audible),
            timestamp=timestamp,
            provider=provider,
        )
