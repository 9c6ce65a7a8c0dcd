"""What is read of the server's messages.

`Message` is the one flat form of all of them: the fields that any event carries at its top, and the nested ones as raw
JSON, which is decoded only where somebody asks for it. So a message is gone through once, and most of it is skipped.
Facts: `openai.types.realtime.RealtimeServerEvent`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from voxengine.providers.messages import decode_plain

__all__ = [
    "CachedTokens",
    "Failure",
    "InputTokens",
    "Message",
    "OutputItem",
    "OutputTokens",
    "RateLimitRow",
    "Response",
    "SessionInfo",
    "TranscriptionUsage",
    "Usage",
    "decode_message",
    "decode_plain",
    "parse",
]

_NOTHING = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")


class Message(msgspec.Struct, gc=False):
    """Any server event."""

    type: str
    event_id: str | None = None
    item_id: str | None = None
    response_id: str | None = None
    delta: str | None = None
    transcript: str | None = None
    text: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    content_index: int | None = 0
    audio_start_ms: float | None = None
    audio_end_ms: float | None = None
    item: msgspec.Raw = _NOTHING
    part: msgspec.Raw = _NOTHING
    response: msgspec.Raw = _NOTHING
    session: msgspec.Raw = _NOTHING
    conversation: msgspec.Raw = _NOTHING
    error: msgspec.Raw = _NOTHING
    usage: msgspec.Raw = _NOTHING
    rate_limits: msgspec.Raw = _NOTHING


class Failure(msgspec.Struct, gc=False):
    """What an error says: of an `error` event, of a failed response, of a failed transcription."""

    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    param: str | None = None
    event_id: str | None = None


class OutputItem(msgspec.Struct, gc=False):
    """An item of a response, or one that is replayed."""

    id: str | None = None
    type: str | None = None
    role: str | None = None
    status: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class _Details(msgspec.Struct, gc=False):
    type: str | None = None
    reason: str | None = None
    error: Failure | None = None


class CachedTokens(msgspec.Struct, gc=False):
    """How many of the input's tokens were cached."""

    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class InputTokens(msgspec.Struct, gc=False):
    """The input's tokens by kind."""

    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    cached_tokens: int | None = None
    cached_tokens_details: CachedTokens | None = None


class OutputTokens(msgspec.Struct, gc=False):
    """The output's tokens by kind."""

    text_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """Tokens of one response. Cached tokens are part of the input."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: InputTokens | None = None
    output_token_details: OutputTokens | None = None


class Response(msgspec.Struct, gc=False):
    """A response, at its start or its end."""

    id: str | None = None
    status: str | None = None
    status_details: _Details | None = None
    conversation_id: str | None = None
    usage: Usage | None = None


class TranscriptionUsage(msgspec.Struct, gc=False):
    """What the transcription of one item used: tokens, or seconds."""

    type: str | None = None
    seconds: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: InputTokens | None = None


class RateLimitRow(msgspec.Struct, gc=False):
    """What is left of one limit."""

    name: str | None = None
    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


class SessionInfo(msgspec.Struct, gc=False):
    """What is read of a session, or of a conversation."""

    id: str | None = None
    model: str | None = None
    expires_at: float | None = None


decode_message = msgspec.json.Decoder(Message).decode

_decoders: dict[Any, Any] = {}


def parse(raw: msgspec.Raw, kind: Any) -> Any:
    """A nested part of a message; None where the message has none.

    Raises:
        msgspec.DecodeError, msgspec.ValidationError: it is not of that form.
    """
    if not raw or raw == _NULL:
        return None
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return decoder.decode(raw)
