"""The client's eleven events as types, and what the vendor says of one that does not fit.

The types are strict: an unknown field, a missing one and a wrong value are all refused, as by the vendor. What only the
vendor's own types know (MCP) is left to the judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from voxengine.realtime.errors import Complaint

__all__ = [
    "CLIENT_EVENTS",
    "XAI_EVENTS",
    "AudioConfig",
    "ClientEvent",
    "ItemCreate",
    "ResponseParams",
    "SessionParams",
    "TranscriptionParams",
    "decode",
]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    pass


# -- audio

Rate: TypeAlias = Annotated[int, Meta(gt=0)]


class PCM(_Strict, tag_field="type", tag="audio/pcm", frozen=True, kw_only=True):
    """16-bit samples, little endian, mono."""

    rate: Rate | UnsetType = UNSET


class PCMU(_Strict, tag_field="type", tag="audio/pcmu", frozen=True, kw_only=True):
    """G.711 mu-law at 8 kHz."""


class PCMA(_Strict, tag_field="type", tag="audio/pcma", frozen=True, kw_only=True):
    """G.711 A-law at 8 kHz."""


Format: TypeAlias = PCM | PCMU | PCMA
Milliseconds: TypeAlias = Annotated[int, Meta(ge=0)]


class ServerVad(_Strict, tag_field="type", tag="server_vad", frozen=True, kw_only=True):
    """Turns end when it has been quiet for so long."""

    threshold: Annotated[float, Meta(ge=0, le=1)] | UnsetType | None = UNSET
    prefix_padding_ms: Milliseconds | UnsetType | None = UNSET
    silence_duration_ms: Milliseconds | UnsetType | None = UNSET
    idle_timeout_ms: Annotated[int, Meta(ge=5000, le=30000)] | UnsetType | None = UNSET
    create_response: bool | UnsetType | None = UNSET
    interrupt_response: bool | UnsetType | None = UNSET


class SemanticVad(_Strict, tag_field="type", tag="semantic_vad", frozen=True, kw_only=True):
    """Turns end when what was said sounds complete."""

    eagerness: Literal["low", "medium", "high", "auto"] | UnsetType | None = UNSET
    create_response: bool | UnsetType | None = UNSET
    interrupt_response: bool | UnsetType | None = UNSET


class NoiseReduction(_Strict, frozen=True, kw_only=True):
    """Cleans the input."""

    type: Literal["near_field", "far_field"] | UnsetType | None = UNSET
    strength: float | UnsetType | None = UNSET


class Transcription(_Strict, frozen=True, kw_only=True):
    """What writes down the input."""

    model: str | UnsetType | None = UNSET
    language: str | UnsetType | None = UNSET
    languages: list[str] | UnsetType | None = UNSET
    prompt: str | UnsetType | None = UNSET
    keywords: list[str] | UnsetType | None = UNSET
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | UnsetType | None = UNSET


class AudioInput(_Strict, frozen=True, kw_only=True):
    """`session.audio.input`."""

    format: Format | UnsetType = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    turn_detection: ServerVad | SemanticVad | UnsetType | None = UNSET


class VoiceId(_Strict, frozen=True, kw_only=True):
    """A voice that was made for an account."""

    id: str


class AudioOutput(_Strict, frozen=True, kw_only=True):
    """`session.audio.output`."""

    format: Format | UnsetType = UNSET
    voice: str | VoiceId | UnsetType | None = UNSET
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | UnsetType = UNSET


class AudioConfig(_Strict, frozen=True, kw_only=True):
    """`session.audio`."""

    input: AudioInput | UnsetType = UNSET
    output: AudioOutput | UnsetType = UNSET


# -- sessions


class FunctionTool(_Strict, tag_field="type", tag="function", frozen=True, kw_only=True):
    """A function that the client runs."""

    name: str
    description: str | UnsetType | None = UNSET
    parameters: dict[str, Any] | UnsetType | None = UNSET


class McpTool(msgspec.Struct, tag_field="type", tag="mcp", frozen=True, kw_only=True):
    """Tools of a remote server; the judge knows its fields."""

    server_label: str


class FunctionChoice(_Strict, tag_field="type", tag="function", frozen=True, kw_only=True):
    """Just this function."""

    name: str


class McpChoice(_Strict, tag_field="type", tag="mcp", frozen=True, kw_only=True):
    """Just the tools of this server."""

    server_label: str
    name: str | UnsetType | None = UNSET


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | FunctionChoice | McpChoice
Modalities: TypeAlias = Annotated[list[Literal["text", "audio"]], Meta(min_length=1, max_length=1)]
MaxTokens: TypeAlias = Annotated[int, Meta(ge=1, le=4096)] | Literal["inf"]


class Tracing(_Strict, frozen=True, kw_only=True):
    """How a session shows in the vendor's traces."""

    group_id: str | UnsetType | None = UNSET
    metadata: Any = UNSET
    workflow_name: str | UnsetType | None = UNSET


