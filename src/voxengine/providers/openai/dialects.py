"""Who speaks OpenAI's Realtime protocol, and how each differs, as a table.

An endpoint that is compatible with OpenAI's needs one row here, a line in the registry, and nothing else: the codec and
the provider ask the row. What is not said in a row is as with OpenAI.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.providers.capabilities import Capabilities

__all__ = ["AZURE", "CUSTOM", "DIALECTS", "OPENAI", "XAI", "Auth", "Dialect"]

#: How the key is shown: `Authorization: Bearer`, a header of its own, a parameter of the address, or not at all.
Auth = Literal["bearer", "header", "query", "none"]

_PCM24 = AudioFormat("pcm16", 24000)
_G711 = (AudioFormat("g711_ulaw", 8000), AudioFormat("g711_alaw", 8000))
_GA_FORMATS = (_PCM24, *_G711)

_GA = Capabilities(
    input_formats=_GA_FORMATS,
    output_formats=_GA_FORMATS,
    text_output=True,
    voices=(
        "marin",
        "cedar",
        "alloy",
        "ash",
        "ballad",
        "coral",
        "echo",
        "sage",
        "shimmer",
        "verse",
    ),
    turn_detection=("server_vad", "semantic_vad"),
    vad_events=True,
    auto_response=True,
    self_interrupting=True,
    auto_response_optional=True,
    interruptions_optional=True,
    turn_options=(
        "threshold",
        "prefix_padding_ms",
        "silence_duration_ms",
        "idle_timeout_ms",
        "eagerness",
    ),
    input_transcription=True,
    partial_transcripts=True,
    vocabulary=True,
    cancel=True,
    cancel_requested=True,
    truncate=True,
    commit=True,
    clear=True,
    delete=True,
    tools=True,
    parallel_tools=True,
    history="items",
    history_places=True,
    system_messages=True,
    response_overrides=("voice", "tools", "tool_choice", "max_response_tokens"),
    instructions_updatable=True,
    session_options=(
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "truncation",
        "tracing",
        "prompt",
        "speed",
        "noise_reduction",
        "transcription_options",
    ),
    max_connection_seconds=3600,
    usage_unit="tokens",
)


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table."""

    #: The name it is registered under, and the one to show.
    name: str
    title: str
    #: Where it is reached when the configuration does not say; None: it has to say.
    endpoint: str | None = None
    #: What an endpoint without a path is completed with; None: an endpoint is taken as it is.
    path: str | None = "/v1/realtime"
    auth: Auth = "bearer"
    #: The header or the parameter that holds the key, where `auth` is "header" or "query".
    auth_name: str = "api-key"
    #: Environment variables for the key and the endpoint, the first that is set counts.
    key_variables: tuple[str, ...] = ()
    endpoint_variables: tuple[str, ...] = ()
    default_model: str | None = None
    #: What writes down the user's words, None: the vendor's own choice.
    transcription_model: str | None = None
    capabilities: Capabilities = _GA
    #: A field of the session in OpenAI's form -> where it stands here.
    moved: Mapping[tuple[str, ...], tuple[str, ...]] = {}
    #: Fields of the session in OpenAI's form that are not known here.
    unknown: tuple[tuple[str, ...], ...] = ()
    #: What every session has beside.
    session: Mapping[str, Any] = {}
    #: The parameter of the address that takes up an earlier conversation by its id.
    resume_parameter: str | None = None
    #: Audio may go as binary frames, without base64 (option `transport="binary"`).
    binary_audio: bool = False
    #: The kind of item that is spoken word for word.
    say_item: str | None = None
    #: What is paid for: tokens, as the vendor reports them, or seconds of audio both ways and written messages.
    billing: Literal["tokens", "seconds"] = "tokens"


OPENAI = Dialect(
    name="openai",
    title="OpenAI Realtime",
    endpoint="wss://api.openai.com/v1/realtime",
    key_variables=("OPENAI_API_KEY",),
    default_model="gpt-realtime-2.1",
    transcription_model="gpt-transcribe",
)

# The deployment's name is the model's. A key has a header of its own; an Entra token is a bearer.
AZURE = Dialect(
    name="azure",
    title="Azure OpenAI Realtime",
    path="/openai/v1/realtime",
    auth="header",
    auth_name="api-key",
    key_variables=("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
    endpoint_variables=("AZURE_OPENAI_ENDPOINT",),
    default_model="gpt-realtime",
    transcription_model="gpt-4o-transcribe",
)

_XAI_FORMATS = tuple(
    AudioFormat("pcm16", rate) for rate in (24000, 8000, 11025, 16000, 22050, 32000, 44100, 48000)
)

# Differs from OpenAI in where the voice and the turn detection stand, in its rates, and in that a conversation
# outlives its connection.
XAI = Dialect(
    name="xai",
    title="xAI Grok Voice",
    endpoint="wss://api.x.ai/v1/realtime",
    key_variables=("XAI_API_KEY",),
    default_model="grok-voice-latest",
    transcription_model="grok-transcribe",
    capabilities=msgspec.structs.replace(
        _GA,
        input_formats=(*_XAI_FORMATS, *_G711),
        output_formats=(*_XAI_FORMATS, *_G711),
        voices=("ara", "eve", "leo", "rex", "sal"),
        turn_detection=("server_vad",),
        say=True,
        session_options=("tool_choice", "parallel_tool_calls", "reasoning", "speed"),
        resume="handle",
        max_connection_seconds=7200,
        usage_unit="seconds",
        # Its voice is one of the session.
        response_overrides=("tools", "tool_choice", "max_response_tokens"),
    ),
    moved={
        ("audio", "output", "voice"): ("voice",),
        ("audio", "input", "turn_detection"): ("turn_detection",),
        ("audio", "input", "transcription", "language"): (
            "audio",
            "input",
            "transcription",
            "language_hint",
        ),
        ("audio", "input", "transcription", "keywords"): (
            "audio",
            "input",
            "transcription",
            "keyterms",
        ),
    },
    unknown=(("type",), ("audio", "input", "noise_reduction")),
    session={"resumption": {"enabled": True}},
    resume_parameter="conversation_id",
    binary_audio=True,
    say_item="force_message",
    billing="seconds",
)

CUSTOM = Dialect(
    name="custom",
    title="any OpenAI-compatible endpoint",
    path=None,
    capabilities=msgspec.structs.replace(_GA, voices=(), max_connection_seconds=None),
)

DIALECTS: dict[str, Dialect] = {row.name: row for row in (OPENAI, AZURE, XAI, CUSTOM)}
