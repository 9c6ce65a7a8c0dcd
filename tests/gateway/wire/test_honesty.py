"""What a provider cannot do is told once, for what was asked; and what was not asked for is not done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

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
    can = {"instructions_updatable": False, "history": "none"}
    async with talking({"capabilities": can}) as client:
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


# -- what a provider has in another way

#: Is told the conversation when a connection begins, and never again.
EARLY: dict[str, Any] = {"history": "at_start", "delete": False, "instructions_updatable": False}
HELLO = {"role": "user", "type": "message", "content": [{"type": "input_text", "text": "hello"}]}


async def test_what_is_settled_at_the_start_has_an_effect_all_the_same():
    async with talking({"capabilities": EARLY}) as client:
        first = client.call.engine.provider
        client.update(instructions="Be kind.")
        await client.told("session.updated")
        second = client.call.engine.provider
        assert second is not None
        assert second is not first
        assert second.config.instructions == "Be kind."
        assert client.errors == []


async def test_a_response_that_waits_for_another_connection_is_told_once():
    async with talking({"capabilities": EARLY}) as client:
        for n in (1, 2):
            client.say("conversation.item.create", item={**HELLO, "id": f"item_{n}"})
        client.say("response.create")
        await client.told("response.done")
        await asyncio.sleep(10)
        client.say("conversation.item.delete", item_id="item_1")
        client.say("response.create", response={"metadata": {"n": "2"}})
        client.say("response.create")
        done = (await client.told("response.done", 2))["response"]
        assert (done["status"], done["metadata"]) == ("completed", {"n": "2"})
        assert [e["code"] for e in client.errors] == ["conversation_already_has_active_response"]
        await asyncio.sleep(10)
        assert len(client.all("response.created")) == 2


async def test_who_cannot_but_speak_is_told_as_text():
    async with talking({"capabilities": {"text_output": False}}) as client:
        client.say("conversation.item.create", item=HELLO)
        client.say("response.create", response={"output_modalities": ["text"]})
        done = (await client.told("response.done"))["response"]
        assert done["status"] == "completed"
        assert done["output"][0]["content"][0] == {
            "type": "output_text",
            "text": "You said: hello",
        }
        assert client.all("response.output_audio.delta") == []
        assert client.errors == []


FIND = {"type": "function", "name": "find", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize("on_request", [True, False])
async def test_a_result_is_answered_when_that_is_asked_for(on_request: bool):
    can = {
        "continues_after_tool": True,
        "silent_results": False,
        "response_on_request": on_request,
    }
    script = {"hello": {"tool": "find", "then": "found {output}"}}
    async with talking({"capabilities": can, "mock_responses": script}) as client:
        client.update(tools=[FIND])
        await client.speak("hello")
        call = await client.told("response.function_call_arguments.done")
        await client.told("response.done")
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "it"}
        client.say("conversation.item.create", item=result)
        await asyncio.sleep(5)
        assert len(client.all("response.created")) == 1
        client.say("response.create", response={"metadata": {"n": "2"}})
        done = (await client.told("response.done", 2, seconds=5))["response"]
        assert done["metadata"] == {"n": "2"}
        assert done["output"][0]["content"][0]["transcript"] == "found it"
        assert client.errors == []
        await asyncio.sleep(5)
        assert len(client.all("response.created")) == 2
