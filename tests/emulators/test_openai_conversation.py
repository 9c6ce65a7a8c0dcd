"""Items and responses: written turns, tools, truncation, cancelling, usage."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.emulators.wire import (
    PCM24,
    WEATHER,
    Wire,
    audio_of,
    connected,
    heard,
    of,
    types,
)
from voxengine.audio.signal import speak, understand
from voxengine.testing.emulators.openai import OpenAIEmulator

CLOCK = {"type": "function", "name": "clock", "description": "d", "parameters": {"type": "object"}}
TEXT = {"output_modalities": ["text"]}


async def said_in_text(wire: Wire, **response) -> str:
    seen = await wire.respond(**{**TEXT, **response})
    done = of(seen, "response.output_text.done")
    return done[0]["text"] if done else ""


async def test_items_keep_their_ids_and_their_places():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        first = await wire.text("one", id="item_mine")
        assert first["id"] == "item_mine"
        second = await wire.text("three")
        between = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "two"}],
        }
        added = await wire.ask(
            "conversation.item.create",
            "conversation.item.added",
            item=between,
            previous_item_id="item_mine",
        )
        assert added["previous_item_id"] == "item_mine"
        added = await wire.ask(
            "conversation.item.create",
            "conversation.item.added",
            item={
                "type": "message",
                "role": "system",
                "content": [{"type": "input_text", "text": "zero"}],
            },
            previous_item_id="root",
        )
        assert added["previous_item_id"] is None
        assert [item.text for item in emulator.sessions[0].items] == ["zero", "one", "two", "three"]
        deleted = await wire.ask(
            "conversation.item.delete", "conversation.item.deleted", item_id=second["id"]
        )
        assert deleted["item_id"] == second["id"]
        assert [item.text for item in emulator.sessions[0].items] == ["zero", "one", "two"]
        assert (await wire.complaint("conversation.item.delete", item_id="gone"))[
            "code"
        ] == "item_not_found"
        assert (await wire.complaint("conversation.item.retrieve", item_id="gone"))[
            "code"
        ] == "item_not_found"
        error = await wire.complaint(
            "conversation.item.create", item=between, previous_item_id="gone"
        )
        assert (error["code"], error["param"]) == ("item_not_found", "previous_item_id")
        error = await wire.complaint(
            "conversation.item.create", item={**between, "id": "item_mine"}
        )
        assert error["code"] == "item_already_exists"


@pytest.mark.parametrize(
    ("role", "part"),
    [
        ("assistant", {"type": "output_audio", "audio": "AAAA"}),
        ("assistant", {"type": "input_text", "text": "x"}),
        ("user", {"type": "output_text", "text": "x"}),
        ("system", {"type": "input_audio", "audio": "AAAA"}),
        ("user", {"type": "text", "text": "x"}),
        ("user", {"type": "input_text"}),
        ("user", {"type": "input_audio", "audio": "not base64"}),
    ],
)
async def test_content_that_does_not_fit_its_role_is_refused(role, part):
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        item = {"type": "message", "role": role, "content": [part]}
        error = await wire.complaint("conversation.item.create", item=item)
        assert error["type"] == "invalid_request_error"
        assert emulator.sessions[0].items == []


async def test_a_user_can_be_put_in_with_audio_text_and_a_picture():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        spoken = base64.b64encode(speak("look at this", PCM24)).decode()
        content = [
            {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="},
            {"type": "input_audio", "audio": spoken},
        ]
        item = {"type": "message", "role": "user", "content": content}
        done = await wire.ask("conversation.item.create", "conversation.item.done", item=item)
        assert "audio" not in done["item"]["content"][1]
        assert await said_in_text(wire) == "You said: look at this"
        usage = wire.log[-1]["response"]["usage"]["input_token_details"]
        assert usage["image_tokens"] > 0
        assert usage["audio_tokens"] == 11
        found = await wire.ask(
            "conversation.item.retrieve", "conversation.item.retrieved", item_id=done["item"]["id"]
        )
        assert (
            understand(base64.b64decode(found["item"]["content"][1]["audio"]), PCM24)
            == "look at this"
        )


async def test_history_is_put_in_and_answered_from():
    async with (
        OpenAIEmulator(responses={"and now?": "Now this."}) as emulator,
        connected(emulator) as wire,
    ):
        await wire.text("earlier")
        await wire.text(
            "answer", role="assistant", content=[{"type": "output_text", "text": "answer"}]
        )
        call = {"type": "function_call", "name": "clock", "call_id": "call_old", "arguments": "{}"}
        await wire.ask("conversation.item.create", "conversation.item.done", item=call)
        output = {"type": "function_call_output", "call_id": "call_old", "output": "noon"}
        await wire.ask("conversation.item.create", "conversation.item.done", item=output)
        await wire.text("And now?")
        assert await said_in_text(wire) == "Now this."
        kinds = [(item.type, item.role) for item in emulator.sessions[0].items]
        assert kinds == [
            ("message", "user"),
            ("message", "assistant"),
            ("function_call", None),
            ("function_call_output", None),
            ("message", "user"),
            ("message", "assistant"),
        ]


async def test_a_response_before_anybody_said_anything_greets():
    async with (
        OpenAIEmulator(greeting="Welcome!", responses={"say boo": "Boo!"}) as emulator,
        connected(emulator) as wire,
    ):
        assert heard(await wire.respond()) == "Welcome!"
        assert heard(await wire.respond(instructions="say boo")) == "Boo!"


async def test_text_has_the_events_of_text():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.text("hello")
        seen = await wire.respond(**TEXT)
        assert types(seen) == [
            "response.created",
            "rate_limits.updated",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
        assert (
            "".join(e["delta"] for e in of(seen, "response.output_text.delta")) == "You said: hello"
        )
        assert seen[-1]["response"]["output"][0]["content"] == [
            {"type": "output_text", "text": "You said: hello"}
        ]
        assert seen[0]["response"]["conversation_id"] == seen[-1]["response"]["conversation_id"]


async def test_tools_in_one_response_and_their_results():
    responses = {
        "weather and time?": {
            "text": "Let me see.",
            "tools": [{"name": "weather", "arguments": {"city": "Oslo"}}, "clock"],
            "then": "I found {output}.",
        }
    }
    async with OpenAIEmulator(responses=responses) as emulator, connected(emulator) as wire:
        await wire.update(tools=[WEATHER, CLOCK])
        await wire.text("weather and time?")
        seen = await wire.respond()
        assert heard(seen) == "Let me see."
        calls = of(seen, "response.function_call_arguments.done")
        assert [(c["name"], c["output_index"]) for c in calls] == [("weather", 1), ("clock", 2)]
        assert calls[0]["arguments"] == '{"city": "Oslo"}'
        deltas = of(seen, "response.function_call_arguments.delta")
        assert (
            "".join(d["delta"] for d in deltas if d["call_id"] == calls[0]["call_id"])
            == '{"city": "Oslo"}'
        )
        output = seen[-1]["response"]["output"]
        assert [item["type"] for item in output] == ["message", "function_call", "function_call"]
        assert {item["status"] for item in output} == {"completed"}
        for call, result in zip(calls, ("rain", "noon"), strict=True):
            item = {"type": "function_call_output", "call_id": call["call_id"], "output": result}
            await wire.ask("conversation.item.create", "conversation.item.done", item=item)
        assert heard(await wire.respond()) == "I found rain, noon."


@pytest.mark.parametrize(
    ("settings", "calls", "said"),
    [
        ({}, [], "I have no tool called weather."),
        ({"tools": [WEATHER], "tool_choice": "none"}, [], "I have no tool called weather."),
        ({"tools": [WEATHER]}, ["weather"], ""),
        (
            {"tools": [WEATHER, CLOCK], "tool_choice": {"type": "function", "name": "clock"}},
            ["clock"],
            "",
        ),
    ],
)
async def test_only_tools_that_were_offered_are_called(settings, calls, said):
    async with (
        OpenAIEmulator(responses={"rain?": {"tool": "weather"}}) as emulator,
        connected(emulator) as wire,
    ):
        await wire.text("rain?")
        seen = await wire.respond(**TEXT, **settings)
        assert [c["name"] for c in of(seen, "response.function_call_arguments.done")] == calls
        written = of(seen, "response.output_text.done")
        assert (written[0]["text"] if written else "") == said


async def test_one_call_at_a_time_where_parallel_calls_are_off():
    responses = {"both?": {"tools": ["weather", "clock"], "then": "Done: {output}."}}
    async with OpenAIEmulator(responses=responses) as emulator, connected(emulator) as wire:
        await wire.update(tools=[WEATHER, CLOCK])
        await wire.text("both?")
        for name in ("weather", "clock"):
            seen = await wire.respond(parallel_tool_calls=False, **TEXT)
            calls = of(seen, "response.function_call_arguments.done")
            assert [c["name"] for c in calls] == [name]
            item = {"type": "function_call_output", "call_id": calls[0]["call_id"], "output": name}
            await wire.ask("conversation.item.create", "conversation.item.done", item=item)
        assert await said_in_text(wire) == "Done: clock."


async def test_required_tools_are_called():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.text("anything")
        seen = await wire.respond(tools=[CLOCK], tool_choice="required")
        assert [c["name"] for c in of(seen, "response.function_call_arguments.done")] == ["clock"]


async def test_one_response_at_a_time():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.text("a rather long thing to repeat")
        await wire.send("response.create", response={})
        await wire.get("response.output_audio.delta")
        error = await wire.complaint("response.create", event_id="too_soon")
        assert error["code"] == "conversation_already_has_active_response"
        assert error["event_id"] == "too_soon"
        assert (await wire.until("response.done"))[-1]["response"]["status"] == "completed"


async def test_a_response_beside_the_conversation():
    async with (
        OpenAIEmulator(responses={"classify": "greeting"}) as emulator,
        connected(emulator) as wire,
    ):
        await wire.text("a rather long thing to repeat for everybody")
        await wire.send("response.create", response={})
        await wire.get("response.output_audio.delta")
        asked = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "classify"}],
        }
        await wire.send(
            "response.create",
            response={**TEXT, "conversation": "none", "input": [asked], "metadata": {"for": "me"}},
        )
        first = (await wire.until("response.done"))[-1]["response"]
        assert first["metadata"] == {"for": "me"}
        assert first["conversation_id"] is None
        assert first["output"][0]["content"][0]["text"] == "greeting"
        second = (await wire.until("response.done"))[-1]["response"]
        assert second["conversation_id"] == emulator.sessions[0].conversation.id
        assert [item.role for item in emulator.sessions[0].items] == ["user", "assistant"]
        added = [e["item"]["id"] for e in of(wire.log, "conversation.item.added")]
        assert first["output"][0]["id"] not in added
        # An empty input forgets all: nobody has said anything.
        assert await said_in_text(wire, conversation="none", input=[]) == "Hello. How can I help?"


async def test_a_response_is_cancelled():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        assert (await wire.complaint("response.cancel"))["code"] == "response_cancel_not_active"
        await wire.text("a rather long thing to repeat")
        await wire.send("response.create")
        created = await wire.get("response.created")
        await wire.get("response.output_audio.delta")
        error = await wire.complaint("response.cancel", response_id="resp_other")
        assert error["code"] == "response_cancel_not_active"
        await wire.send("response.cancel", response_id=created["response"]["id"])
        seen = await wire.until("response.done")
        response = seen[-1]["response"]
        assert response["status"] == "cancelled"
        assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        assert response["output"][0]["status"] == "incomplete"
        said = of(seen, "response.output_audio_transcript.done")[0]["transcript"]
        assert said
        assert "You said: a rather long thing to repeat".startswith(said)
        assert len(said) < 20
        # It is over: another may begin.
        assert (await wire.respond(**TEXT))[-1]["response"]["status"] == "completed"


async def test_a_cancelled_call_has_the_arguments_that_were_sent():
    async with (
        OpenAIEmulator(responses={"go": {"tool": "clock", "delay_ms": 5000}}) as emulator,
        connected(emulator) as wire,
    ):
        await wire.update(tools=[CLOCK])
        await wire.text("go")
        await wire.send("response.create")
        await wire.get("rate_limits.updated")
        await wire.send("response.cancel")
        done = await wire.get("response.done")
        assert done["response"]["output"] == []
        assert done["response"]["status"] == "cancelled"


async def test_truncation_forgets_what_was_not_heard():
    async with (
        OpenAIEmulator(responses={"count": "one two three four five"}) as emulator,
        connected(emulator) as wire,
    ):
        asked = await wire.text("count")
        seen = await wire.respond()
        item_id = seen[-1]["response"]["output"][0]["id"]
        has = round(PCM24.duration_ms(len(audio_of(seen))))
        cut = {"item_id": item_id, "content_index": 0}
        error = await wire.complaint("conversation.item.truncate", **cut, audio_end_ms=has + 1)
        assert error["message"] == f"Audio content of {has}ms is already shorter than {has + 1}ms"
        assert error["param"] == "audio_end_ms"
        for wrong in (
            {**cut, "item_id": "gone", "audio_end_ms": 1},
            {**cut, "item_id": asked["id"], "audio_end_ms": 1},
            {**cut, "content_index": 1, "audio_end_ms": 1},
            {**cut, "audio_end_ms": -1},
        ):
            await wire.complaint("conversation.item.truncate", **wrong)
        done = await wire.ask(
            "conversation.item.truncate", "conversation.item.truncated", **cut, audio_end_ms=800
        )
        assert done["audio_end_ms"] == 800
        found = await wire.ask(
            "conversation.item.retrieve", "conversation.item.retrieved", item_id=item_id
        )
        part = found["item"]["content"][0]
        assert part["transcript"] == ""
        assert understand(base64.b64decode(part["audio"]), PCM24) == "one two"
        assert emulator.sessions[0].items[1].audio_ms == 800


async def test_too_many_tokens_end_a_response():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.text("please repeat all of this long sentence")
        seen = await wire.respond(max_output_tokens=20)
        response = seen[-1]["response"]
        assert response["status"] == "incomplete"
        assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
        assert response["max_output_tokens"] == 20
        assert response["output"][0]["status"] == "incomplete"
        assert 0 < response["usage"]["output_tokens"] <= 22
        seen = await wire.respond(max_output_tokens=3, **TEXT)
        assert seen[-1]["response"]["status"] == "incomplete"


async def test_a_scripted_failure():
    async with (
        OpenAIEmulator(responses={"break": {"error": "model_overloaded"}}) as emulator,
        connected(emulator) as wire,
    ):
        await wire.text("break")
        response = (await wire.respond())[-1]["response"]
        assert response["status"] == "failed"
        assert response["status_details"]["error"]["code"] == "model_overloaded"


async def test_usage_grows_with_the_conversation_and_what_was_known_is_cached():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        used = []
        for text in ("first", "second", "third"):
            await wire.text(text)
            used.append((await wire.respond())[-1]["response"]["usage"])
        for usage in used:
            details = usage["input_token_details"]
            assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
            assert usage["input_tokens"] == details["text_tokens"] + details["audio_tokens"]
            cached = details["cached_tokens_details"]
            assert details["cached_tokens"] == cached["text_tokens"] + cached["audio_tokens"]
        assert used[0]["input_token_details"]["cached_tokens"] == 0
        assert used[0]["input_tokens"] < used[1]["input_tokens"] < used[2]["input_tokens"]
        # What was the context of the turn before is the cached part of this one.
        assert used[1]["input_token_details"]["cached_tokens"] == used[0]["input_tokens"]
        assert used[2]["input_token_details"]["cached_tokens"] == used[1]["input_tokens"]
        # Three words of 350 ms: 1.05 s, 20 tokens a second.
        assert used[0]["output_token_details"]["audio_tokens"] == 21
        # New instructions are a new beginning: nothing is cached.
        await wire.update(instructions="Anything else.")
        await wire.text("fourth")
        fresh = (await wire.respond())[-1]["response"]["usage"]
        assert fresh["input_token_details"]["cached_tokens"] == 0
        total = emulator.sessions[0].usage
        assert total.responses == 4
        assert total.total_tokens == sum(u["total_tokens"] for u in [*used, fresh])


async def test_what_comes_after_a_change_is_not_cached():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        used = []
        for text in ("first", "second", "third"):
            await wire.text(text)
            used.append((await wire.respond())[-1]["response"]["usage"])
        spoken = emulator.sessions[0].items[1]
        cut = {"item_id": spoken.id, "content_index": 0, "audio_end_ms": 100}
        await wire.ask("conversation.item.truncate", "conversation.item.truncated", **cut)
        await wire.text("fourth")
        usage = (await wire.respond())[-1]["response"]["usage"]
        # Instructions and the first question are as they were; the answer to it is not, and so all that follows.
        assert usage["input_token_details"]["cached_tokens"] == used[0]["input_tokens"]


async def test_so_many_responses_beside_the_conversation_and_no_more():
    async with OpenAIEmulator(latency_ms=1000) as emulator, connected(emulator) as wire:
        asked = {**TEXT, "conversation": "none", "input": []}
        ids = []
        for _ in range(16):
            created = await wire.ask("response.create", "response.created", response=asked)
            ids.append(created["response"]["id"])
        error = await wire.complaint("response.create", response=asked)
        assert error["code"] == "rate_limit_exceeded"
        await wire.send("response.cancel", response_id=ids[3])
        done = await wire.get("response.done")
        assert (done["response"]["id"], done["response"]["status"]) == (ids[3], "cancelled")
        await wire.ask("response.create", "response.created", response=asked)
        for _ in range(16):
            assert (await wire.get("response.done"))["response"]["status"] == "completed"
        await wire.respond(**asked)


async def test_an_output_buffer_is_for_other_connections():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        error = await wire.complaint("output_audio_buffer.clear")
        assert error["type"] == "invalid_request_error"


async def test_speed_and_voice_of_a_response():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.update(audio={"output": {"speed": 0.5, "voice": {"id": "voice_1"}}})
        await wire.text("a b c")
        slow = await wire.respond()
        assert slow[-1]["response"]["audio"]["output"]["voice"] == "voice_1"
        await wire.update(audio={"output": {"speed": 1.0}})
        fast = await wire.respond(audio={"output": {"format": {"type": "audio/pcmu"}}})
        assert len(audio_of(slow)) == len(audio_of(fast)) * 6 * 2
        error = await wire.complaint(
            "response.create",
            response={"audio": {"output": {"format": {"type": "audio/pcm", "rate": 8000}}}},
        )
        assert error["type"] == "invalid_request_error"


async def test_the_result_of_a_call_that_never_was_is_refused():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        error = await wire.complaint(
            "conversation.item.create",
            item={"type": "function_call_output", "call_id": "call_of_nobody", "output": "{}"},
        )
        assert error["code"] == "invalid_tool_call_id"
        assert not emulator.sessions[0].items


OUTSIDE: list[dict[str, Any]] = [
    {
        "type": "conversation.item.created",
        "item": {"type": "function_call_output", "call_id": "c", "output": ""},
    },
    {
        "type": "conversation.item.input_audio_transcription.segment",
        "id": "s",
        "item_id": "i",
        "content_index": 0,
        "text": "hi",
        "speaker": "A",
        "start": 0.0,
        "end": 0.5,
    },
    {"type": "input_audio_buffer.dtmf_event_received", "event": "5", "received_at": 1_750_000_000},
    {"type": "output_audio_buffer.started", "response_id": "r"},
    {"type": "output_audio_buffer.stopped", "response_id": "r"},
    {"type": "output_audio_buffer.cleared", "response_id": "r"},
    {
        "type": "response.mcp_call_arguments.delta",
        "response_id": "r",
        "item_id": "i",
        "output_index": 0,
        "delta": "{",
    },
    {
        "type": "response.mcp_call_arguments.done",
        "response_id": "r",
        "item_id": "i",
        "output_index": 0,
        "arguments": "{}",
    },
    {"type": "response.mcp_call.in_progress", "item_id": "i", "output_index": 0},
    {"type": "response.mcp_call.completed", "item_id": "i", "output_index": 0},
    {"type": "response.mcp_call.failed", "item_id": "i", "output_index": 0},
    {"type": "mcp_list_tools.in_progress", "item_id": "i"},
    {"type": "mcp_list_tools.completed", "item_id": "i"},
    {"type": "mcp_list_tools.failed", "item_id": "i"},
]


@pytest.mark.parametrize("event", OUTSIDE, ids=lambda e: e["type"])
async def test_events_with_a_cause_elsewhere_are_sent_by_script(event):
    # The judge has the last word, when the emulator is closed.
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        emulator.sessions[0].send(event)
        got = await wire.recv()
        assert {k: got[k] for k in event} == event
        if event["type"] != "input_audio_buffer.dtmf_event_received":
            assert got["event_id"]
