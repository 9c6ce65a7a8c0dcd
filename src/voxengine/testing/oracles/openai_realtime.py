"""The judge of OpenAI's Realtime API, and of the dialect of it that xAI speaks.

The types are those of the `openai` package: 11 events of the client and 46 of the server. Its `session.created` and
`session.updated` are typed with the session that a client asks for. What a server answers has an id besides, and is
published as the response of the endpoint that makes sessions, so those two are judged with that.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import msgspec

from voxengine.testing.oracles.exceptions import (
    AbsentField,
    Exceptions,
    ExtraEvent,
    ExtraField,
    MissingField,
    OtherValue,
)
from voxengine.testing.oracles.judge import Judge, Vocabulary
from voxengine.testing.oracles.vendor import models_by_type, vendor_module

__all__ = ["XAI_EXCEPTIONS", "realtime_judge"]


def realtime_judge(exceptions: Exceptions | None = None) -> Judge:
    """A judge of one connection of the Realtime API, or of a dialect of it that has `exceptions`.

    Raises:
        MissingVendorTypesError: the `openai` package is missing.
    """
    client, server = _vocabularies()
    return Judge(client=client, server=server, exceptions=exceptions)


@cache
def _vocabularies() -> tuple[Vocabulary, Vocabulary]:
    types = vendor_module(
        "openai.types.realtime", package="openai", feature="judging the Realtime API"
    )
    asked = {
        "realtime": types.RealtimeSessionCreateRequest,
        "transcription": types.RealtimeTranscriptionSessionCreateRequest,
    }
    module = "openai.types.realtime.realtime_{}session_create_response"
    made = {
        "realtime": _response(module.format(""), "RealtimeSessionCreateResponse"),
        "transcription": _response(
            module.format("transcription_"), "RealtimeTranscriptionSessionCreateResponse"
        ),
    }
    client, server = map(models_by_type, (types.RealtimeClientEvent, types.RealtimeServerEvent))
    told = ("session.created", "session.updated")
    return (
        Vocabulary(
            models=client, by_session={"session.update": _variants(client["session.update"], asked)}
        ),
        Vocabulary(
            models=server, by_session={kind: _variants(server[kind], made) for kind in told}
        ),
    )


def _response(module: str, name: str) -> Any:
    return getattr(
        vendor_module(module, package="openai", feature="judging the Realtime API"), name
    )


def _variants(event: Any, sessions: dict[str, Any]) -> dict[str, Any]:
    """An event with exactly one type of session, so that a complaint is about the session that was meant."""
    from pydantic import create_model

    return {
        name: create_model(f"{event.__name__}_{name}", __base__=event, session=(session, ...))
        for name, session in sessions.items()
    }


# ------------------------------------------------------------------------------------------------ xAI


class _Shape(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A closed object of xAI's dialect."""


class _Ping(_Shape, kw_only=True):
    type: Literal["ping"]
    event_id: str | None = None
    timestamp: int | None = None


class _TranscriptUpdated(_Shape, kw_only=True):
    type: Literal["conversation.item.input_audio_transcription.updated"]
    event_id: str
    item_id: str
    transcript: str
    content_index: int | None = None


class _ServerVad(_Shape, kw_only=True):
    type: Literal["server_vad"] | None
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    idle_timeout_ms: int | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


class _Resumption(_Shape, kw_only=True):
    enabled: bool


class _Usage(_Shape, kw_only=True):
    total_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: dict[str, Any] | None = None
    output_token_details: dict[str, Any] | None = None


class _ForceMessage(_Shape, kw_only=True):
    type: Literal["force_message"]
    role: Literal["assistant"] = "assistant"
    content: list[dict[str, str]]
    id: str | None = None
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class _WebSearch(_Shape, tag="web_search", tag_field="type", kw_only=True):
    pass


class _XSearch(_Shape, tag="x_search", tag_field="type", kw_only=True):
    allowed_x_handles: list[str] | None = None