class PromptText(_Strict, tag_field="type", tag="input_text", frozen=True, kw_only=True):
    """A text in the place of a variable."""

    text: str


class PromptImage(_Strict, tag_field="type", tag="input_image", frozen=True, kw_only=True):
    """A picture in the place of a variable."""

    detail: Literal["auto", "low", "high"]
    file_id: str | UnsetType | None = UNSET
    image_url: str | UnsetType | None = UNSET


class PromptFile(_Strict, tag_field="type", tag="input_file", frozen=True, kw_only=True):
    """A file in the place of a variable."""

    file_data: str | UnsetType = UNSET
    file_id: str | UnsetType | None = UNSET
    file_url: str | UnsetType = UNSET
    filename: str | UnsetType = UNSET


class Prompt(_Strict, frozen=True, kw_only=True):
    """A template that the vendor keeps."""

    id: str
    variables: dict[str, str | PromptText | PromptImage | PromptFile] | UnsetType | None = UNSET
    version: str | UnsetType | None = UNSET


class TokenLimits(_Strict, frozen=True, kw_only=True):
    """At how many tokens the conversation is shortened."""

    post_instructions: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET


class RetentionRatio(_Strict, frozen=True, kw_only=True):
    """What share of the conversation is kept when it is shortened."""

    type: Literal["retention_ratio"]
    retention_ratio: Annotated[float, Meta(ge=0, le=1)]
    token_limits: TokenLimits | UnsetType | None = UNSET


