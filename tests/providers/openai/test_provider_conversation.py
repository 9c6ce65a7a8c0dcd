"""The conversation: interruptions, items, tools, history, and what is said in the vendor's own words."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.providers.openai.calls import (
    LONG,
    Peer,
    call_of,
    calling,
    emulated,
    peers,
    polite,
    until,
)
from voxengine import events as ev
from voxengine.conversation.items import Item
from voxengine.errors import MessageError, UnsupportedFeatureError

ECHO = {"re:^say (.*)": "{1}"}
TOOLS = [
    {"name": name, "description": "tells", "parameters": {"type": "object", "properties": {}}}
    for name in ("weather", "time")
]


# -- interruptions


async def test_interrupt_ends_the_response_under_way():
    async with call_of(responses={"long": LONG, **ECHO}) as (call, emulator):
        await call.provider.send_text("long")
        await call.wait(ev.AudioOutputChunk, 5)
        await call.provider.interrupt()
        end = await call.wait(ev.ResponseCancelled)
        assert end.reason == "client_cancelled"
        assert emulator.sessions[0].refused == []
        assert await call.ask("say yes") == "yes"
        call.check()


async def test_interrupt_twice_and_without_a_response_is_no_error():
    async with call_of(responses={"long": LONG, **ECHO}) as (call, emulator):
        await call.provider.interrupt()
        await call.provider.send_text("long")
        await call.wait(ev.AudioOutputChunk, 5)
        for _ in range(3):
            await call.provider.interrupt()
        await call.wait_ends()
        await call.provider.interrupt()
        await asyncio.sleep(2)
        assert emulator.sessions[0].received.count("response.cancel") == 1
        assert call.of(ev.ErrorGeneral) == []
        call.check()


async def test_a_cancellation_that_comes_too_late_is_no_error():
    """The response is over at the vendor's, and we do not know yet."""

    def react(peer: Peer, event: dict[str, Any]) -> None:
        polite(peer, event)
        if event["type"] == "response.create":
            peer.send("response.created", response={"id": "r1"})
        if event["type"] == "response.cancel":
            peer.send("response.done", response={"id": "r1", "status": "completed"})
            peer.send(
                "error",
                error={
                    "type": "invalid_request_error",
                    "code": "response_cancel_not_active",
                    "message": "Cancellation failed: no active response found",
                    "event_id": event.get("event_id"),
                },
            )

    async with peers(react) as server:
        call = server.call()
        await call.provider.connect()
        await call.provider.create_response()
        await call.wait(ev.ResponseStarted)
        await call.provider.interrupt()
        await call.wait(ev.ResponseCompleted)
        await asyncio.sleep(1)
        assert call.of(ev.ErrorGeneral) == []
        call.check()
        await call.provider.disconnect()


async def test_a_response_whose_end_was_never_told_does_not_stand_in_the_way():
    """The vendor has none to call off: what is asked for next goes out."""

    def react(peer: Peer, event: dict[str, Any]) -> None:
        polite(peer, event)
        if event["type"] == "response.create":
            n = peer.types().count("response.create")
            peer.send("response.created", response={"id": f"r{n}"})
        if event["type"] == "response.cancel":
            error = {"type": "invalid_request_error", "code": "response_cancel_not_active"}
            peer.send("error", error={**error, "event_id": event.get("event_id")})

    async with peers(react) as server:
        call = server.call()
        await call.provider.connect()
        await call.provider.create_response()
        await call.wait(ev.ResponseStarted)
        await call.provider.interrupt()
        await call.provider.send_text("hello")
        await call.wait(ev.ResponseStarted, 2)
        assert server.peer.types().count("response.create") == 2
        await call.provider.disconnect()


async def test_truncate_is_clamped_to_what_came():
    async with call_of(responses={"long": LONG}) as (call, emulator):
        await call.provider.send_text("long")
        first = await call.wait(ev.AudioOutputChunk, 8)
        await call.provider.interrupt()
        await call.wait_ends()
        came = sum(len(e.audio_data) for e in call.of(ev.AudioOutputChunk)) / 48
        item_id = str(first.item_id)
        await call.provider.truncate_item(item_id, came + 5000, "")
        await until(lambda: emulator.sessions[0].received[-1] == "conversation.item.truncate")
        item = emulator.sessions[0].conversation.get(item_id)
        assert item.truncated
        assert item.audio_ms == pytest.approx(came, abs=1)
        await call.provider.truncate_item(item_id, 250.7, "")
        await until(lambda: item.audio_ms < 300)
        assert item.audio_ms == 250
        await call.provider.truncate_item(item_id, -3.0, "")
        await until(lambda: item.audio_ms == 0)
        await asyncio.sleep(1)
        assert emulator.sessions[0].refused == []
        assert call.of(ev.ErrorGeneral) == []


