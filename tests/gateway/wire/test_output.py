"""Responses on the gateway's wire, as one client sees them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.emulators.wire import PCM24, WEATHER, audio_of, connected, heard, of, types
from tests.gateway.wire.talks import Event, mocks, talking
from tests.testing.profiles import PROFILES
from voxengine.audio.sentence import SHIPPED
from voxengine.gateway.wire.session import RealtimeSession
from voxengine.testing.emulators.openai import OpenAIEmulator

LONG = "one two three four five six seven eight nine ten eleven twelve"
SPOKEN = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]
BY_HAND = {"input": {"turn_detection": None}}


def shape(events: list[Event]) -> list[str]:
    """The types of events, each once where it stands for the first time; without what is told at any time."""
    told = [e["type"] for e in events if e["type"] != "rate_limits.updated"]
    return list(dict.fromkeys(told))


def ids(events: list[Event]) -> list[str]:
    return [event["event_id"] for event in events]


async def test_an_answer_in_speech_is_told_in_its_order():
    async with talking(mock_responses={"hello": "Hi there, friend!"}) as talk:
        asked = await talk.text("hello")
        seen = await talk.respond()
        await talk.quiet()

        assert shape(seen) == SPOKEN
        assert heard(seen) == "Hi there, friend!"
        done = seen[-1]["response"]
        assert done["status"] == "completed"
        assert done["status_details"] is None
        item = done["output"][0]
        assert item["content"] == [{"type": "output_audio", "transcript": "Hi there, friend!"}]
        assert of(seen, "conversation.item.added")[0]["previous_item_id"] == asked["id"]
        deltas = of(seen, "response.output_audio_transcript.delta")
        assert "".join(e["delta"] for e in deltas) == "Hi there, friend!"
        assert done["conversation_id"] == seen[0]["response"]["conversation_id"]
        assert len(set(ids(talk.log))) == len(talk.log)
        assert talk.said() == [("user", "hello"), ("assistant", "Hi there, friend!")]


@pytest.mark.parametrize("profile", PROFILES)
async def test_a_text_is_answered_by_every_kind_of_provider(profile: str):
    can = PROFILES[profile]
    if can.get("text_input") is False or profile == "nearly nothing":
        pytest.skip("takes no text")
    content = mocks(mock_responses={"hello": "Hi there!"}, capabilities=can)
    async with talking(content) as talk:
        await talk.text("hello")
        seen = await talk.respond()

        assert seen[-1]["response"]["status"] == "completed"
        part = seen[-1]["response"]["output"][0]["content"][0]
        assert part.get("transcript") or part["text"] == "Hi there!"
        written = can.get("audio_output") is False
        assert seen[-1]["response"]["output_modalities"] == (["text"] if written else ["audio"])
        assert bool(audio_of(seen)) is not written


async def test_the_order_is_that_of_openai():
    script = {"hello there": "Hi! How are you?", "weather": {"tool": {"name": "weather"}}}
    async with OpenAIEmulator(responses=script) as emulator:
        async with connected(emulator) as wire:
            theirs = await _a_talk(wire)
        provider = {
            "provider": "openai",
            "api_key_env": "EMULATED_KEY",
            "metadata": {"endpoint": emulator.endpoint},
        }
        content = {"providers": {"v": provider}, "routes": {"play": {"providers": ["v"]}}}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EMULATED_KEY", "sk-emulated")
            async with talking(content) as talk:
                ours = await _a_talk(talk)

    assert [shape(part) for part in ours] == [shape(part) for part in theirs]


async def _a_talk(wire: Any) -> list[list[Event]]:
    """The same with both: speech, a text, a call of a function and its result, an answer in writing."""
    parts = []
    await wire.update(tools=[WEATHER])
    await wire.say("hello there", live=True)
    parts.append(await wire.until("response.done"))
    await wire.text("hello there")
    parts.append(await wire.respond(output_modalities=["text"]))
    await wire.text("weather")
    parts.append(await wire.respond())
    call = of(parts[-1], "response.function_call_arguments.done")[0]
    item = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    await wire.send("conversation.item.create", item=item)
    parts.append(await wire.until("conversation.item.done"))
    parts.append(await wire.respond())
    assert of(wire.log, "error") == []
    return parts


async def test_a_session_of_text_gets_text_from_a_provider_that_only_speaks():
    content = mocks(mock_responses={"hello": LONG}, capabilities={"text_output": False})
    async with talking(content) as talk:
        await talk.update(output_modalities=["text"])
        await talk.text("hello")
        seen = await talk.respond()
        answer = seen[-1]["response"]["output"][0]
        await asyncio.sleep(0.5)
        state = talk.engine.state

        assert "response.output_audio.delta" not in types(seen)
        written = "".join(e["delta"] for e in of(seen, "response.output_text.delta"))
        assert written == LONG
        assert answer["content"] == [{"type": "output_text", "text": LONG}]
        assert state == "idle"  # nobody listens to it
        await talk.send("conversation.item.retrieve", item_id=answer["id"])
        found = await talk.get("conversation.item.retrieved")
        assert found["item"]["content"] == answer["content"]


async def test_a_barge_in_ends_the_response_once_and_cuts_its_item():
    async with talking(mock_responses={"hello": LONG}, default_response="Sorry.") as talk:
        await talk.text("hello")
        await talk.send("response.create")
        await talk.until("response.output_audio.delta")
        await asyncio.sleep(0.8)
        await talk.say("wait a moment", live=True)
        seen = await talk.until("response.done")
        rest = await talk.until("response.done")

        began = types(seen).index("input_audio_buffer.speech_started")
        assert types(seen)[began + 1 :] == [
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
        cancelled = seen[-1]["response"]
        assert cancelled["status"] == "cancelled"
        assert cancelled["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        item = cancelled["output"][0]
        assert item["status"] == "incomplete"
        late = [e for e in rest if e.get("response_id") == cancelled["id"]]
        assert late == []
        assert rest[-1]["response"]["status"] == "completed"

        await talk.send(
            "conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=700
        )
        told = await talk.get("conversation.item.truncated")
        assert (told["item_id"], told["audio_end_ms"]) == (item["id"], 700)
        await talk.send("conversation.item.retrieve", item_id=item["id"])
        kept = (await talk.get("conversation.item.retrieved"))["item"]
        assert kept["status"] == "incomplete"
        words = kept["content"][0]["transcript"]
        assert words
        assert LONG.startswith(words)
        assert len(words.split()) <= 2
        assert "conversation.item.truncated" not in types(seen) + types(rest)


async def test_a_client_cancels_what_is_said_and_is_told_if_nothing_is():
    async with talking(mock_responses={"hello": LONG}) as talk:
        error = await talk.complaint("response.cancel", event_id="mine")
        assert error["code"] == "response_cancel_not_active"
        assert error["event_id"] == "mine"
        await talk.text("hello")
        await talk.send("response.create")
        created = (await talk.get("response.created"))["response"]
        await talk.until("response.output_audio.delta")
        error = await talk.complaint("response.cancel", response_id="resp_other")
        assert error["code"] == "response_cancel_not_active"
        await asyncio.sleep(0.5)
        await talk.send("response.cancel", response_id=created["id"])
        done = (await talk.get("response.done"))["response"]

        assert done["id"] == created["id"]
        assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        assert await talk.quiet() == []


async def test_a_response_that_has_not_begun_can_be_cancelled():
    async with talking(mock_responses={"hello": "Hi."}, latency_ms={"network": 2000}) as talk:
        await talk.text("hello")
        await talk.send("response.create")
        await talk.send("response.cancel")
        seen = await talk.until("response.done")

        assert types(seen)[0] == "response.created"
        assert seen[-1]["response"]["status_details"]["reason"] == "client_cancelled"
        assert await talk.quiet(10) == []


async def test_a_second_response_waits_for_the_end_of_the_first():
    async with talking(mock_responses={"hello": LONG}) as talk:
        await talk.text("hello")
        await talk.send("response.create")
        created = (await talk.get("response.created"))["response"]
        error = await talk.complaint("response.create", event_id="again")

        assert error["code"] == "conversation_already_has_active_response"
        assert created["id"] in error["message"]
        assert error["event_id"] == "again"
        done = await talk.until("response.done")
        assert done[-1]["response"]["status"] == "completed"
        await talk.send("response.create")
        assert (await talk.get("response.done"))["response"]["id"] != created["id"]


async def test_a_response_that_fails_says_why():
    async with talking(mock_responses={"hello": {"error": "server"}}) as talk:
        await talk.text("hello")
        seen = await talk.respond()

        done = seen[-1]["response"]
        assert done["status"] == "failed"
        assert done["status_details"]["type"] == "failed"
        assert done["status_details"]["error"]["code"] == "server"


async def test_a_response_that_never_begins_is_told_to_have_failed():
    async with talking(mock_responses={"hello": "Hi."}, latency_ms={"network": 30_000}) as talk:
        await talk.text("hello")
        await talk.send("response.create")
        seen = await talk.until("response.done")
        error = [e for e in seen if e["type"] == "error"] or await talk.until("error")

        assert seen[-1]["response"]["status"] == "failed"
        assert seen[-1]["response"]["status_details"]["error"]["code"] == "response_timeout"
        assert error[-1]["error"]["code"] == "response_timeout"
        again = await talk.complaint("response.cancel")
        assert again["code"] == "response_cancel_not_active"


async def test_metadata_and_limits_of_a_response_are_told():
    async with OpenAIEmulator(responses={"hello": LONG}) as emulator, _on(emulator) as talk:
        await talk.text("hello")
        seen = await talk.respond(
            metadata={"topic": "greeting"}, max_output_tokens=5, output_modalities=["text"]
        )
        done = seen[-1]["response"]

        assert done["metadata"] == {"topic": "greeting"}
        assert done["max_output_tokens"] == 5
        assert done["status"] == "incomplete"
        assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
        assert done["output"][0]["status"] == "incomplete"
        assert (
            done["usage"]["output_tokens"]
            == done["usage"]["total_tokens"] - (done["usage"]["input_tokens"])
        )
        assert done["usage"]["output_tokens"] > 0
        assert of(seen, "rate_limits.updated")


def _on(emulator: OpenAIEmulator, **route: Any) -> Any:
    provider = {
        "provider": "openai",
        "api_key_env": "EMULATED_KEY",
        "metadata": {"endpoint": emulator.endpoint},
    }
    content = {"providers": {"v": provider}, "routes": {"play": {"providers": ["v"], **route}}}
    return talking(content)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMULATED_KEY", "sk-emulated")


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
async def test_a_response_has_a_format_of_its_own(kind: str):
    from voxengine.audio.formats import AudioFormat

    async with talking(mock_responses={"hello": "Hi there, friend!"}) as talk:
        await talk.text("hello")
        seen = await talk.respond(audio={"output": {"format": {"type": kind}}})

        law = {"audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}[kind]
        assert heard(seen, AudioFormat(law, 8000)) == "Hi there, friend!"
        assert seen[0]["response"]["audio"]["output"]["format"] == {"type": kind}
        await talk.text("hello")
        assert heard(await talk.respond()) == "Hi there, friend!"


async def test_a_client_of_the_beta_is_told_in_its_names():
    async with talking(mock_responses={"hello": "Hi there!"}, beta=True) as talk:
        await talk.send(
            "conversation.item.create",
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "hello"}],
            },
        )
        made = await talk.until("conversation.item.created")
        seen = await talk.respond()

        assert types(made) == ["conversation.item.created"]
        assert shape(seen) == [
            "response.created",
            "response.output_item.added",
            "conversation.item.created",
            "response.content_part.added",
            "response.audio_transcript.delta",
            "response.audio.delta",
            "response.audio.done",
            "response.audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
        ]
        done = seen[-1]["response"]
        assert done["modalities"] == ["audio", "text"]
        assert done["output_audio_format"] == "pcm16"
        assert done["output"][0]["content"] == [{"type": "audio", "transcript": "Hi there!"}]


async def test_webrtc_is_told_what_is_played_and_cut_and_gets_no_audio():
    async with talking(mock_responses={"hello": LONG}, default_response="Yes.", rtc=True) as talk:
        await talk.text("hello")
        await talk.send("response.create")
        await talk.until("output_audio_buffer.started")
        await asyncio.sleep(1.0)
        await talk.say("wait a moment", live=True)
        seen = await talk.until("output_audio_buffer.stopped")
        seen += await talk.quiet()

        assert not of(talk.log, "response.output_audio.delta")
        first, second = [e["response"] for e in of(talk.log, "response.done")]
        cleared = of(seen, "output_audio_buffer.cleared")
        assert [e["response_id"] for e in cleared] == [first["id"]]
        cut = of(seen, "conversation.item.truncated")
        assert [e["item_id"] for e in cut] == [first["output"][0]["id"]]
        assert 900 <= cut[0]["audio_end_ms"] <= 3000
        assert [e["response_id"] for e in of(talk.log, "output_audio_buffer.started")] == [
            first["id"],
            second["id"],
        ]
        assert [e["response_id"] for e in of(talk.log, "output_audio_buffer.stopped")] == [
            second["id"]
        ]


async def test_webrtc_clears_what_is_played():
    async with talking(mock_responses={"hello": LONG}, rtc=True) as talk:
        await talk.text("hello")
        await talk.send("response.create")
        await talk.until("response.done")
        assert (await talk.complaint("response.cancel"))["code"] == "response_cancel_not_active"
        await talk.send("output_audio_buffer.clear")
        seen = await talk.until("output_audio_buffer.cleared")
        seen += await talk.quiet()

        assert len(of(seen, "conversation.item.truncated")) == 1
        await talk.send("output_audio_buffer.clear")
        assert await talk.quiet() == []


async def test_what_the_session_says_by_itself_is_heard():
    async with talking() as talk:
        await talk.engine.announce(SHIPPED["apology"])
        seen = await talk.until("response.done")

        assert shape(seen) == SPOKEN
        assert len(of(seen, "response.done")) == 1
        assert seen[-1]["response"]["status"] == "completed"
        item = talk.engine.conversation[-1]
        assert PCM24.duration_ms(len(audio_of(seen))) == pytest.approx(item.audio_ms, abs=1)
        said = seen[-1]["response"]["output"][0]
        assert (said["id"], said["content"][0]["transcript"]) == (item.id, item.text)


async def test_nothing_is_acknowledged_before_it_is_stored(monkeypatch: pytest.MonkeyPatch):
    async with talking(mock_responses={"hello": "Hi there!"}) as talk:
        stored = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(talk.call.record, "saved", lambda: stored)
        content = [{"type": "input_text", "text": "hello"}]
        item = {"type": "message", "role": "user", "content": content}
        await talk.send("conversation.item.create", item=item)
        await asyncio.sleep(0.1)
        assert talk.line.came.empty()
        stored.set_result(None)
        await talk.get("conversation.item.done")

        held = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(talk.call.record, "saved", lambda: held)
        await talk.send("response.create")
        await talk.until("response.output_audio.delta")  # the first audio waits for nothing
        await talk.until("response.output_item.done")
        await asyncio.sleep(0.1)
        assert talk.line.came.empty()
        held.set_result(None)
        assert types(await talk.until("response.done")) == [
            "conversation.item.done",
            "response.done",
        ]


async def test_a_client_that_comes_back_knows_what_was_told_before():
    async with talking(mock_responses={"hello": "Hi there!"}) as talk:
        await talk.text("hello")
        answer = (await talk.respond())[-1]["response"]["output"][0]["id"]
        await asyncio.sleep(3)  # it has heard all of that
        talk.line.session.on_close(1006, "")
        talk.line.session = RealtimeSession(talk.gateway, talk.call)
        talk.line.session.on_open(talk.line.peer)
        await talk.get("session.created")
        added = (await talk.text("hello again"), talk.log[-2])[1]
        assert added["previous_item_id"] == answer
        await talk.send("conversation.item.retrieve", item_id=answer)
        found = (await talk.get("conversation.item.retrieved"))["item"]
        assert found["content"] == [{"type": "output_audio", "transcript": "Hi there!"}]
        assert (await talk.respond())[-1]["response"]["status"] == "completed"
