"""The judges of AssemblyAI.

The Voice Agent: the messages as the vendor documents them (its AsyncAPI description of the interface and its reference
of events, 2026); it publishes no types of them for Python. A field that is not documented is wrong, and so is a value
of another type. What its server was seen to send beyond the documents is named where it stands.

Universal-Streaming: the types of the `assemblyai` package. They let unknown fields pass, so that each is judged by a
copy that does not; the parameters of the address are judged by `RealTimeParameters`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, Literal, get_args, get_origin

import msgspec

from voxengine.testing.oracles.judge import Judge, Vocabulary
from voxengine.testing.oracles.shapes import ShapeJudge
from voxengine.testing.oracles.strict import problems_of
from voxengine.testing.oracles.vendor import models_by_type, vendor_module

__all__ = ["agent_judge", "parameter_problems", "stt_judge"]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An object that has no fields but those that are documented."""


class _Message(_Strict):
    type: str


# -- the Voice Agent: of the client


class _Format(_Strict, kw_only=True):
    encoding: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    sample_rate: int | None = None


class _TurnDetection(_Strict, kw_only=True):
    vad_threshold: float | None = None
    min_silence: int | None = None
    max_silence: int | None = None
    interrupt_response: bool | None = None
    interruption_delay: int | None = None


class _Input(_Strict, kw_only=True):
    format: _Format | None = None
    keyterms: list[str] | None = None
    turn_detection: _TurnDetection | None = None
    transcription_mode: Literal["min_latency", "balanced", "max_accuracy"] | None = None
    transcription_prompt: str | None = None
    language_codes: list[str] | None = None
    voice_focus: Literal["near-field", "far-field"] | None = None
    voice_focus_threshold: float | None = None


class _Output(_Strict, kw_only=True):
    voice: str | None = None
    format: _Format | None = None
    volume: int | None = None


class _Tool(_Strict, kw_only=True):
    type: Literal["function"]
    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    execution_mode: Literal["interactive", "hold"] = "interactive"
    timeout_seconds: float = 120


class _Session(_Strict, kw_only=True):
    agent_id: str | msgspec.UnsetType = msgspec.UNSET
    system_prompt: str | msgspec.UnsetType = msgspec.UNSET
    greeting: str | msgspec.UnsetType = msgspec.UNSET
    tools: list[_Tool] | msgspec.UnsetType = msgspec.UNSET
    input: _Input | msgspec.UnsetType = msgspec.UNSET
    output: _Output | msgspec.UnsetType = msgspec.UNSET


class _Update(_Message, kw_only=True):
    session: _Session


class _OfSession(_Message, kw_only=True):
    session_id: str


class _InputAudio(_Message, kw_only=True):
    audio: str


class _ToolResult(_Message, kw_only=True):
    call_id: str
    result: str
    is_error: bool = False


class _ReplyCreate(_Message, kw_only=True):
    instructions: str | msgspec.UnsetType = msgspec.UNSET


class _ConversationMessage(_Message, kw_only=True):
    role: Literal["user", "system"]
    content: str


_CLIENT = {
    "session.update": _Update,
    "session.resume": _OfSession,
    "session.end": _Message,
    "input.audio": _InputAudio,
    "tool.result": _ToolResult,
    "reply.create": _ReplyCreate,
    "conversation.message": _ConversationMessage,
}

# -- of the server. `timestamp` is in every message that was seen.


class _Told(_Message, kw_only=True):
    timestamp: float | None = None


class _Ready(_Told, kw_only=True):
    session_id: str
    # Seen, and in the reference of events; not in the description of the interface.
    config: dict[str, Any] | None = None
    expires_at: float | None = None
    resume_token: str | None = None


class _Updated(_Told, kw_only=True):
    config: dict[str, Any] | None = None


class _Ended(_Told, kw_only=True):
    session_duration_seconds: float
    audio_duration_seconds: float | None


class _Error(_Told, kw_only=True):
    code: str
    message: str
    param: str | None = None
    session_id: str | None = None


class _UserText(_Told, kw_only=True):
    text: str
    item_id: str | None = None


class _ReplyStarted(_Told, kw_only=True):
    reply_id: str
    item_id: str | None = None


class _ReplyAudio(_Told, kw_only=True):
    data: str


