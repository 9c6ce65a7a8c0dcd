"""The data messages of an Ultravox call, pure functions in both directions. Audio goes beside them, as it is.

Facts: docs.ultravox.ai, "Protocol & Data Messages" and the description of the REST API. The vendor publishes no types.
All types of the server that are documented are in one of three tables.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from voxengine.providers.messages import Malformed, Unknown, decoder_of, encode_event

__all__ = [
    "NOTHING",
    "PASSED_ON",
    "TRANSLATED",
    "Malformed",
    "Message",
    "Unknown",
    "decode",
    "encode_hang_up",
    "encode_interrupt",
    "encode_medium",
    "encode_note",
    "encode_say",
    "encode_text",
    "encode_tool_result",
    "note",
]

TRANSLATED = frozenset(
    {
        "call_started",
        "state",
        "transcript",
        "client_tool_invocation",
        "playback_clear_buffer",
        "user_started_speaking",
        "user_stopped_speaking",
    }
)

#: Types that become a `RawEvent`: what they tell has no name with us.
PASSED_ON = {
    "debug": "for those who develop an agent, where the application has asked for it",
    "call_event": "something was put down in the call's record",
    "tool_used": "the agent has used a tool of the vendor's side",
    "data_connection_tool_invocation": "a call that another connection answers",
}

#: Types that carry nothing for us, and why.
NOTHING = {"pong": "answers a ping, which only the application can have sent"}


class Message(msgspec.Struct, gc=False, rename="camel"):
    """Any message of the server: of its fields, those that are read."""

    type: str
    call_id: str | None = None
    state: str = ""
    #: Of a transcript. Either `text`, all of it so far, or `delta`, what is new.
    role: Literal["user", "agent"] = "agent"
    medium: Literal["voice", "text"] = "voice"
    text: str | None = None
    delta: str | None = None
    final: bool = False
    ordinal: int = 0
    #: Of a call of a tool.
    tool_name: str = ""
    invocation_id: str = ""
    parameters: msgspec.Raw = msgspec.Raw(b"{}")


#: What a text message is. Never raises.
decode = decoder_of(Message, TRANSLATED | NOTHING.keys())


# -- out


def note(text: str) -> str:
    """Words of the application's among those of the user."""
    return f"<instruction>{text}</instruction>"


def encode_text(text: str) -> bytes:
    """`user_text_message`: words of the user in writing, which are answered at once, as speech would be."""
    return encode_event({"type": "user_text_message", "text": text, "urgency": "immediate"})


def encode_note(text: str, *, answered: bool = False) -> bytes:
    """As `encode_text`, of words of the application's: answered after what is being said, or known and nothing else."""
    urgency = "soon" if answered else "later"
    return encode_event({"type": "user_text_message", "text": note(text), "urgency": urgency})


def encode_interrupt() -> bytes:
    """Nothing at all of the user's, at once: it interrupts, and is not answered."""
    return encode_event(
        {"type": "user_text_message", "text": "", "urgency": "immediate", "deferResponse": True}
    )


def encode_say(text: str) -> bytes:
    """`forced_agent_message`: words that are spoken as they are, after what is being said."""
    return encode_event({"type": "forced_agent_message", "content": text, "urgency": "soon"})


def encode_tool_result(invocation_id: str, result: str) -> bytes:
    """`client_tool_result`."""
    return encode_event(
        {
            "type": "client_tool_result",
            "invocationId": invocation_id,
            "result": result,
            "responseType": "tool-response",
            "agentReaction": "speaks",
        }
    )


def encode_medium(speaks: bool) -> bytes:
    """`set_output_medium`: how the agent answers from then on."""
    return encode_event({"type": "set_output_medium", "medium": "voice" if speaks else "text"})


def encode_hang_up() -> bytes:
    """`hang_up`, without a last word."""
    return encode_event({"type": "hang_up"})