class _FileSearch(_Shape, tag="file_search", tag_field="type", kw_only=True):
    vector_store_ids: list[str]
    max_num_results: int | None = None


_SESSIONS = ("session.update", "session.created", "session.updated")
_TOLD = ("session.created", "session.updated")
_DONE = ("response.done",)
_ITEMS = (
    "conversation.item.create",
    "conversation.item.created",
    "conversation.item.added",
    "conversation.item.done",
)
_FLAT = "the session is flatter than OpenAI's"
_PARTIAL = "usage may come in part, or not at all"
_OWN_SPEECH = "what xAI's own recognition takes"
_FUNCTION = {"type": "function", "name": "stands_in"}

#: How xAI's voice agents differ from OpenAI's Realtime API: their documentation, and third-party adapters to them.
XAI_EXCEPTIONS = Exceptions(
    dialect="xai",
    events=(
        ExtraEvent(side="server", type="ping", reason="keeps the connection alive", shape=_Ping),
        ExtraEvent(
            side="server",
            type="conversation.item.input_audio_transcription.updated",
            reason="the whole text so far, in place of deltas",
            shape=_TranscriptUpdated,
        ),
    ),
    fields=(
        ExtraField(events=_SESSIONS, path="session.voice", reason=_FLAT, shape=str | None),
        ExtraField(
            events=_SESSIONS, path="session.turn_detection", reason=_FLAT, shape=_ServerVad | None
        ),
        AbsentField(events=_SESSIONS, path="session.audio.output.voice", reason=_FLAT),
        AbsentField(events=_SESSIONS, path="session.audio.input.turn_detection", reason=_FLAT),
        MissingField(events=_SESSIONS, path="session.type", reason=_FLAT, stands_in="realtime"),
        MissingField(events=_TOLD, path="session.id", reason=_FLAT, stands_in="sess"),
        MissingField(
            events=_TOLD, path="session.object", reason=_FLAT, stands_in="realtime.session"
        ),
        ExtraField(
            events=_SESSIONS,
            path="session.resumption",
            reason="a conversation can be taken up again",
            shape=_Resumption | None,
        ),
        ExtraField(
            events=_SESSIONS,
            path="session.replace",
            reason="how words are pronounced",
            shape=dict[str, str] | None,
        ),
        OtherValue(
            events=_SESSIONS,
            path="session.audio.*.format.rate",
            reason="PCM at more rates than OpenAI's one",
            shape=Literal[8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000],
            stands_in=24000,
        ),
        ExtraField(
            events=_SESSIONS,
            path="session.audio.*.transport",
            reason="audio may travel in binary frames",
            shape=Literal["json", "binary"],
        ),
        ExtraField(
            events=_SESSIONS,
            path="session.audio.input.transcription.language_hint",
            reason=_OWN_SPEECH,
            shape=str | None,
        ),
        ExtraField(
            events=_SESSIONS,
            path="session.audio.input.transcription.keyterms",
            reason=_OWN_SPEECH,
            shape=list[str] | None,
        ),
        OtherValue(
            events=_SESSIONS,
            path="session.reasoning.effort",
            reason="reasoning is on or off",
            shape=Literal["high", "none"],
            stands_in="high",
        ),
        OtherValue(
            events=_SESSIONS,
            path="session.tools.*",
            reason="searches that xAI does itself",
            shape=_WebSearch | _XSearch | _FileSearch,
            stands_in=_FUNCTION,
        ),
        OtherValue(
            events=_ITEMS,
            path="item",
            reason="a text that is spoken word for word",
            shape=_ForceMessage,
            stands_in={"type": "message", "role": "assistant", "content": []},
        ),
        ExtraField(events=_DONE, path="usage", reason=_PARTIAL, shape=_Usage | None),
        MissingField(
            events=("conversation.item.input_audio_transcription.completed",),
            path="usage",
            reason=_PARTIAL,
            stands_in={"type": "duration", "seconds": 0},
        ),
    ),
)
