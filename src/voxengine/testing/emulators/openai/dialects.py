"""Who speaks this wire, and how each differs, as data.

`openai` is the API as OpenAI publishes it. `azure` is the same at another path with another header. `custom` is any
compatible endpoint. `xai` differs in more: see its row. There are no published types for xAI's: its differences were
taken from its documentation and from third-party adapters.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, UnsetType

from voxengine.errors import ConfigurationError
from voxengine.realtime import schema

__all__ = ["DIALECTS", "Dialect", "dialect_of"]


class XaiAudioSide(schema.AudioInput, frozen=True, kw_only=True):
    """`session.audio.input` of xAI: other options of transcription, and how audio travels."""

    transcription: dict[str, object] | UnsetType | None = UNSET  # type: ignore[assignment]
    transport: str | UnsetType = UNSET


class XaiAudioOutput(schema.AudioOutput, frozen=True, kw_only=True):
    """`session.audio.output` of xAI."""

    transport: str | UnsetType = UNSET


class XaiAudio(schema.AudioConfig, frozen=True, kw_only=True):
    """`session.audio` of xAI."""

    input: XaiAudioSide | UnsetType = UNSET
    output: XaiAudioOutput | UnsetType = UNSET


class XaiResumption(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Whether the conversation can be taken up again."""

    enabled: bool


class XaiSession(schema.SessionParams, frozen=True, kw_only=True):
    """The session of xAI: `voice` and `turn_detection` stand at its top, and `type` may be left out."""

    type: str | UnsetType = UNSET  # type: ignore[assignment]
    audio: XaiAudio | UnsetType = UNSET
    voice: str | UnsetType | None = UNSET
    turn_detection: schema.ServerVad | UnsetType | None = UNSET
    resumption: XaiResumption | UnsetType | None = UNSET
    replace: dict[str, str] | UnsetType | None = UNSET
    tools: list[dict[str, object]] | UnsetType = UNSET  # type: ignore[assignment]
    reasoning: dict[str, str] | UnsetType | None = UNSET  # type: ignore[assignment] # efforts of its own


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. What is not said is as with OpenAI."""

    name: str
    #: The path of the API; the socket is at `path`/realtime.
    path: str = "/v1"
    #: Ways in which the key may be shown: bearer, subprotocol, header (`key_name`), query (`key_name`), none.
    auth: tuple[str, ...] = ("bearer", "subprotocol")
    key_name: str = "api-key"
    #: The model where the address names none; None: it has to.
    default_model: str | None = None
    voice: str = "alloy"
    pcm_rates: tuple[int, ...] = (24000,)
    #: Fields of the session that stand at its top instead of in `audio`.
    flat: bool = False
    session: type[schema.SessionParams] = schema.SessionParams
    events: Mapping[str, type[schema.ClientEvent]] = msgspec.field(
        default_factory=lambda: schema.CLIENT_EVENTS
    )
    #: Whether there are sessions that do nothing but transcribe.
    transcription_sessions: bool = True
    #: Seconds between `ping` events, None for none.
    ping_s: float | None = None
    #: `conversation.created` is sent first, and a conversation can be resumed by its id.
    resumable: bool = False
    #: Transcripts of the input come as the text so far, not as deltas.
    cumulative_transcripts: bool = False
    #: Usage stands at the top of `response.done`, and not all of it.
    partial_usage: bool = False
    #: Seconds that a session may last.
    max_session_s: float = 3600.0


_OPENAI = Dialect(name="openai")

#: The rows by name.
DIALECTS: Mapping[str, Dialect] = {
    "openai": _OPENAI,
    "azure": msgspec.structs.replace(
        _OPENAI, name="azure", path="/openai/v1", auth=("header", "bearer")
    ),
    "xai": Dialect(
        name="xai",
        default_model="grok-voice-latest",
        voice="eve",
        pcm_rates=(8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000),
        flat=True,
        session=XaiSession,
        events=schema.XAI_EVENTS,
        transcription_sessions=False,
        ping_s=10.0,
        resumable=True,
        cumulative_transcripts=True,
        partial_usage=True,
        max_session_s=7200.0,
    ),
    "custom": msgspec.structs.replace(_OPENAI, name="custom", default_model="realtime"),
}


def dialect_of(name: str | Dialect) -> Dialect:
    """The row of that name.

    Raises:
        ConfigurationError: there is none.
    """
    if isinstance(name, Dialect):
        return name
    if name not in DIALECTS:
        raise ConfigurationError(f"there is no dialect {name!r}; there are {', '.join(DIALECTS)}")
    return DIALECTS[name]
