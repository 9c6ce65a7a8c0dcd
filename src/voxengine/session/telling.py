"""What of the log another connection can be told."""

from __future__ import annotations

from collections.abc import Collection

from voxengine.conversation import Conversation, Item

__all__ = ["tellable"]


def tellable(conversation: Conversation, without: Collection[str] = ()) -> list[Item]:
    """All that is complete and has something in it, but for the items `without` (by their ids)."""
    return [
        item
        for item in conversation
        if item.status != "in_progress"
        and (item.text or item.kind != "message")
        and not _is_open_call(item)
        and item.id not in without
    ]


def _is_open_call(item: Item) -> bool:
    """A call that was called off has no result; vendors refuse a call without one."""
    return item.kind == "function_call" and item.status != "completed"
