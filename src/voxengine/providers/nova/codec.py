"""The messages of Amazon Nova Sonic, pure functions in both directions.

Every message is `{"event": {NAME: {...}}}`. What the client sends belongs to a prompt, and in it to a content, each
with a name that the client makes up; what the server sends belongs to a content with an id of the server's.

Facts: the Nova 2 user guide ("input events", "output events", "chat history", "cross-modal input"). Amazon publishes no
types for these messages: to its SDK they are opaque bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pybase64

from voxengine.providers.messages import UNREADABLE, Malformed, Unknown, decode_base64, decode_plain

__all__ = [
    "AUDIO",
    "KNOWN",
    "NOTHING",
    "Body",
    "Malformed",
    "Message",
    "Tokens",
    "Unknown",
    "audio_start",
    "decode",
    "decode_audio",
    "encode",
    "encode_audio",
    "event_of",
    "is_interruption",
    "note",
    "pieces",
    "stage_of",
    "text_content",
    "tool_content",
]

AUDIO = "audioOutput"
#: Events of the server that are read.
KNOWN = frozenset(
    {AUDIO, "contentStart", "textOutput", "toolUse", "contentEnd", "usageEvent"},
)
#: Events that carry nothing for us, and why.
NOTHING = {
    "completionStart": "names the prompt, whose name we gave",
    "completionEnd": "the prompt is over, which only we can have asked for; each answer ends with its contents",
}

#: Bytes of one `textInput`; longer texts are cut, in one content.
MAX_TEXT_INPUT = 1024


class Kinds(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Tokens of one direction."""

    speech_tokens: int = 0
    text_tokens: int = 0


class Tokens(msgspec.Struct, frozen=True, gc=False):
    """Tokens of both directions."""

    input: Kinds = Kinds()
    output: Kinds = Kinds()


class Details(msgspec.Struct, gc=False):
    """Tokens of the session so far."""

    total: Tokens | None = None


class Body(msgspec.Struct, gc=False, rename="camel"):
    """Any event of the server: of its fields, those that are read."""

    content_id: str = ""
    type: str = ""
    role: str = ""
    content: str = ""
    stop_reason: str = ""
    #: JSON in a string, with the generation stage.
    additional_model_fields: str | None = None
    tool_use_id: str = ""
    tool_name: str = ""
    details: Details | None = None


class _Event(msgspec.Struct, gc=False, rename="camel"):
    audio_output: Body | None = None
    text_output: Body | None = None
    content_start: Body | None = None
    content_end: Body | None = None
    tool_use: Body | None = None
    usage_event: Body | None = None


class _Envelope(msgspec.Struct, gc=False):
    event: _Event


class Message(msgspec.Struct, gc=False):
    """An event of the server, by its name."""

    name: str
    body: Body


_decode = msgspec.json.Decoder(_Envelope).decode
_encode = msgspec.json.Encoder().encode


def decode(payload: bytes | memoryview) -> Message | Unknown | Malformed | None:
    """What a message is; None for one that carries nothing. Never raises."""
    try:
        event = _decode(payload).event
    except UNREADABLE as failure:
        return _not_read(payload, failure)
    # By how often they come.
    if event.audio_output is not None:
        return Message(AUDIO, event.audio_output)
    if event.text_output is not None:
        return Message("textOutput", event.text_output)
    if event.content_start is not None:
        return Message("contentStart", event.content_start)
    if event.content_end is not None:
        return Message("contentEnd", event.content_end)
    if event.usage_event is not None:
        return Message("usageEvent", event.usage_event)
    if event.tool_use is not None:
        return Message("toolUse", event.tool_use)
    return _not_read(payload, None)


def _not_read(payload: bytes | memoryview, failure: Exception | None) -> Unknown | Malformed | None:
    """Of a name unknown to us a message may have any form."""
    try:
        plain = decode_plain(payload)
        name = next(iter(plain["event"].keys()))
    except UNREADABLE as unreadable:
        return Malformed(f"a message that is no JSON: {unreadable}")
    except (KeyError, TypeError, StopIteration, AttributeError):
        return Malformed("a message without an event")
    if name in KNOWN:
        return Malformed(f"{name} in a form that cannot be read: {failure}")
    return None if name in NOTHING else Unknown(name, plain)


