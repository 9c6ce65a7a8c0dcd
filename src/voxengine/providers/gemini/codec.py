"""The messages of the Live API, pure functions in both directions.

Facts: `google.genai.types.LiveClientMessage` and `LiveServerMessage`. A message has no type: which of its fields is
there says what it is, and `usageMetadata` may stand beside any. Frames of the server are JSON, in binary frames as a
rule. As in all JSON of protocol buffers, names may be written in camelCase or in snake_case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pybase64

from voxengine.providers.messages import UNREADABLE, Malformed, Unknown, decode_base64, decode_plain

__all__ = [
    "Activity",
    "Blob",
    "FunctionCall",
    "Malformed",
    "Message",
    "ServerContent",
    "Unknown",
    "Usage",
    "audio_encoder",
    "decode",
    "decode_audio",
    "encode",
    "encode_content",
    "encode_tool_response",
    "seconds_of",
]


class _Camel(msgspec.Struct, rename="camel", gc=False):
    """Fields as the wire names them."""


class Blob(_Camel, gc=False):
    """Media: audio as base64."""

    data: str = ""
    mime_type: str = ""


class Part(_Camel, gc=False):
    """A piece of what the model says. A `thought` is not said."""

    thought: bool | None = None
    inline_data: Blob | None = None


class Turn(_Camel, gc=False):
    """What the model says."""

    parts: list[Part] | None = None


class Transcription(_Camel, gc=False):
    """A further piece of a transcript, with the spaces that belong to it; whether it is the last one."""

    text: str | None = None
    finished: bool | None = None
    language_code: str | None = None


class ServerContent(_Camel, gc=False):
    """What the model does, and what was said."""

    model_turn: Turn | None = None
    generation_complete: bool | None = None
    turn_complete: bool | None = None
    turn_complete_reason: str | None = None
    interrupted: bool | None = None
    input_transcription: Transcription | None = None
    interim_input_transcription: Transcription | None = None
    output_transcription: Transcription | None = None


class FunctionCall(_Camel, gc=False):
    """A call of a function. `args` is the JSON of an object."""

    name: str
    id: str | None = None
    args: msgspec.Raw = msgspec.Raw(b"{}")


class ToolCall(_Camel, gc=False):
    """Calls of functions, all of which are to be answered."""

    function_calls: list[FunctionCall] | None = None


class ToolCallCancellation(_Camel, gc=False):
    """Calls that are not wanted any more."""

    ids: list[str] | None = None


class SetupComplete(_Camel, gc=False):
    """The session stands."""

    session_id: str | None = None


class GoAway(_Camel, gc=False):
    """The connection will be ended, in so much time ("50s")."""

    time_left: str | None = None


class Resumption(_Camel, gc=False):
    """By which the session, as it is now, can be taken up again."""

    new_handle: str | None = None
    resumable: bool | None = None


class Activity(_Camel, gc=False):
    """The user begins to speak, or falls silent: ACTIVITY_START, ACTIVITY_END; where in the audio ("1.5s")."""

    voice_activity_type: str = ""
    audio_offset: str | None = None


class Count(_Camel, gc=False):
    """Tokens of one modality: TEXT, AUDIO, IMAGE, VIDEO, DOCUMENT."""

    modality: str = ""
    token_count: int = 0


class Usage(_Camel, gc=False):
    """What a turn used. The details need not add up to their count."""

    prompt_token_count: int = 0
    response_token_count: int = 0
    thoughts_token_count: int = 0
    tool_use_prompt_token_count: int = 0
    cached_content_token_count: int = 0
    prompt_tokens_details: list[Count] | None = None
    response_tokens_details: list[Count] | None = None
    cache_tokens_details: list[Count] | None = None


class Message(_Camel, gc=False):
    """Any message of the server: of its fields, those that are read."""

    server_content: ServerContent | None = None
    usage_metadata: Usage | None = None
    tool_call: ToolCall | None = None
    tool_call_cancellation: ToolCallCancellation | None = None
    setup_complete: SetupComplete | None = None
    session_resumption_update: Resumption | None = None
    go_away: GoAway | None = None
    voice_activity: Activity | None = None


_FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(Message))
_decode = msgspec.json.Decoder(Message).decode
#: A name in snake_case, as a key.
_SNAKE = re.compile(rb'"[a-z]+(?:_[a-z]+)+"\s*:')
#: Below these keys is what an application's function takes or gives: its names are its own.
_FOREIGN = frozenset({"args", "response"})

_OTHER_ALPHABET = str.maketrans("-_", "+/")


def decode(payload: bytes | memoryview) -> Message | Unknown | Malformed:
    """What a message is. Never raises."""
    try:
        message = _decode(payload)
    except UNREADABLE as failure:
        return _by_hand(payload, failure)
    content = message.server_content
    turn = content.model_turn if content is not None else None
    if turn is not None and turn.parts and turn.parts[0].inline_data is not None:
        return message  # most of what comes is audio, and that is read
    raw = bytes(payload)
    if _SNAKE.search(raw) is not None or not _says_anything(message):
        return _by_hand(raw, None)
    return message


def _says_anything(message: Message) -> bool:
    return any(getattr(message, name) is not None for name in Message.__struct_fields__)


def _by_hand(
    payload: bytes | memoryview, failure: Exception | None
) -> Message | Unknown | Malformed:
    """Names in snake_case are put into the other spelling; of what is new to us, its name is found."""
    try:
        plain = decode_plain(payload)
    except UNREADABLE as unreadable:
        return Malformed(f"a message that is not JSON: {unreadable}")
    if not isinstance(plain, dict) or not plain:
        return Malformed("a message that is no object with a field")
    plain = _camel(plain)
    known = [name for name in plain if name in _FIELDS]
    if not known:
        return Unknown(next(iter(plain)), plain)
    try:
        return _decode(msgspec.json.encode(plain))
    except UNREADABLE as again:
        return Malformed(f"{known[0]} in a form that cannot be read: {failure or again}")


def _camel(value: Any) -> Any:
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        (name := _in_camel(key)): each if name in _FOREIGN else _camel(each)
        for key, each in value.items()
    }


def _in_camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def decode_audio(blob: Blob) -> bytes:
    """The samples in a piece of speech.

    Raises:
        ValueError: it is no base64.
    """
    try:
        return decode_base64(blob.data)
    except ValueError:
        # The JSON of protocol buffers may use either alphabet, and leave the padding out.
        text = blob.data.translate(_OTHER_ALPHABET)
        return decode_base64(text + "=" * (-len(text) % 4))


def seconds_of(duration: str | None) -> float | None:
    """A length of time as protocol buffers write it ("50s", "1.500s"); None where it is none."""
    try:
        return float((duration or "").removesuffix("s"))
    except ValueError:
        return None


# -- out


def audio_encoder(sample_rate: int) -> Callable[[bytes], bytes]:
    """What makes `realtimeInput` messages of pcm16 at one rate."""
    mime = f"audio/pcm;rate={sample_rate}"
    head = f'{{"realtimeInput":{{"audio":{{"mimeType":"{mime}","data":"'.encode()

    def encode_audio(audio: bytes) -> bytes:
        return b"".join((head, pybase64.b64encode(audio), b'"}}}'))

    return encode_audio


def encode(message: Mapping[str, Any]) -> bytes:
    """Any message, in the vendor's own words."""
    return msgspec.json.encode(message)


def encode_content(turns: Sequence[Mapping[str, Any]], *, answer: bool) -> bytes:
    """`clientContent`: something for the conversation. It ends what is being said; with `answer`, it is answered."""
    content: dict[str, Any] = {"turnComplete": answer}
    if turns:
        content["turns"] = turns
    return encode({"clientContent": content})


def encode_tool_response(responses: Sequence[Mapping[str, Any]]) -> bytes:
    """`toolResponse`: what functions returned."""
    return encode({"toolResponse": {"functionResponses": responses}})
