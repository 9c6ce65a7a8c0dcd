"""The messages of an agent's conversation, pure functions in both directions.

Facts: the vendor's contract for agents (`@elevenlabs/types` 0.23): 10 messages of the client and 27 of the server. All
types of the server are in one of two tables: `TRANSLATED` and `PASSED_ON` (they become a `RawEvent`, for the
application may want them).
"""

from __future__ import annotations

import msgspec
import pybase64

from voxengine.providers.messages import (
    UNREADABLE,
    Malformed,
    Unknown,
    decode_base64,
    encode_event,
    not_read,
)

__all__ = [
    "PASSED_ON",
    "TRANSLATED",
    "Alignment",
    "Audio",
    "Correction",
    "Error",
    "Malformed",
    "Message",
    "Metadata",
    "Said",
    "ToolCall",
    "Unknown",
    "decode",
    "decode_audio",
    "encode_audio",
    "encode_context",
    "encode_event",
    "encode_pong",
    "encode_tool_result",
    "encode_user",
    "note",
]

TRANSLATED = frozenset(
    {
        "audio",
        "agent_response",
        "agent_response_correction",
        "interruption",
        "user_transcript",
        "tentative_user_transcript",
        "conversation_initiation_metadata",
        "client_tool_call",
        "guardrail_triggered",
        "ping",
        "error",
    }
)

#: Types that become a `RawEvent`: what they tell has no name with us.
PASSED_ON = {
    "agent_chat_response_part": "words of an answer in writing, which come as a whole, too",
    "agent_reasoning_response_part": "what the model thinks, which is neither spoken nor shown",
    "rich_content": "something for a page to display",
    "agent_tool_request": "a tool of the agent's own is about to be called",
    "agent_tool_response": "such a tool has returned",
    "agent_tool_response_full_payload": "the same, with all of what it returned",
    "mcp_tool_call": "a tool of an MCP server, which may want approval",
    "mcp_connection_status": "which MCP servers are connected",
    "vad_score": "how likely it is that the user speaks",
    "context_usage": "how full the model's context is",
    "asr_initiation_metadata": "settings of the recogniser",
    "internal_turn_probability": "how likely it is that the turn is over; for the vendor's own use",
    "internal_tentative_agent_response": "what may be said; for the vendor's own use",
    "agent_typing": "a person who has taken over is typing",
    "external_agent_connected": "a person has taken over",
    "external_agent_disconnected": "the agent has the conversation again",
}


class Alignment(msgspec.Struct, gc=False):
    """Where in a piece of audio each character is spoken. Milliseconds."""

    chars: list[str]
    char_start_times_ms: list[float]
    char_durations_ms: list[float]


class Audio(msgspec.Struct, gc=False):
    """A piece of speech, in base64."""

    audio_base_64: str
    event_id: int
    alignment: Alignment | None = None


class Said(msgspec.Struct, gc=False):
    """What somebody said. Of the user and the agent each, only one field is there."""

    event_id: int = 0
    user_transcript: str = ""
    agent_response: str = ""


class Correction(msgspec.Struct, gc=False):
    """What was to be said, and what of it was heard before the user interrupted."""

    original_agent_response: str
    corrected_agent_response: str


class Metadata(msgspec.Struct, gc=False):
    """The conversation, and the formats of audio in it, by the vendor's names."""

    conversation_id: str
    agent_output_audio_format: str = "pcm_16000"
    user_input_audio_format: str = "pcm_16000"


class ToolCall(msgspec.Struct, gc=False):
    """A tool of the application is called; `parameters` is a JSON object."""

    tool_name: str
    tool_call_id: str
    parameters: msgspec.Raw = msgspec.Raw(b"{}")


class Error(msgspec.Struct, gc=False):
    """Something is wrong, and the connection is closed after it with `code`."""

    code: int | None = None
    message: str | None = None
    error_type: str | None = None
    reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    """The number of a message: of an interruption, the last that is void; of a ping, what its answer states."""

    event_id: int


class Message(msgspec.Struct, gc=False):
    """Any message of the server: of its fields, those that are read. One beside `type` is there."""

    type: str
    audio_event: Audio | None = None
    agent_response_event: Said | None = None
    agent_response_correction_event: Correction | None = None
    user_transcription_event: Said | None = None
    tentative_user_transcription_event: Said | None = None
    interruption_event: _Event | None = None
    ping_event: _Event | None = None
    conversation_initiation_metadata_event: Metadata | None = None
    client_tool_call: ToolCall | None = None
    error_event: Error | None = None


#: The field that a type cannot be without.
_FIELDS = {
    "audio": "audio_event",
    "agent_response": "agent_response_event",
    "agent_response_correction": "agent_response_correction_event",
    "interruption": "interruption_event",
    "user_transcript": "user_transcription_event",
    "tentative_user_transcript": "tentative_user_transcription_event",
    "conversation_initiation_metadata": "conversation_initiation_metadata_event",
    "client_tool_call": "client_tool_call",
    "ping": "ping_event",
    "error": "error_event",
}


_decode = msgspec.json.Decoder(Message).decode


def decode(payload: bytes | memoryview) -> Message | Unknown | Malformed:
    """What a text message is. Never raises."""
    try:
        message = _decode(payload)
    except UNREADABLE as failure:
        return not_read(payload, TRANSLATED, failure)
    if message.type not in TRANSLATED:
        return not_read(payload, TRANSLATED)
    field = _FIELDS.get(message.type)
    if field is not None and getattr(message, field) is None:
        return Malformed(f"{message.type} without its {field}")
    return message


def decode_audio(audio: Audio) -> bytes:
    """The samples of a piece of speech.

    Raises:
        ValueError: it is no base64.
    """
    return decode_base64(audio.audio_base_64)


# -- out


def encode_audio(audio: bytes) -> bytes:
    """`user_audio_chunk`, the one message that has no type."""
    return b'{"user_audio_chunk":"' + pybase64.b64encode(audio) + b'"}'


def encode_pong(event_id: int) -> bytes:
    """`pong`: the answer to a ping."""
    return b'{"type":"pong","event_id":%d}' % event_id


def encode_user(text: str) -> bytes:
    """`user_message`: words of the user in writing, which are answered."""
    return encode_event({"type": "user_message", "text": text})


def note(text: str) -> str:
    """Words of the application's among those of the user."""
    return f"[A note from the application, not said by the user: {text}]"


def encode_context(text: str, context_id: str | None = None) -> bytes:
    """`contextual_update`: something to know. With a `context_id` it replaces what was told under that before."""
    named = {} if context_id is None else {"context_id": context_id}
    return encode_event({"type": "contextual_update", "text": text, **named})


def encode_tool_result(call_id: str, result: str, *, is_error: bool = False) -> bytes:
    """`client_tool_result`."""
    return encode_event(
        {
            "type": "client_tool_result",
            "tool_call_id": call_id,
            "result": result,
            "is_error": is_error,
        }
    )