def decode_audio(body: Body) -> bytes:
    """The samples of an `audioOutput`.

    Raises:
        ValueError: they are no base64.
    """
    return decode_base64(body.content)


def stage_of(body: Body) -> str:
    """SPECULATIVE (a plan), FINAL (what was said), or "" where a content does not say."""
    if not body.additional_model_fields:
        return ""
    try:
        fields = decode_plain(body.additional_model_fields)
        return str(fields.get("generationStage", ""))
    except (msgspec.DecodeError, ValueError, AttributeError):
        return ""


def is_interruption(text: str) -> bool:
    """Whether a `textOutput` is no text but the mark of an interruption: the JSON object {"interrupted": true}."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        mark = decode_plain(text)
    except (msgspec.DecodeError, ValueError):
        return False
    return isinstance(mark, dict) and mark.get("interrupted") is True


# -- out


def encode(name: str, **fields: Any) -> bytes:
    """Any event, by its name."""
    return _encode({"event": {name: fields}})


def encode_audio(prompt: str, content: str, audio: bytes) -> bytes:
    """`audioInput`: the path of the microphone."""
    head = (
        f'{{"event":{{"audioInput":{{"promptName":"{prompt}","contentName":"{content}","content":"'
    )
    return b"".join((head.encode(), pybase64.b64encode(audio), b'"}}}'))


def audio_start(prompt: str, content: str, rate: int) -> bytes:
    """The `contentStart` of the microphone, which stays open as long as the session."""
    return encode(
        "contentStart",
        promptName=prompt,
        contentName=content,
        type="AUDIO",
        interactive=True,
        role="USER",
        audioInputConfiguration={
            "mediaType": "audio/lpcm",
            "sampleRateHertz": rate,
            "sampleSizeBits": 16,
            "channelCount": 1,
            "audioType": "SPEECH",
            "encoding": "base64",
        },
    )


def text_content(
    prompt: str, content: str, role: str, text: str, *, interactive: bool
) -> list[bytes]:
    """A text as a content: its start, the text in pieces that are small enough, its end."""
    name = {"promptName": prompt, "contentName": content}
    start = encode(
        "contentStart",
        **name,
        type="TEXT",
        interactive=interactive,
        role=role,
        textInputConfiguration={"mediaType": "text/plain"},
    )
    inputs = [encode("textInput", **name, content=piece) for piece in pieces(text)]
    return [start, *inputs, encode("contentEnd", **name)]


def tool_content(prompt: str, content: str, call_id: str, output: str) -> list[bytes]:
    """What a tool returned, as a content."""
    name = {"promptName": prompt, "contentName": content}
    start = encode(
        "contentStart",
        **name,
        type="TOOL",
        interactive=False,
        role="TOOL",
        toolResultInputConfiguration={
            "toolUseId": call_id,
            "type": "TEXT",
            "textInputConfiguration": {"mediaType": "text/plain"},
        },
    )
    return [
        start,
        encode("toolResult", **name, content=output),
        encode("contentEnd", **name),
    ]


def note(text: str) -> str:
    """Words of the application's where only those of the user can be."""
    return f"[A note from the application, not said by the user: {text}]"


def pieces(text: str, limit: int = MAX_TEXT_INPUT) -> Sequence[str]:
    """A text in pieces of at most `limit` bytes, cut between words where there are any."""
    result = []
    while len(text.encode()) > limit:
        head = text.encode()[:limit].decode(errors="ignore")
        cut = head.rfind(" ") + 1 or len(head)
        result.append(text[:cut])
        text = text[cut:]
    return [*result, text]


def event_of(message: Mapping[str, Any]) -> bytes:
    """A message in the vendor's own words.

    Raises:
        ValueError, TypeError: it has no event, or is nothing that JSON can hold.
    """
    event = message.get("event")
    if not isinstance(event, Mapping) or len(event) != 1:
        raise ValueError('a message is {"event": {NAME: {...}}}')
    return _encode(message)
