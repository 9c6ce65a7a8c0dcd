"""One stream of the emulated `/v2/listen`: Flux."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voxengine.testing.emulators.deepgram.listening import (
    CONFIDENCE,
    ListeningSession,
    words_of,
)
from voxengine.testing.emulators.hearing import Hearing, Turn

__all__ = ["FluxSession"]

_THRESHOLDS = ("eot_threshold", "eager_eot_threshold")


class FluxSession(ListeningSession):
    """The server's side of one connection. What Flux finds in the words, this one finds in the silence after them."""

    interface = "listen.v2"

    def opened(self) -> None:
        """Say who we are."""
        self._sequence = 0
        self._index = 0
        #: What was told of the turn: nothing (None), its words, and whether it may be over.
        self._shown: str | None = None
        self._eager: str | None = None
        self._forced = 0
        self._number = 0
        self._start_s = 0.0
        super().opened()
        if self.hearing is not None:
            self._tell({"type": "Connected"})

    def make_ears(self) -> Hearing:
        """Ears that ask whether a pause is the end."""
        query, own = self.request.query, self.emulator.settings
        self.thresholds = {n: float(query[n]) for n in _THRESHOLDS if n in query}
        patience = float(query.get("eot_timeout_ms", 5000))
        sure = self.thresholds.get("eot_threshold", 0.7) < 1.0
        early = own.eager_ms if "eager_eot_threshold" in self.thresholds else None
        self._triggers = "model" if sure else "timeout"
        silence = min(own.silence_ms, patience) if sure else patience
        return self.ears(silence_ms=silence, pause_ms=early)

    def received(self, message: dict[str, Any]) -> None:
        """A message of the client."""
        self.alive()
        match message["type"]:
            case "CloseStream":
                self.end(1000)
            case "ForceEndTurn" if self.hearing is not None and self.hearing.turn is not None:
                self._forced = self.hearing.turn.number
                self.hearing.commit()
            case "Configure":
                self.thresholds |= message.get("thresholds") or {}
                known = {n: v for n, v in self.thresholds.items() if v is not None}
                keyterms = message.get("keyterms") or []
                self._tell({"type": "ConfigureSuccess", "thresholds": known, "keyterms": keyterms})

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message that is not valid."""
        self.error("UNPARSABLE_CLIENT_MESSAGE", problems[0])

    def error(self, code: str, message: str) -> None:
        """Tell an error, and hang up."""
        self.send(
            {
                "type": "Error",
                "sequence_id": self._next(),
                "code": code.upper(),
                "description": message,
            }
        )
        self.end(1011, code)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence - 1

    def _tell(self, message: dict[str, Any]) -> None:
        self.send({**message, "request_id": self.request_id, "sequence_id": self._next()})

    # -- the ears

    def on_speech_started(self, audio_ms: float) -> None:
        """Somebody speaks, of whom no word is understood yet."""
        self._start_s = audio_ms / 1000
        self._number = self.emulator.faults.responding()
        self.chunks = 0

    def on_user_partial(self, text: str) -> None:
        """Words so far."""
        if self.strike_if_due(self._number):
            return
        event = "StartOfTurn" if self._shown is None else "Update"
        self._shown = text
        self._turn(event, text, 0.1)

    def on_pause(self, text: str) -> None:
        """It may be over."""
        if text and not self.strike_if_due(self._number):
            if self._shown is None:
                self._turn("StartOfTurn", text, 0.2)
            self._shown = self._eager = text
            self._turn("EagerEndOfTurn", text, 0.6)

    def on_resumed(self) -> None:
        """It is not."""
        if self._eager is not None:
            words, self._eager = self._eager, None
            self._turn("TurnResumed", words, 0.1)

    def on_turn(self, turn: Turn, text: str) -> None:
        """It is over."""
        forced = self._forced == turn.number
        if self._shown is None and not text and not forced:
            return  # a noise
        if self.strike_if_due(self._number):
            return
        if self._shown is None:
            self._turn("StartOfTurn", text, 0.2)
        if self._eager is not None and self._eager != text:
            self._turn("TurnResumed", text, 0.1)
        self._turn("EndOfTurn", text, 0.9, trigger="manual" if forced else self._triggers)
        self._index += 1
        self._shown = self._eager = None

    def _turn(self, event: str, text: str, sure: float, **more: Any) -> None:
        end = self.hearing.position_ms / 1000 if self.hearing is not None else self._start_s
        words = words_of(text, self._start_s, end)
        self._tell(
            {
                "type": "TurnInfo",
                "event": event,
                "turn_index": self._index,
                "audio_window_start": round(self._start_s, 3),
                "audio_window_end": round(end, 3),
                "transcript": text,
                "words": [{**word, "confidence": CONFIDENCE} for word in words],
                "end_of_turn_confidence": sure,
                **more,
            }
        )
