"""The messages of a connection to a voice, pure functions in both directions.

Facts: `elevenlabs.types` (2.78), of `/multi-stream-input` (several contexts on one connection: `context` is the id of
one) and of `/stream-input` (`context` is None). A server's message has no type: its fields say what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pybase64

from voxengine.providers.cascade.parts import SpokenWord
from voxengine.providers.elevenlabs.alignment import words_in

__all__ = [
    "Piece",
    "decode",
    "encode_begin",
    "encode_end",
    "encode_keep",
    "encode_text",
    "samples_of",
    "words_of",
]


class Chars(msgspec.Struct, gc=False):
    """Where in a piece of speech each character is. Milliseconds."""

    chars: list[str] | None = None
    starts: list[float] | None = msgspec.field(name="charStartTimesMs", default=None)
    durations: list[float] | None = msgspec.field(name="charDurationsMs", default=None)


class Piece(msgspec.Struct, gc=False):
    """Any message of the server: speech, the end of a context, or an error."""

    audio: str | None = None
    is_final: bool | None = msgspec.field(name="isFinal", default=None)
    context: str | None = msgspec.field(name="contextId", default=None)
    alignment: Chars | None = None
    normalized: Chars | None = msgspec.field(name="normalizedAlignment", default=None)
    error: str | None = None
    message: str | None = None
    code: int | None = None


_decode = msgspec.json.Decoder(Piece).decode


def decode(payload: bytes | memoryview) -> Piece | None:
    """A message; None if it cannot be read."""
    try:
        return _decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def samples_of(piece: Piece) -> bytes:
    """The speech in it.

    Raises:
        ValueError: it is no base64.
    """
    return pybase64.b64decode(piece.audio or "", validate=True)


def words_of(piece: Piece, at_ms: float) -> list[SpokenWord]:
    """The words in it, which begins at `at_ms` of the speech; of the text as it was given, if that is told.

    Raises:
        ValueError: the times do not go with the characters.
    """
    found = piece.alignment or piece.normalized
    if found is None or not found.chars:
        return []
    return words_in(found.chars, found.starts or [], found.durations or [], at_ms)


# -- out


def encode_begin(context: str | None, settings: Mapping[str, Any]) -> bytes:
    """The first message of a context; `settings` are `voice_settings`, `generation_config`, ..."""
    return _encode({"text": " ", **settings}, context)


def encode_text(context: str | None, text: str, *, flush: bool = False) -> bytes:
    """Text to speak; `flush`: at once. It ends with a space."""
    return _encode({"text": text, "flush": True} if flush else {"text": text}, context)


def encode_end(context: str | None) -> bytes:
    """No more text comes, or nothing more is to be spoken."""
    return _encode({"text": ""} if context is None else {"close_context": True}, context)


def encode_keep(context: str) -> bytes:
    """The context is still wanted, though nothing is said in it."""
    return _encode({"text": ""}, context)


def _encode(message: dict[str, Any], context: str | None) -> bytes:
    return msgspec.json.encode(message if context is None else {**message, "context_id": context})
