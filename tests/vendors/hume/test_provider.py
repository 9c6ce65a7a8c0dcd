"""The provider against the emulated EVI."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.vendors.line import ANSWERS, BEFORE, LOOK, Line, Stand
from voxengine import events as ev
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    MessageError,
    RateLimitError,
    UnsupportedFeatureError,
)
from voxengine.providers.hume import HumeProvider
from voxengine.testing.emulators.faults import Drop, Expire, LateAudio, Refuse
from voxengine.testing.emulators.hume import HumeEmulator

KEY = "hume-secret"
VOICE = "ee966436-01ab-4810-a880-9e9a532e03b8"

STAND = Stand(HumeEmulator, HumeProvider, key=KEY)
evi, made = STAND.agent, STAND.made


async def test_a_spoken_turn():
    async with evi(emotions={"Joy": 0.8, "Awe": 0.3}) as (_, line):
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        (turn,) = line.of(ev.TurnDetected)
        (words,) = line.of(ev.TranscriptCompleted)
        assert (words.text, words.item_id) == ("good morning", turn.item_id)
        (feelings,) = line.of(ev.EmotionDetected)
        assert [*feelings.scores.items()][:2] == [("Joy", 0.8), ("Awe", 0.3)]
        assert (len(feelings.scores), feelings.item_id) == (48, turn.item_id)
        (ended,) = line.of(ev.VadSpeechEnded)
        assert 400 < ended.lag_ms < 700
        assert line.said() == "Good morning to you. How are you?"
        assert line.sound() == "Good morning to you. How are you?"
        first, second = line.of(ev.TextOutput)
        assert first.audio_start_ms == 0
        assert second.audio_start_ms is not None
        assert second.audio_start_ms > 1000
        # The voice of the assistant has feelings, too: in the vendor's own words.
        assert {raw.name for raw in line.of(ev.RawEvent)} == {"assistant_prosody"}


async def test_feelings_are_not_told_where_they_are_not_wanted():
    async with evi({"emotion": False}) as (_, line):
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        assert line.of(ev.EmotionDetected) == []


async def test_the_user_interrupts():
    async with evi(faults=LateAudio(after_chunks=1)) as (emulator, line):
        await line.provider.send_text("tell me more")
        await line.wait(ev.AudioOutputChunk, 3)
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.interrupt()
        await line.say("good morning")
        cancelled = await line.wait(ev.ResponseCancelled)
        assert cancelled.reason == "turn_detected"
        completed = await line.wait(ev.ResponseCompleted)
        assert completed.response_id != cancelled.response_id
        after = line.events[line.events.index(cancelled) + 1 :]
        assert cancelled.response_id not in {getattr(e, "response_id", None) for e in after}
        assert line.events.index(line.of(ev.VadSpeechStarted)[0]) < line.events.index(cancelled)
        assert emulator.session.model.memory[-1] == ("assistant", ANSWERS["good morning"])


async def test_a_tool():
    async with evi({"tools": [LOOK]}) as (emulator, line):
        await line.provider.send_text("look it up")
        call = await line.wait(ev.FunctionInvoked)
        assert (call.name, json.loads(call.arguments)) == ("look", {"what": "it"})
        await line.wait(ev.ResponseCompleted)
        await line.provider.send_tool_result(call.call_id, "a book")
        # It is answered anyhow: asking for that changes nothing.
        await line.provider.create_response()
        await line.wait(ev.ResponseCompleted, 2)
        assert line.said() == "found a book"
        assert [e["type"] for e in emulator.session.events].count("user_input") == 1
        with pytest.raises(MessageError) as refused:
            await line.provider.send_tool_result(call.call_id, "again")
        assert refused.value.code == "unknown_call"


async def test_settings():
    config = {
        "instructions": "Be brief.",
        "voice": VOICE,
        "tools": [LOOK],
        "input_format": HumeProvider.capabilities.input_formats[2],
        "metadata": {"config_id": "cfg", "config_version": 3, "session": {"variables": {"n": 1}}},
    }
    async with evi(config) as (emulator, line):
        session = emulator.session
        assert session.request.query["config_id"] == "cfg"
        assert session.request.query["config_version"] == "3"
        (first,) = session.events
        assert first["audio"] == {"encoding": "linear16", "sample_rate": 48000, "channels": 1}
        assert (first["system_prompt"], first["voice_id"]) == ("Be brief.", VOICE)
        assert first["variables"] == {"n": 1}
        assert json.loads(first["tools"][0]["parameters"]) == {"type": "object"}
        await line.provider.update_session(instructions="Be long.", tools=[], emotion=False)
        assert line.of(ev.SessionUpdated)[0].settings["instructions"] == "Be long."
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.update_session(temperature=1.0)
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        assert session.model.instructions == "Be long."
        assert session.model.tools == []
        assert line.of(ev.SystemWarning) == []


async def test_what_it_has_no_counterpart_for_is_told():
    async with evi({"voice": "marin", "temperature": 0.5}) as (emulator, line):
        codes = [warning.code for warning in line.of(ev.SystemWarning)]
        assert codes == ["temperature_ignored", "voice_ignored"]
        assert "voice_id" not in emulator.session.settings


@pytest.mark.parametrize("early", [True, False], ids=["before connect", "after it"])
async def test_an_earlier_conversation_is_a_part_of_the_prompt(early: bool):
    config = {"instructions": "Be brief."}
    async with evi(config, history=BEFORE if early else ()) as (emulator, line):
        if not early:
            await line.provider.add_conversation_history(BEFORE)
        await line.provider.update_session(instructions="Be long.")
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        told = emulator.session.model.instructions
        assert told.startswith("Be long.\n\n")
        assert "My name is Ada." in told
        assert "Hello Ada, how (interrupted here)" in told
        await line.say("good morning")
        with pytest.raises(MessageError) as late:
            await line.provider.add_conversation_history(BEFORE)
        assert late.value.code == "history_late"


async def test_the_prompt_of_a_configuration_is_kept():
    async with evi({"metadata": {"config_id": "cfg"}}, history=BEFORE) as (emulator, line):
        settings = emulator.session.settings
        assert "system_prompt" not in settings
        assert settings["context"]["type"] == "persistent"
        await line.provider.send_text("The user is in a car.", "system")
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        text = emulator.session.settings["context"]["text"]
        assert "My name is Ada." in text
        assert text.endswith("The user is in a car.")


async def test_a_prompt_of_ours_takes_the_place_of_that_of_a_configuration():
    config = {"instructions": "Be brief.", "metadata": {"config_id": "cfg"}}
    async with evi(config, history=BEFORE) as (emulator, _):
        await asyncio.sleep(0.1)
        assert "My name is Ada." in emulator.session.settings["system_prompt"]
        assert "context" not in emulator.session.settings


async def test_notes_go_with_the_next_words_of_the_user():
    async with evi() as (emulator, line):
        await line.provider.send_text("The user is in a car.", "system")
        await line.provider.send_text("It rains.", "system")
        await asyncio.sleep(1)
        context = emulator.session.settings["context"]
        assert context == {"text": "The user is in a car.\nIt rains.", "type": "temporary"}
        assert line.of(ev.ResponseStarted) == []
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        await line.provider.send_text("The sun shines.", "system")
        await asyncio.sleep(1)
        assert emulator.session.settings["context"]["text"] == "The sun shines."
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.send_text("I said that.", "assistant")


async def test_it_says_what_it_is_given_and_answers_when_asked():
    async with evi() as (_, line):
        await line.provider.generate_tts("The red fox.")
        await line.wait(ev.ResponseCompleted)
        assert line.said() == "The red fox."
        await line.provider.create_response(instructions="good morning")
        await line.wait(ev.ResponseCompleted, 2)
        assert line.said().endswith(ANSWERS["good morning"])


async def test_the_length_of_the_chat_is_what_is_paid():
    async with evi() as (_, line):
        begin = asyncio.get_running_loop().time()
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        await asyncio.sleep(60)
        used = await line.provider.get_usage()
        assert used is not None
        assert used["input_audio_seconds"] == pytest.approx(
            asyncio.get_running_loop().time() - begin, abs=0.1
        )
        await line.provider.disconnect()
        told = sum(update.input_audio_seconds for update in line.of(ev.UsageUpdated))
        assert told == pytest.approx(asyncio.get_running_loop().time() - begin, abs=0.1)


async def test_a_chat_is_resumed():
    async with evi() as (emulator, line):
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        handle = line.provider.resume_handle
        await line.provider.disconnect()
        await asyncio.sleep(0.1)
        again = Line(made(emulator, {"resume": handle}))
        await again.provider.add_conversation_history(BEFORE)
        await again.provider.connect()
        assert again.provider.resumed
        assert again.provider.resume_handle == handle
        assert again.provider.session_id != line.provider.session_id
        assert emulator.session.model.memory[0] == ("user", "good morning")
        await asyncio.sleep(0.1)
        assert "Ada" not in emulator.session.model.instructions
        await again.provider.disconnect()


async def test_a_chat_that_is_not_known_any_more_begins_anew():
    async with HumeEmulator(ANSWERS, key=KEY) as emulator:
        line = Line(made(emulator, {"resume": "long ago"}))
        await line.provider.add_conversation_history(BEFORE)
        await line.provider.connect()
        assert not line.provider.resumed
        assert len(line.of(ev.ConnectionEstablished)) == 1
        assert line.of(ev.ErrorGeneral) == []
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        assert "My name is Ada." in emulator.session.model.instructions
        await line.provider.disconnect()


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Drop(close_code=1011, after_s=1), "closed"), (Expire(after_s=1), "session_expired")],
)
async def test_a_chat_that_ends(fault: Any, code: str):
    async with evi(faults=fault) as (_, line):
        await line.provider.send_text("tell me more")
        lost = await line.wait(ev.ConnectionLost)
        assert (lost.code, lost.retryable) == (code, True)
        assert line.of(ev.ResponseError)[0].code == code
        assert line.of(ev.UsageUpdated)[-1].input_audio_seconds > 0


@pytest.mark.parametrize(
    ("slug", "code"),
    [
        ("inactivity_timeout", "session_expired"),
        ("zero_credit_balance", "quota"),
        ("rate_limit_exceeded", "rate_limit"),
        ("something_new", "something_new"),
    ],
)
async def test_errors_have_our_names(slug: str, code: str):
    async with evi() as (emulator, line):
        emulator.session.error(slug, f"no more for {KEY}")
        told = await line.wait(ev.ErrorGeneral)
        assert told.code == code
        assert KEY not in str(told)
        assert told.recoverable == (code in ("rate_limit", "something_new"))


async def test_what_is_no_message_and_what_is_no_audio():
    async with evi() as (emulator, line):
        emulator.session.send_raw('{"type": "user_message", "interim": 7}')
        emulator.session.send_raw('{"type": "audio_output", "id": "a", "data": "?"}')
        emulator.session.send_raw('{"type": "audio_output", "id": "a", "data": "UklGRgAAAABXQVZF"}')
        await line.wait(ev.ErrorGeneral, 3)
        assert {error.code for error in line.of(ev.ErrorGeneral)} == {"bad_message"}
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)


async def test_keys(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HUME_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="HUME_API_KEY"):
        HumeProvider()
    async with HumeEmulator(ANSWERS, key=KEY) as emulator:
        with pytest.raises(AuthenticationError) as refused:
            await made(emulator, {"api_key": "wrong-key"}).connect()
        assert "wrong-key" not in str(refused.value)
        # A token goes in the address, and needs no key beside it.
        token = {"endpoint": emulator.endpoint, "access_token": KEY}
        provider = HumeProvider({"metadata": token})
        await provider.connect()
        assert emulator.session.request.query["access_token"] == KEY
        await provider.disconnect()
    async with HumeEmulator(ANSWERS, key=KEY, faults=Refuse("rate_limit")) as emulator:
        with pytest.raises(RateLimitError):
            await made(emulator).connect()


async def test_messages_in_the_vendors_own_words():
    async with evi() as (_, line):
        await line.provider.send_event({"type": "pause_assistant_message"})
        await line.provider.send_text("good morning")
        await asyncio.sleep(5)
        assert line.of(ev.ResponseStarted) == []
        await line.provider.send_event({"type": "resume_assistant_message"})
        await line.wait(ev.ResponseCompleted)
        assert line.said() == ANSWERS["good morning"]
        for wrong in ({"text": "no type"}, {"type": "user_input", "text": object()}):
            with pytest.raises(MessageError):
                await line.provider.send_event(wrong)
