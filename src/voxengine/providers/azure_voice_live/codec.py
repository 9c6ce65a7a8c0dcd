"""The messages of Azure Voice Live that come in, as structs; pure.

Facts: `azure.ai.voicelive.models.ServerEvent`, 56 events. All of them are in one of three tables: `TRANSLATED`,
`PASSED_ON` (they become a `RawEvent`) and `NOTHING`. A message is gone through once: what is nested stays raw until
somebody asks for it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from voxengine.providers.messages import Malformed, Unknown, decode_base64, decode_plain, decoder_of
from voxengine.providers.openai.messages import Usage, parse

__all__ = [
    "AUDIO_DELTA",
    "NOTHING",
    "PASSED_ON",
    "TRANSLATED",
    "Malformed",
    "Message",
    "Unknown",
    "decode",
    "decode_base64",
    "decode_plain",
    "parse",
]

AUDIO_DELTA = "response.audio.delta"

TRANSLATED = frozenset(
    {
        "session.created",
        "session.updated",
        "error",
        "warning",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.failed",
        "response.created",
        "response.done",
        "response.output_item.added",
        "response.output_item.done",
        "response.text.delta",
        "response.text.done",
        "response.audio_transcript.delta",
        "response.audio_transcript.done",
        "response.audio_timestamp.delta",
        "response.audio_timestamp.done",
        "response.function_call_arguments.done",
        AUDIO_DELTA,
    }
)

#: Types that become a `RawEvent`: what they tell has no name with us.
PASSED_ON = {
    "conversation.item.retrieved": "the answer to a question in the vendor's own words",
    "response.animation_blendshapes.delta": "an avatar's face",
    "response.animation_blendshapes.done": "an avatar's face",
    "response.animation_viseme.delta": "the shape of a mouth",
    "response.animation_viseme.done": "the shape of a mouth",
    "response.video.delta": "an avatar's picture",
    "session.avatar.connecting": "an avatar's picture",
    "session.avatar.switch_to_speaking": "an avatar's picture",
    "session.avatar.switch_to_idle": "an avatar's picture",
    "response.audio_transcript.annotation.added": "where the words come from",
    "response.invocation.delta": "what a hosted agent tells beside its words",
    "response.mcp_call_arguments.delta": "a tool that the vendor runs itself",
    "response.mcp_call_arguments.done": "a tool that the vendor runs itself",
    "response.mcp_call.in_progress": "a tool that the vendor runs itself",
    "response.mcp_call.completed": "a tool that the vendor runs itself",
    "response.mcp_call.failed": "a tool that the vendor runs itself",
    "mcp_list_tools.in_progress": "tools that the vendor runs itself",
    "mcp_list_tools.completed": "tools that the vendor runs itself",
    "mcp_list_tools.failed": "tools that the vendor runs itself",
    "response.web_search_call.searching": "a tool that the vendor runs itself",
    "response.web_search_call.in_progress": "a tool that the vendor runs itself",
    "response.web_search_call.completed": "a tool that the vendor runs itself",
    "response.file_search_call.searching": "a tool that the vendor runs itself",
    "response.file_search_call.in_progress": "a tool that the vendor runs itself",
    "response.file_search_call.completed": "a tool that the vendor runs itself",
}

#: Types that carry nothing for us, and why.
NOTHING = {
    "conversation.item.created": "the log is ours; items are told by what happens to them",
    "conversation.item.deleted": "confirms what we asked for",
    "conversation.item.truncated": "confirms what we asked for, or what `auto_truncate` has done",
    "input_audio_buffer.cleared": "confirms what we asked for",
    "output_audio_buffer.cleared": "the vendor's own player, which a WebSocket has not",
    "response.content_part.added": "its text and its audio are told piece by piece",
    "response.content_part.done": "its text and its audio were told piece by piece",
    "response.audio.done": "the playout clock knows when the listener has heard it",
    "response.function_call_arguments.delta": "a tool is called with all of its arguments",
}

_NONE = msgspec.Raw(b"")


class Message(msgspec.Struct, gc=False):
    """Any event of the server: of its fields, those that are read."""

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
    audio_offset_ms: float | None = None
    audio_duration_ms: float | None = None
    item: msgspec.Raw = _NONE
    response: msgspec.Raw = _NONE
    session: msgspec.Raw = _NONE
    error: msgspec.Raw = _NONE
    warning: msgspec.Raw = _NONE


class Agent(msgspec.Struct, gc=False):
    """The agent of Foundry that answers, and its thread: the conversation that it remembers."""

    thread_id: str | None = None


class Session(msgspec.Struct, gc=False):
    """What is read of a session."""

    id: str | None = None
    model: str | None = None
    agent: Agent | None = None


class Warning(msgspec.Struct, gc=False):
    """Something that the vendor would have us know; the session goes on."""

    message: str = ""
    code: str | None = None


class Details(msgspec.Struct, gc=False):
    """Why a response has not ended as it should. `error` is of any form."""

    reason: str | None = None
    error: Any = None


class Response(msgspec.Struct, gc=False):
    """A response, at its start or its end."""

    id: str | None = None
    status: str | None = None
    status_details: Details | None = None
    usage: Usage | None = None


#: What a text message is. Never raises.
decode = decoder_of(Message, TRANSLATED | NOTHING.keys())
