"""The messages of Universal-Streaming v3, and what they mean in their order; both without I/O.

Facts: `assemblyai.streaming.v3.models` (1.8). A `Turn` holds all words of a turn so far. Its end may be told twice: as
the words came, and once more with capitals and signs, where `format_turns` asks for that; then the second one counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from voxengine.providers.cascade.parts import (
    STTEvent,
    STTFinal,
    STTPartial,
    STTSpeechStarted,
    STTTurnEnded,
)

__all__ = [
    "CODES",
    "FORCE",
    "KEEP_ALIVE",
    "TERMINATE",
    "Hearing",
    "Message",
    "code_of",
    "decode",
    "parameter",
]

#: What is sent.
FORCE = b'{"type":"ForceEndpoint"}'
KEEP_ALIVE = b'{"type":"KeepAlive"}'
TERMINATE = b'{"type":"Terminate"}'

#: Our words for the vendor's codes, which an `Error` and the close frame after it carry alike
#: (`assemblyai.streaming.v3.models.RealTimeErrorCodes`, and what its server was seen to send: 1008 for a wrong key).
CODES = {
    1008: "auth",
    1013: "overloaded",
    3005: "server",
    3006: "message",
    3007: "message",
    3008: "session_expired",
    3009: "rate_limit",
    4000: "message",
    4001: "auth",
    4002: "quota",
    4003: "quota",
    4004: "not_found",
    4008: "session_expired",
    4010: "session_expired",
    4029: "rate_limit",
    4030: "session_expired",
    4031: "session_expired",
    4032: "message",
    4033: "message",
    4034: "message",
    4100: "message",
    4101: "message",
    4102: "rate_limit",
    4103: "session_expired",
}


class Message(msgspec.Struct, gc=False):
    """Any message of the server: of its fields, those that are read."""

    type: str
    turn_order: int = 0
    turn_is_formatted: bool = False
    end_of_turn: bool = False
    transcript: str = ""
    end_of_turn_confidence: float | None = None
    language_code: str | None = None
    timestamp: float | None = None
    error_code: int | None = None
    error: str = ""
    session_duration_seconds: float | None = None


_decode = msgspec.json.Decoder(Message).decode


def decode(payload: bytes | memoryview) -> Message | None:
    """What a message is; None if it is none that can be read. Of a type unknown to us a message may have any form."""
    try:
        return _decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def code_of(message: Message) -> str:
    """Our word for an error."""
    code = CODES.get(message.error_code or 0, "server")
    # The same number stands for a key that is wrong and for too many sessions.
    return "rate_limit" if code == "auth" and "too many" in message.error.lower() else code


class Hearing:
    """Turns and words of one stream.

    Args:
        tell: is given the events.
        formats: whether the end of a turn is told twice.

    Attributes:
        asked: how many answers are owed: a final result each.
        unformatted: the words of a turn that is over, and is about to be told once more.
    """

    def __init__(self, tell: Callable[[STTEvent], None], *, formats: bool) -> None:
        self.asked = 0
        self.unformatted: Message | None = None
        self._tell = tell
        self._formats = formats
        self._speaks = False
        #: The newest words of a turn that is not over, and the last turn that is.
        self._open: Message | None = None
        self._done = -1

    @property
    def has_words(self) -> bool:
        """Whether words of a turn have come that is not over."""
        return self._open is not None

    def started(self, message: Message) -> None:
        """Speech begins."""
        if not self._speaks:
            self._speaks = True
            self._tell(STTSpeechStarted(message.timestamp))

    def turn(self, message: Message) -> None:
        """Words of a turn."""
        if message.turn_order <= self._done:
            return  # of one that was told already
        if not message.end_of_turn:
            if message.transcript.strip():
                self._open = message
                if not self._speaks:
                    self._speaks = True
                    self._tell(STTSpeechStarted())
                self._tell(STTPartial(message.transcript))
        elif self._formats and not message.turn_is_formatted:
            self.unformatted = message
        else:
            self.over(message)

    def over(self, message: Message | None) -> None:
        """A turn is over; None: the one whose words are known, or none, for no word of its end has come."""
        last = message or self.unformatted or self._open
        self._speaks, self._open, self.unformatted = False, None, None
        if last is not None:
            self._done = last.turn_order
        text = last.transcript if last is not None else ""
        language = last.language_code if last is not None else None
        confidence = last.end_of_turn_confidence if last is not None else None
        if self.asked:
            self.asked -= 1
            self._tell(STTFinal(text, language, asked=True))
        elif text.strip():
            self._tell(STTTurnEnded(text, language, confidence))


def parameter(value: Any) -> str:
    """A parameter of the address: lists and objects are JSON in it."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
