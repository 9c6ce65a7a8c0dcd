"""Items and settings that the application changes in mid-call, as the vendor is told of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.vendors.call import DIALECTS, LONG, call_to
from voxengine import Tool
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.conversation import Item
from voxengine.errors import ConfigurationError

each_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def message(text: str, item_id: str, role: Any = "user") -> Item:
    return Item(id=item_id, role=role, text=text)


@each_dialect
async def test_items_keep_their_names_and_their_order(dialect: str):
    async with call_to(dialect, microphone=False) as call:
        engine = call.engine
        await engine.add_item(message("good morning", "msg_3"))
        await engine.add_item(message("be brief", "msg_1", "system"), after="")
        await engine.add_item(message("hello", "msg_2", "assistant"), after="msg_1")
        await asyncio.sleep(1)
        assert [i.id for i in call.session.items] == ["msg_1", "msg_2", "msg_3"]
        assert not call.of(ev.ResponseStarted)
        await engine.create_response()
        await call.quiet()
        assert call.log[-1] == ("assistant", "You said: good morning")
        for item_id in ("msg_2", call.answers[-1].id):
            await engine.delete_item(item_id)
        await asyncio.sleep(0.5)
        assert [i.id for i in call.session.items] == ["msg_1", "msg_3"]
        call.check()
        call.check_vendor()


async def test_a_long_name_is_told_in_short():
    async with call_to(microphone=False) as call:
        name = "item_of_another_vendor_" + "x" * 40
        await call.engine.add_item(message("good morning", name))
        await call.engine.add_item(message("hello", "m2", "assistant"), after=name)
        await call.engine.delete_item(name)
        await asyncio.sleep(0.5)
        assert [i.id for i in call.session.items] == ["m2"]
        call.check_vendor()


async def test_what_the_user_said_is_taken_out_of_the_next_connection_too():
    async with call_to() as call:
        await call.ask("my name is ann")
        await call.engine.delete_item(call.engine.conversation[0].id)
        await asyncio.sleep(0.5)
        assert [i.role for i in call.session.items] == ["assistant"]
        call.session.close(1011, "gone")
        await call.wait(ev.ConnectionRestored)
        await call.quiet()
        assert [i.text for i in call.session.items] == ["You said: my name is ann"]


async def test_speech_is_cut_to_the_client_s_word():
    async with call_to() as call:
        await call.speak("tell me more")
        started = await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(3.0)
        await call.engine.truncate_item(str(started.item_id), 2000)
        await call.quiet()
        item = call.answers[0]
        assert item.heard_ms == 2000
        assert LONG.startswith(item.text)
        vendor = call.vendor_item(item.id)
        assert (vendor.truncated, vendor.audio_ms) == (True, 2000)
        call.check_vendor()


@each_dialect
async def test_turns_are_answered_on_request(dialect: str):
    async with call_to(dialect, auto_response=False) as call:
        await call.speak("good morning")
        await call.wait(ev.TranscriptCompleted)
        await asyncio.sleep(2)
        assert not call.of(ev.ResponseStarted)
        await call.engine.create_response()
        await call.quiet()
        await call.engine.update_session(auto_response=True)
        assert await call.ask("and again") == "You said: and again"
        call.check()
        call.check_vendor()


@each_dialect
async def test_speech_does_not_interrupt(dialect: str):
    async with call_to(dialect, interruptions=False) as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        await call.speak("good morning")
        await call.quiet()
        assert [a.text for a in call.answers] == [LONG, "You said: good morning"]
        assert all(a.status == "completed" for a in call.answers)
        call.check()
        call.check_vendor()


async def test_settings_of_the_turn_detection():
    async with call_to(turn_options={"silence_duration_ms": 1200, "threshold": 0.4}) as call:
        detection = call.session.settings.turn_detection
        assert detection is not None
        assert (detection["silence_duration_ms"], detection["threshold"]) == (1200, 0.4)
        await call.engine.update_session(
            turn_detection="semantic_vad", turn_options={"eagerness": "high"}
        )
        detection = call.session.settings.turn_detection
        assert detection is not None
        assert (detection["type"], detection["eagerness"]) == ("semantic_vad", "high")
        with pytest.raises(ConfigurationError, match="silence_duration_ms"):
            await call.engine.update_session(turn_options={"silence_duration_ms": 300})
        assert call.engine.config.turn_options == {"eagerness": "high"}
        call.check_vendor()


@each_dialect
async def test_settings_of_one_response(dialect: str):
    voice = {"xai": "leo", "custom": "cedar"}.get(dialect, "cedar")
    async with call_to(dialect, microphone=False) as call:
        await call.engine.add_item(message("look it up", "m1"))
        await call.engine.create_response(
            overrides={"voice": voice, "tool_choice": "none", "max_response_tokens": 500}
        )
        await call.quiet()
        assert not call.looked
        await call.engine.create_response()
        await call.quiet()
        assert call.looked == ["it"]
        call.check_vendor()


async def test_tools_are_replaced():
    async with call_to(microphone=False) as call:

        async def find() -> str:
            """Find something."""
            return "found"

        await call.engine.set_tools([Tool(find, responds=False)])
        told = call.session.settings.values["tools"]
        assert [(t["name"], "responds" in t) for t in told] == [("find", False)]
        call.check_vendor()


async def test_a_result_that_is_answered_on_request():
    async with call_to(microphone=False) as call:

        async def look() -> str:
            """Look something up."""
            await asyncio.get_running_loop().create_future()
            return "never"

        await call.engine.set_tools([Tool(look, responds=False, timeout=600)])
        await call.engine.add_item(message("look it up", "m1"))
        await call.engine.create_response()
        invoked = await call.wait(ev.FunctionInvoked)
        await call.wait(ev.ResponseCompleted)
        assert not call.engine.responding
        await call.engine.add_item(
            Item(
                id="out", kind="function_output", role="tool", call_id=invoked.call_id, output="it"
            )
        )
        await asyncio.sleep(2)
        assert len(call.of(ev.ResponseStarted)) == 1
        await call.engine.create_response()
        await call.quiet()
        assert call.log[-1] == ("assistant", "found it")
        call.check_vendor()


@each_dialect
async def test_formats_change_in_mid_call(dialect: str):
    narrow = AudioFormat("g711_ulaw", 8000)
    async with call_to(dialect) as call:
        assert await call.ask("good morning") == "You said: good morning"
        call.hang_up_microphone()
        await call.engine.update_session(input_format=narrow, output_format=narrow)
        call.events.clear()
        call.times.clear()
        await call.engine.send_text("and again")
        await call.quiet()
        chunks = call.of(ev.AudioOutputChunk)
        assert {(c.encoding, c.sample_rate) for c in chunks} == {("g711_ulaw", 8000)}
        item = call.answers[-1]
        assert item.audio_ms == pytest.approx(
            narrow.duration_ms(sum(len(c.audio_data) for c in chunks))
        )
        assert item.text == "You said: and again"
        call.check_vendor()