class Reasoning(_Strict, frozen=True, kw_only=True):
    """How much a model thinks before it speaks."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | UnsetType | None = UNSET


class SessionParams(_Strict, frozen=True, kw_only=True):
    """The session of a client's `session.update`, for conversations."""

    type: Literal["realtime"]
    model: str | UnsetType = UNSET
    audio: AudioConfig | UnsetType = UNSET
    output_modalities: Modalities | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    tools: list[FunctionTool | McpTool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    max_output_tokens: MaxTokens | UnsetType = UNSET
    reasoning: Reasoning | UnsetType | None = UNSET
    tracing: Literal["auto"] | Tracing | UnsetType | None = UNSET
    prompt: Prompt | UnsetType | None = UNSET
    include: list[Literal["item.input_audio_transcription.logprobs"]] | UnsetType | None = UNSET
    truncation: Literal["auto", "disabled"] | RetentionRatio | UnsetType = UNSET


class _InputOnly(_Strict, frozen=True, kw_only=True):
    input: AudioInput | UnsetType = UNSET


class TranscriptionParams(_Strict, frozen=True, kw_only=True):
    """The session of a client's `session.update`, where there is nothing but transcription."""

    type: Literal["transcription"]
    audio: _InputOnly | UnsetType = UNSET
    include: list[Literal["item.input_audio_transcription.logprobs"]] | UnsetType | None = UNSET


# -- items


class Part(_Strict, frozen=True, kw_only=True):
    """A part of a message's content. Which types fit depends on the role."""

    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio"]
    text: str | UnsetType | None = UNSET
    audio: str | UnsetType | None = UNSET
    transcript: str | UnsetType | None = UNSET
    image_url: str | UnsetType | None = UNSET
    detail: Literal["auto", "low", "high"] | UnsetType | None = UNSET


class _Item(_Strict, frozen=True, kw_only=True):
    id: str | UnsetType = UNSET
    object: Literal["realtime.item"] | UnsetType = UNSET
    status: Literal["completed", "incomplete", "in_progress"] | UnsetType = UNSET


class Message(_Item, tag_field="type", tag="message", frozen=True, kw_only=True):
    """Something that was said."""

    role: Literal["system", "user", "assistant"]
    content: list[Part]


class FunctionCall(_Item, tag_field="type", tag="function_call", frozen=True, kw_only=True):
    """The assistant called a function."""

    name: str
    arguments: str
    call_id: str | UnsetType = UNSET


class FunctionCallOutput(
    _Item, tag_field="type", tag="function_call_output", frozen=True, kw_only=True
):
    """The function returned."""

    call_id: str
    output: str


class McpApproval(
    _Strict, tag_field="type", tag="mcp_approval_response", frozen=True, kw_only=True
):
    """The client allows, or forbids, a call of a remote tool."""

    id: str
    approval_request_id: str
    approve: bool
    reason: str | UnsetType | None = UNSET


class ItemReference(_Strict, tag_field="type", tag="item_reference", frozen=True, kw_only=True):
    """An item of the conversation, in the context of a response that has one of its own."""

    id: str


class ForceMessage(_Item, tag_field="type", tag="force_message", frozen=True, kw_only=True):
    """A text that is spoken word for word (xAI)."""

    content: list[Part]
    role: Literal["assistant"] = "assistant"


Item: TypeAlias = Message | FunctionCall | FunctionCallOutput | McpApproval


# -- responses


class _OutputAudio(_Strict, frozen=True, kw_only=True):
    output: AudioOutput | UnsetType = UNSET


class ResponseParams(_Strict, frozen=True, kw_only=True):
    """What a `response.create` may ask for."""

    audio: _OutputAudio | UnsetType = UNSET
    conversation: Literal["auto", "none"] | UnsetType | None = UNSET
    input: list[Item | ItemReference] | UnsetType | None = UNSET
    instructions: str | UnsetType | None = UNSET
    max_output_tokens: MaxTokens | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType | None = UNSET
    output_modalities: Modalities | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    prompt: Prompt | UnsetType | None = UNSET
    reasoning: Reasoning | UnsetType | None = UNSET
    tool_choice: ToolChoice | UnsetType | None = UNSET
    tools: list[FunctionTool | McpTool] | UnsetType | None = UNSET


# -- events


class ClientEvent(_Strict, frozen=True, kw_only=True):
    """What every event of the client has."""

    type: str
    event_id: Annotated[str, Meta(max_length=512)] | UnsetType | None = UNSET


class SessionUpdate(ClientEvent, frozen=True, kw_only=True):
    """`session.update`; its session is looked at by the dialect."""

    session: dict[str, Any]


class Append(ClientEvent, frozen=True, kw_only=True):
    """`input_audio_buffer.append`."""

    audio: str


class ItemCreate(ClientEvent, frozen=True, kw_only=True):
    """`conversation.item.create`."""

    item: Item
    previous_item_id: str | UnsetType | None = UNSET


class ItemOf(ClientEvent, frozen=True, kw_only=True):
    """`conversation.item.retrieve` and `.delete`."""

    item_id: str


class ItemTruncate(ClientEvent, frozen=True, kw_only=True):
    """`conversation.item.truncate`."""

    item_id: str
    content_index: int
    audio_end_ms: int


class ResponseCreate(ClientEvent, frozen=True, kw_only=True):
    """`response.create`."""

    response: ResponseParams | UnsetType | None = UNSET


class ResponseCancel(ClientEvent, frozen=True, kw_only=True):
    """`response.cancel`."""

    response_id: str | UnsetType | None = UNSET


#: The type of each event of OpenAI's clients.
CLIENT_EVENTS: Mapping[str, type[ClientEvent]] = {
    "session.update": SessionUpdate,
    "input_audio_buffer.append": Append,
    "input_audio_buffer.commit": ClientEvent,
    "input_audio_buffer.clear": ClientEvent,
    "conversation.item.create": ItemCreate,
    "conversation.item.retrieve": ItemOf,
    "conversation.item.truncate": ItemTruncate,
    "conversation.item.delete": ItemOf,
    "response.create": ResponseCreate,
    "response.cancel": ResponseCancel,
    "output_audio_buffer.clear": ClientEvent,
}


class XaiItemCreate(ItemCreate, frozen=True, kw_only=True):
    """`conversation.item.create` of xAI, whose item may be one to be spoken."""

    item: Item | ForceMessage  # type: ignore[assignment]


#: The same of xAI's.
XAI_EVENTS: Mapping[str, type[ClientEvent]] = {
    **CLIENT_EVENTS,
    "conversation.item.create": XaiItemCreate,
}

_AT = re.compile(r"^(.*?)(?: - at `(?:key in )?\$(.*)`)?$", re.DOTALL)
_FIELD = re.compile(r"(unknown|missing required) field `(.+?)`")


def decode(value: Any, shape: Any, above: str = "") -> Any:
    """`value` as `shape`; `above` is the path at which it stands.

    Raises:
        Complaint: it is not; the vendor's words say where.
    """
    try:
        return msgspec.convert(value, shape, strict=True)
    except msgspec.ValidationError as failure:
        raise _complaint(str(failure), above) from None


def _complaint(failure: str, above: str) -> Complaint:
    found = _AT.match(failure)
    assert found is not None
    problem, place = found[1], (found[2] or "").lstrip(".")
    path = ".".join(part for part in (above, place) if part)
    field = _FIELD.search(problem)
    if field is not None:
        name = f"{path}.{field[2]}" if path else field[2]
        if field[1] == "unknown":
            return Complaint(f"Unknown parameter: '{name}'.", "unknown_parameter", name)
        return Complaint(
            f"Missing required parameter: '{name}'.", "missing_required_parameter", name
        )
    code = "invalid_type" if ", got `" in problem else "invalid_value"
    return Complaint(f"Invalid value for '{path}': {problem}.", code, path or None)
