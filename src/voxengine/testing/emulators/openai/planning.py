"""What a response shall be: the session's settings, and what the request for it changes."""

from __future__ import annotations

from typing import Any

from voxengine.audio.wire_formats import format_of
from voxengine.testing.emulators.openai.items import Item
from voxengine.testing.emulators.openai.response import Plan
from voxengine.testing.emulators.openai.settings import Settings

__all__ = ["plan_response"]


def plan_response(
    settings: Settings, asked: dict[str, Any], context: list[Item], *, idle: bool = False
) -> Plan:
    """The plan of a response. `asked` is the `response` of a `response.create`.

    Raises:
        Complaint: it asks for a format that there is not.
    """
    values, output = settings.values, settings.output
    own = (asked.get("audio") or {}).get("output") or {}
    settings.check_rate(own.get("format"), "response.audio.output.format.rate")
    format = own.get("format") or output["format"]
    voice = own.get("voice") or output["voice"]
    tools = asked.get("tools")
    limit = asked.get("max_output_tokens") or values["max_output_tokens"]
    parallel = asked.get("parallel_tool_calls", values.get("parallel_tool_calls"))
    return Plan(
        instructions=asked.get("instructions") or values["instructions"],
        own_instructions=asked.get("instructions"),
        tools=values["tools"] if tools is None else tools,
        tool_choice=asked.get("tool_choice") or values["tool_choice"],
        parallel=parallel is not False,
        modality=(asked.get("output_modalities") or values["output_modalities"])[0],
        format=format_of(format),
        wire_format=None if settings.dialect.flat else dict(format),
        voice=voice["id"] if isinstance(voice, dict) else voice,
        speed=output.get("speed") or 1.0,
        max_tokens=None if limit == "inf" else limit,
        metadata=asked.get("metadata"),
        joins=asked.get("conversation") != "none",
        context=context,
        idle=idle,
        binary=output.get("transport") == "binary",
    )
