"""Short ways to ask a brain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from voxengine.providers.cascade.parts import (
    Brain,
    BrainEvent,
    BrainText,
    BrainToolCall,
    Message,
    ToolCall,
    ToolSpec,
)

MOVE = ToolSpec(
    "move",
    "Move the robot.",
    {
        "type": "object",
        "properties": {
            "direction": {"type": "string"},
            "distance": {"type": "number"},
            "unit": {"type": "string"},
        },
        "required": ["direction", "distance"],
    },
)


def users(*texts: str) -> list[Message]:
    return [Message("user", text) for text in texts]


async def ask(
    brain: Brain, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
) -> list[BrainEvent]:
    async with aclosing(brain.reply(messages, tools, session="s")) as events:  # type: ignore[type-var]
        return [event async for event in events]


def text_of(events: Sequence[BrainEvent]) -> str:
    return "".join(e.text for e in events if isinstance(e, BrainText))


def calls_of(events: Sequence[BrainEvent]) -> list[tuple[str, Any]]:
    return [
        (e.call.name, json.loads(e.call.arguments)) for e in events if isinstance(e, BrainToolCall)
    ]


def with_result(messages: list[Message], call: ToolCall, result: str) -> list[Message]:
    return [
        *messages,
        Message("assistant", tool_calls=(call,)),
        Message("tool", result, call_id=call.call_id),
    ]


def first_call(events: Sequence[BrainEvent]) -> ToolCall:
    return next(e.call for e in events if isinstance(e, BrainToolCall))
