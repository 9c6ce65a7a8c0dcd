"""The messages of the Voice Agent, pure functions in both directions. Audio is binary, and needs no code.

Facts: `deepgram.agent.v1` (deepgram-sdk 7.17). All types of the server are in one of three tables: `TRANSLATED`,
`PASSED_ON` (they become a `RawEvent`, for the application may want them) and `LET_GO`.
"""

from __future__ import annotations

import msgspec

from voxengine.providers.messages import UNREADABLE, Malformed, Unknown, encode_event, not_read

__all__ = [
    "KEEP_ALIVE",
    "LET_GO",
    "PASSED_ON",
    "TRANSLATED",
    "Function",
    "Malformed",
    "Message",
    "Unknown",
    "decode",
    "encode_event",
    "encode_say",
    "encode_tool_result",
    "encode_user",
    "note",
]

TRANSLATED = frozenset(
    {
        "Welcome",
        "SettingsApplied",
        "ConversationText",
        "UserStartedSpeaking",
        "AgentStartedSpeaking",
        "AgentAudioDone",
        "FunctionCallRequest",
        "FunctionCallCancelled",
        "InjectionRefused",
        "Warning",
        "Error",
    }
)

#: Types that become a `RawEvent`: what they tell has no name with us.
PASSED_ON = {
    "LatencyReport": "how long the stages of an answer took",
    "History": "what was said, once more, where the flag `history` asks for that",
    "FunctionCallResponse": "what a tool returned that the server has called itself",
    "FrustrationDetected": "how often the user sounded frustrated; it has no score",
    "ThinkLiveUpdated": "the other model has new settings",
    "__customFromThinkProvider": "what a language model of one's own tells besides",
}

#: Types that nobody is told of: thoughts are not shown, and that a setting was changed was told when it was sent.
LET_GO = frozenset(
    {"AgentThinking", "PromptUpdated", "SpeakUpdated", "ThinkUpdated", "ListenUpdated"}
)


class Function(msgspec.Struct, gc=False):
    """A call of a tool. `arguments` is JSON text."""

    id: str = ""
    name: str = ""
    arguments: str = "{}"
    client_side: bool = True


class Message(msgspec.Struct, gc=False):
    """Any message of the server: of its fields, those that are read."""

    type: str
    request_id: str | None = None
    role: str = ""
    content: str = ""
    languages: list[str] | None = None
    functions: list[Function] = []
    code: str = ""
    description: str = ""
    message: str = ""


_decode = msgspec.json.Decoder(Message).decode


def decode(payload: bytes | memoryview) -> Message | Unknown | Malformed:
    """What a text message is. Never raises."""
    try:
        message = _decode(payload)
    except UNREADABLE as failure:
        return not_read(payload, TRANSLATED, failure)
    known = message.type in TRANSLATED or message.type in LET_GO
    return message if known else not_read(payload, TRANSLATED)


# -- out

KEEP_ALIVE = b'{"type":"KeepAlive"}'


def encode_user(text: str) -> bytes:
    """`InjectUserMessage`: words of the user in writing, which are answered."""
    return encode_event({"type": "InjectUserMessage", "content": text})


def note(text: str) -> str:
    """Words of the application's among those of the user."""
    return f"<instruction>{text}</instruction>"


def encode_say(text: str) -> bytes:
    """`InjectAgentMessage`: words that are spoken as they are, after what is being said."""
    return encode_event({"type": "InjectAgentMessage", "message": text, "behavior": "queue"})


def encode_tool_result(call_id: str, name: str, content: str) -> bytes:
    """`FunctionCallResponse`."""
    return encode_event(
        {"type": "FunctionCallResponse", "id": call_id, "name": name, "content": content}
    )
