"""The beta's form of what a client sends, and of the session that it is told.

For clients that ask for it by the header `OpenAI-Beta: realtime=v1`. What they send is made into the present form
before anything else looks at it. Names and values are those of `openai.types.beta.realtime`.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

from voxengine.realtime import schema
from voxengine.realtime.errors import Complaint

__all__ = ["LEGACY_EVENTS", "LegacySession", "from_beta", "session_for_beta"]

_FORMATS: dict[str, dict[str, Any]] = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
_NAMES = {value["type"]: name for name, value in _FORMATS.items()}
_PARTS = {"text": "output_text", "audio": "output_audio"}
#: Where a flat field stands in the present form.
_MOVED: dict[str, tuple[str, ...]] = {
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "input_audio_format": ("audio", "input", "format"),
    "output_audio_format": ("audio", "output", "format"),
    "modalities": ("output_modalities",),
    "max_response_output_tokens": ("max_output_tokens",),
}
#: Fields that mean nothing here.
_GONE = frozenset({"client_secret"})
Temperature: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=2)]


class LegacySession(schema.SessionParams, frozen=True, kw_only=True):
    """A session in the present form, with what only the beta has."""

    temperature: Temperature | msgspec.UnsetType = msgspec.UNSET


class LegacyResponse(schema.ResponseParams, frozen=True, kw_only=True):
    """A response likewise."""

    temperature: Temperature | msgspec.UnsetType = msgspec.UNSET


class _LegacyCreate(schema.ResponseCreate, frozen=True, kw_only=True):
    response: LegacyResponse | msgspec.UnsetType | None = msgspec.UNSET


#: The client's events that are others than today's.
LEGACY_EVENTS: dict[str, type[schema.ClientEvent]] = {"response.create": _LegacyCreate}


def from_beta(event: dict[str, Any]) -> dict[str, Any]:
    """An event of the client in the present form.

    Raises:
        Complaint: a value does not do.
    """
    match event.get("type"), event:
        case "session.update", {"session": dict() as session}:
            return {**event, "session": {"type": "realtime", **_moved(session, "session")}}
        case "response.create", {"response": dict() as response}:
            return {**event, "response": _moved(response, "response")}
        case "conversation.item.create", {"item": dict() as item}:
            return {**event, "item": _item(item)}
    return event


def session_for_beta(session: dict[str, Any], temperature: float | None = None) -> dict[str, Any]:
    """The session as a client of the beta is told it; `temperature` is what it has set."""
    flat = {k: v for k, v in session.items() if k not in ("type", "audio", "include", "truncation")}
    audio = session.get("audio", {})
    inner, outer = audio.get("input", {}), audio.get("output", {})
    modalities = flat.pop("output_modalities", ["text"])
    flat["modalities"] = ["audio", "text"] if modalities == ["audio"] else ["text"]
    flat["max_response_output_tokens"] = flat.pop("max_output_tokens", "inf")
    flat["input_audio_format"] = _NAMES[inner["format"]["type"]]
    flat["input_audio_transcription"] = inner["transcription"]
    flat["input_audio_noise_reduction"] = inner["noise_reduction"]
    flat["turn_detection"] = inner["turn_detection"]
    if outer:
        flat["output_audio_format"] = _NAMES[outer["format"]["type"]]
        flat["voice"], flat["speed"] = outer["voice"], outer["speed"]
    if temperature is not None:
        flat["temperature"] = temperature
    return flat


def _moved(flat: dict[str, Any], above: str) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        if name in _GONE:
            continue
        if name.endswith("_audio_format"):
            value = _format(value, f"{above}.{name}")
        elif name == "modalities":
            value = _modalities(value, f"{above}.{name}")
        elif name == "input" and isinstance(value, list):
            value = [_item(item) if isinstance(item, dict) else item for item in value]
        inner = nested
        *path, last = _MOVED.get(name, (name,))
        for step in path:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return nested


def _format(value: Any, param: str) -> dict[str, Any]:
    if value not in _FORMATS:
        allowed = ", ".join(f"'{name}'" for name in _FORMATS)
        raise Complaint(
            f"Invalid value: '{value}'. Supported values are: {allowed}.", "invalid_value", param
        )
    return _FORMATS[value]


def _modalities(value: Any, param: str) -> list[str]:
    if not isinstance(value, list) or not value or set(value) - {"audio", "text"}:
        raise Complaint(
            "Supported combinations are: ['text'] and ['audio', 'text'].", "invalid_value", param
        )
    return ["audio"] if "audio" in value else ["text"]


def _item(item: dict[str, Any]) -> dict[str, Any]:
    """An item; what the assistant said has other names now."""
    content = item.get("content")
    if not isinstance(content, list):
        return item
    parts = [
        {**part, "type": _PARTS.get(part["type"], part["type"])}
        if isinstance(part, dict) and isinstance(part.get("type"), str)
        else part
        for part in content
    ]
    return {**item, "content": parts}
