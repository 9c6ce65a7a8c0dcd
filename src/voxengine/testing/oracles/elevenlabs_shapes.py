"""The messages of ElevenLabs' agents as strict structs, of the shape that the vendor's contract shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

__all__ = ["CLIENT", "CLIENT_EVENTS", "ERROR_TYPES", "SERVER", "name_of"]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


AudioFormatName: TypeAlias = Literal[
    "pcm_8000", "pcm_16000", "pcm_22050", "pcm_24000", "pcm_44100", "pcm_48000", "ulaw_8000"
]
Unit: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Language: TypeAlias = Annotated[str, msgspec.Meta(pattern="^([a-z]{2}|pt-br)$")]

#: What the server may be asked to send.
CLIENT_EVENTS = (
    "audio",
    "agent_response",
    "agent_response_correction",
    "agent_chat_response_part",
    "agent_reasoning_response_part",
    "interruption",
    "user_transcript",
    "tentative_user_transcript",
    "conversation_initiation_metadata",
    "client_tool_call",
    "rich_content",
    "agent_tool_request",
    "agent_tool_response",
    "agent_tool_response_full_payload",
    "mcp_tool_call",
    "mcp_connection_status",
    "vad_score",
    "ping",
    "context_usage",
    "asr_initiation_metadata",
    "guardrail_triggered",
    "internal_turn_probability",
    "internal_tentative_agent_response",
    "agent_typing",
    "external_agent_connected",
    "external_agent_disconnected",
)
ClientEvent: TypeAlias = Literal[CLIENT_EVENTS]  # type: ignore[valid-type]

ERROR_TYPES = (
    "unknown",
    "invalid_message",
    "telephony_agent_error",
    "mcp_tool_error",
    "mcp_https_error",
    "value_error",
    "missing_fields",
    "override_error",
    "missing_dynamic_variable_transfer",
    "missing_dynamic_variable",
    "websocket_disconnect",
    "safety_violation",
    "llm_timeout",
    "transport_receive_timeout",
    "asyncio_timeout",
    "http_exception",
    "max_duration_exceeded",
    "llm_error",
    "custom_llm_error",
    "cascade_brain_error",
    "asr_transcription_error",
    "vad_error",
    "turn_probability_error",
    "tts_cascade_error",
    "redis_timeout_error",
    "unknown_websocket_crash",
)
ErrorType: TypeAlias = Literal[ERROR_TYPES]  # type: ignore[valid-type]


# -- the client


class _UserAudio(_Strict):
    user_audio_chunk: str


class _Pong(_Strict):
    type: Literal["pong"]
    event_id: int


class _UserMessage(_Strict):
    type: Literal["user_message"]
    text: str | None = None
    rich_content_id: str | msgspec.UnsetType = msgspec.UNSET


class _UserActivity(_Strict):
    type: Literal["user_activity"]


class _Feedback(_Strict):
    type: Literal["feedback"]
    event_id: int
    score: Literal["like", "dislike"] | None


class _ToolResult(_Strict):
    type: Literal["client_tool_result"]
    tool_call_id: str
    result: str
    is_error: bool


class _Approval(_Strict):
    type: Literal["mcp_tool_approval_result"]
    tool_call_id: str
    is_approved: bool


class _Context(_Strict):
    type: Literal["contextual_update"]
    text: str
    context_id: str | msgspec.UnsetType = msgspec.UNSET


class _Prompt(_Strict):
    prompt: str | None = None
    llm: str | None = None


class _Agent(_Strict):
    first_message: str | None = None
    language: Language | msgspec.UnsetType = msgspec.UNSET
    prompt: _Prompt | msgspec.UnsetType = msgspec.UNSET
    native_mcp_server_ids: list[str] | None = None


class _Asr(_Strict):
    keywords: list[str] | None = None


class _Tts(_Strict):
    voice_id: str | None = None
    stability: Unit | None = None
    speed: Annotated[float, msgspec.Meta(ge=0.7, le=5)] | None = None
    similarity_boost: Unit | None = None


class _Conversation(_Strict):
    text_only: bool | None = None
    client_events: list[ClientEvent] | None = None


class _Override(_Strict):
    agent: _Agent | msgspec.UnsetType = msgspec.UNSET
    asr: _Asr | msgspec.UnsetType = msgspec.UNSET
    tts: _Tts | msgspec.UnsetType = msgspec.UNSET
    conversation: _Conversation | msgspec.UnsetType = msgspec.UNSET
    #: Not in the contract: the vendor's own client for Python puts it here, where nothing reads it.
    text_only: bool | msgspec.UnsetType = msgspec.UNSET


class _Source(_Strict):
    source: str | None = None
    version: str | None = None


class _Mocks(_Strict):
    mocking_strategy: Literal["none", "all", "selected"] = "none"
    mocked_tool_names: list[str] = []
    fallback_strategy: Literal["raise_error", "call_real_tool"] = "raise_error"


class _Initiation(_Strict):
    type: Literal["conversation_initiation_client_data"]
    conversation_config_override: _Override | msgspec.UnsetType = msgspec.UNSET
    custom_llm_extra_body: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    dynamic_variables: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    user_id: str | None = None
    source_info: _Source | msgspec.UnsetType = msgspec.UNSET
    tool_mock_config: _Mocks | msgspec.UnsetType = msgspec.UNSET


class _File(_Strict):
    type: Literal["file_input"]
    file_id: str


class _Multimodal(_Strict):
    type: Literal["multimodal_message"]
    text: _UserMessage | None = None
    file: _File | None = None
    files: list[_File] | msgspec.UnsetType = msgspec.UNSET


CLIENT: dict[str, Any] = {
    "user_audio_chunk": _UserAudio,
    "pong": _Pong,
    "user_message": _UserMessage,
    "user_activity": _UserActivity,
    "feedback": _Feedback,
    "client_tool_result": _ToolResult,
    "mcp_tool_approval_result": _Approval,
    "contextual_update": _Context,
    "conversation_initiation_client_data": _Initiation,
    "multimodal_message": _Multimodal,
}


# -- the server: of the 27, those that an emulator sends


class _Alignment(_Strict):
    chars: list[str]
    char_start_times_ms: list[int]
    char_durations_ms: list[int]


class _AudioEvent(_Strict):
    audio_base_64: str
    event_id: int
    alignment: _Alignment | msgspec.UnsetType = msgspec.UNSET


class _Audio(_Strict):
    type: Literal["audio"]
    audio_event: _AudioEvent


class _TranscriptEvent(_Strict):
    user_transcript: str
    event_id: int


class _Transcript(_Strict):
    type: Literal["user_transcript"]
    user_transcription_event: _TranscriptEvent


class _Tentative(_Strict):
    type: Literal["tentative_user_transcript"]
    tentative_user_transcription_event: _TranscriptEvent


class _ResponseEvent(_Strict):
    agent_response: str
    event_id: int


class _Response(_Strict):
    type: Literal["agent_response"]
    agent_response_event: _ResponseEvent


class _CorrectionEvent(_Strict):
    original_agent_response: str
    corrected_agent_response: str
    event_id: int


class _Correction(_Strict):
    type: Literal["agent_response_correction"]
    agent_response_correction_event: _CorrectionEvent


class _InterruptionEvent(_Strict):
    event_id: int


class _Interruption(_Strict):
    type: Literal["interruption"]
    interruption_event: _InterruptionEvent


class _MetadataEvent(_Strict):
    conversation_id: str
    agent_output_audio_format: AudioFormatName
    user_input_audio_format: AudioFormatName


class _Metadata(_Strict):
    type: Literal["conversation_initiation_metadata"]
    conversation_initiation_metadata_event: _MetadataEvent


class _CallEvent(_Strict):
    tool_name: str
    tool_call_id: str
    parameters: dict[str, Any]
    event_id: int


class _Call(_Strict):
    type: Literal["client_tool_call"]
    client_tool_call: _CallEvent


class _ScoreEvent(_Strict):
    vad_score: Unit


class _Score(_Strict):
    type: Literal["vad_score"]
    vad_score_event: _ScoreEvent


class _PingEvent(_Strict):
    event_id: int
    ping_ms: int | None = None


class _Ping(_Strict):
    type: Literal["ping"]
    ping_event: _PingEvent


class _UsageEvent(_Strict):
    event_id: int
    model: str
    context_tokens: int
    context_limit_tokens: int


class _Usage(_Strict):
    type: Literal["context_usage"]
    context_usage_event: _UsageEvent


class _Guardrail(_Strict):
    type: Literal["guardrail_triggered"]


class _ErrorEvent(_Strict):
    code: Literal[1000, 1002, 1008, 1011]
    message: str | msgspec.UnsetType = msgspec.UNSET
    error_type: ErrorType | None = None
    reason: str | None = None
    debug_message: str | None = None
    details: dict[str, Any] | None = None


class _Error(_Strict):
    type: Literal["error"]
    error_event: _ErrorEvent


SERVER: dict[str, Any] = {
    "audio": _Audio,
    "user_transcript": _Transcript,
    "tentative_user_transcript": _Tentative,
    "agent_response": _Response,
    "agent_response_correction": _Correction,
    "interruption": _Interruption,
    "conversation_initiation_metadata": _Metadata,
    "client_tool_call": _Call,
    "vad_score": _Score,
    "ping": _Ping,
    "context_usage": _Usage,
    "guardrail_triggered": _Guardrail,
    "error": _Error,
}


def name_of(message: Mapping[str, Any]) -> str | None:
    """The name of a message: its type, but of audio, which has none, its one field."""
    kind = message.get("type")
    if kind is None and "user_audio_chunk" in message:
        return "user_audio_chunk"
    return kind if isinstance(kind, str) else None
