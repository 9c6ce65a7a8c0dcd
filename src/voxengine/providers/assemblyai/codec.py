"""The messages of the Voice Agent, pure functions in both directions.

Facts: the vendor's AsyncAPI description of the interface and its reference of events (2026), and what its server was
seen to send beyond them: `config` and `expires_at` in `session.ready`, words with their places in
`transcript.agent.delta`. All types of the server are in one of two tables: `TRANSLATED` and `NOTHING`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pybase64

from voxengine.providers.messages import (
    UNREADABLE,
    Malformed,
    Unknown,
    decode_base64,
    decode_plain,
    encode_event,
    not_read,
)

__all__ = [
    "END",
    "NOTHING",
    "REPLY_AUDIO",
    "TRANSLATED",
    "Malformed",
    "Message",
    "Unknown",
    "arguments_of",
    "decode",
    "decode_audio",
    "encode_audio",
    "encode_reply",
    "encode_resume",
    "encode_tool_result",
    "encode_update",
    "prompt_of",
]

REPLY_AUDIO = "reply.audio"

TRANSLATED = frozenset(
    {
        REPLY_AUDIO,
        "session.ready",
        "session.ended",
        "session.error",
        "input.speech.started",
        "input.speech.stopped",
        "transcript.user.delta",
        "transcript.user",
        "reply.started",
        "reply.done",
        "transcript.agent.delta",
        "transcript.agent",
        "tool.call",
    }
)

#: Types of which nobody has to be told: what was asked for was done.
NOTHING = frozenset({"session.updated"})

_NOTHING_RAW = msgspec.Raw(b"null")


class Message(msgspec.Struct, gc=False):
    """Any message of the server: of its fields, those that are read."""

    type: str
    #: Audio in base64.
    data: str | None = None
    session_id: str | None = None
    reply_id: str | None = None
    text: str | None = None
    #: A word of the agent's, and where it is in the audio of its reply.
    delta: str | None = None
    start_ms: float | None = None
    end_ms: float | None = None
    interrupted: bool | None = None
    status: str | None = None
    call_id: str = ""
    name: str = ""
    arguments: msgspec.Raw = _NOTHING_RAW
    code: str | None = None
    message: str | None = None
    session_duration_seconds: float | None = None
    config: msgspec.Raw = _NOTHING_RAW


class _Config(msgspec.Struct):
    system_prompt: str | None = None


_decode = msgspec.json.Decoder(Message).decode
_decode_config = msgspec.json.Decoder(_Config | None).decode
_decode_arguments = msgspec.json.Decoder(dict[str, Any] | str | None).decode


def decode(payload: bytes | memoryview) -> Message | Unknown | Malformed | None:
    """What a text message is; None if it says nothing. Never raises."""
    try:
        message = _decode(payload)
    except UNREADABLE as failure:
        return not_read(payload, TRANSLATED, failure)
    if message.type in TRANSLATED:
        return message
    return None if message.type in NOTHING else not_read(payload, TRANSLATED)


def decode_audio(message: Message) -> bytes:
    """The audio of a piece.

    Raises:
        ValueError: it is no base64.
    """
    return decode_base64(message.data or "")


def arguments_of(message: Message) -> str:
    """The arguments of a call, as JSON text of one object.

    Raises:
        ValueError: they are none.
    """
    found = _decode_arguments(message.arguments)
    if isinstance(found, str):
        return found
    return msgspec.json.encode(found or {}).decode()


def prompt_of(message: Message) -> str | None:
    """The prompt that the agent has, as far as `session.ready` says."""
    try:
        config = _decode_config(message.config)
    except msgspec.DecodeError:
        return None
    return config.system_prompt if config is not None else None


# -- out

#: `session.end`: it is over, and is not to be resumed.
END = b'{"type":"session.end"}'


def encode_audio(audio: bytes) -> bytes:
    """`input.audio`."""
    return b'{"type":"input.audio","audio":"' + pybase64.b64encode(audio) + b'"}'


def encode_update(session: Mapping[str, Any]) -> bytes:
    """`session.update`: what is not in it stays as it is."""
    return encode_event({"type": "session.update", "session": session})


def encode_resume(session_id: str) -> bytes:
    """`session.resume`."""
    return encode_event({"type": "session.resume", "session_id": session_id})


def encode_reply(instructions: str | None) -> bytes:
    """`reply.create`: speak now, with instructions for this once."""
    more = {"instructions": instructions} if instructions else {}
    return encode_event({"type": "reply.create", **more})


def encode_tool_result(call_id: str, output: str) -> bytes:
    """`tool.result`. The result is JSON within the JSON: plain text becomes a JSON string."""
    try:
        decode_plain(output)
    except msgspec.DecodeError:
        output = msgspec.json.encode(output).decode()
    return encode_event({"type": "tool.result", "call_id": call_id, "result": output})
