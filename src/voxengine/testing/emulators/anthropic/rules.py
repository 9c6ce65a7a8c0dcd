"""What the vendor refuses of a request that is valid by its types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["blocks_of", "refused"]

#: Models that still take `temperature`.
_TAKES_TEMPERATURE = re.compile(r"claude-(haiku|sonnet|opus)-4-[0-6]\b.*")
_ID = re.compile(r"[a-zA-Z0-9_-]+")
#: Marks for the cache in one request.
_MARKS = 4


def refused(body: Mapping[str, Any]) -> str | None:
    """What is wrong with a request; None if nothing is."""
    turns = body["messages"]
    if not turns:
        return "messages: at least one message is required"
    if turns[0]["role"] != "user":
        return "messages: the first message must use the user role"
    if turns[-1]["role"] == "assistant":
        return "This model does not support assistant message prefill."
    if "temperature" in body and not _TAKES_TEMPERATURE.fullmatch(body["model"]):
        return "`temperature` is deprecated for this model."
    if str(body).count("'cache_control'") > _MARKS:
        return f"A maximum of {_MARKS} blocks with cache_control may be provided."
    wanted: list[str] = []
    for turn in turns:
        blocks = blocks_of(turn)
        if any(not block.get("text", "x").strip() for block in blocks):
            return "messages: text content blocks must be non-empty"
        given = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        first = [block["type"] for block in blocks[: len(wanted)]]
        if sorted(given) != sorted(wanted) or first != ["tool_result"] * len(wanted):
            return (
                "messages: each `tool_use` block must have a corresponding `tool_result` block at the beginning of "
                "the next message"
            )
        wanted = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if any(_ID.fullmatch(call) is None for call in wanted):
            return "messages: the id of a tool_use must match '^[a-zA-Z0-9_-]+$'"
    return None


def blocks_of(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The content of a message as blocks."""
    content = turn["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
