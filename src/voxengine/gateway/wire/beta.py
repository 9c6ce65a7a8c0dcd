"""The beta's form of the server's events, for clients that ask for it by `OpenAI-Beta: realtime=v1`.

Names and fields are those of the beta's documentation: `openai.types.beta.realtime` in the packages that had it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["as_beta", "beta_name"]

#: The beta's names; of an event that it does not have, None.
_NAMES: dict[str, str | None] = {
    "conversation.item.added": "conversation.item.created",
    "conversation.item.done": None,
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}
_PARTS = {"output_text": "text", "output_audio": "audio"}
_FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}


def beta_name(kind: str) -> str | None:
    """What the beta calls an event of this type; None if it does not have it."""
    return _NAMES.get(kind, kind)


def as_beta(event: dict[str, Any]) -> dict[str, Any] | None:
    """The same event as a client of the beta knows it, None if there is none."""
    kind = beta_name(event["type"])
    if kind is None:
        return None
    event = {**event, "type": kind}
    if "item" in event:
        event["item"] = _item(event["item"])
    if "response" in event:
        event["response"] = _response(event["response"])
    return event


def _item(item: dict[str, Any]) -> dict[str, Any]:
    if "content" not in item:
        return item
    parts = [{**part, "type": _PARTS.get(part["type"], part["type"])} for part in item["content"]]
    return {**item, "content": parts}


def _response(response: dict[str, Any]) -> dict[str, Any]:
    flat = {**response, "output": [_item(item) for item in response["output"]]}
    output = flat.pop("audio", {}).get("output", {})
    modality = flat.pop("output_modalities", ["audio"])
    flat["modalities"] = ["audio", "text"] if modality == ["audio"] else ["text"]
    if "voice" in output:
        flat["voice"] = output["voice"]
    if "format" in output:
        flat["output_audio_format"] = _FORMATS[output["format"]["type"]]
    return flat
