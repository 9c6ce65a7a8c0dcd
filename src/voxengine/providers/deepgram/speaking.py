"""Messages of both interfaces for speech, as the state of one connection. Pure: messages in, what to do out.

Facts: `deepgram.speak.v1` and `.v2` (deepgram-sdk 7.17). On `/v1/speak` (Aura) a text is spoken when it is flushed, at
the latest, which is answered by `Flushed`; `Clear` stops it. On `/v2/speak` (Flux) an answer is a turn, which `Flush`
ends: `SpeechMetadata` comes when all of it was sent. `Interrupt` stops it and is told how much of the connection's
audio was heard; `SpeechInterrupted` says which words those were.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import msgspec

from voxengine.errors import ProviderError
from voxengine.providers.deepgram.codec import encode_event
from voxengine.providers.failures import error_of

__all__ = ["AuraTongue", "FluxTongue", "Tongue"]

#: Characters that one message may hold.
MAX_TEXT = 2000
#: Times that a text may be flushed within a minute, at the vendor's 20; the end of an answer has to be among them.
_MAX_FLUSHES = 15
_MINUTE = 60.0

_CODES = {
    "MESSAGE-0000": "message",
    "DATA-0000": "message",
    "DATA-0002": "message",
    "BIG-0000": "message",
    "NET-0000": "server",
    "NET-0001": "timeout",
}
#: Warnings that say that an `Interrupt` was not taken.
_NOT_INTERRUPTED = frozenset(
    {
        "NO_ACTIVE_SPEECH",
        "NO_AUDIO_GENERATED",
        "INTERRUPT_IN_PROGRESS",
        "INVALID_INTERRUPT_OFFSET",
    }
)


class _Message(msgspec.Struct, gc=False):
    """Any message of the server: of its fields, those that are read."""

    type: str
    code: str = ""
    description: str = ""
    audio_played_ms: float = 0.0
    text_spoken: str | None = None


_decode = msgspec.json.Decoder(_Message).decode


class Tongue(Protocol):
    """What is said over one connection, one answer after the other."""

    #: Whether all of the answer was spoken, or it was stopped: another may begin.
    idle: bool
    #: An answer was stopped, and nothing is known of its end yet: what comes is not to be heard.
    stopping: bool
    #: The words that were heard of an answer that was stopped, where the vendor says that.
    heard: str | None

    def text(self, text: str) -> list[bytes]:
        """The messages for further text."""

    def flush(self, now: float) -> list[bytes]:
        """The messages for "speak now what there is"."""

    def end(self, now: float) -> list[bytes]:
        """The messages for "no more text comes"."""

    def stop(self, heard_ms: float | None) -> list[bytes]:
        """The messages for "speak no more"; none if there is nothing to be told."""

    def spoke(self, ms: float) -> None:
        """So much audio came."""

    def read(self, payload: bytes | memoryview) -> ProviderError | None:
        """Take a message; an error is one that ends the connection."""


def _speak(text: str) -> list[bytes]:
    parts = (text[at : at + MAX_TEXT] for at in range(0, len(text), MAX_TEXT))
    return [encode_event({"type": "Speak", "text": part}) for part in parts]


class AuraTongue:
    """Of `/v1/speak`."""

    def __init__(self) -> None:
        self.idle = True
        self.stopping = False
        self.heard: str | None = None
        self._unflushed = False
        self._awaited = 0
        self._ended = False
        self._flushes: deque[float] = deque(maxlen=_MAX_FLUSHES)

    def text(self, text: str) -> list[bytes]:
        """Further text."""
        if self.idle:
            self.idle, self._ended = False, False
        self._unflushed = True
        return _speak(text)

    def flush(self, now: float) -> list[bytes]:
        """Speak now, unless that was said too often lately: the vendor speaks whole sentences by itself."""
        full = len(self._flushes) == _MAX_FLUSHES and now - self._flushes[0] < _MINUTE
        return [] if full or not self._unflushed else self._flush(now)

    def end(self, now: float) -> list[bytes]:
        """No more text."""
        self._ended = True
        messages = self._flush(now) if self._unflushed else []
        self._look()
        return messages

    def _flush(self, now: float) -> list[bytes]:
        self._flushes.append(now)
        self._unflushed = False
        self._awaited += 1
        return [b'{"type":"Flush"}']

    def stop(self, heard_ms: float | None) -> list[bytes]:
        """Speak no more. Of what was heard the vendor knows nothing."""
        if self.idle:
            return []
        self.stopping, self._unflushed = True, False
        return [b'{"type":"Clear"}']

    def spoke(self, ms: float) -> None:
        """Nothing is counted."""

    def read(self, payload: bytes | memoryview) -> ProviderError | None:
        """Take a message."""
        try:
            message = _decode(payload)
        except (msgspec.DecodeError, ValueError):
            return None
        if message.type == "Flushed" and not self.stopping:
            self._awaited = max(0, self._awaited - 1)
            self._look()
        elif message.type == "Cleared" and self.stopping:
            self.stopping, self.idle, self._awaited = False, True, 0
        elif message.type == "Error":
            return _failure(message)
        return None

    def _look(self) -> None:
        if self._ended and not self._awaited and not self.stopping:
            self.idle = True


class FluxTongue:
    """Of `/v2/speak`."""

    def __init__(self) -> None:
        self.idle = True
        self.stopping = False
        self.heard: str | None = None
        #: Milliseconds of the connection's audio: up to the answer, and in all.
        self._base = self._total = 0.0
        self._position = 0

    def text(self, text: str) -> list[bytes]:
        """Further text."""
        if self.idle:
            self.idle, self._base = False, self._total
        return _speak(text)

    def flush(self, now: float) -> list[bytes]:
        """The vendor speaks whole sentences by itself; a `Flush` would end the answer."""
        return []

    def end(self, now: float) -> list[bytes]:
        """No more text."""
        return [] if self.idle else [b'{"type":"Flush"}']

    def stop(self, heard_ms: float | None) -> list[bytes]:
        """Speak no more, also where all was sent and is still being played."""
        if self._total <= self._base or self.stopping:
            return []  # nothing was spoken, of which nothing can be said
        self.stopping, self.heard = True, None
        message: dict[str, object] = {"type": "Interrupt"}
        if heard_ms is not None:
            at = max(round(self._base + heard_ms), self._position + 1)
            self._position = at
            message["playback_offset"] = {"type": "time_ms", "value": at}
        return [encode_event(message)]

    def spoke(self, ms: float) -> None:
        """So much audio came."""
        self._total += ms

    def read(self, payload: bytes | memoryview) -> ProviderError | None:
        """Take a message."""
        try:
            message = _decode(payload)
        except (msgspec.DecodeError, ValueError):
            return None
        match message.type:
            case "SpeechMetadata" if not self.stopping:
                self.idle = True
            case "SpeechInterrupted":
                self.heard = message.text_spoken
                # The vendor counts on from what was heard.
                self._total = self._base = message.audio_played_ms
                self.stopping, self.idle = False, True
            case "Warning" if message.code in _NOT_INTERRUPTED and self.stopping:
                self.stopping = False
            case "Warning" if message.code == "NO_ACTIVE_SPEECH":
                self.idle = True
            case "Error":
                return _failure(message)
        return None


def _failure(message: _Message) -> ProviderError:
    code = _CODES.get(message.code, message.code.lower() or "error")
    return error_of(code, f"{message.description} ({message.code})", "deepgram")
