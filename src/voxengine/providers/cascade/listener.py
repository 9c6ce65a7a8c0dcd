"""Who is told what the ears of a cascade hear."""

from __future__ import annotations

from typing import Protocol

from voxengine.providers.cascade.utterance import Utterance

__all__ = ["Listener"]


class Listener(Protocol):
    """Who is told what was heard. All are called on the event loop, in order."""

    def min_speech_ms(self) -> float:
        """How much speech it takes to count, as things stand."""

    def goes_on(self, turn: Utterance, before_ms: float) -> bool:
        """Whether nothing of the answer to this turn had been heard `before_ms` ago."""

    def speech_started(self, turn: Utterance, audio_ms: float) -> None:
        """The user speaks: the first time in this turn, or again."""

    def speech_ended(self, turn: Utterance, audio_ms: float, lag_ms: float) -> None:
        """The user fell silent `lag_ms` ago."""

    def partial(self, turn: Utterance, text: str) -> None:
        """The user's words so far."""

    def turn_ended(self, turn: Utterance, audio_ms: float) -> None:
        """The turn is over and its words are there (`turn.result()`)."""

    def committed(self, turn: Utterance, audio_ms: float) -> None:
        """The application declared the turn over; `transcribed` follows."""

    def transcribed(self, turn: Utterance) -> None:
        """The words of a committed turn are there."""
