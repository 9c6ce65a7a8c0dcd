"""The judge of Amazon Nova Sonic's messages: their documented shape, for Amazon publishes no types of them.

The pages are those of the Nova 2 user guide: input events, output events, chat history, cross-modal input. Field by
field as they show them; what they do not show is a violation. The envelope around the messages has types, those of
`aws_sdk_bedrock_runtime`, and is judged by that library reading and writing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from voxengine.testing.oracles.shapes import ShapeJudge

__all__ = ["nova_judge"]

Name = Annotated[str, msgspec.Meta(min_length=1)]
Base64 = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]


class _Shape(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """All fields that are not None by default have to be there."""


# -- the client's


class _Inference(_Shape, kw_only=True):
    max_tokens: Annotated[int, msgspec.Meta(ge=1)]
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)]
    temperature: Annotated[float, msgspec.Meta(ge=0, le=1)]


class _TurnDetection(_Shape, kw_only=True):
    endpointing_sensitivity: Literal["HIGH", "MEDIUM", "LOW"]


class _SessionStart(_Shape, kw_only=True):
    inference_configuration: _Inference
    turn_detection_configuration: _TurnDetection | None = None


class _PlainText(_Shape, kw_only=True):
    media_type: Literal["text/plain"]


class _Json(_Shape, kw_only=True):
    media_type: Literal["application/json"]


class _AudioOut(_Shape, kw_only=True):
    media_type: Literal["audio/lpcm"]
    sample_rate_hertz: Literal[8000, 16000, 24000]
    sample_size_bits: Literal[16]
    channel_count: Literal[1]
    voice_id: Name
    encoding: Literal["base64"]
    audio_type: Literal["SPEECH"]


class _AudioIn(_Shape, kw_only=True):
    media_type: Literal["audio/lpcm"]
    sample_rate_hertz: Literal[8000, 16000, 24000]
    sample_size_bits: Literal[16]
    channel_count: Literal[1]
    encoding: Literal["base64"]
    audio_type: Literal["SPEECH"]


class _Schema(_Shape, kw_only=True):
    #: JSON in a string.
    json: Name


class _Spec(_Shape, kw_only=True):
    name: Name
    description: str
    input_schema: _Schema


class _Tool(_Shape, kw_only=True):
    tool_spec: _Spec


class _Tools(_Shape, kw_only=True):
    tools: list[_Tool]


class _PromptStart(_Shape, kw_only=True):
    prompt_name: Name
    text_output_configuration: _PlainText
    audio_output_configuration: _AudioOut
    tool_use_output_configuration: _Json | None = None
    tool_configuration: _Tools | None = None


class _Start(_Shape, tag_field="type", kw_only=True):
    prompt_name: Name
    content_name: Name
    interactive: bool


class _TextStart(_Start, tag="TEXT", kw_only=True):
    role: Literal["SYSTEM", "USER", "ASSISTANT", "SYSTEM_SPEECH"]
    text_input_configuration: _PlainText


class _AudioStart(_Start, tag="AUDIO", kw_only=True):
    role: Literal["USER"]
    audio_input_configuration: _AudioIn


class _ToolResult(_Shape, kw_only=True):
    tool_use_id: Name
    type: Literal["TEXT"]
    text_input_configuration: _PlainText


class _ToolStart(_Start, tag="TOOL", kw_only=True):
    role: Literal["TOOL"]
    tool_result_input_configuration: _ToolResult


class _TextInput(_Shape, kw_only=True):
    prompt_name: Name
    content_name: Name
    content: Annotated[str, msgspec.Meta(max_length=1024)]


class _AudioInput(_Shape, kw_only=True):
    prompt_name: Name
    content_name: Name
    content: Base64


class _Content(_Shape, kw_only=True):
    prompt_name: Name
    content_name: Name
    content: str


class _ContentEnd(_Shape, kw_only=True):
    prompt_name: Name
    content_name: Name


class _PromptEnd(_Shape, kw_only=True):
    prompt_name: Name


class _SessionEnd(_Shape, kw_only=True):
    pass


# -- the server's


class _Of(_Shape, kw_only=True):
    session_id: Name
    prompt_name: Name
    completion_id: Name


class _OutStart(_Of, tag_field="type", kw_only=True):
    content_id: Name
    role: Literal["USER", "ASSISTANT", "TOOL"]
    #: JSON in a string.
    additional_model_fields: str | None = None


class _OutTextStart(_OutStart, tag="TEXT", kw_only=True):
    text_output_configuration: _PlainText


class _OutSpeech(_Shape, kw_only=True):
    media_type: Literal["audio/lpcm"]
    sample_rate_hertz: Literal[8000, 16000, 24000]
    sample_size_bits: Literal[16]
    encoding: Literal["base64"]
    channel_count: Literal[1]


class _OutAudioStart(_OutStart, tag="AUDIO", kw_only=True):
    audio_output_configuration: _OutSpeech


class _OutToolStart(_OutStart, tag="TOOL", kw_only=True):
    tool_use_output_configuration: _Json


class _TextOutput(_Of, kw_only=True):
    content_id: Name
    content: str
    role: Literal["USER", "ASSISTANT"] | None = None


class _AudioOutput(_Of, kw_only=True):
    content_id: Name
    content: Base64
    role: Literal["ASSISTANT"] | None = None


class _ToolUse(_Of, kw_only=True):
    content_id: Name
    content: str
    tool_name: Name
    tool_use_id: Name
    role: Literal["TOOL"] | None = None


class _OutContentEnd(_Of, kw_only=True):
    content_id: Name
    stop_reason: Literal["PARTIAL_TURN", "END_TURN", "INTERRUPTED", "TOOL_USE"]
    type: Literal["TEXT", "AUDIO", "TOOL"]


class _Kinds(_Shape, kw_only=True):
    speech_tokens: Annotated[int, msgspec.Meta(ge=0)]
    text_tokens: Annotated[int, msgspec.Meta(ge=0)]


class _Both(_Shape, kw_only=True):
    input: _Kinds
    output: _Kinds


class _Details(_Shape, kw_only=True):
    delta: _Both
    total: _Both


class _Usage(_Of, kw_only=True):
    details: _Details
    total_input_tokens: int
    total_output_tokens: int
    total_tokens: int


class _CompletionEnd(_Of, kw_only=True):
    stop_reason: Literal["END_TURN"]


_CLIENT: Mapping[str, Any] = {
    "sessionStart": _SessionStart,
    "promptStart": _PromptStart,
    "contentStart": _TextStart | _AudioStart | _ToolStart,
    "textInput": _TextInput,
    "audioInput": _AudioInput,
    "toolResult": _Content,
    "contentEnd": _ContentEnd,
    "promptEnd": _PromptEnd,
    "sessionEnd": _SessionEnd,
}
_SERVER: Mapping[str, Any] = {
    "completionStart": _Of,
    "contentStart": _OutTextStart | _OutAudioStart | _OutToolStart,
    "textOutput": _TextOutput,
    "audioOutput": _AudioOutput,
    "toolUse": _ToolUse,
    "contentEnd": _OutContentEnd,
    "usageEvent": _Usage,
    "completionEnd": _CompletionEnd,
}


def nova_judge() -> ShapeJudge:
    """A judge of one connection of Nova Sonic."""
    return ShapeJudge(client=_enveloped(_CLIENT), server=_enveloped(_SERVER), name_of=_name_of)


def _enveloped(shapes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _message_of(name, shape) for name, shape in shapes.items()}


def _message_of(name: str, shape: Any) -> Any:
    """{"event": {NAME: shape}} and nothing else."""
    event = msgspec.defstruct("Event", [(name, shape)], forbid_unknown_fields=True)
    return msgspec.defstruct("Message", [("event", event)], forbid_unknown_fields=True)


def _name_of(message: Mapping[str, Any]) -> str | None:
    event = message.get("event")
    if not isinstance(event, Mapping) or len(event) != 1:
        return None
    return str(next(iter(event)))
