"""Items on the gateway's wire: created, retrieved, deleted, cut, and told in the order of the log."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from tests.emulators.wire import PCM24, WEATHER, heard, of, types
from tests.gateway.wire.talks import Event, Talk, mocks, talking
from tests.testing.profiles import PROFILES
from voxengine.audio.signal import speak
from voxengine.testing.emulators.openai import OpenAIEmulator

LONG = "one two three four five six seven eight nine ten eleven twelve"
TOLD = ("conversation.item.added", "conversation.item.done")


def message(role: str, text: str, **fields: Any) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {
        "type": "message",
        "role": role,
        "content": [{"type": kind, "text": text}],
        **fields,
    }


async def create(talk: Talk, item: dict[str, Any], **fields: Any) -> list[Event]:
    await talk.send("conversation.item.create", item=item, **fields)
    return await talk.until("conversation.item.done", "error")


@pytest.mark.parametrize("profile", PROFILES)
async def test_items_are_created_retrieved_and_deleted_on_every_kind_of_provider(profile: str):
    content = mocks(capabilities=PROFILES[profile])
    async with talking(content) as talk:
        await talk.quiet(1)
        told = await create(talk, message("user", "I am Ann.", id="item_a"))
        told += await create(talk, message("assistant", "Hello Ann.", id="item_b"))
        told += await create(
            talk, message("system", "Be kind.", id="item_c"), previous_item_id="root"
        )
        told += await create(
            talk, message("user", "And I am Bob.", id="item_d"), previous_item_id="item_a"
        )

        assert [e["type"] for e in told] == [*TOLD] * 4
        assert [(e["item"]["id"], e["previous_item_id"]) for e in told[::2]] == [
            ("item_a", None),
            ("item_b", "item_a"),
            ("item_c", None),
            ("item_d", "item_a"),
        ]
        assert [i.id for i in talk.engine.conversation] == ["item_c", "item_a", "item_d", "item_b"]
        await talk.send("conversation.item.retrieve", item_id="item_b")
        found = (await talk.get("conversation.item.retrieved"))["item"]
        assert found["content"] == [{"type": "output_text", "text": "Hello Ann."}]
        assert (found["role"], found["status"]) == ("assistant", "completed")

        await talk.send("conversation.item.delete", item_id="item_a")
        gone = await talk.get("conversation.item.deleted")
        assert gone["item_id"] == "item_a"
        error = await talk.complaint("conversation.item.retrieve", item_id="item_a", event_id="e")
        assert (error["code"], error["event_id"]) == ("item_not_found", "e")
        assert "conversation.item.deleted" not in types(await talk.quiet())


@pytest.mark.parametrize(
    ("item", "fields", "code", "param"),
    [
        (message("user", "x", id="item_a"), {}, "item_already_exists", "item.id"),
        (message("user", "x"), {"previous_item_id": "no"}, "item_not_found", "previous_item_id"),
        (
            {"type": "function_call_output", "call_id": "call_no", "output": "1"},
            {},
            "invalid_tool_call_id",
            "item.call_id",
        ),
        (
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}],
            },
            {},
            "unsupported_content",
            "item.content[0].type",
        ),
        (
            {
                "type": "message",
                "role": "system",
                "content": [{"type": "output_text", "text": "x"}],
            },
            {},
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {"type": "message", "role": "user", "content": [{"type": "input_text"}]},
            {},
            "missing_required_parameter",
            "item.content[0].text",
        ),
    ],
)
async def test_what_is_no_item_is_refused(
    item: dict[str, Any], fields: dict[str, Any], code: str, param: str
):
    async with talking() as talk:
        await create(talk, message("user", "first", id="item_a"))
        seen = await create(talk, item, **fields)

        assert types(seen) == ["error"]
        assert (seen[0]["error"]["code"], seen[0]["error"]["param"]) == (code, param)
        assert [i.id for i in talk.engine.conversation] == ["item_a"]


async def test_parts_of_a_message_are_kept_and_speech_with_a_transcript_is_speech():
    async with talking() as talk:
        content = [
            {"type": "input_text", "text": "Listen:"},
            {"type": "input_audio", "audio": "AAAA", "transcript": "hello there"},
        ]
        item = {"type": "message", "role": "user", "content": content, "id": "item_a"}
        seen = await create(talk, item)

        assert seen[0]["item"]["content"] == [
            {"type": "input_text", "text": "Listen:"},
            {"type": "input_audio", "transcript": "hello there"},
        ]
        assert talk.said() == [("user", "Listen: hello there")]


async def test_the_answer_follows_from_items_that_were_given():
    async with talking(mock_responses={"hello": "Hi there!"}) as talk:
        await create(talk, message("user", "hello"))
        assert await talk.quiet(2) == []
        assert heard(await talk.respond()) == "Hi there!"


async def test_only_speech_of_the_assistant_can_be_cut():
    async with talking(mock_responses={"hello": LONG}) as talk:
        asked = await talk.text("hello")
        answer = (await talk.respond())[-1]["response"]["output"][0]["id"]

        async def cut(item_id: str, ms: int, index: int = 0) -> tuple[str, str]:
            error = await talk.complaint(
                "conversation.item.truncate",
                item_id=item_id,
                content_index=index,
                audio_end_ms=ms,
            )
            return error["code"], error["param"]

        assert await cut(asked["id"], 0) == ("invalid_value", "item_id")
        assert await cut("item_none", 0) == ("item_not_found", "item_id")
        assert await cut(answer, 100, index=1) == ("invalid_value", "content_index")
        assert await cut(answer, -1) == ("invalid_value", "audio_end_ms")
        assert await cut(answer, 60_000) == ("invalid_value", "audio_end_ms")
        await talk.send(
            "conversation.item.truncate", item_id=answer, content_index=0, audio_end_ms=1000
        )
        await talk.get("conversation.item.truncated")
        await talk.send("conversation.item.retrieve", item_id=answer)
        found = (await talk.get("conversation.item.retrieved"))["item"]
        assert LONG.startswith(found["content"][0]["transcript"])
        assert len(found["content"][0]["transcript"]) < len(LONG) / 2


@pytest.mark.parametrize(
    "profile", ["everything", "one tool at a time, on request", "like a vendor of items"]
)
async def test_a_function_is_run_by_the_client(profile: str):
    script = {"weather": {"tool": {"name": "weather", "arguments": {"city": "Ulm"}}}}
    content = mocks(mock_responses=script, capabilities=PROFILES[profile])
    async with talking(content) as talk:
        await talk.update(tools=[WEATHER])
        await talk.text("weather")
        seen = await talk.respond()
        seen += await talk.quiet(60)
        call = of(seen, "response.function_call_arguments.done")[0]

        assert types(seen) == [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
        done = seen[-1]["response"]
        assert done["status"] == "completed"
        item = done["output"][0]
        assert (item["name"], item["call_id"]) == ("weather", call["call_id"])
        output = {
            "type": "function_call_output",
            "id": "item_out",
            "call_id": call["call_id"],
            "output": "sunny",
        }
        told = await create(talk, output)
        assert [e["type"] for e in told] == [*TOLD]
        assert told[0]["item"]["id"] == "item_out"
        assert told[0]["previous_item_id"] == item["id"]
        assert await talk.quiet(10) == []
        assert heard(await talk.respond()) == "The result is sunny."
        assert [kind for kind, _ in talk.said()] == ["user", "assistant", "tool", "assistant"]


async def test_the_users_speech_does_not_call_off_a_function_of_the_client():
    script = {"weather": {"tool": {"name": "weather"}}}
    async with talking(mock_responses=script, default_response="Fine.") as talk:
        await talk.update(tools=[WEATHER])
        await talk.text("weather")
        call = of(await talk.respond(), "response.function_call_arguments.done")[0]
        await talk.say("how are you", live=True)
        await talk.until("response.done")
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
        told = await create(talk, output)

        assert [e["type"] for e in told] == [*TOLD]
        assert of(talk.log, "error") == []
        results = [i for i in talk.engine.conversation if i.kind == "function_output"]
        assert [i.output for i in results] == ["sunny"]


async def test_what_others_put_in_is_told():
    async with talking() as talk:
        await talk.engine.inject("The user is Ann.")
        seen = await talk.until("conversation.item.done")

        assert [e["type"] for e in seen] == [*TOLD]
        assert seen[0]["item"]["role"] == "system"
        assert seen[0]["item"]["content"] == [{"type": "input_text", "text": "The user is Ann."}]


async def test_a_function_of_the_routes_is_run_by_the_gateway():
    script = {"weather": {"tool": {"name": "clock"}}}
    content = mocks(mock_responses=script)
    content["routes"]["play"]["tools"] = [
        {"name": "clock", "function": "tests.gateway.wire.test_items:clock"}
    ]
    async with talking(content) as talk:
        await talk.update(tools=[WEATHER])
        await talk.text("weather")
        await talk.send("response.create")
        await talk.until("response.done")
        seen = await talk.until("response.done")

        assert "response.function_call_arguments.done" not in types(talk.log)
        assert heard(seen) == "The result is noon."
        items = [e["item"]["type"] for e in of(talk.log, "conversation.item.done")]
        assert items == ["message", "function_call", "function_call_output", "message"]
        error = await talk.complaint(
            "session.update", session={"type": "realtime", "tools": [{**WEATHER, "name": "clock"}]}
        )
        assert error["code"] == "invalid_value"


async def clock() -> str:
    """Tells the time."""
    await asyncio.sleep(1)
    return "noon"


async def test_a_response_is_not_asked_for_while_the_gateway_runs_a_function():
    content = mocks(
        mock_responses={"weather": {"tool": {"name": "clock"}}},
        capabilities={"continues_after_tool": False},
    )
    content["routes"]["play"]["tools"] = [
        {"name": "clock", "function": "tests.gateway.wire.test_items:clock"}
    ]
    async with talking(content) as talk:
        await talk.text("weather")
        await talk.respond()
        error = await talk.complaint("response.create")
        assert error["code"] == "conversation_already_has_active_response"
        assert heard(await talk.until("response.done")) == "The result is noon."


@pytest.mark.parametrize("provider", ["mock", "openai"])
async def test_a_response_may_have_functions_of_its_own(
    provider: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("EMULATED_KEY", "sk-emulated")
    script = {"weather": {"tool": {"name": "weather"}}}
    async with OpenAIEmulator(responses=script) as emulator:
        content = mocks(mock_responses=script)
        if provider == "openai":
            content["providers"]["toy"] = {
                "provider": "openai",
                "api_key_env": "EMULATED_KEY",
                "metadata": {"endpoint": emulator.endpoint},
            }
        async with talking(content) as talk:
            await talk.text("weather")
            seen = await talk.respond(tools=[WEATHER])
            call = of(seen, "response.function_call_arguments.done")[0]
            output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
            assert [e["type"] for e in await create(talk, output)] == [*TOLD]
            assert await talk.quiet(5) == []
            assert heard(await talk.respond()) == "The result is sunny."


async def test_the_same_function_may_be_asked_for_again_in_a_turn():
    again = {"tool": {"name": "weather"}, "then": "It stays {output}."}
    script = {"weather": {"tool": {"name": "weather"}, "then": again}}
    async with talking(mock_responses=script) as talk:
        await talk.update(tools=[WEATHER])
        await talk.text("weather")
        for _ in range(2):
            call = of(await talk.respond(), "response.function_call_arguments.done")[0]
            output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
            await create(talk, output)
        assert heard(await talk.respond()) == "It stays sunny."


async def test_speech_is_given_as_an_item_where_the_client_ends_the_turns():
    audio = base64.b64encode(speak("hello there", PCM24)).decode()
    content = [{"type": "input_audio", "audio": audio}]
    item = {"type": "message", "role": "user", "content": content, "id": "item_a"}
    async with talking(mock_responses={"hello there": "Hi!"}) as talk:
        error = (await create(talk, item))[-1]["error"]
        assert error["code"] == "unsupported_content"
        await talk.update(audio={"input": {"turn_detection": None}})
        told = await create(talk, item)
        told += await talk.quiet(1)

        assert [e["type"] for e in told] == [*TOLD]
        assert told[0]["item"]["id"] == "item_a"
        assert told[0]["item"]["content"][0]["type"] == "input_audio"
        assert heard(await talk.respond()) == "Hi!"
        assert talk.said() == [("user", "hello there"), ("assistant", "Hi!")]