async def test_truncate_of_what_never_came_is_refused():
    async with call_of(responses=ECHO) as (call, emulator):
        await call.ask("say yes")
        for item_id in ("item_of_nobody", emulator.sessions[0].items[0].id):
            with pytest.raises(MessageError) as caught:
                await call.provider.truncate_item(item_id, 100.0, "")
            assert caught.value.code == "item_not_found"
        assert "conversation.item.truncate" not in emulator.sessions[0].received


async def test_truncate_of_an_item_that_was_deleted_is_a_warning():
    async with call_of(responses=ECHO) as (call, _):
        await call.ask("say yes")
        item_id = str(call.of(ev.TextOutput)[0].item_id)
        await call.provider.delete_item(item_id)
        await call.provider.truncate_item(item_id, 100.0, "")
        warning = await call.wait(ev.SystemWarning)
        assert warning.code == "truncate_refused"
        assert call.of(ev.ErrorGeneral) == []


async def test_delete():
    async with call_of(responses=ECHO) as (call, emulator):
        await call.ask("say yes")
        await call.provider.delete_item(emulator.sessions[0].items[0].id)
        await until(lambda: len(emulator.sessions[0].items) == 1)
        await call.provider.delete_item("item_of_nobody")
        error = await call.wait(ev.ErrorGeneral)
        assert (error.code, error.recoverable) == ("item_not_found", True)
        with pytest.raises(MessageError):
            await call.provider.delete_item("")


# -- tools


async def test_a_tool_is_called_and_its_result_answered():
    reply = {"tool": {"name": "weather", "arguments": {"city": "Rome"}}, "then": "It is {output}."}
    async with call_of(responses={"weather?": reply}, tools=TOOLS) as (call, _):
        await call.provider.send_text("weather?")
        invoked = await call.wait(ev.FunctionInvoked)
        assert (invoked.name, json.loads(invoked.arguments)) == ("weather", {"city": "Rome"})
        assert invoked.response_id == call.of(ev.ResponseStarted)[0].response_id
        await call.wait_ends()
        await call.provider.send_tool_result(invoked.call_id, "sunny")
        await call.provider.create_response()
        await call.wait_ends(2)
        assert call.answers()[1] == "It is sunny."
        assert len(call.of(ev.FunctionInvoked)) == 1
        call.check()


async def test_two_tools_in_parallel_with_results_while_the_response_goes_on():
    """Results, and the request for the answer, sent before the response has ended."""
    reply = {
        "tools": [{"name": "weather"}, {"name": "time"}],
        "then": "Results: {output}.",
    }
    async with call_of(responses={"both?": reply}, tools=TOOLS) as (call, emulator):
        await call.provider.send_text("both?")
        await call.wait(ev.FunctionInvoked, 2)
        names = [e.name for e in call.of(ev.FunctionInvoked)]
        assert names == ["weather", "time"]
        for event, output in zip(call.of(ev.FunctionInvoked), ("sunny", "noon"), strict=True):
            await call.provider.send_tool_result(event.call_id, output)
        await call.provider.create_response()
        await call.wait_ends(2)
        await asyncio.sleep(5)
        assert call.answers()[1:] == ["Results: sunny, noon."]
        assert emulator.sessions[0].refused == []
        call.check()


async def test_tools_that_are_not_to_be_called_in_parallel():
    reply = {"tools": [{"name": "weather"}, {"name": "time"}], "then": "Done."}
    async with call_of(responses={"both?": reply}, tools=TOOLS, parallel_tool_calls=False) as (
        call,
        _,
    ):
        await call.provider.send_text("both?")
        await call.wait_ends()
        assert [e.name for e in call.of(ev.FunctionInvoked)] == ["weather"]


# -- the conversation from before


