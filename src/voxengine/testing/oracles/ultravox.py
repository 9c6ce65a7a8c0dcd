"""The judge of an Ultravox call: the messages and the request as the vendor documents them.

Ultravox publishes no types of them for servers. So these are our own, made by the words of docs.ultravox.ai (2026):
"Protocol & Data Messages", and of the request that creates a call those settings which this project and its users have
a use for. A field that is not documented is wrong, and so is a value of another type.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from voxengine.testing.oracles.exceptions import Exceptions, ExtraEvent
from voxengine.testing.oracles.judge import Judge, Vocabulary

__all__ = ["CREATE", "CREATED", "ultravox_judge"]

#: The types under which a request and its answer are judged, which have none themselves.
CREATE = "POST /api/calls"
CREATED = "201 /api/calls"

_Urgency = Literal["immediate", "soon", "later"]
_Medium = Literal["voice", "text"]


class _Message(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    type: str


# -- of the client


class _Ping(_Message):
    timestamp: float


class _UserTextMessage(_Message):
    text: str
    urgency: _Urgency = "soon"
    defer_response: bool | None = None


class _ForcedCall(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, Any]
    id: str | None = None


class _ForcedAgentMessage(_Message):
    content: str = ""
    tool_calls: list[_ForcedCall] = []
    uninterruptible: bool = False
    urgency: _Urgency = "soon"


class _SetOutputMedium(_Message):
    medium: _Medium


class _HangUp(_Message):
    message: str | None = None


class _ClientToolResult(_Message):
    invocation_id: str
    result: str | None = None
    response_type: str = "tool-response"
    agent_reaction: Literal["speaks", "listens", "speaks-once"] = "speaks"
    error_type: Literal["undefined", "implementation-error"] | None = None
    error_message: str | None = None
    update_call_state: dict[str, Any] | None = None


# -- of the server


class _Pong(_Message):
    timestamp: float


class _CallStarted(_Message):
    call_id: str


class _State(_Message):
    state: Literal["idle", "listening", "thinking", "speaking"]


class _Transcript(_Message):
    role: Literal["user", "agent"]
    medium: _Medium
    final: bool
    ordinal: int
    text: str | None = None
    delta: str | None = None

    def __post_init__(self) -> None:
        if (self.text is None) == (self.delta is None):
            raise ValueError("a transcript has a text or a delta, and not both")


class _ClientToolInvocation(_Message):
    tool_name: str
    invocation_id: str
    parameters: dict[str, Any]


class _Bare(_Message):
    """A message that says all by its type."""


class _Debug(_Message):
    message: str


# -- the request


class _Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    pass


class _DataMessages(_Settings):
    pong: bool | None = None
    state: bool | None = None
    transcript: bool | None = None
    client_tool_invocation: bool | None = None
    data_connection_tool_invocation: bool | None = None
    playback_clear_buffer: bool | None = None
    call_started: bool | None = None
    debug: bool | None = None
    call_event: bool | None = None
    tool_used: bool | None = None
    user_started_speaking: bool | None = None
    user_stopped_speaking: bool | None = None


class _ServerWebSocket(_Settings):
    input_sample_rate: int
    output_sample_rate: int | None = None
    client_buffer_size_ms: int | None = None
    data_messages: _DataMessages | None = None


class _CallMedium(_Settings):
    server_web_socket: _ServerWebSocket


class _FirstSpeaker(_Settings):
    user: dict[str, Any] | None = None
    agent: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.user is None) == (self.agent is None):
            raise ValueError("exactly one of user and agent speaks first")


class _Parameter(_Settings):
    name: str
    location: Literal["PARAMETER_LOCATION_BODY"]  # the only one of tools that the client has
    schema: dict[str, Any]
    required: bool = False


class _BaseTool(_Settings):
    model_tool_name: str
    client: dict[str, Any]
    description: str = ""
    dynamic_parameters: list[_Parameter] = []
    timeout: str | None = None


class _SelectedTool(_Settings):
    tool_id: str | None = None
    tool_name: str | None = None
    temporary_tool: _BaseTool | None = None
    name_override: str | None = None
    parameter_overrides: dict[str, Any] | None = None


class _InitialMessage(_Settings):
    role: Literal[
        "MESSAGE_ROLE_USER",
        "MESSAGE_ROLE_AGENT",
        "MESSAGE_ROLE_TOOL_CALL",
        "MESSAGE_ROLE_TOOL_RESULT",
    ]
    text: str
    invocation_id: str | None = None
    tool_name: str | None = None
    medium: Literal["MESSAGE_MEDIUM_VOICE", "MESSAGE_MEDIUM_TEXT"] | None = None


class _Create(_Message):
    medium: _CallMedium
    system_prompt: str | None = None
    temperature: float | None = None
    model: str | None = None
    voice: str | None = None
    external_voice: dict[str, Any] | None = None
    voice_overrides: dict[str, Any] | None = None
    language_hint: str | None = None
    initial_messages: list[_InitialMessage] = []
    join_timeout: str | None = None
    max_duration: str | None = None
    time_exceeded_message: str | None = None
    inactivity_messages: list[dict[str, Any]] = []
    selected_tools: list[_SelectedTool] = []
    recording_enabled: bool | None = None
    first_speaker_settings: _FirstSpeaker | None = None
    initial_output_medium: Literal["MESSAGE_MEDIUM_VOICE", "MESSAGE_MEDIUM_TEXT"] | None = None
    vad_settings: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    initial_state: dict[str, Any] | None = None
    data_connection: dict[str, Any] | None = None


class _Created(msgspec.Struct, kw_only=True, rename="camel"):
    """The answer tells much more of the call: these are the fields without which it cannot be joined."""

    type: str
    call_id: str
    join_url: str


_CLIENT = {
    "ping": _Ping,
    "user_text_message": _UserTextMessage,
    "forced_agent_message": _ForcedAgentMessage,
    "set_output_medium": _SetOutputMedium,
    "hang_up": _HangUp,
    "client_tool_result": _ClientToolResult,
    CREATE: _Create,
}
_SERVER = {
    "pong": _Pong,
    "call_started": _CallStarted,
    "state": _State,
    "transcript": _Transcript,
    "client_tool_invocation": _ClientToolInvocation,
    "playback_clear_buffer": _Bare,
    "user_started_speaking": _Bare,
    "user_stopped_speaking": _Bare,
    "debug": _Debug,
    CREATED: _Created,
}


class _DocumentedJudge(Judge):
    oracle = "documented shape"


def ultravox_judge() -> Judge:
    """A judge of one call, by the documented shape of its messages."""
    none = Vocabulary(models={})
    return _DocumentedJudge(client=none, server=none, exceptions=_SHAPES)


_SHAPES = Exceptions(
    dialect="ultravox",
    events=(
        *(
            ExtraEvent(side="client", type=name, shape=shape, reason="documented, without types")
            for name, shape in _CLIENT.items()
        ),
        *(
            ExtraEvent(side="server", type=name, shape=shape, reason="documented, without types")
            for name, shape in _SERVER.items()
        ),
    ),
)
