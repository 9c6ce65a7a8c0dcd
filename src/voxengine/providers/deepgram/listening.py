"""Messages of both interfaces for recognition as what a cascade hears. Pure: messages in, `STTEvent`s out.

Facts: `deepgram.listen.v1` and `.v2` (deepgram-sdk 7.17).
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from voxengine.providers.cascade.parts import (
    STTEagerEnd,
    STTEvent,
    STTFailed,
    STTFinal,
    STTPartial,
    STTResumed,
    STTSpeechStarted,
    STTTurnEnded,
)
from voxengine.providers.failures import error_of

__all__ = ["CODES", "Ears", "FluxEars", "NovaEars"]

#: The vendor's words for errors, and ours.
CODES = {
    "INTERNAL_SERVER_ERROR": "server",
    "UNPARSABLE_CLIENT_MESSAGE": "message",
    "SchemaError": "message",
    "NET-0000": "server",
    "NET-0001": "timeout",
    "DATA-0000": "message",
}


class _Alternative(msgspec.Struct, gc=False):
    transcript: str = ""
    confidence: float | None = None
    languages: list[str] | None = None


class _Channel(msgspec.Struct, gc=False):
    alternatives: list[_Alternative] = []


class _Nova(msgspec.Struct, gc=False):
    """Any message of `/v1/listen`: of its fields, those that are read."""

    type: str
    is_final: bool = False
    from_finalize: bool = False
    channel: _Channel | list[int] | None = None
    timestamp: float | None = None
    variant: str = ""
    code: str | None = None
    description: str = ""


class _Flux(msgspec.Struct, gc=False):
    """Any message of `/v2/listen`."""

    type: str
    event: str = ""
    transcript: str = ""
    audio_window_start: float | None = None
    end_of_turn_confidence: float | None = None
    trigger: str | None = None
    languages: list[str] | None = None
    code: str | None = None
    description: str = ""


_decode_nova = msgspec.json.Decoder(_Nova).decode
_decode_flux = msgspec.json.Decoder(_Flux).decode


class Ears(Protocol):
    """The state of one stream."""

    #: Whether an answer to `finalize` is awaited.
    asked: bool

    def ask(self) -> None:
        """What was fed so far is asked for."""

    def late(self) -> list[STTEvent]:
        """No answer came: there was nothing to say."""

    def read(self, payload: bytes | memoryview) -> list[STTEvent]:
        """What a message means. Never raises: one that cannot be read means nothing."""


class NovaEars:
    """Of `/v1/listen`: words come for good piece by piece, and turns are found by others."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self) -> None:
        """What was fed so far is asked for."""
        self.asked = True

    def late(self) -> list[STTEvent]:
        """Of audio without speech there may be no answer."""
        asked, self.asked = self.asked, False
        return [STTFinal("", asked=True)] if asked else []

    def read(self, payload: bytes | memoryview) -> list[STTEvent]:
        """What a message means."""
        try:
            message = _decode_nova(payload)
        except (msgspec.DecodeError, ValueError):
            return []
        match message.type:
            case "Results" if isinstance(message.channel, _Channel):
                return self._results(message, message.channel)
            case "SpeechStarted":
                at = message.timestamp
                return [STTSpeechStarted(None if at is None else at * 1000)]
            case "Error":
                word = message.code or message.variant
                code = CODES.get(word, word.lower() or "error")
                return [STTFailed(error_of(code, message.description, "deepgram"))]
        return []

    def _results(self, message: _Nova, channel: _Channel) -> list[STTEvent]:
        best = channel.alternatives[0] if channel.alternatives else _Alternative()
        text = best.transcript.strip()
        if not message.is_final:
            return [STTPartial(text)] if text else []
        asked = self.asked and message.from_finalize
        if asked:
            self.asked = False
        if not text and not asked:
            return []
        language = best.languages[0] if best.languages else None
        return [STTFinal(text, language, best.confidence, asked=asked)]


class FluxEars:
    """Of `/v2/listen`: Flux, which finds turns by what is said."""

    def __init__(self) -> None:
        self.asked = False
        self._shown = ""

    def ask(self) -> None:
        """The turn is to end here."""
        self.asked = True

    def late(self) -> list[STTEvent]:
        """Where no turn is under way, there is no answer."""
        asked, self.asked = self.asked, False
        return [STTFinal("", asked=True)] if asked else []

    def read(self, payload: bytes | memoryview) -> list[STTEvent]:
        """What a message means."""
        try:
            message = _decode_flux(payload)
        except (msgspec.DecodeError, ValueError):
            return []
        if message.type == "Error":
            word = message.code or ""
            code = CODES.get(word, word.lower() or "error")
            return [STTFailed(error_of(code, message.description, "deepgram"))]
        return self._turn(message) if message.type == "TurnInfo" else []

    def _turn(self, message: _Flux) -> list[STTEvent]:
        text, sure = message.transcript.strip(), message.end_of_turn_confidence
        match message.event:
            case "StartOfTurn":
                at = message.audio_window_start
                begun = STTSpeechStarted(None if at is None else at * 1000)
                return [begun, *self._partial(text)]
            case "Update":
                return self._partial(text)
            case "EagerEndOfTurn":
                return [*self._partial(text), STTEagerEnd(text, sure)]
            case "TurnResumed":
                return [STTResumed(), *self._partial(text)]
            case "EndOfTurn":
                return [self._end(message, text, sure)]
        return []

    def _partial(self, text: str) -> list[STTEvent]:
        if not text or text == self._shown:
            return []
        self._shown = text
        return [STTPartial(text)]

    def _end(self, message: _Flux, text: str, sure: float | None) -> STTEvent:
        self._shown = ""
        language = message.languages[0] if message.languages else None
        if self.asked:
            # Also where Flux has found the end by itself a moment before it was told: then nothing else comes.
            self.asked = False
            return STTFinal(text, language, sure, asked=True)
        return STTTurnEnded(text, language, sure)