async def test_history_of_all_kinds_is_told_in_order():
    long_id = "call_from_a_provider_with_very_long_ids_0123456789"
    items = [
        Item(id="1", role="system", text="Be kind.", status="completed"),
        Item(id="2", role="user", text="What is the weather?", status="completed"),
        Item(
            id="3", kind="function_call", role="assistant", call_id=long_id, name="weather",
            arguments='{"city": "Rome"}', status="completed",
        ),
        Item(id="4", kind="function_output", role="tool", call_id=long_id, output="sunny"),
        Item(id="5", role="assistant", text="It is", unheard_text=" sunny.", status="incomplete"),
        Item(id="6", role="user", text="", status="completed"),
    ]  # fmt: skip
    async with call_of(responses=ECHO) as (call, emulator):
        await call.provider.add_conversation_history(items)
        await until(lambda: len(emulator.sessions[0].items) == 5)
        await asyncio.sleep(3)
        told = emulator.sessions[0].items
        assert [(i.type, i.role, i.text) for i in told] == [
            ("message", "system", "Be kind."),
            ("message", "user", "What is the weather?"),
            ("function_call", None, ""),
            ("function_call_output", None, ""),
            ("message", "assistant", "It is"),
        ]
        ids = {i.value["call_id"] for i in told[2:4]}
        assert len(ids) == 1
        assert len(ids.pop()) <= 32
        assert emulator.sessions[0].refused == []
        assert call.of(ev.ResponseStarted) == []
        assert await call.ask("say yes") == "yes"


async def test_history_may_come_late_and_may_be_nothing():
    async with call_of(responses=ECHO) as (call, emulator):
        await call.provider.add_conversation_history([])
        assert await call.ask("say yes") == "yes"
        late = [
            Item(id="a", kind="function_call", call_id="c1", name="weather", status="completed"),
            Item(id="b", kind="function_output", call_id="c1", output="rain", status="completed"),
        ]
        await call.provider.add_conversation_history(late)
        await call.provider.create_response()
        await call.wait_ends(2)
        assert call.answers()[1] == "The result is rain."
        assert emulator.sessions[0].refused == []


# -- in the vendor's own words


async def test_a_response_outside_of_the_conversation():
    async with call_of(responses={"classify": "angry", **ECHO}) as (call, emulator):
        aside = {
            "conversation": "none",
            "output_modalities": ["text"],
            "instructions": "classify",
            "metadata": {"topic": "mood"},
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "Grr"}],
                }
            ],
        }
        await call.provider.send_text("say yes")
        await call.wait(ev.ResponseStarted)
        await call.provider.send_event({"type": "response.create", "response": aside})
        await call.wait_ends()
        await until(lambda: any(e.name == "response.done" for e in call.of(ev.RawEvent)))
        done = next(e for e in call.of(ev.RawEvent) if e.name == "response.done").payload
        assert done["response"]["metadata"] == {"topic": "mood"}
        assert done["response"]["output"][0]["content"][0]["text"] == "angry"
        assert call.answers() == ["yes"]
        assert call.spoken() == "yes"
        used = [u for u in call.of(ev.UsageUpdated) if u.response_id == done["response"]["id"]]
        assert len(used) == 1
        assert used[0].input_text_tokens > 0
        assert len(emulator.sessions[0].items) == 2
        assert await call.ask("say no") == "no"
        call.check()


async def test_a_refused_response_outside_of_the_conversation_disturbs_nothing():
    async with emulated(valid=False, responses=ECHO) as emulator, calling(emulator) as call:
        wrong = {"conversation": "none", "output_modalities": ["smell"]}
        await call.provider.send_event({"type": "response.create", "response": wrong})
        error = await call.wait(ev.ErrorGeneral)
        assert "smell" in str(error.error)
        assert call.provider._decoder.asides == 0  # the next that begins is no aside
        assert await call.ask("say yes") == "yes"
        call.check()


async def test_messages_in_the_vendors_own_words():
    async with call_of(responses=ECHO) as (call, emulator):
        await call.ask("say yes")
        item_id = emulator.sessions[0].items[0].id
        await call.provider.send_event({"type": "conversation.item.retrieve", "item_id": item_id})
        raw = await call.wait(ev.RawEvent)
        assert raw.name == "conversation.item.retrieved"
        assert raw.payload["item"]["id"] == item_id
        for wrong in ({}, {"type": ""}, {"type": 5}, {"type": "x", "y": object()}):
            with pytest.raises(MessageError):
                await call.provider.send_event(wrong)


async def test_rate_limits_are_told():
    async with call_of(responses=ECHO) as (call, _):
        await call.ask("say yes")
        limits = {limit.name: limit for limit in call.of(ev.RateLimitsUpdated)[0].limits}
        assert limits["requests"].limit == 1000
        assert limits["tokens"].remaining == 190_000
        assert limits["tokens"].reset_seconds == 3.0


@pytest.mark.parametrize("dialect", ["openai", "azure", "custom"])
async def test_speaking_a_given_text_is_refused_where_there_is_no_way_to(dialect: str):
    async with call_of(dialect) as (call, emulator):
        with pytest.raises(UnsupportedFeatureError):
            await call.provider.generate_tts("Hello.")
        assert emulator.sessions[0].received == ["session.update"]
