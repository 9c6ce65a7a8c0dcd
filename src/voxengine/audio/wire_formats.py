"""Audio formats as OpenAI's wire names them: `{"type": "audio/pcm", "rate": 24000}`, `audio/pcmu`, `audio/pcma`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxengine.audio.formats import AudioFormat

__all__ = ["format_of", "wire_format"]

_TYPES = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}


def format_of(value: Mapping[str, Any]) -> AudioFormat:
    """The audio format that the wire's `format` means."""
    match value["type"]:
        case "audio/pcmu":
            return AudioFormat("g711_ulaw", 8000)
        case "audio/pcma":
            return AudioFormat("g711_alaw", 8000)
    return AudioFormat("pcm16", value.get("rate") or 24000)


def wire_format(format: AudioFormat) -> dict[str, Any]:
    """The wire's `format` for an audio format."""
    kind = {"type": _TYPES[format.encoding]}
    return {**kind, "rate": format.sample_rate} if format.encoding == "pcm16" else kind
