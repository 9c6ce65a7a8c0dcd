"""The messages of EVI's chat, pure functions in both directions.

Facts: `hume.empathic_voice` (0.14), 8 messages of the client and 12 of the server. All types of the server are in one
of two tables: `TRANSLATED` and `PASSED_ON` (they become a `RawEvent`, for the application may want them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pybase64

from voxengine.providers.messages import Malformed, Unknown, decode_base64, decoder_of, encode_event

__all__ = [
    "AUDIO_OUTPUT",
    "PASSED_ON",
    "TRANSLATED",
    "Chat",
    "Interval",
    "Malformed",
    "Message",
    "Unknown",
    "decode",
    "decode_audio",
    "encode_audio",
    "encode_say",
    "encode_settings",
    "encode_tool_result",
    "encode_user",
    "note",
    "scores_of",
]

AUDIO_OUTPUT = "audio_output"

TRANSLATED = frozenset(
    {
        AUDIO_OUTPUT,
        "chat_metadata",
        "user_message",
        "user_interruption",
        "assistant_message",
        "assistant_end",
        "tool_call",
        "error",
    }
)

#: Types that become a `RawEvent`: what they tell has no name with us.
PASSED_ON = {
    "assistant_prosody": "how the assistant's own voice sounds",
    "session_settings": "settings that another client of the chat has made",
    "tool_response": "what a tool of Hume's own returned",
    "tool_error": "a tool of Hume's own failed",
}


class Interval(msgspec.Struct, gc=False):
    """Where in all audio of the user's something is, in milliseconds."""

    begin: float = 0.0
    end: float = 0.0


class Chat(msgspec.Struct, gc=False):
    """What somebody said."""

    content: str | None = None


class Message(msgspec.Struct, gc=False):
    """Any message of the server: of its fields, those that are read."""

    type: str
    id: str | None = None
    data: str | None = None
    #: What was said; of an error, its words.
    message: Chat | str | None = None
    #: Of what the user said, where; of an interruption, when (Unix time).
    time: Interval | float | None = None
    interim: bool = False
    from_text: bool = False
    language: str | None = None
    #: Read only where somebody wants to know of feelings.
    models: msgspec.Raw = msgspec.Raw(b"null")
    chat_id: str | None = None
    chat_group_id: str | None = None
    name: str = ""
    parameters: str = "{}"
    tool_call_id: str = ""
    response_required: bool = True
    code: str | None = None
    slug: str | None = None

    @property
    def words(self) -> str:
        """What was said, or what is wrong."""
        said = self.message
        return (said.content or "") if isinstance(said, Chat) else said or ""


class _Prosody(msgspec.Struct):
    scores: dict[str, float] = {}


class _Models(msgspec.Struct):
    prosody: _Prosody | None = None


#: What a text message is. Never raises.
decode = decoder_of(Message, TRANSLATED)
_decode_models = msgspec.json.Decoder(_Models | None).decode


def decode_audio(message: Message) -> bytes:
    """The WAV file, or the rest of one, in a piece of audio.

    Raises:
        ValueError: it is no base64.
    """
    return decode_base64(message.data or "")


def scores_of(message: Message) -> dict[str, float]:
    """How strongly each feeling is heard, the strongest first; nothing where that was not measured.

    Raises:
        ValueError: they are not of the form that they should have.
    """
    models = _decode_models(message.models)
    if models is None or models.prosody is None:
        return {}
    return dict(sorted(models.prosody.scores.items(), key=lambda pair: -pair[1]))


# -- out


def encode_audio(audio: bytes) -> bytes:
    """`audio_input`."""
    return b'{"type":"audio_input","data":"' + pybase64.b64encode(audio) + b'"}'


def encode_settings(settings: Mapping[str, Any]) -> bytes:
    """`session_settings`: what is not in it stays as it is."""
    return encode_event({"type": "session_settings", **settings})


def encode_user(text: str) -> bytes:
    """`user_input`: words of the user in writing, which are answered."""
    return encode_event({"type": "user_input", "text": text})


def note(text: str) -> str:
    """Words of the application's among those of the user."""
    return f"[A note from the application, not said by the user: {text}]"


def encode_say(text: str) -> bytes:
    """`assistant_input`: words that are spoken as they are."""
    return encode_event({"type": "assistant_input", "text": text})


def encode_tool_result(call_id: str, content: str) -> bytes:
    """`tool_response`."""
    return encode_event({"type": "tool_response", "tool_call_id": call_id, "content": content})
