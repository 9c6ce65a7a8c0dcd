"""What a provider cannot do is told once, for what was asked; and what was not asked for is not done."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.gateway.wire.talking import talking
from tests.testing.profiles import PROFILES

STREAMS = PROFILES["like a vendor of streams"]


async def test_a_response_outside_of_the_conversation_leaves_kept_turns_alone():
    async with talking({"capabilities": STREAMS}) as client:
        vad = {"type": "server_vad", "create_response": False}
        client.update(audio={"input": {"turn_detection": vad}})
        await client.speak("hello there")
        await client.told("input_audio_buffer.committed")
        item: dict[str, Any] = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "what else"}],
        }
        client.say("response.create", response={"conversation": "none", "input": [item]})
        aside = (await client.told("response.done"))["response"]
        assert aside["conversation_id"] is None
        await asyncio.sleep(10)
        assert len(client.all("response.created")) == 1
        client.say("response.create")
        done = (await client.told("response.done", 2))["response"]
        assert done["output"][0]["content"][0]["transcript"] == "You said: hello there"


async def test_what_has_no_effect_is_told_once():
    async with talking({"capabilities": {"instructions_updatable": False}}) as client:
        client.update(instructions="Be kind.")
        await client.told("session.updated")
        assert [e["param"] for e in client.errors] == ["session.instructions"]
        client.update(max_output_tokens=100)
        await client.told("session.updated", 2)
        assert len(client.errors) == 1
        client.update(instructions="Be kind.")
        await client.told("session.updated", 3)
        assert len(client.errors) == 2


async def test_an_aside_of_who_cannot_be_asked_is_an_error_at_once():
    async with talking({"capabilities": {"response_on_request": False}}) as client:
        client.say("response.create", event_id="mine", response={"conversation": "none"})
        error = (await client.told("error"))["error"]
        assert (error["code"], error["event_id"]) == ("unsupported", "mine")
        assert client.all("response.created") == []


async def test_an_aside_has_the_instructions_that_it_was_asked_for_with():
    setup = {"mock_responses": {"Name a fruit.": "Quince"}}
    async with talking(setup) as client:
        client.update(instructions="Be kind.")
        client.say(
            "response.create", response={"conversation": "none", "instructions": "Name a fruit."}
        )
        done = (await client.told("response.done"))["response"]
        assert done["output"][0]["content"][0]["transcript"] == "Quince"
        assert client.call.engine.config.instructions == "Be kind."
