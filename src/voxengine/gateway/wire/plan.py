"""What a response shall be: the session's settings, and what its own request changes."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from voxengine.audio.formats import AudioFormat
from voxengine.audio.wire_formats import format_of
from voxengine.gateway.wire.functions import client_tool
from voxengine.gateway.wire.items import TalkSettings
from voxengine.realtime import schema
from voxengine.realtime.errors import Complaint
from voxengine.session import Tool

__all__ = ["Plan", "plan_of"]

#: Parameters that only the vendor whose wire this is could do something with.
_FOREIGN = ("prompt", "reasoning", "parallel_tool_calls")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A response as it was asked for, or as the session's settings have it."""

    #: "audio" or "text".
    modality: str = "audio"
    #: The audio's format, and as the wire has it.
    format: AudioFormat = AudioFormat()
    wire_format: dict[str, Any] = {}
    voice: str | None = None
    max_tokens: int | str = "inf"
    metadata: dict[str, str] | None = None
    #: Of this response alone, None where it has none of its own.
    instructions: str | None = None
    #: Settings for this response alone, by the engine's names.
    overrides: dict[str, Any] = {}
    #: The conversation that its items join, None for one beside it.
    conversation_id: str | None = None

    @property
    def tools(self) -> list[Tool]:
        """The functions of this response alone."""
        found: list[Tool] = self.overrides.get("tools", [])
        return found

    def with_text(self) -> Plan:
        """The same, in writing."""
        return msgspec.structs.replace(self, modality="text")


def plan_of(
    settings: TalkSettings,
    conversation_id: str,
    asked: schema.ResponseParams | None = None,
) -> Plan:
    """The plan of a response. `asked` is the `response` of a `response.create`.

    Raises:
        Complaint: it asks for what there is not.
        ToolError: the name of a tool does not do.
    """
    values, output = settings.values, settings.output
    asked = asked or schema.ResponseParams()
    for name in _FOREIGN:
        if getattr(asked, name) not in (UNSET, None):
            raise Complaint(
                f"'response.{name}' cannot be set for one response here.",
                "unsupported_parameter",
                f"response.{name}",
            )
    own = asked.audio.output if isinstance(asked.audio, msgspec.Struct) else UNSET
    spoken = own if isinstance(own, schema.AudioOutput) else schema.AudioOutput()
    format = _format(spoken) or output["format"]
    modalities = asked.output_modalities or values["output_modalities"]
    overrides = _overrides(asked, spoken, output)
    limit = overrides.get("max_response_tokens", values["max_output_tokens"])
    return Plan(
        modality=modalities[0],
        format=format_of(format),
        wire_format=dict(format),
        voice=overrides.get("voice", output["voice"]),
        max_tokens="inf" if limit is None else limit,
        metadata=_given(asked.metadata),
        instructions=_given(asked.instructions),
        overrides=overrides,
        conversation_id=None if asked.conversation == "none" else conversation_id,
    )


def _given(value: Any) -> Any:
    return None if value is UNSET else value


def _format(spoken: schema.AudioOutput) -> dict[str, Any] | None:
    if spoken.format is UNSET:
        return None
    told: dict[str, Any] = msgspec.to_builtins(spoken.format)
    if told["type"] == "audio/pcm" and told.setdefault("rate", 24000) != 24000:
        raise Complaint(
            f"Invalid value: {told['rate']}. Supported values are: 24000.",
            "invalid_value",
            "response.audio.output.format.rate",
        )
    return told


def _overrides(
    asked: schema.ResponseParams, spoken: schema.AudioOutput, output: dict[str, Any]
) -> dict[str, Any]:
    """What differs from the session, in the engine's names."""
    found: dict[str, Any] = {}
    if spoken.speed not in (UNSET, output.get("speed")):
        raise Complaint(
            "The speed cannot be set for one response here.",
            "unsupported_parameter",
            "response.audio.output.speed",
        )
    voice = _given(spoken.voice)
    voice = voice.id if isinstance(voice, schema.VoiceId) else voice
    if voice is not None and voice != output["voice"]:
        found["voice"] = voice
    if _given(asked.max_output_tokens) is not None:
        limit = asked.max_output_tokens
        found["max_response_tokens"] = None if limit == "inf" else limit
    if _given(asked.tools) is not None:
        found["tools"] = [client_tool(msgspec.to_builtins(tool)) for tool in _given(asked.tools)]
    temperature = _given(getattr(asked, "temperature", UNSET))
    if temperature is not None:
        found["temperature"] = temperature
    choice = _given(asked.tool_choice)
    if choice is not None:
        found["tool_choice"] = msgspec.to_builtins(choice)
    return found
