"""One answer, and one call of a tool, by the real Claude."""

from __future__ import annotations

import json
import os

import pytest

from voxengine.providers.cascade.parts import (
    BrainText,
    BrainToolCall,
    BrainUsage,
    Message,
    ToolSpec,
)
from voxengine.providers.cascade.registry import create_part

pytestmark = [
    pytest.mark.live,
    pytest.mark.real_clock,
    pytest.mark.skipif(
        "ANTHROPIC_API_KEY" not in os.environ, reason="ANTHROPIC_API_KEY is not set"
    ),
]

LOOK_UP = ToolSpec(
    "look_up",
    "finds an order by its number",
    {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]},
)


async def test_it_answers_and_calls() -> None:
    brain = create_part("brain", "anthropic", {})
    await brain.load()
    talk = [Message("system", "Answer in one short sentence."), Message("user", "Say hello.")]
    events = [event async for event in brain.reply(talk, [], session="live", temperature=0.5)]
    assert any(isinstance(event, BrainText) for event in events)
    assert any(isinstance(event, BrainUsage) and event.output_tokens for event in events)
    talk = [Message("user", "Where is my order number seven? Look it up.")]
    events = [event async for event in brain.reply(talk, [LOOK_UP], session="live")]
    (call,) = [event.call for event in events if isinstance(event, BrainToolCall)]
    assert json.loads(call.arguments) == {"order": 7}
    talk += [
        Message("assistant", tool_calls=(call,)),
        Message("tool", '{"status": "shipped"}', call_id=call.call_id),
    ]
    events = [event async for event in brain.reply(talk, [LOOK_UP], session="live")]
    text = "".join(event.text for event in events if isinstance(event, BrainText))
    assert "ship" in text.lower()
    await brain.close()