class _AgentDelta(_Told, kw_only=True):
    reply_id: str
    delta: str
    start_ms: float
    end_ms: float
    item_id: str | None = None


class _AgentText(_Told, kw_only=True):
    text: str
    reply_id: str
    interrupted: bool
    item_id: str | None = None


class _ReplyDone(_Told, kw_only=True):
    reply_id: str | None = None
    status: Literal["completed", "interrupted"] | None = None


class _ToolCall(_Told, kw_only=True):
    call_id: str
    name: str
    arguments: dict[str, Any]


_SERVER = {
    "session.ready": _Ready,
    "session.updated": _Updated,
    "session.ended": _Ended,
    "session.error": _Error,
    "input.speech.started": _Told,
    "input.speech.stopped": _Told,
    "transcript.user.delta": _UserText,
    "transcript.user": _UserText,
    "reply.started": _ReplyStarted,
    "reply.audio": _ReplyAudio,
    "transcript.agent.delta": _AgentDelta,
    "transcript.agent": _AgentText,
    "reply.done": _ReplyDone,
    "tool.call": _ToolCall,
}


def agent_judge() -> ShapeJudge:
    """A judge of one session of the Voice Agent."""
    return ShapeJudge(client=_CLIENT, server=_SERVER, name_of=_type_of)


def _type_of(message: Mapping[str, Any]) -> str | None:
    kind = message.get("type")
    return kind if isinstance(kind, str) else None


# -- Universal-Streaming

_BOOLEANS = {"True": "true", "False": "false"}


def stt_judge() -> Judge:
    """A judge of one stream.

    Raises:
        MissingVendorTypesError: the `assemblyai` package is missing.
    """
    client, server = _vocabularies()
    return Judge(client=client, server=server)


def parameter_problems(query: Mapping[str, str]) -> list[str]:
    """What is wrong with the parameters of an address. Lists and objects are JSON in it, texts as they are."""
    model = _noticing(_models().RealTimeParameters)
    found: dict[str, Any] = {}
    for name, text in query.items():
        field = model.model_fields.get(name)
        plain = field is None or str in get_args(field.annotation) or _is_enum(field.annotation)
        try:
            # The vendor's own client writes "True".
            found[name] = text if plain else msgspec.json.decode(_BOOLEANS.get(text, text))
        except msgspec.DecodeError:
            return [f"{name}: not JSON"]
    if "sample_rate" not in found and found.get("encoding") not in ("opus", "ogg_opus", "aac"):
        return ["sample_rate: missing"]
    return problems_of(model, msgspec.json.encode(found))


def _is_enum(annotation: Any) -> bool:
    return any(isinstance(each, type) and issubclass(each, Enum) for each in get_args(annotation))


def _models() -> Any:
    return vendor_module(
        "assemblyai.streaming.v3.models",
        package="assemblyai",
        feature="judging AssemblyAI Universal-Streaming",
    )


@cache
def _vocabularies() -> tuple[Vocabulary, Vocabulary]:
    models = _models()
    client = [
        getattr(models, name)
        for name in ("TerminateSession", "ForceEndpoint", "KeepAlive", "UpdateConfiguration")
    ]
    sent = {get_args(each.model_fields["type"].annotation)[0]: each for each in client}
    told = models_by_type(models.EventMessage)
    return _closed(sent), _closed(told)


def _closed(models: Mapping[str, Any]) -> Vocabulary:
    return Vocabulary(models={name: _noticing(model) for name, model in models.items()})


@cache
def _noticing(model: Any) -> Any:
    """The same model, which keeps the fields that it does not know, so that they are noticed."""
    from pydantic import ConfigDict, create_model

    fields: dict[str, Any] = {
        name: (_noticed(field.annotation), field) for name, field in model.model_fields.items()
    }
    return create_model(model.__name__, __config__=ConfigDict(extra="allow"), **fields)


def _noticed(annotation: Any) -> Any:
    from pydantic import BaseModel

    if annotation is datetime:
        return datetime | int  # on the wire it is Unix time, which only lenient validation takes
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _noticing(annotation)
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is None or origin is Literal:
        return annotation
    inside = tuple(map(_noticed, members))
    return list[inside[0]] if origin is list else origin[inside]  # type: ignore[valid-type]
