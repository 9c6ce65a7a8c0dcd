"""OpenAI's own Python client in front of a model without turns, with one function, that cannot be told to stop."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.gateway.clients.callers import PCM24, calling, of, sound, spoken
from tests.gateway.clients.providers import MOVE, STORY
from tests.gateway.clients.servers import serving
from voxengine.audio.signal import understand

DELEGATE: dict[str, Any] = {
    "type": "function",
    "name": "delegate",
    "description": "does what the user asks for",
    "parameters": {"type": "object", "properties": {"task": {"type": "string"}}},
}
NAME = "openai-live"


async def test_the_user_interrupts_and_only_what_was_heard_is_kept():
    async with serving(NAME) as server, calling(server, NAME) as caller:
        await caller.transcribed()
        talking = asyncio.create_task(caller.say("tell me a story", pause_ms=2500))
        item_id = (await caller.get("response.output_audio.delta"))["item_id"]
        await talking
        talking = asyncio.create_task(caller.say("stop it", pause_ms=4000))
        seen = await caller.until("response.done")
        seen += await caller.answer()
        await talking
        assert "stop it" in spoken(seen)

        await caller.connection.conversation.item.retrieve(item_id=item_id)
        item = (await caller.get("conversation.item.retrieved"))["item"]
        heard = item["content"][0]["transcript"]
        assert STORY.startswith(heard)
        assert 1 <= len(heard.split()) < len(STORY.split()) / 2


async def test_a_task_is_handed_to_the_client():
    async with serving(NAME) as server, calling(server, NAME) as caller:
        session = await caller.transcribed(tools=[DELEGATE])
        assert [tool["name"] for tool in session["tools"]] == ["delegate"]
        talking = asyncio.create_task(caller.say("look it up", pause_ms=8000))
        call = await caller.get("response.function_call_arguments.done")
        assert call["name"] == "delegate"
        assert "look it up" in call["arguments"]
        await caller.until("response.done")
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "it"}
        await caller.connection.conversation.item.create(item=output)
        await caller.connection.response.create()
        seen: list[dict[str, Any]] = []
        while not of(seen, "response.output_audio.delta"):
            seen += await caller.answer()
        assert "I found it" in spoken(seen)
        assert "I found it" in understand(sound(seen), PCM24)
        await talking


async def test_it_says_that_it_calls_no_other_functions():
    async with serving(NAME) as server, calling(server, NAME) as caller:
        await caller.connection.session.update(session={"type": "realtime", "tools": [MOVE]})
        error = (await caller.get("error"))["error"]
        assert (error["code"], error["param"]) == ("unsupported_setting", "session.tools")
