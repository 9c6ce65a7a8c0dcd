"""The messages of the Live API, pure functions in both directions.

Facts: `openai.types.live`, 15 events of the client and 28 of the server. All types of the server are in one of three
tables: `TRANSLATED`, `PASSED_ON` (they become a `RawEvent`, for the application may want them) and `NOTHING`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import pybase64

from voxengine.providers.messages import (
    Malformed,
    Unknown,
    decode_base64,
    decode_plain,
    decoder_of,
    encode_event,
)

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
    "encode_append",
    "encode_audio",
    "encode_close",
    "encode_start",
]

AUDIO_DELTA = "session.output_audio.delta"

TRANSLATED = frozenset(
    {
        "session.started",
        "session.closed",
        AUDIO_DELTA,
        "session.input_transcript.delta",
        "session.output_transcript.delta",
        "session.delegation.created",
        "session.usage.updated",
        "error",
    }
)

#: Types that become a `RawEvent`: what they tell has no name with us.
PASSED_ON = {
    "session.updated": "settings of the delegation, which only the application can have asked for",
    "response.event": "what a Responses backend does, where the application has chosen one",
    "decision.event": "a decision, where the application has asked for them",
    "decision.item.created": "confirms an item that the application made",
    "decision.item.deleted": "confirms an item that the application removed",
    "info": "a notice in words",
    "session.output_audio.fixture.playing": "a recording of the application's is played",
    "session.output_audio.fixture.played": "a recording of the application's was played",
    "transport.dtmf.received": "a key of a telephone, where the vendor has the call",
    "transport.dtmf.send": "a key of a telephone, where the vendor has the call",
    "transport.dtmf.sent": "a key of a telephone, where the vendor has the call",
    "transport.ringing": "the vendor's own telephone call",
    "transport.answered": "the vendor's own telephone call",
    "transport.failed": "the vendor's own telephone call",
}

#: Types that carry nothing for us, and why.
NOTHING = {
    "session.input_audio.append": "on a sideband, our own audio comes back",
    "session.instructions.appended": "confirms what we sent",
    "session.thinking.appended": "confirms what we sent",
    "session.commentary.appended": "confirms what we sent; what is said of it is told by the transcript",
    "session.input_audio.muted": "confirms what was asked for",
    "session.input_audio.unmuted": "confirms what was asked for",
}


class Session(msgspec.Struct, gc=False):
    """What is read of a session."""

    id: str | None = None
    model: str | None = None
    expires_at: float | None = None


class Delegation(msgspec.Struct, gc=False):
    """A task that the model hands over. It has no text: that is what was said."""

    id: str
    target: str = "client"


class Usage(msgspec.Struct, gc=False):
    """Seconds of the session so far."""

    seconds: float = 0.0


class Window(msgspec.Struct, gc=False):
    """How full the context is, 0 to 1."""

    usage_ratio: float | None = None


class Error(msgspec.Struct, gc=False):
    """What an error says."""

    code: str | None = None
    message: str | None = None
    type: str | None = None
    client_event_id: str | None = None


class Message(msgspec.Struct, gc=False):
    """Any event of the server: of its fields, those that are read."""

    type: str
    delta: str | None = None
    start_ms: float | None = None
    end_ms: float | None = None
    reason: str | None = None
    session: Session | None = None
    delegation: Delegation | None = None
    usage: Usage | None = None
    context_window: Window | None = None
    error: Error | None = None


#: What a text message is. Never raises.
decode = decoder_of(Message, TRANSLATED | NOTHING.keys())


# -- out


def encode_start(session: Mapping[str, Any]) -> bytes:
    """`session.start`, the first message."""
    return encode_event({"type": "session.start", "session": session})


def encode_audio(audio: bytes) -> bytes:
    """`session.input_audio.append`."""
    return b'{"type":"session.input_audio.append","audio":"' + pybase64.b64encode(audio) + b'"}'


def encode_append(
    channel: Literal["instructions", "thinking", "commentary"],
    content: str,
    delegation_id: str | None = None,
) -> bytes:
    """`session.<channel>.append`.

    Instructions are followed from then on, thinking is known and not said, commentary is there to be said.
    """
    # The id is required, and null for what belongs to no task.
    return encode_event(
        {
            "type": f"session.{channel}.append",
            "content": content,
            "delegation_id": delegation_id,
        }
    )


def encode_close() -> bytes:
    """`session.close`, which is answered by `session.closed` with the final usage."""
    return b'{"type":"session.close"}'
