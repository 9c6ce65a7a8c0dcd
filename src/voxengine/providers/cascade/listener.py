"""Who is told what the ears of a cascade hear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from voxengine.errors import ProviderError
from voxengine.providers.cascade.turn import Turn

__all__ = ["Listener"]


class Listener(Protocol):
    """Who is told what was heard. All are called on the event loop, in order."""

    def min_speech_ms(self) -> float:
        """How much speech it takes to count, as things stand."""

    def goes_on(self, turn: Turn, before_ms: float) -> bool:
        """Whether nothing of the answer to this turn had been heard `before_ms` ago."""

    def speech_started(self, turn: Turn, audio_ms: float) -> None:
        """The user speaks: the first time in this turn, or again."""

    def speech_ended(self, turn: Turn, audio_ms: float, lag_ms: float) -> None:
        """The user fell silent `lag_ms` ago."""

    def partial(self, turn: Turn, text: str) -> None:
        """The user's words so far."""

    def turn_ended(self, turn: Turn, audio_ms: float) -> None:
        """The turn is over and its words are there (`turn.result()`)."""

    def committed(self, turn: Turn, audio_ms: float) -> None:
        """The application declared the turn over; `transcribed` follows."""

    def transcribed(self, turn: Turn) -> None:
        """The words of a committed turn are there."""

    def eager(self, turn: Turn, text: str) -> None:
        """The turn may be over, and these are its words: an answer may be prepared of which nobody is told yet."""

    def resumed(self, turn: Turn) -> None:
        """After `eager`: the turn is not over."""

    def felt(self, turn: Turn, scores: Mapping[str, float]) -> None:
        """How the user sounds in this turn."""

    def deaf(self, failure: ProviderError) -> None:
        """The recogniser is lost, and nothing more will be heard."""
