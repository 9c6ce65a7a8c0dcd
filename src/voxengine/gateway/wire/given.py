"""Items that a client gives, as items of the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pybase64
from msgspec import UNSET

from voxengine.conversation import Item
from voxengine.realtime import schema
from voxengine.realtime.errors import Complaint

__all__ = ["audio_of", "content_of", "item_of", "speech_of"]

#: What the parts of a message may be, by its role.
_CONTENT = {
    "system": ("input_text",),
    "user": ("input_text", "input_audio"),
    "assistant": ("output_text",),
}


def item_of(
    given: schema.Item, item_id: str, new_id: Callable[[str], str], at: str = "item"
) -> Item:
    """The item of the log that is meant; `at` is where it stands in the event.

    Raises:
        Complaint: there is no such item here, or a part of it does not fit its role.
    """
    match given:
        case schema.Message():
            text = _text(given, at)
            return Item(id=item_id, role=given.role, text=text, status="completed")
        case schema.FunctionCall():
            call_id = new_id("call") if given.call_id is UNSET else str(given.call_id)
            return Item(
                id=item_id,
                kind="function_call",
                role="assistant",
                status="completed",
                call_id=call_id,
                name=given.name,
                arguments=given.arguments,
            )
        case schema.FunctionCallOutput():
            return Item(
                id=item_id,
                kind="function_output",
                role="tool",
                status="completed",
                call_id=given.call_id,
                output=given.output,
            )
    raise Complaint(
        "Tools of remote servers (MCP) are not available here.", "invalid_value", f"{at}.type"
    )


def _text(given: schema.Message, at: str) -> str:
    allowed = _CONTENT[given.role]
    words = []
    for i, part in enumerate(given.content):
        where = f"{at}.content[{i}]"
        if part.type == "input_image" and given.role == "user":
            raise Complaint(
                "Images are not taken here: the conversation is one of speech and text.",
                "unsupported_content",
                f"{where}.type",
            )
        if part.type not in allowed:
            names = ", ".join(map(repr, allowed))
            raise Complaint(
                f"Invalid value: '{part.type}'. Supported values are: {names}.",
                "invalid_value",
                f"{where}.type",
            )
        if part.type != "input_audio" and not isinstance(part.text, str):
            raise Complaint(
                f"Missing required parameter: '{where}.text'.",
                "missing_required_parameter",
                f"{where}.text",
            )
        said = part.transcript if part.type == "input_audio" else part.text
        if isinstance(said, str) and said:
            words.append(said)
    return " ".join(words)


def speech_of(given: schema.Message) -> bool:
    """Whether a part of it is speech."""
    return any(part.type == "input_audio" for part in given.content)


def audio_of(given: schema.Message) -> bytes:
    """The audio of its parts, one after the other.

    Raises:
        Complaint: it is no base64, or there is none.
    """
    audio = b""
    for i, part in enumerate(given.content):
        if isinstance(part.audio, str):
            try:
                audio += pybase64.b64decode(part.audio, validate=True)
            except ValueError:
                raise Complaint(
                    "Invalid 'audio'. Expected base64-encoded audio bytes.",
                    "invalid_value",
                    f"item.content[{i}].audio",
                ) from None
    if not audio:
        raise Complaint(
            "A part of speech has audio, or a transcript.",
            "missing_required_parameter",
            "item.content[0].audio",
        )
    return audio


def content_of(given: schema.Message) -> list[dict[str, Any]]:
    """Its parts as they were given, without audio."""
    parts = [msgspec.to_builtins(part) for part in given.content]
    return [{k: v for k, v in part.items() if k != "audio" and v is not None} for part in parts]
