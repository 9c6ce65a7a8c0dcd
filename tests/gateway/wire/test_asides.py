"""Responses outside of the conversation, and with a context of their own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.emulators.wire import WEATHER, heard, of, types
from tests.gateway.wire.talks import Event, Talk, mocks, talking
from voxengine.testing.emulators.openai import OpenAIEmulator

SCRIPT = {
    "hello": "Hi there!",
    "classify this": "It is a greeting.",
    "what did I say": "You said a thing.",
    "weather": {"tool": {"name": "weather"}},
    "a long one": "one two three four five six seven eight nine ten",
}


def message(text: str, **fields: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, **fields}


def texts(events: list[Event]) -> str:
    return "".join(e["delta"] for e in of(events, "response.output_text.delta"))


def _on(emulator: OpenAIEmulator) -> dict[str, Any]:
    provider = {
        "provider": "openai",
        "api_key_env": "EMULATED_KEY",
        "metadata": {"endpoint": emulator.endpoint},
    }
    return {"providers": {"v": provider}, "routes": {"play": {"providers": ["v"]}}}


async def beside(talk: Talk, **response: Any) -> list[Event]:
    return await talk.respond(conversation="none", **response)


async def test_one_with_a_context_of_its_own_leaves_no_trace():
    async with talking(mock_responses=SCRIPT) as talk:
        await talk.text("hello")
        seen = await beside(
            talk,
            input=[message("classify this")],
            output_modalities=["text"],
            metadata={"topic": "kind"},
        )

        assert texts(seen) == "It is a greeting."
        assert list(dict.fromkeys(types(seen))) == [
            "response.created",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
        ]
        done = seen[-1]["response"]
        assert done["conversation_id"] is None
        assert seen[0]["response"]["conversation_id"] is None
        assert done["status"] == "completed"
        assert done["metadata"] == {"topic": "kind"}
        assert talk.said() == [("user", "hello")]
        answer = await talk.respond()
        assert heard(answer) == "Hi there!"


async def test_without_a_context_of_its_own_it_knows_the_conversation():
    async with talking(mock_responses=SCRIPT) as talk:
        await talk.text("hello")
        seen = await beside(talk)

        assert heard(seen) == "Hi there!"
        assert talk.said() == [("user", "hello")]


async def test_it_refers_to_items_of_the_conversation():
    async with talking(mock_responses=SCRIPT) as talk:
        first = await talk.text("what did I say")
        await talk.text("hello")
        reference = {"type": "item_reference", "id": first["id"]}
        assert heard(await beside(talk, input=[reference])) == "You said a thing."

        error = await talk.complaint(
            "response.create",
            response={
                "conversation": "none",
                "input": [{"type": "item_reference", "id": "item_none"}],
            },
        )
        assert (error["code"], error["param"]) == ("item_not_found", "response.input[0].id")


async def test_it_goes_on_beside_a_response_of_the_conversation():
    async with talking(mock_responses=SCRIPT) as talk:
        await talk.text("a long one")
        await talk.send("response.create")
        main = (await talk.get("response.created"))["response"]["id"]
        await talk.send(
            "response.create",
            response={"conversation": "none", "input": [message("classify this")]},
        )
        seen = await talk.until("response.done") + await talk.until("response.done")
        ended = {e["response"]["id"]: e["response"]["status"] for e in of(seen, "response.done")}

        assert len(ended) == 2
        assert set(ended.values()) == {"completed"}
        assert main in ended
        by_response = {e["response_id"] for e in of(seen, "response.output_audio.delta")}
        assert by_response == set(ended)


async def test_several_are_bounded_and_each_can_be_cancelled():
    async with talking(mock_responses=SCRIPT) as talk:
        wanted = {"conversation": "none", "input": [message("a long one")]}
        for _ in range(4):
            await talk.send("response.create", response=wanted)
        made = [(await talk.get("response.created"))["response"]["id"] for _ in range(4)]
        error = await talk.complaint("response.create", response=wanted)
        assert error["code"] == "rate_limit_exceeded"
        assert (await talk.complaint("response.cancel"))["code"] == "response_cancel_not_active"
        await talk.send("response.cancel", response_id=made[1])
        done = (await talk.get("response.done"))["response"]

        assert done["id"] == made[1]
        assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        rest = [(await talk.get("response.done"))["response"] for _ in range(3)]
        assert {r["id"] for r in rest} == {*made} - {made[1]}
        assert {r["status"] for r in rest} == {"completed"}


async def test_it_calls_functions_of_the_session_or_its_own():
    async with OpenAIEmulator(responses=SCRIPT) as emulator, talking(_on(emulator)) as talk:
        other = {**WEATHER, "name": "other"}
        await talk.update(tools=[WEATHER])
        seen = await beside(talk, input=[message("weather")])
        item = seen[-1]["response"]["output"][0]
        assert (item["type"], item["name"]) == ("function_call", "weather")
        seen = await beside(talk, input=[message("weather")], tools=[other])
        assert heard(seen) == "I have no tool called weather."
        seen = await beside(talk, input=[message("hello")], tools=[other], tool_choice="required")
        assert seen[-1]["response"]["output"][0]["name"] == "other"

        error = await talk.complaint(
            "conversation.item.create",
            item={"type": "function_call_output", "call_id": item["call_id"], "output": "1"},
        )
        assert error["code"] == "invalid_tool_call_id"


async def test_a_context_of_its_own_and_an_answer_in_the_conversation():
    async with talking(mock_responses=SCRIPT) as talk:
        asked = await talk.text("hello")
        seen = await talk.respond(input=[message("classify this")])
        await talk.quiet()

        assert heard(seen) == "It is a greeting."
        done = seen[-1]["response"]
        assert done["conversation_id"] == f"conv_{talk.engine.conversation.id}"
        added = of(talk.log, "conversation.item.added")[-1]
        assert added["previous_item_id"] == asked["id"]
        assert added["item"]["id"] == done["output"][0]["id"]
        assert talk.said() == [("user", "hello"), ("assistant", "It is a greeting.")]


async def test_speech_and_another_response_meet_one_that_joins_the_conversation():
    async with talking(mock_responses=SCRIPT) as talk:
        await talk.text("hello")
        wanted = {"input": [message("a long one")]}
        await talk.send("response.create", response=wanted)
        await talk.until("response.output_audio.delta")
        error = await talk.complaint("response.create")
        assert error["code"] == "conversation_already_has_active_response"
        await talk.send("response.cancel")
        done = (await talk.get("response.done"))["response"]

        assert done["status_details"]["reason"] == "client_cancelled"
        assert done["output"][0]["status"] == "incomplete"


async def test_what_it_costs_is_booked_to_the_call():
    async with OpenAIEmulator(responses=SCRIPT) as emulator:
        async with talking(_on(emulator)) as talk:
            seen = await beside(talk, input=[message("classify this")], output_modalities=["text"])
            await asyncio.sleep(1)
            used = await talk.engine.get_usage()

            usage = seen[-1]["response"]["usage"]
            assert usage["input_tokens"] > 0
            assert used["output_text_tokens"] == usage["output_tokens"]
            assert used["input_text_tokens"] == usage["input_tokens"]
            assert used["cost"] > 0
        assert emulator.violations == []


async def test_a_provider_that_cannot_be_told_a_context_says_so():
    content = mocks(mock_responses=SCRIPT, capabilities={"history": "none"})
    async with talking(content) as talk:
        await talk.quiet(1)
        error = await talk.complaint(
            "response.create", response={"conversation": "none", "input": [message("hello")]}
        )
        assert (error["code"], error["param"]) == ("unsupported_parameter", "response.input")
        seen = await beside(talk, input=[])
        assert seen[-1]["response"]["status"] == "completed"


async def test_it_fails_alone():
    content = mocks(mock_responses={"hello": {"error": "server"}, "bye": "Bye!"})
    async with talking(content) as talk:
        seen = await beside(talk, input=[message("hello")])
        assert seen[-1]["response"]["status"] == "failed"
        await talk.text("bye")
        assert heard(await talk.respond()) == "Bye!"


async def test_a_client_that_leaves_takes_them_along():
    async with talking(mock_responses=SCRIPT) as talk:
        await talk.send(
            "response.create",
            response={"conversation": "none", "input": [message("a long one")]},
        )
        await talk.until("response.output_audio.delta")
        talk.line.session.on_close(1006, "")
        await asyncio.sleep(1)
        names = [task.get_name() for task in asyncio.all_tasks()]

        assert [name for name in names if name.startswith("voxengine-resp")] == []


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMULATED_KEY", "sk-emulated")
