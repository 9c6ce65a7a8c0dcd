"""Items of the log as items of the vendor."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from voxengine.conversation.items import Item

__all__ = ["message_item", "short_id", "vendor_items"]

#: Characters that the vendor takes of an id.
LONGEST_ID = 32

_CONTENT = {"user": "input_text", "system": "input_text", "assistant": "output_text"}


def message_item(role: str, text: str) -> dict[str, Any]:
    """Somebody's words in writing. What the assistant said can only be told as text, not as audio."""
    return {
        "type": "message",
        "role": role,
        "content": [{"type": _CONTENT[role], "text": text}],
    }


def vendor_items(items: Iterable[Item]) -> Iterator[dict[str, Any]]:
    """An earlier conversation, in its order, under its ids. Of what was cut short, only what was heard."""
    for item in items:
        match item.kind:
            case "function_call":
                yield {
                    "id": short_id(item.id),
                    "type": "function_call",
                    "call_id": short_id(item.call_id or item.id),
                    "name": item.name or "",
                    "arguments": item.arguments or "{}",
                }
            case "function_output":
                yield {
                    "id": short_id(item.id),
                    "type": "function_call_output",
                    "call_id": short_id(item.call_id or item.id),
                    "output": item.output or "",
                }
            case _ if item.text and item.role in _CONTENT:
                yield {"id": short_id(item.id), **message_item(item.role, item.text)}


def short_id(id: str) -> str:
    """An id that the vendor takes: another provider's may be longer."""
    if len(id) <= LONGEST_ID:
        return id
    return hashlib.sha256(id.encode()).hexdigest()[:LONGEST_ID]
